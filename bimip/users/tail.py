"""The newest few of what a user's devices are told, kept in memory and already encoded, so that live delivery reads no
disk. Whoever is further behind reads the store: the same entries, from the same position.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from bimip.domain.ids import ConversationOffset, DeviceId, Offset, Version
from bimip.domain.operations import Received
from bimip.domain.records import Entry, maker
from bimip.wire.state import delta_part

_received = maker(Received)
_CONVERSATION, _PLACE = attrgetter("conversation"), attrgetter("conversation_offset")

MAX_ENTRIES = 256
MAX_BYTES = 64 * 1024
MAX_STATES = 64


class Item(NamedTuple):
    offset: Offset
    entry: Entry
    part: bytes | None  # the message as an element of Body.messages; None: it is not in the store


def place_of(entry: Entry) -> Received:
    place = entry.conversation_offset
    return _received((entry.conversation, place, place))


class Segment:
    """Consecutive entries of one log, which mostly go to a device as a whole. Never changed."""

    __slots__ = ("_joined", "_places", "bytes", "entries", "first", "last", "origins", "parts", "plain", "sizes")

    def __init__(
        self, first: int, entries: list[Entry], parts: Sequence[bytes | None], origins: set[DeviceId], *, plain: bool
    ) -> None:
        self.first = Offset(first)
        self.last = Offset(first + len(entries) - 1)
        self.entries = entries
        self.parts = parts
        self.sizes = list(map(len, parts)) if plain else [len(part or b"") for part in parts]  # type: ignore[arg-type]  # plain: all there
        self.bytes = sum(self.sizes)
        self.origins = origins
        """Nobody else wrote any of it."""
        self.plain = plain
        """All of it is there, and goes to every device that did not write it."""
        self._joined: bytes | None = None
        self._places: list[Received] | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def joined(self) -> bytes:
        """The parts of a plain segment, one behind the other: made once for all of a user's devices."""
        if self._joined is None:
            self._joined = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)  # type: ignore[arg-type]  # as it is plain
        assert self._joined is not None
        return self._joined

    def places(self) -> list[Received]:
        """Lists where its messages stand in their conversations: made once for all of a user's devices."""
        if self._places is None:
            entries = self.entries
            first, conversation = entries[0].conversation_offset, entries[0].conversation
            consecutive = range(first, first + len(entries))
            # Nearly all are of one conversation, without a hole: then nothing of ours runs for each.
            if len(entries) == 1 or (
                {*map(_CONVERSATION, entries)} == {conversation} and [*map(_PLACE, entries)] == [*consecutive]
            ):
                self._places = [_received((conversation, first, ConversationOffset(consecutive[-1])))]
            else:
                self._places = list(map(place_of, entries))
        return self._places

    def shortened(self, count: int) -> "Segment":
        """The first so many of it."""
        return Segment(self.first, self.entries[:count], self.parts[:count], self.origins, plain=self.plain)

    def items(self) -> Iterator[Item]:
        return map(Item, range(self.first, self.last + 1), self.entries, self.parts)  # type: ignore[arg-type]  # offsets

    def behind(self, offset: int) -> "Segment":
        """Keeps what is beyond an offset."""
        skip = offset + 1 - self.first
        if skip <= 0:
            return self
        return Segment(offset + 1, self.entries[skip:], self.parts[skip:], self.origins, plain=self.plain)


def segment_of(first: int, entries: list[Entry], parts: Sequence[bytes | None]) -> Segment:
    """Makes a segment of entries by any authors."""
    plain = None not in parts and not any(entry.addressed for entry in entries)
    return Segment(first, entries, parts, {entry.origin for entry in entries}, plain=plain)


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
