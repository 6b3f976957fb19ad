"""What is read for a frame: as many entries as there is room for, and no more bodies than fill it."""

import pytest

from bimip.domain.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.records import Changes, Entry, LogTable, Table
from bimip.storage.memory import MemoryStore
from bimip.users.session import read_segments
from bimip.users.tail import Item
from bimip.wire import stored

USER = UserId(1)


def entry(offset: int) -> Entry:
    place = ConversationOffset(offset)
    return Entry(Stamp(100 + offset), ConversationId(1), place, USER, DeviceId(1), addressed=False, digest=bytes(8))


def filled(count: int, *, without: int = 0) -> MemoryStore:
    """Bodies of 91 bytes, which are 100 as they are delivered."""
    store = MemoryStore()
    bodies = {(100 + offset,): bytes(91) for offset in range(1, count + 1) if offset != without}
    entries = [(offset, entry(offset)) for offset in range(1, count + 1)]
    store.begin()
    store.apply(Changes({Table.BODIES: bodies}, {(LogTable.ENTRIES, (USER, "chat")): entries}))
    store.commit()
    return store


def read(store: MemoryStore, after: int, limit: int, size: int) -> list[Item]:
    with store.snapshot() as view:
        return [item for segment in read_segments(view, USER, "chat", after, limit, size) for item in segment.items()]


def test_an_entry_is_read_as_it_is_delivered() -> None:
    assert read(filled(2), 1, 9, 1000) == [Item(Offset(2), entry(2), stored.deliver(bytes(91), 2))]


@pytest.mark.parametrize(
    ("limit", "size", "expected"),
    [(9, 10_000, [2, 3, 4, 5]), (2, 10_000, [2, 3]), (9, 250, [2, 3, 4]), (9, 0, [2]), (9, -5, [2])],
)
def test_reading_ends_with_the_entry_that_is_too_much(limit: int, size: int, expected: list[int]) -> None:
    assert [item.offset for item in read(filled(5), 1, limit, size)] == expected


def test_an_entry_whose_message_is_missing_is_read_without_it() -> None:
    items = read(filled(3, without=2), 0, 9, 1000)

    assert [item.offset for item in items] == [1, 2, 3]
    assert [item.part is None for item in items] == [False, True, False]
