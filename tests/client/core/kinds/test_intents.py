"""What a user says of themselves is known until its time is over, and an event when they say another thing."""

from bimip.client.core.kinds.intents import INTENTS, VersionedIntent, intent_known, stamp_known
from bimip.client.core.kinds.kind import Table
from bimip.client.events import IntentChanged, KnownIntent
from bimip.client.store import Store
from bimip.client.wire.bimip import Awareness, AwarenessStatus
from bimip.domain.core.records import Status

AWAY = KnownIntent(Status.AWAY, until=50)


def test_an_intent_stands_until_its_time_is_over(store: Store) -> None:
    assert (intent_known(store, 49), stamp_known(store)) == (KnownIntent(), 0)
    told = Awareness(status=AwarenessStatus.AWAY, until=50, stamp=9, version=3)
    key = INTENTS.key(told)
    assert key is not None
    Table(store, INTENTS).set(key, INTENTS.value(told))

    assert (intent_known(store, 49), stamp_known(store)) == (AWAY, 9)
    assert intent_known(store, 50) == KnownIntent()


def test_what_programs_are_told_is_what_was_said() -> None:
    first, later = VersionedIntent(1, AWAY), VersionedIntent(2, AWAY, 9)

    assert INTENTS.event(("intent",), None, first) == IntentChanged(Status.AWAY, 50)
    assert INTENTS.event(("intent",), first, later) is None
    assert INTENTS.event(("intent",), later, VersionedIntent(3, KnownIntent())) == IntentChanged(Status.ONLINE, 0)
    assert INTENTS.event(("intent",), None, VersionedIntent(1, KnownIntent())) is None


def test_one_of_a_later_version_is_left_out() -> None:
    assert INTENTS.key(Awareness(status=AwarenessStatus(99))) is None
    assert INTENTS.key(Awareness(status=AwarenessStatus.TYPING)) is None
