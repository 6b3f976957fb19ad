"""Receipts on request: bounded in what is looked at, and exactly those that may be told."""

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Stamp, UserId
from bimip.domain.core.records import (
    Conversation,
    HistoryEntry,
    LogTable,
    ReceiptKind,
    ReceiptRun,
    Runs,
    Table,
)
from bimip.domain.state.receipts import PART, part_of, unpack_key
from bimip.reading.fetches import PageStart, Viewer
from bimip.reading.pages import Page, Scan
from bimip.reading.receipts import MAX_KEYS, MAX_RUNS, scan_receipts
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from tests.reading.support import ANN, store_with

TALK = ConversationId(1)
VIEWER = Viewer(ANN, "ann", DeviceId(11), "phone")


def store(*, members: int = 3, messages: int = 20, each: bool = False) -> MemoryStore:
    """Ann, who is user 1, wrote the odd messages, and user 2 the even ones; all others received all of them, each by
    itself or all at once.
    """

    def runs(part: int) -> Runs:
        first, last = part * PART + 1, min((part + 1) * PART, messages)
        places = [(place, place) for place in range(first, last + 1)] if each else [(first, last)]
        return tuple(ReceiptRun(ConversationOffset(low), ConversationOffset(high), Millis(low)) for low, high in places)

    users = tuple(map(UserId, range(1, members + 1)))
    parts = range(part_of(messages) + 1)
    history = [
        (n, HistoryEntry(Stamp(n), UserId(1 if n % 2 else 2), DeviceId(1), addressed=False))
        for n in range(1, messages + 1)
    ]
    return store_with(
        {
            Table.CONVERSATIONS: {(TALK,): Conversation(ConversationOffset(1), ConversationOffset(messages), users)},
            Table.RECEIPTS: {
                (TALK, user, kind, part): runs(part)
                for user in users
                for kind in (ReceiptKind.DELIVERED, ReceiptKind.READ)
                for part in parts
            },
        },
        {(LogTable.HISTORY, (TALK,)): history},
    )


def page(scan: Scan) -> tuple[Page, list[int]]:
    counts = []
    try:
        while True:
            counts.append(next(scan))
    except StopIteration as end:
        found: Page = end.value
        return found, counts


def ask(where: MemoryStore, behind: tuple[int, ...] | None = None) -> tuple[Page, list[int]]:
    asked = pb.Fetch(kind=pb.RECEIPTS, conversation="c1")
    return page(scan_receipts(where, VIEWER, asked, PageStart(None, behind), 256))


def test_of_ones_own_messages_the_others_and_of_theirs_oneself() -> None:
    found, _ = ask(store(messages=4))

    assert [(unpack_key(key)[1:3], [(run.first, run.last) for run in runs]) for _, key, runs in found.changes] == [
        ((1, ReceiptKind.READ), [(2, 2), (4, 4)]),
        ((2, ReceiptKind.DELIVERED), [(1, 1), (3, 3)]),
        ((2, ReceiptKind.READ), [(1, 1), (3, 3)]),
        ((3, ReceiptKind.DELIVERED), [(1, 1), (3, 3)]),
        ((3, ReceiptKind.READ), [(1, 1), (3, 3)]),
    ]
    assert found.complete


def test_in_a_large_conversation_a_page_ends_and_the_next_one_goes_on() -> None:
    large, pages = store(members=500, messages=300), list[Page]()
    while not (pages and pages[-1].complete):
        found, counts = ask(large, pages[-1].last if pages else None)
        pages.append(found)

        assert max(counts) <= 65
        assert len(found.changes) <= 256

    keys = [key for one in pages for _, key, _ in one.changes]
    assert len(keys) == len(set(keys)) == 2 * (499 * 2 + 1)


def test_a_page_holds_no_more_runs_than_have_room() -> None:
    found, _ = ask(store(members=500, messages=256, each=True))

    assert not found.complete
    assert MAX_RUNS <= sum(len(runs) for _, _, runs in found.changes) <= MAX_RUNS + 256


def test_what_has_nothing_is_looked_through_in_bounds() -> None:
    talk = Conversation(ConversationOffset(1), ConversationOffset(10**7), (ANN, UserId(2)))
    found, counts = ask(store_with({Table.CONVERSATIONS: {(TALK,): talk}}))

    assert not found.complete
    assert len(counts) <= MAX_KEYS
