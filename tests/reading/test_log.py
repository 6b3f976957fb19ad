"""What is read for a frame: as many entries as there is room for, and few more bodies than fill it."""

from pathlib import Path

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.core.records import Addressed, Changes, Entry, Log, LogTable, Table
from bimip.reading.log import BODIES_AT_ONCE, BODIES_MOST, is_expired, read_addressed, read_segments
from bimip.reading.segments import Item
from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from bimip.wire import stored
from tests.reading.support import store_with

USER = UserId(1)


def entry(offset: int) -> Entry:
    place = ConversationOffset(offset)
    return Entry(Stamp(100 + offset), ConversationId(1), place, USER, DeviceId(1), addressed=False, digest=bytes(8))


def filled(count: int, *, without: int = 0, store: Store | None = None) -> Store:
    """Bodies of 91 bytes, which are 100 as they are delivered."""
    store = store or MemoryStore()
    bodies = {(100 + offset,): bytes(91) for offset in range(1, count + 1) if offset != without}
    entries = [(offset, entry(offset)) for offset in range(1, count + 1)]
    store.begin()
    store.apply(Changes({Table.BODIES: bodies}, {(LogTable.ENTRIES, (USER, "chat")): entries}))
    store.commit()
    return store


def read(store: Store, after: int, limit: int, size: int) -> list[Item]:
    segments = read_segments(store, USER, "chat", after, limit, size)
    return [item for segment in segments for item in segment.items()]


def test_an_entry_is_read_as_it_is_delivered() -> None:
    assert read(filled(2), 1, 9, 1000) == [Item(Offset(2), entry(2), stored.deliver(bytes(91), 2))]


@pytest.mark.parametrize(("limit", "size"), [(9, 10_000), (2, 10_000), (300, 250), (300, 6000), (300, 0), (300, -5)])
def test_reading_goes_on_until_there_is_enough_and_not_far_beyond(limit: int, size: int) -> None:
    offsets = [item.offset for item in read(filled(300), 1, limit, size)]
    enough = min(limit, max(size // 100 + 1, 1))

    assert offsets == list(range(2, 2 + len(offsets)))
    assert enough <= len(offsets) <= min(limit, enough + BODIES_AT_ONCE)


def test_where_a_log_lies_in_several_blocks_reading_ends_in_the_one_where_there_is_enough(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store", map_bytes=1 << 24)
    try:
        offsets = [item.offset for item in read(filled(300, store=store), 115, 256, 1000)]
    finally:
        store.close()

    assert offsets == list(range(116, 116 + len(offsets)))
    assert 11 <= len(offsets) <= 11 + BODIES_AT_ONCE


def test_after_small_messages_no_more_large_ones_are_read_than_fill_the_room_a_few_times() -> None:
    store = filled(300)
    large = {(100 + offset,): bytes(50_000) for offset in range(17, 301)}
    store.begin()
    store.apply(Changes({Table.BODIES: large}))
    store.commit()

    assert len(read(store, 0, 256, 60_000)) <= BODIES_AT_ONCE + BODIES_MOST


def test_an_entry_whose_message_is_missing_is_read_without_it() -> None:
    items = read(filled(3, without=2), 0, 9, 1000)

    assert [item.offset for item in items] == [1, 2, 3]
    assert [item.part is None for item in items] == [False, True, False]


def test_what_is_addressed_is_found_for_the_device_that_it_names() -> None:
    addressed = (Addressed(DeviceId(1), b"one"), Addressed(DeviceId(2), None))
    store = store_with({Table.ADDRESSED: {(Stamp(101), USER): addressed}})

    assert [read_addressed(store, Stamp(101), USER, DeviceId(number)) for number in (1, 2, 3)] == [*addressed, None]
    assert read_addressed(store, Stamp(102), USER, DeviceId(1)) is None


def test_what_lies_in_front_of_a_log_expired() -> None:
    store = store_with({Table.LOGS: {(USER, "chat"): Log(Offset(4), Offset(9))}})

    assert [is_expired(store, USER, "chat", offset) for offset in (3, 4)] == [True, False]
    assert not is_expired(store, USER, "feed", 3)
