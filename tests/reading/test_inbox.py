"""An inbox is read a conversation at a time, and what is unread is counted in bounds."""

from typing import Any

from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp, UserId
from bimip.domain.core.records import (
    Addressed,
    Changes,
    Conversation,
    HistoryEntry,
    Inbox,
    Log,
    LogTable,
    Table,
)
from bimip.names import conversation_id
from bimip.reading.fetches import PageStart, Viewer
from bimip.reading.inbox import MAX_COUNTED, MAX_UNREAD, SLICE, is_inbox_whole, scan_inbox
from bimip.reading.pages import Page, Scan
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.reading.support import ANN, BOB, LAPTOP, ORIGIN, PHONE, store_with

VIEWER = Viewer(ANN, "ann", PHONE, "phone")
FETCH = pb.Fetch(kind=pb.INBOX)


def store(*, talks: int = 1, messages: int = 3, own: int = 0, marker: int = 0, addressed: int = 0) -> MemoryStore:
    """Talks of ann with bob, the highest on top. In each the first `own` messages are hers, and the last `addressed`
    are for her laptop alone.
    """
    puts: dict[Table, dict[Any, Any]] = {
        Table.EIDS: {(BOB,): "bob"},
        Table.INBOXES: {(ANN,): Inbox(ConversationId(talks), is_whole=True)},
        Table.BODIES: {},
        Table.ADDRESSED: {},
        Table.CONVERSATIONS: {},
        Table.RECENT: {},
        Table.RISEN: {},
        Table.READ_MARKERS: {},
    }
    appends: dict[tuple[LogTable, Any], list[tuple[int, Any]]] = {}
    for number in range(1, talks + 1):
        risen = Stamp(number << 30)
        history = []
        for place in range(1, messages + 1):
            to_laptop = place > messages - addressed
            author, origin = (ANN, LAPTOP) if place <= own else (BOB, ORIGIN)
            history.append((place, HistoryEntry(Stamp(risen + place), author, origin, to_laptop)))
            puts[Table.BODIES][risen + place,] = b"\x2a\x0b\x28" + bytes([place % 100])  # its type
            if to_laptop:
                puts[Table.ADDRESSED][risen + place, ANN] = (Addressed(LAPTOP, None),)
        appends[LogTable.HISTORY, (number,)] = history
        puts[Table.CONVERSATIONS][number,] = Conversation(
            ConversationOffset(1), ConversationOffset(messages), (ANN, BOB)
        )
        puts[Table.RECENT][ANN, risen] = ConversationId(number)
        puts[Table.RISEN][ANN, number] = risen
        puts[Table.READ_MARKERS][ANN, number] = marker
    return store_with(puts, appends)


def page(scan: Scan) -> tuple[Page, list[int]]:
    counts = []
    try:
        while True:
            counts.append(next(scan))
    except StopIteration as end:
        found: Page = end.value
        return found, counts


def rows(found: Page) -> list[pb.Conversation]:
    return [pb.Body.FromString(part).conversations[0] for part in found.parts]


def read(where: MemoryStore, limit: int = 100, behind: tuple[int, ...] | None = None) -> tuple[Page, list[int]]:
    return page(scan_inbox(where, VIEWER, FETCH, PageStart(None, behind), limit))


def test_the_newest_comes_first_with_its_last_message() -> None:
    found, _ = read(store(talks=3))

    assert [(one.id, one.peer, one.unread, one.last_message.type) for one in rows(found)] == [
        (conversation_id(ConversationId(number)), "bob", 3, 3) for number in (3, 2, 1)
    ]
    assert found.complete
    assert [row.place.first for row in found.concerned] == [3, 3, 3]


def test_pages_join() -> None:
    where = store(talks=5)
    first, _ = read(where, limit=2)
    second, _ = read(where, limit=9, behind=first.last)

    assert [one.id for one in (*rows(first), *rows(second))] == ["c5", "c4", "c3", "c2", "c1"]
    assert (first.complete, second.complete) == (False, True)


def test_what_one_wrote_and_what_is_read_is_not_unread() -> None:
    assert [one.unread for one in rows(read(store(messages=10, own=4))[0])] == [6]
    assert [one.unread for one in rows(read(store(messages=10, marker=7))[0])] == [3]
    assert [one.unread for one in rows(read(store(messages=10, marker=10))[0])] == [0]


def test_what_is_for_another_device_is_unread_and_not_the_last_message_here() -> None:
    found, _ = read(store(messages=5, addressed=2))

    assert [row.place.first for row in found.concerned] == [3]
    assert [one.unread for one in rows(found)] == [5]


def test_no_more_is_looked_at_than_the_newest_and_that_is_said() -> None:
    found, counts = read(store(messages=MAX_UNREAD + 500))
    (row,) = rows(found)

    assert (row.unread, row.more_unread) == (MAX_UNREAD, True)
    assert max(counts) <= SLICE
    (row,) = rows(read(store(messages=MAX_UNREAD))[0])
    assert (row.unread, row.more_unread) == (MAX_UNREAD, False)


def test_a_page_ends_where_there_was_much_to_count() -> None:
    talks = MAX_COUNTED // MAX_UNREAD + 3
    where = store(talks=talks, messages=MAX_UNREAD + 1)
    first, _ = read(where)
    second, _ = read(where, behind=first.last)

    assert not first.complete
    assert second.complete
    assert len(first.parts) + len(second.parts) == talks


def test_a_conversation_that_rose_meanwhile_is_passed_over() -> None:
    where = store(talks=2)
    where.begin()
    where.apply(Changes({Table.RISEN: {(ANN, 1): Stamp(99 << 30)}}))
    where.commit()

    assert [one.id for one in rows(read(where)[0])] == ["c2"]


def test_somebody_elses_conversation_is_not_there() -> None:
    where = store_with(
        {
            Table.CONVERSATIONS: {
                (7,): Conversation(ConversationOffset(1), ConversationOffset(0), (BOB, UserId(9))),
            },
            Table.RECENT: {(ANN, 5): ConversationId(7)},
            Table.RISEN: {(ANN, 7): Stamp(5)},
        }
    )
    found, _ = read(where)

    assert (found.parts, found.complete) == ([], True)


def test_a_user_with_entries_and_no_inbox_is_gone_through_first() -> None:
    assert is_inbox_whole(store(), ANN)
    assert is_inbox_whole(store_with(), ANN)
    assert not is_inbox_whole(store_with({Table.LOGS: {(ANN, "chat"): Log(1, 5)}}), ANN)  # type: ignore[arg-type]  # offsets
