from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.batch import Batch, Cut, Decision, Insert, LogAppend, Put, StateNews, Writes
from bimip.domain.ids import ConversationId, Millis, UserId, Version
from bimip.domain.operations import Done
from bimip.domain.records import Index, IndexRow, LogTable, ReceiptKey, ReceiptKind, Table
from bimip.storage.memory import MemoryStore

NAMES = st.sampled_from("abcdef")
ROOMS = st.integers(1, 2)

puts = st.builds(lambda name, value: ("put", name, value), NAMES, st.none() | st.integers(1, 9))
appends = st.builds(lambda room, count: ("append", room, count), ROOMS, st.integers(1, 4))
cuts = st.builds(lambda room, below: ("cut", room, below), ROOMS, st.integers(0, 12))
rows = st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(1, 2), st.integers(1, 9))
inserts = st.builds(lambda room, rows: ("insert", room, rows), ROOMS, st.lists(rows, max_size=4))
steps = st.lists(st.lists(puts | appends | cuts | inserts, max_size=5), max_size=6)


class Numbers:
    """What a decision knows of the sequences: heads never fall, and nothing is cut beyond head + 1."""

    def __init__(self) -> None:
        self.heads = {1: 0, 2: 0}
        self.firsts = {1: 1, 2: 1}

    def decision(self, step: list[tuple[str, Any, Any]]) -> Decision:
        puts: list[Put] = []
        appends: list[LogAppend] = []
        cuts: list[Cut] = []
        inserts: list[Insert] = []
        for what, where, value in step:
            if what == "put":
                puts.append((Table.META, {(where,): value}))
            elif what == "append":
                numbers = range(self.heads[where] + 1, self.heads[where] + value + 1)
                self.heads[where] += value
                appends.append((LogTable.HISTORY, (where,), [(number, number) for number in numbers]))
            elif what == "insert":
                inserts.append((Index.SEQS, (where,), value))
            else:
                self.firsts[where] = min(max(self.firsts[where], value), self.heads[where] + 1)
                cuts.append((LogTable.HISTORY, (where,), self.firsts[where]))
        return Decision(Done(), Writes(puts, appends, inserts, cuts))


def commit(store: MemoryStore, batch: Batch) -> None:
    store.begin()
    store.apply(batch.changes)
    store.commit()


@given(
    steps,
    steps,
    NAMES | st.just("a"),
    NAMES | st.just("z"),
    st.integers(1, 4),
    st.integers(0, 14),
    st.sampled_from(["up", "down"]),
    rows.flatmap(lambda row: st.sampled_from([row[:length] for length in range(5)])),
    rows | st.just((9,)),
)
def test_a_batch_answers_as_the_store_does_once_it_is_committed(
    before: list[Any],
    pending: list[Any],
    low: str,
    high: str,
    limit: int,
    after: int,
    order: str,
    first: IndexRow,
    end: IndexRow,
) -> None:
    store, numbers = MemoryStore(), Numbers()
    for step in before:
        with store.snapshot() as base:
            committed = Batch(base)
        committed.absorb(numbers.decision(step))
        commit(store, committed)
    with store.snapshot() as base:
        batch = Batch(base)
        for step in pending:
            batch.absorb(numbers.decision(step))
        gets = [batch.get(Table.META, (name,)) for name in "abcdef"]
        scanned = batch.scan(Table.META, (low,), (high,), limit=limit, reverse=order == "down")
        read = [batch.read(LogTable.HISTORY, (room,), after, limit=limit) for room in (1, 2)]
        found = batch.find(Index.SEQS, (1,), first, end, limit=limit, reverse=order == "down")
    commit(store, batch)

    with store.snapshot() as view:
        assert gets == [view.get(Table.META, (name,)) for name in "abcdef"]
        assert scanned == view.scan(Table.META, (low,), (high,), limit=limit, reverse=order == "down")
        assert read == [view.read(LogTable.HISTORY, (room,), after, limit=limit) for room in (1, 2)]
        assert found == view.find(Index.SEQS, (1,), first, end, limit=limit, reverse=order == "down")


def test_a_trim_of_a_batch_reaches_the_store() -> None:
    store = MemoryStore()
    with store.snapshot() as base:
        batch = Batch(base)
    for below in (2, 3):
        row = (below, 0, 0, below)
        batch.absorb(Decision(Done(), Writes(inserts=[(Index.SEQS, (1,), [row])], trims=((Index.SEQS, (1,), below),))))
    commit(store, batch)

    with store.snapshot() as view:
        assert view.find(Index.SEQS, (1,), (), (9,), limit=9) == [(3, 0, 0, 3)]


def test_a_batch_gathers_the_news_in_order() -> None:
    key = ReceiptKey(ConversationId(1), UserId(1), ReceiptKind.READ, 0)
    news = [StateNews(UserId(1), Version(version), key, ()) for version in (1, 2, 3)]
    with MemoryStore().snapshot() as base:
        batch = Batch(base)
    batch.absorb(Decision(Done(), news=news[:2]))
    batch.absorb(Decision(Done(), news=news[2:]))

    assert batch.news == news


@pytest.mark.parametrize("record", [0, "", (), Millis(0)])
def test_a_record_that_is_empty_is_no_deletion(record: object) -> None:
    with MemoryStore().snapshot() as base:
        batch = Batch(base)
    batch.absorb(Decision(Done(), Writes([(Table.META, {("x",): record})])))

    assert batch.get(Table.META, ("x",)) == record
    assert batch.scan(Table.META, ("",), ("z",), limit=9) == [(("x",), record)]


def test_deleted_records_do_not_shorten_what_a_scan_finds() -> None:
    store = MemoryStore()
    with store.snapshot() as base:
        first = Batch(base)
    first.absorb(Decision(Done(), Writes([(Table.META, {(name,): 1 for name in "abcdef"})])))
    commit(store, first)
    with store.snapshot() as base:
        batch = Batch(base)
        batch.absorb(Decision(Done(), Writes([(Table.META, {(name,): None for name in "abef"})])))
        up = batch.scan(Table.META, ("a",), ("z",), limit=2)
        down = batch.scan(Table.META, ("a",), ("z",), limit=2, reverse=True)

    assert up == [(("c",), 1), (("d",), 1)]
    assert down == up[::-1]
