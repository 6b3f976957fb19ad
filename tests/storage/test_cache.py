from bimip.domain.ids import Offset, UserId
from bimip.domain.records import Changes, Log, Table
from bimip.storage.cache import LIMITS, RecordCache
from bimip.storage.memory import MemoryStore

KEY = (UserId(1), "chat")
OLD, NEW = Log(Offset(1), Offset(1)), Log(Offset(1), Offset(2))


def write(store: MemoryStore, log: Log | None) -> Changes:
    changes = Changes(puts={Table.LOGS: {KEY: log}})
    store.begin()
    store.apply(changes)
    store.commit()
    return changes


def read(cache: RecordCache, store: MemoryStore) -> Log | None:
    with store.snapshot() as view:
        found: Log | None = cache.over(view).get(Table.LOGS, KEY)
    return found


def test_what_was_read_is_not_read_again() -> None:
    cache, store = RecordCache(), MemoryStore()
    write(store, OLD)
    first = read(cache, store)
    write(store, NEW)  # behind the cache's back, which no writer but the journal may do

    assert (first, read(cache, store)) == (OLD, OLD)


def test_what_is_committed_is_known() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(write(store, OLD))
    cache.committed(write(store, NEW))

    assert read(cache, store) == NEW


def test_what_is_deleted_is_gone() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(write(store, OLD))
    cache.committed(write(store, None))

    assert read(cache, store) is None


def test_a_cleared_cache_reads_afresh() -> None:
    cache, store = RecordCache(), MemoryStore()
    cache.committed(write(store, OLD))
    write(store, NEW)
    cache.clear()

    assert read(cache, store) == NEW


def test_it_is_bounded() -> None:
    cache, store = RecordCache(), MemoryStore()
    many = LIMITS[Table.LOGS] + 1
    cache.committed(Changes(puts={Table.LOGS: {(UserId(user), "chat"): OLD for user in range(many)}}))

    assert read(cache, store) is None
