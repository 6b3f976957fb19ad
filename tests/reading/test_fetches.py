"""What a Fetch finds is what the asking device may see, and what it asked for."""

from typing import Any

import pytest

from bimip.domain.core.ids import ConversationOffset, DeviceId, Offset, Stamp
from bimip.domain.core.records import (
    Addressed,
    Conversation,
    Cursor,
    Device,
    HistoryEntry,
    Log,
    LogTable,
    Table,
    User,
)
from bimip.reading.fetches import PageStart, Viewer, scan_by_seq, scan_history, scan_log
from bimip.reading.pages import Page, Scan
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from tests.reading.support import ANN, BOB, LAPTOP, ORIGIN, PHONE, entry, store_with

VIEWER = Viewer(ANN, "ann", PHONE, "phone")


def store() -> MemoryStore:
    """1 by bob; 2 by ann's phone; 3 for ann's laptop only; 4 for ann's phone only; 5 by bob, acknowledged."""
    entries = [
        entry(1),
        entry(2, author=ANN, origin=PHONE),
        entry(3, addressed=True),
        entry(4, addressed=True),
        entry(5),
    ]
    history = [HistoryEntry(one.stamp, one.author, one.origin, one.addressed) for one in entries]
    return store_with(
        {
            Table.USERS: {("ann",): User(ANN, 0), ("bob",): User(BOB, 0)},  # type: ignore[arg-type]  # no time
            Table.DEVICES: {(BOB, "desk"): Device(ORIGIN, 0, 0)},  # type: ignore[arg-type]  # no time
            Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(5))},
            Table.CONVERSATIONS: {(1,): Conversation(ConversationOffset(1), ConversationOffset(5), (ANN, BOB))},
            Table.CURSORS: {(PHONE, "chat"): Cursor(Offset(0), ((Offset(5), Offset(5)),))},
            Table.BODIES: {(100 + offset,): b"\x2a\x0a\x38\x01" for offset in range(1, 6)},
            Table.ADDRESSED: {
                (Stamp(103), ANN): (Addressed(LAPTOP, None),),
                (Stamp(104), ANN): (Addressed(PHONE, None),),
            },
        },
        {
            (LogTable.ENTRIES, (ANN, "chat")): list(enumerate(entries, 1)),
            (LogTable.HISTORY, (1,)): list(enumerate(history, 1)),
        },
    )


def page(scan: Scan) -> Page:
    try:
        while True:
            next(scan)
    except StopIteration as end:
        found: Page = end.value
        return found


def fetch(kind: int = pb.LOG, **fields: Any) -> pb.Fetch:
    asked = pb.Fetch(kind=kind, **fields)  # type: ignore[arg-type]  # the stub knows names of enums, not their numbers
    if kind == pb.HISTORY:
        asked.conversation = asked.conversation or "c1"
    else:
        asked.partition = "chat"
    return asked


def author(eid: str, device: str = "") -> dict[str, Any]:
    return {"from": pb.Identity(eid=eid, connection_resource_id=device)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (fetch(), [1, 2, 4, 5]),
        (fetch(backwards=True), [5, 4, 2, 1]),
        (fetch(pb.UNACKNOWLEDGED), [1, 4]),
        (fetch(**author("ann")), [2]),
        (fetch(**author("bob", "desk")), [1, 4, 5]),
        (fetch(**author("bob", "nobody's")), []),
        (fetch(**author("nobody")), []),
        (fetch(to=pb.Identity(eid="ann", connection_resource_id="phone")), [1, 2, 4, 5]),
        (fetch(to=pb.Identity(eid="ann", connection_resource_id="laptop")), []),
    ],
)
def test_a_log_is_looked_through_for_what_is_asked(asked: pb.Fetch, expected: list[int]) -> None:
    found = page(scan_log(store(), VIEWER, asked, PageStart(None if asked.backwards else 1), 99))

    assert [row.offset for row in found.rows] == expected
    assert found.complete


def test_what_is_acknowledged_is_marked() -> None:
    found = page(scan_log(store(), VIEWER, fetch(), PageStart(1), 99))

    assert [row.acknowledged for row in found.rows] == [False, False, False, True]


def test_a_history_shows_the_same_but_no_place_in_a_log() -> None:
    found = page(scan_history(store(), VIEWER, fetch(pb.HISTORY), PageStart(1), 99))

    assert [row.offset for row in found.rows] == [1, 2, 4, 5]
    assert [row.place for row in found.rows] == [(1, at, at) for at in (1, 2, 4, 5)]


@pytest.mark.parametrize("conversation", ["c2", "not one"])
def test_a_conversation_that_one_is_not_in_is_not_found(conversation: str) -> None:
    with pytest.raises(WireError) as caught:
        page(scan_history(store(), VIEWER, fetch(pb.HISTORY, conversation=conversation), PageStart(1), 99))

    assert caught.value.code == pb.NOT_FOUND


def test_by_seq_nobody_is_found_who_is_not_there() -> None:
    assert page(scan_by_seq(store(), VIEWER, fetch(pb.BY_SEQ, **author("nobody")), PageStart(None), 99)) == Page(
        [], 0, complete=True
    )


def test_a_page_ends_where_the_limit_is_and_goes_on_behind_it() -> None:
    first = page(scan_log(store(), VIEWER, fetch(), PageStart(1), 2))
    second = page(scan_log(store(), VIEWER, fetch(), PageStart(first.next_offset), 2))

    assert [row.offset for row in (*first.rows, *second.rows)] == [1, 2, 4, 5]
    assert (first.complete, DeviceId(first.next_offset)) == (False, 3)
