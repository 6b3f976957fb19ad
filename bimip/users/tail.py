"""The newest few of what a user's devices are told, kept in memory and already encoded, so that live delivery reads no
disk. Whoever is further behind reads the store: the same entries, from the same position.
"""

from collections import deque
from itertools import islice
from typing import NamedTuple

from bimip.domain.ids import Offset, Version
from bimip.domain.records import Entry, Log

MAX_ENTRIES = 64
MAX_BYTES = 64 * 1024


class Item(NamedTuple):
    offset: Offset
    entry: Entry
    stored: bytes | None  # None: not read yet


class LogTail:
    """Of one partition. `head` is the newest offset that is on disk and known here."""

    __slots__ = ("_bytes", "_items", "first", "head")

    def __init__(self, log: Log) -> None:
        self.first = log.first
        self.head = log.head
        self._items: deque[Item] = deque()
        self._bytes = 0

    def extend(self, items: list[Item]) -> None:
        for item in items:
            if item.offset <= self.head:
                continue  # read from the store when the session began, and told now
            if item.offset != self.head + 1:
                self._forget()  # what lies between was never told: it is in the store
            self.head = item.offset
            self._items.append(item)
            self._bytes += len(item.stored or b"")
        while len(self._items) > MAX_ENTRIES or self._bytes > MAX_BYTES:
            self._bytes -= len(self._items.popleft().stored or b"")

    def _forget(self) -> None:
        self._items.clear()
        self._bytes = 0

    def after(self, offset: int, limit: int) -> list[Item] | None:
        """Entries behind `offset`; None if they do not all lie in memory."""
        skip = offset - (self.head - len(self._items))
        return None if skip < 0 else list(islice(self._items, skip, skip + limit))


class StateTail:
    """Of the shadow state: encoded StateItems by version."""

    __slots__ = ("_items", "_start", "head")

    def __init__(self, head: Version) -> None:
        self.head = head
        self._start = head
        self._items: deque[tuple[Version, bytes]] = deque()

    def add(self, version: Version, item: bytes) -> None:
        if version <= self.head:
            return
        if version != self.head + 1:
            self._items.clear()
            self._start = Version(version - 1)
        self.head = version
        self._items.append((version, item))
        if len(self._items) > MAX_ENTRIES:
            self._start = self._items.popleft()[0]

    def after(self, version: int) -> list[bytes] | None:
        """Items behind `version`; None if they do not all lie in memory."""
        if version < self._start:
            return None
        return [item for _, item in islice(self._items, len(self._items) - (self.head - version), None)]
