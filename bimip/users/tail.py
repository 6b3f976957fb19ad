"""The newest few of what a user's devices are told, kept in memory and already encoded, so that live delivery reads no
disk. Whoever is further behind reads the store: the same entries, from the same position.
"""

from typing import NamedTuple

from bimip.domain.ids import Offset, Version
from bimip.domain.records import Entry
from bimip.wire.state import delta_part

MAX_ENTRIES = 64
MAX_BYTES = 64 * 1024


class Item(NamedTuple):
    offset: Offset
    entry: Entry
    part: bytes | None  # the message as an element of Body.messages; None: it is not in the store


class LogTail:
    """Of one partition. `head` is the newest offset that is on disk and known here.

    A list, here and below: most logs are empty, and an empty deque takes ten times the room.
    """

    __slots__ = ("_bytes", "_items", "head")

    def __init__(self, head: Offset) -> None:
        self.head = head
        self._items: list[Item] = []
        self._bytes = 0

    def extend(self, items: list[Item]) -> None:
        """With what was appended: consecutive offsets."""
        if items and items[0].offset <= self.head:
            items = items[self.head + 1 - items[0].offset :]  # read from the store when the session began, and told now
        if not items:
            return
        if items[0].offset != self.head + 1:
            self._items.clear()  # what lies between was never told: it is in the store
            self._bytes = 0
        self.head = items[-1].offset
        self._items += items
        self._bytes += _bytes(items)
        self._drop(len(self._items) - MAX_ENTRIES)
        while self._bytes > MAX_BYTES:
            self._drop(1)

    def _drop(self, count: int) -> None:
        if count > 0:
            self._bytes -= _bytes(self._items[:count])
            del self._items[:count]

    def after(self, offset: int, limit: int) -> list[Item] | None:
        """Entries behind `offset`; None if they do not all lie in memory."""
        skip = offset - (self.head - len(self._items))
        return None if skip < 0 else self._items[skip : skip + limit]


def _bytes(items: list[Item]) -> int:
    return sum([len(item.part or b"") for item in items])


class StateTail:
    """Of the shadow state: encoded StateItems by version, up to and with `head`, without a version missing."""

    __slots__ = ("_delta", "_items", "head")

    def __init__(self, head: Version) -> None:
        self.head = head
        self._items: list[bytes] = []
        self._delta: tuple[int, Version, bytes] | None = None

    def add(self, version: Version, item: bytes) -> None:
        if version <= self.head:
            return
        if version != self.head + 1:
            self._items.clear()
        self.head = version
        self._items.append(item)
        if len(self._items) > MAX_ENTRIES:
            del self._items[0]

    def after(self, version: int) -> list[bytes] | None:
        """Items behind `version`; None if they do not all lie in memory."""
        skip = version - (self.head - len(self._items))
        return None if skip < 0 else self._items[skip:]

    def delta(self, version: int) -> bytes | None:
        """`after` as an element of Body.states. Most of a user's devices stand at the same version: made once."""
        if self._delta is None or self._delta[0] != version or self._delta[1] != self.head:
            items = self.after(version)
            if items is None:
                return None
            self._delta = (version, self.head, delta_part(version, self.head, items))
        return self._delta[2]
