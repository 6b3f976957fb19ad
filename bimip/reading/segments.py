"""Entries of a log with their messages, as they are read and as they are delivered."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from bimip.domain.core.ids import ConversationOffset, DeviceId, Offset
from bimip.domain.core.operations import Received
from bimip.domain.core.packed import column, distinct
from bimip.domain.core.records import Entry, maker

_received = maker(Received)


class Item(NamedTuple):
    offset: Offset
    entry: Entry
    part: bytes | None  # the message as an element of Body.messages; None: it is not in the store


def place_of(entry: Entry) -> Received:
    place = entry.conversation_offset
    return _received((entry.conversation, place, place))


def places_of(entries: Sequence[Entry]) -> list[Received]:
    """Lists where messages of entries that follow each other stand in their conversations."""
    first, conversation = entries[0].conversation_offset, entries[0].conversation
    consecutive = range(first, first + len(entries))
    # Nearly all are of one conversation, without a hole: then nothing of ours runs for each.
    if len(entries) == 1 or (
        distinct(entries, "conversation") == {conversation}
        and [*column(entries, "conversation_offset")] == [*consecutive]
    ):
        return [_received((conversation, first, ConversationOffset(consecutive[-1])))]
    return list(map(place_of, entries))


class Segment:
    """Consecutive entries of one log, which mostly go to a device as a whole. Never changed."""

    __slots__ = ("_joined", "_places", "bytes", "entries", "first", "last", "origins", "parts", "plain", "sizes")

    def __init__(
        self,
        first: int,
        entries: Sequence[Entry],
        parts: Sequence[bytes | None],
        origins: set[DeviceId],
        *,
        plain: bool,
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
            self._joined = self.joined_up_to(len(self.parts))
        return self._joined

    def joined_up_to(self, count: int) -> bytes:
        """The first so many parts of a plain segment, one behind the other."""
        return b"".join(self.parts[:count])  # type: ignore[arg-type]  # as it is plain

    def places(self) -> list[Received]:
        """Lists where its messages stand in their conversations: made once for all of a user's devices."""
        if self._places is None:
            self._places = places_of(self.entries)
        return self._places

    def shortened(self, count: int) -> "Segment":
        """The first so many of it."""
        return Segment(self.first, self.entries[:count], self.parts[:count], self.origins, plain=self.plain)

    def by_author(self, device: DeviceId) -> Iterator["Segment"]:
        """Cuts it where what one device wrote begins and ends."""
        others = self.origins - {device}
        for own, begin, end in _alike(origin == device for origin in column(self.entries, "origin")):
            origins = {device} if own else others
            yield Segment(self.first + begin, self.entries[begin:end], self.parts[begin:end], origins, plain=self.plain)

    def items(self) -> Iterator[Item]:
        return map(Item, range(self.first, self.last + 1), self.entries, self.parts)  # type: ignore[arg-type]  # offsets

    def behind(self, offset: int) -> "Segment":
        """Keeps what is beyond an offset."""
        skip = offset + 1 - self.first
        if skip <= 0:
            return self
        return Segment(offset + 1, self.entries[skip:], self.parts[skip:], self.origins, plain=self.plain)


def segments_of(first: int, entries: Sequence[Entry], parts: Sequence[bytes | None]) -> list[Segment]:
    """Makes segments of entries by any authors, cut where some begin or end that do not go to every device."""
    origins = distinct(entries, "origin")
    if all(parts) and distinct(entries, "addressed") == {False}:
        return [Segment(first, entries, parts, origins, plain=True)]
    addressed = column(entries, "addressed")
    plain = [part is not None and not some for part, some in zip(parts, addressed, strict=True)]
    return [
        Segment(first + begin, entries[begin:end], parts[begin:end], origins, plain=alike)
        for alike, begin, end in _alike(plain)
    ]


def _alike(flags: Iterable[bool]) -> Iterator[tuple[bool, int, int]]:
    """Finds where flags that follow each other are the same: which, from where, and up to where."""
    end = 0
    for flag, group in groupby(flags):
        begin, end = end, end + len(list(group))
        yield flag, begin, end
