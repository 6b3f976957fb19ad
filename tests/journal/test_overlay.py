"""What the journal decides against: a batch over a snapshot, and what is kept of the store between batches."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.decision import Cut, Decision, Insert, LogAppend, Put, StateNews, Writes
from bimip.domain.core.ids import ConversationId, Millis, Offset, UserId, Version
from bimip.domain.core.operations import Done
from bimip.domain.core.records import Changes, Index, IndexRow, Log, LogTable, ReceiptKey, ReceiptKind, Table
from bimip.domain.state.receipts import pack_key
from bimip.journal.overlay import ENTRIES, LIMITS, Overlay, RecordCache
from bimip.storage.memory import MemoryStore

NAMES = st.sampled_from("abcdef")
ROOMS = st.integers(1, 2)

puts = st.builds(lambda name, value: ("put", name, value), NAMES, st.none() | st.integers(1, 9))
appends = st.builds(lambda room, count: ("append", room, count), ROOMS, st.integers(1, 4))
cuts = st.builds(lambda room, below: ("cut", room, below), ROOMS, st.integers(0, 12))
rows = st.tuples(st.integers(0, 3), st.integers(0, 1), st.integers(1, 2), st.integers(1, 9))
inserts = st.builds(lambda room, rows: ("insert", room, rows), ROOMS, st.lists(rows, max_size=4))
steps = st.lists(st.lists(puts | appends | cuts | inserts, max_size=5), max_size=6)


def unpacked(found: Sequence[tuple[int, Sequence[Any]]]) -> list[tuple[int, Any]]:
    return [one for first, records in found for one in enumerate(records, first)]


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


def commit(store: MemoryStore, changes: Changes) -> Changes:
    store.begin()
    store.apply(changes)
    store.commit()
    return changes


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
            committed = Overlay(base)
        committed.absorb(numbers.decision(step))
        commit(store, committed.changes)
    with store.snapshot() as base:
        batch = Overlay(base)
        for step in pending:
            batch.absorb(numbers.decision(step))
        gets = [batch.get(Table.META, (name,)) for name in "abcdef"]
        scanned = batch.scan(Table.META, (low,), (high,), limit=limit, reverse=order == "down")
        read = [batch.read(LogTable.HISTORY, (room,), after, limit=limit) for room in (1, 2)]
        packed = [unpacked(batch.read_packed(LogTable.HISTORY, (room,), after, limit=limit)) for room in (1, 2)]
        found = batch.find(Index.SEQS, (1,), first, end, limit=limit, reverse=order == "down")
    commit(store, batch.changes)

    with store.snapshot() as view:
        assert gets == [view.get(Table.META, (name,)) for name in "abcdef"]
        assert scanned == view.scan(Table.META, (low,), (high,), limit=limit, reverse=order == "down")
        assert read == packed == [view.read(LogTable.HISTORY, (room,), after, limit=limit) for room in (1, 2)]
        assert found == view.find(Index.SEQS, (1,), first, end, limit=limit, reverse=order == "down")


def test_a_trim_of_a_batch_reaches_the_store() -> None:
    store = MemoryStore()
    with store.snapshot() as base:
        batch = Overlay(base)
    for below in (2, 3):
        row = (below, 0, 0, below)
        batch.absorb(Decision(Done(), Writes(inserts=[(Index.SEQS, (1,), [row])], trims=((Index.SEQS, (1,), below),))))
    commit(store, batch.changes)

    with store.snapshot() as view:
        assert view.find(Index.SEQS, (1,), (), (9,), limit=9) == [(3, 0, 0, 3)]


@pytest.mark.parametrize(("said", "expected"), [((), False), ((False, False), False), ((False, True, False), True)])
def test_a_batch_needs_room_when_one_of_its_decisions_does(said: tuple[bool, ...], *, expected: bool) -> None:
    with MemoryStore().snapshot() as base:
        batch = Overlay(base)
    for needs_room in said:
        batch.absorb(Decision(Done(), needs_room=needs_room))

    assert expected == batch.changes.needs_room


def test_a_batch_gathers_the_news_in_order() -> None:
    key = pack_key(ReceiptKey(ConversationId(1), UserId(1), ReceiptKind.READ, 0))
    news = [StateNews(UserId(1), Version(version), key, ()) for version in (1, 2, 3)]
    with MemoryStore().snapshot() as base:
        batch = Overlay(base)
    batch.absorb(Decision(Done(), news=news[:2]))
    batch.absorb(Decision(Done(), news=news[2:]))

    assert batch.news == news


@pytest.mark.parametrize("record", [0, "", (), Millis(0)])
def test_a_record_that_is_empty_is_no_deletion(record: object) -> None:
    with MemoryStore().snapshot() as base:
        batch = Overlay(base)
    batch.absorb(Decision(Done(), Writes([(Table.META, {("x",): record})])))

    assert batch.get(Table.META, ("x",)) == record
    assert batch.scan(Table.META, ("",), ("z",), limit=9) == [(("x",), record)]


def test_deleted_records_do_not_shorten_what_a_scan_finds() -> None:
    store = MemoryStore()
    with store.snapshot() as base:
        first = Overlay(base)
    first.absorb(Decision(Done(), Writes([(Table.META, {(name,): 1 for name in "abcdef"})])))
    commit(store, first.changes)
    with store.snapshot() as base:
        batch = Overlay(base)
        batch.absorb(Decision(Done(), Writes([(Table.META, {(name,): None for name in "abef"})])))
        up = batch.scan(Table.META, ("a",), ("z",), limit=2)
        down = batch.scan(Table.META, ("a",), ("z",), limit=2, reverse=True)

    assert up == [(("c",), 1), (("d",), 1)]
    assert down == up[::-1]


KEY = (UserId(1), "chat")
LOG = (LogTable.ENTRIES, KEY)
OLD, NEW = Log(Offset(1), Offset(1)), Log(Offset(1), Offset(2))


def write(store: MemoryStore, log: Log | None) -> Changes:
    return commit(store, Changes(puts={Table.LOGS: {KEY: log}}))


def append(first: int, last: int) -> Changes:
    """Entries are whatever was appended: here their own numbers."""
    return Changes(appends={LOG: [(number, number) for number in range(first, last + 1)]})


def read(cache: RecordCache, store: MemoryStore) -> Log | None:
    with store.snapshot() as view:
        found: Log | None = Overlay(cache.over(view), cache.records).get(Table.LOGS, KEY)
    return found


def decide(cache: RecordCache, store: MemoryStore, *logs: Log | None) -> None:
    """And write it: of this user and the following ones."""
    with store.snapshot() as view:
        batch = Overlay(cache.over(view), cache.records)
    records = {(UserId(KEY[0] + number), KEY[1]): log for number, log in enumerate(logs)}
    batch.absorb(Decision(Done(), Writes([(Table.LOGS, records)])))
    commit(store, batch.changes)
    cache.committed(batch.changes)


def test_what_was_read_is_not_read_again() -> None:
    cache, store = RecordCache(), MemoryStore()
    write(store, OLD)
    first = read(cache, store)
    write(store, NEW)  # behind the cache's back, which no writer but the journal may do

    assert (first, read(cache, store)) == (OLD, OLD)


def test_what_was_decided_is_known() -> None:
    cache, store = RecordCache(), MemoryStore()
    decide(cache, store, OLD)
    decide(cache, store, NEW)

    assert read(cache, store) == NEW


def test_what_is_deleted_is_gone() -> None:
    cache, store = RecordCache(), MemoryStore()
    decide(cache, store, OLD)
    decide(cache, store, None)

    assert read(cache, store) is None


def test_a_cleared_cache_reads_afresh() -> None:
    cache, store = RecordCache(), MemoryStore()
    decide(cache, store, OLD)
    write(store, NEW)
    cache.clear()

    assert read(cache, store) == NEW


def test_it_is_bounded() -> None:
    cache, store = RecordCache(), MemoryStore()
    many = LIMITS[Table.LOGS] + 1
    decide(cache, store, *[OLD] * many)
    write(store, NEW)

    assert read(cache, store) == NEW


def test_entries_are_the_same_from_memory_and_from_the_store() -> None:
    cache, store = RecordCache(), MemoryStore()
    commit(store, append(1, 4))
    cache.committed(commit(store, append(5, 7)))
    cache.committed(commit(store, append(8, 9)))
    with store.snapshot() as view:
        reader = cache.over(view)

        for after in range(11):
            for limit in range(1, 11):
                expected = view.read(LogTable.ENTRIES, KEY, after, limit=limit)
                assert reader.read(LogTable.ENTRIES, KEY, after, limit=limit) == expected
                assert unpacked(reader.read_packed(LogTable.ENTRIES, KEY, after, limit=limit)) == expected


def test_the_newest_entries_are_not_read_from_the_store() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(append(1, 3))
    with store.snapshot() as view:
        assert cache.over(view).read(LogTable.ENTRIES, KEY, 1, limit=9) == [(2, 2), (3, 3)]
        assert cache.over(view).read_packed(LogTable.ENTRIES, KEY, 1, limit=9) == [(2, [2, 3])]


def test_what_was_appended_is_not_changed_by_what_follows() -> None:
    cache = RecordCache()
    told = append(1, 2)
    cache.committed(told)
    cache.committed(append(3, 4))

    assert told == append(1, 2)


def test_of_a_log_that_was_cut_nothing_is_remembered() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(commit(store, append(1, 5)))
    cache.committed(commit(store, Changes(cuts={LOG: 4})))
    with store.snapshot() as view:
        assert cache.over(view).read(LogTable.ENTRIES, KEY, 0, limit=9) == [(4, 4), (5, 5)]


def test_entries_are_bounded_and_the_newest_stay() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(append(1, ENTRIES + 1))
    cache.committed(append(ENTRIES + 2, ENTRIES + 3))
    with store.snapshot() as view:
        reader = cache.over(view)

        assert reader.read(LogTable.ENTRIES, KEY, ENTRIES, limit=9) == []
        assert reader.read(LogTable.ENTRIES, KEY, ENTRIES + 1, limit=1) == [(ENTRIES + 2, ENTRIES + 2)]
