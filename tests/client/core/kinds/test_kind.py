from typing import Any

import pytest

from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.contacts import CONTACTS
from bimip.client.core.kinds.conversations import CONVERSATIONS
from bimip.client.core.kinds.devices import DEVICES
from bimip.client.core.kinds.groups import GROUPS
from bimip.client.core.kinds.intents import INTENTS
from bimip.client.core.kinds.kind import AnyKind, Table
from bimip.client.core.kinds.location_shares import LOCATION_SHARES
from bimip.client.core.kinds.messages import MESSAGES
from bimip.client.core.kinds.read_markers import READ_MARKERS
from bimip.client.core.kinds.receipts import PRIVATE_RECEIPTS, RECEIPTS
from bimip.client.core.kinds.settings import EXCEPTIONS, SETTINGS
from bimip.client.events import ReadMarkerChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import (
    Awareness,
    AwarenessStatus,
    Contact,
    Conversation,
    DeviceState,
    Identity,
    LocationStream,
    Member,
    MessageState,
    MessageStatus,
    PrivacyException,
    PrivacyExceptionException,
    Reaction,
    ReadMarker,
    ReceiptRun,
    Receipts,
    Settings,
)

READS = [
    Receipts(
        conversation="c1",
        member="bob",
        kind=MessageStatus.READ,
        block=0,
        runs=[ReceiptRun(from_=first, to=9, time=first)],
    )
    for first in (3, 5, 1)
]
EXAMPLES: dict[AnyKind, list[Any]] = {
    RECEIPTS: READS,
    PRIVATE_RECEIPTS: READS,
    SETTINGS: [
        Settings(version=version, stamp=version, show_last_seen=value)
        for version, value in ((3, True), (5, False), (1, False))
    ],
    EXCEPTIONS: [
        PrivacyException(eid="bob", version=version, stamp=version, show_last_seen=PrivacyExceptionException(value))
        for version, value in ((3, 2), (5, 3), (1, 3))
    ],
    LOCATION_SHARES: [
        LocationStream(to=Identity(eid="bob"), version=version, expires_at=ends)
        for version, ends in ((3, 7), (5, 9), (1, 8))
    ],
    DEVICES: [DeviceState(name="phone", created=7, stamp=stamp, label=f"label {stamp}") for stamp in (3, 5, 1)],
    GROUPS: [
        Conversation(
            id="c1",
            title=f"title {place}",
            role="member",
            member_count=2,
            history_from=1,
            conversation_offset=place,
            members=[Member(eid="bob", role="owner")],
        )
        for place in (3, 5, 1)
    ],
    MESSAGES: [
        MessageState(
            conversation="c1",
            conversation_offset=4,
            stamp=stamp,
            payload=b"%d" % stamp,
            pinned_stamp=9 - stamp,
            pinned=stamp > 3,
            forwards=stamp,
            deleted=stamp == 1,
            reactions=[Reaction(eid="bob", emoji="+", stamp=stamp % 5, removed=stamp > 3)],
        )
        for stamp in (3, 5, 1)
    ],
    CONTACTS: [
        Contact(eid="bob", version=version, state=state, seen=version > 3, name=state, id=state, time=version)
        for version, state in ((3, "asked"), (5, "accepted"), (1, "requested"))
    ],
    INTENTS: [
        Awareness(status=AwarenessStatus(status), version=version, stamp=version, until=version)
        for version, status in ((3, 3), (5, 1), (1, 5))
    ],
    CONVERSATIONS: [Conversation(id="c1", version=version, draft=b"%d" % version) for version in (3, 5, 1)],
    READ_MARKERS: [ReadMarker(conversation="c1", conversation_offset=offset) for offset in (3, 5, 1)],
}
"""Of each kind items of one key, with values that differ."""


def test_each_kind_has_an_example() -> None:
    assert set(EXAMPLES) == set(CLIENT_KINDS)


@pytest.mark.parametrize("kind", CLIENT_KINDS, ids=lambda kind: kind.field)
def test_merging_does_not_mind_the_order_nor_what_comes_again(kind: AnyKind) -> None:
    one, two, three = (kind.value(item) for item in EXAMPLES[kind])

    assert len({kind.key(item) for item in EXAMPLES[kind]}) == 1
    assert kind.merge(one, two) == kind.merge(two, one)
    assert kind.merge(kind.merge(one, two), three) == kind.merge(one, kind.merge(two, three))
    assert kind.merge(one, one) == one
    assert kind.merge(kind.merge(one, two), one) == kind.merge(one, two)


@pytest.mark.parametrize("kind", CLIENT_KINDS, ids=lambda kind: kind.field)
def test_what_is_stored_is_read_back_until_it_is_dropped(kind: AnyKind, store: Store) -> None:
    table = Table(store, kind)
    item = EXAMPLES[kind][0]
    key, value = kind.key(item), kind.value(item)
    assert key is not None
    assert table.get(key) is None
    table.set(key, value)

    assert table.get(key) == value
    assert table.under(()) == [(tuple(key), value)]
    table.drop(key)
    assert (table.get(key), table.under(())) == (None, [])


def test_what_stays_the_same_is_no_event(store: Store) -> None:
    table = Table(store, READ_MARKERS)

    assert list(table.changed(("c1",), 4, 4)) == []
    assert list(table.changed(("c1",), 4, 5)) == [ReadMarkerChanged("c1", 5)]
    assert list(table.changed(("c1",), None, 0)) == []
