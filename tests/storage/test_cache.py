from bimip.domain.batch import Batch, Decision, Writes
from bimip.domain.ids import Offset, UserId
from bimip.domain.operations import Done
from bimip.domain.records import Changes, Log, LogTable, Table
from bimip.storage.cache import ENTRIES, LIMITS, RecordCache
from bimip.storage.memory import MemoryStore

KEY = (UserId(1), "chat")
LOG = (LogTable.ENTRIES, KEY)
OLD, NEW = Log(Offset(1), Offset(1)), Log(Offset(1), Offset(2))


def write(store: MemoryStore, log: Log | None) -> Changes:
    return commit(store, Changes(puts={Table.LOGS: {KEY: log}}))


def commit(store: MemoryStore, changes: Changes) -> Changes:
    store.begin()
    store.apply(changes)
    store.commit()
    return changes


def append(first: int, last: int) -> Changes:
    """Entries are whatever was appended: here their own numbers."""
    return Changes(appends={LOG: [(number, number) for number in range(first, last + 1)]})


def read(cache: RecordCache, store: MemoryStore) -> Log | None:
    with store.snapshot() as view:
        found: Log | None = Batch(cache.over(view), cache.records).get(Table.LOGS, KEY)
    return found


def decide(cache: RecordCache, store: MemoryStore, *logs: Log | None) -> None:
    """And write it: of this user and the following ones."""
    with store.snapshot() as view:
        batch = Batch(cache.over(view), cache.records)
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


def test_the_newest_entries_are_not_read_from_the_store() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(append(1, 3))
    with store.snapshot() as view:
        assert cache.over(view).read(LogTable.ENTRIES, KEY, 1, limit=9) == [(2, 2), (3, 3)]


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
