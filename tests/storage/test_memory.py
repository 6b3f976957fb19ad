from bimip.domain.core.records import Changes, Table
from bimip.storage.memory import MemoryStore


def test_a_crash_keeps_what_was_committed_and_nothing_else() -> None:
    store = MemoryStore()
    store.begin()
    store.apply(Changes(puts={Table.EIDS: {(1,): "committed"}}))
    store.commit()
    store.begin()
    store.apply(Changes(puts={Table.EIDS: {(1,): "lost", (2,): "lost"}}))
    store.crash()
    store.reopen()

    with store.snapshot() as reader:
        assert reader.scan(Table.EIDS, (), (9,), limit=9) == [((1,), "committed")]


def test_a_commit_copies_only_when_somebody_reads() -> None:
    store = MemoryStore()
    with store.snapshot() as unread:
        pass
    store.begin()
    store.apply(Changes(puts={Table.EIDS: {(1,): "a"}}))
    store.commit()

    with store.snapshot() as reader:
        assert reader is unread


def test_what_is_stored_counts_against_the_quota_about_as_it_is_long() -> None:
    store = MemoryStore(quota_bytes=1)
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(1,): bytes(1000)}, Table.EIDS: {(1,): "ann"}}))
    store.commit()

    assert 1003 <= store.statistics().used_bytes <= 1003 + 2 * 8
    assert not store.has_room()
