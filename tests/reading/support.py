"""A store in memory that holds what a test puts there."""

from typing import Any

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.records import Changes, Entry, LogTable, Table
from bimip.storage.memory import MemoryStore

ANN, BOB = UserId(1), UserId(2)
PHONE, LAPTOP = DeviceId(11), DeviceId(12)
ORIGIN = DeviceId(21)
"""A device of bob's."""


def store_with(
    puts: dict[Table, dict[Any, Any]] | None = None,
    appends: dict[tuple[LogTable, Any], list[tuple[int, Any]]] | None = None,
) -> MemoryStore:
    store = MemoryStore()
    store.begin()
    store.apply(Changes(puts or {}, appends or {}))
    store.commit()
    return store


def entry(offset: int, *, author: UserId = BOB, origin: DeviceId = ORIGIN, addressed: bool = False) -> Entry:
    """An entry of conversation 1, whose message has the stamp 100 + offset."""
    place = ConversationOffset(offset)
    return Entry(Stamp(100 + offset), ConversationId(1), place, author, origin, addressed, digest=bytes(8))
