"""The newest few of what a user's devices are told, kept in memory and already encoded, so that live delivery reads no
disk. Whoever is further behind reads the store: the same entries, from the same position.
"""

from bimip.domain.core.ids import Offset, Version
from bimip.reading.segments import Segment
from bimip.wire.state import delta_part

MAX_ENTRIES = 256
MAX_BYTES = 64 * 1024
MAX_STATES = 64


class LogTail:
    """The tail of one partition's log. `head` is the newest offset that is on disk and known here.

    A list, here and below: most logs are empty, and an empty deque takes ten times the room.
    """

    __slots__ = ("_bytes", "_count", "_segments", "head")

    def __init__(self, head: Offset) -> None:
        self.head = head
        self._segments: list[Segment] = []
        self._count = 0  # entries
        self._bytes = 0

    def extend(self, segment: Segment) -> None:
        """Extends the tail with what was appended."""
        if segment.first != self.head + 1:
            if segment.last <= self.head:
                return  # read from the store when the session began, and told now
            segment = segment.behind(self.head)
            if segment.first > self.head + 1:
                self._drop(len(self._segments))  # what lies between was never told: it is in the store
        self.head = segment.last
        self._segments.append(segment)
        self._count += len(segment.sizes)
        self._bytes += segment.bytes
        while self._bytes > MAX_BYTES or self._count > MAX_ENTRIES:
            self._drop(1)

    def forget(self) -> None:
        """Drops all that is in memory: it is in the store."""
        self._drop(len(self._segments))

    def _drop(self, count: int) -> None:
        for segment in self._segments[:count]:
            self._count -= len(segment)
            self._bytes -= segment.bytes
        del self._segments[:count]

    def after(self, offset: int) -> list[Segment] | None:
        """Returns what is behind `offset`; None if it does not all lie in memory."""
        if offset < self.head - self._count:
            return None
        segments = self._segments
        if segments and segments[-1].first == offset + 1:
            return segments[-1:]  # as for who had all before
        at = len(segments)
        while at and segments[at - 1].first > offset + 1:
            at -= 1
        if at and segments[at - 1].last > offset:
            return [segments[at - 1].behind(offset), *segments[at:]]
        return segments[at:]


class StateTail:
    """The tail of the shadow state: encoded StateItems by version, up to and with `head`, without a version missing."""

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
        if len(self._items) > MAX_STATES:
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
