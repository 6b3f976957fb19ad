"""What this user says of themselves, AWAY, BUSY or DND, on whichever device they said so last."""

from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import IntentChanged, KnownIntent
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Awareness, AwarenessStatus
from bimip.domain.core.records import Status

KEY: StateKey = ("intent",)
"""A user has one."""

SAID = frozenset({AwarenessStatus.ONLINE, AwarenessStatus.AWAY, AwarenessStatus.BUSY, AwarenessStatus.DND})


class VersionedIntent(NamedTuple):
    version: int  # of the user's state, since when it stands so
    intent: KnownIntent
    stamp: int = 0  # by which a later word wins


class IntentsKind(Kind[Awareness, VersionedIntent]):
    field = "intent"

    def key(self, item: Awareness) -> StateKey | None:
        return KEY if item.status in SAID else None

    def value(self, item: Awareness) -> VersionedIntent:
        return VersionedIntent(item.version, intent_told(item), item.stamp)

    def merge(self, known: VersionedIntent, arrived: VersionedIntent) -> VersionedIntent:
        """The server has merged them: its newest word counts."""
        return max(known, arrived)

    def event(
        self, _key: StateKey, before: VersionedIntent | None, now: VersionedIntent | None
    ) -> IntentChanged | None:
        was, is_now = (known.intent if known else KnownIntent() for known in (before, now))
        return IntentChanged(*is_now) if is_now != was else None

    def load(self, stored: Any) -> VersionedIntent:  # noqa: ANN401 - as in Kind
        version, (status, until), stamp = stored
        return VersionedIntent(version, KnownIntent(Status(status), until), stamp)


INTENTS = IntentsKind()


def intent_told(told: Awareness) -> KnownIntent:
    return KnownIntent(Status(told.status), told.until)


def intent_known(store: Store, now: int) -> KnownIntent:
    """Returns what stands of what the user said, as this device knows it; ONLINE: nothing."""
    known = Table(store, INTENTS).get(KEY)
    if known is None or 0 < known.intent.until <= now:
        return KnownIntent()
    return known.intent


def stamp_known(store: Store) -> int:
    """Returns the stamp of the user's last word, as this device knows it; 0: there is none."""
    known = Table(store, INTENTS).get(KEY)
    return 0 if known is None else known.stamp
