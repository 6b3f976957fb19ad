"""A frame's share of one partition's log: what of it is owed to a device, as far as window and frame have room.

Entries come in segments. One that somebody else wrote, all of it to everybody, goes as a whole, or as much of it as
fits: it is one piece of bytes for all of a user's devices. Only where something of it is not for this device is each
entry looked at.
"""

from bisect import bisect_right
from collections.abc import Collection
from itertools import accumulate

from bimip.domain.core.ids import DeviceId, Offset
from bimip.domain.core.operations import Received
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import Addressed
from bimip.reading.log import is_expired, read_addressed
from bimip.reading.salvage import UnreadableError
from bimip.reading.segments import Item, Segment, place_of, places_of
from bimip.session.window import Flight, Window
from bimip.users.session import Session
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored

LOOK_MOST = 256
"""Entries looked at for one frame, however many of them are not owed: the range that it covers ends there."""
ALL = 1 << 64
"""Beyond any offset."""
ADDRESSED_LOOKS = 8
"""What an entry counts in addition that is for some devices only: the store is asked for which."""


class BatchBuilder:
    """Reads and puts together, and moves nothing: that is done when the connection took the frame."""

    __slots__ = (
        "_damaged",
        "_each_upto",
        "_looked",
        "_most",
        "_number",
        "_parts",
        "_room",
        "_session",
        "_size",
        "count",
        "flight",
        "partition",
        "places",
        "upto",
        "window",
    )

    def __init__(
        self, session: Session, number: DeviceId, partition: str, window: Window, parts: list[bytes], room: int
    ) -> None:
        """`parts` are the frame's, and are added to; `room`: bytes that are left of it."""
        self.partition = partition
        self.window = window
        self.upto = window.position
        """All that is owed up to here is in the frame."""
        self.flight: list[Flight] = []
        self.places: list[Received] = []
        """Of what is in flight, in its conversations."""
        self.count = 0
        """Entries that will be in flight."""
        self._session = session
        self._number = number
        self._parts = parts
        self._damaged: Collection[int] = session.services.poison.of(session.number, partition)
        # Up to there each entry is to be looked at.
        self._each_upto = ALL if self._damaged else window.held[-1][1] if window.held else 0
        self._size = 0  # bytes of them
        self._looked = 0  # entries, also those that are not owed
        self._most, left = window.room()  # entries
        self._room = min(room, left)  # bytes, but for the first entry, which may be larger

    def fill(self, head: Offset) -> None:
        """Go on from the position until there is no room, enough was looked at, or the head is reached."""
        session, partition = self._session, self.partition
        if self.window.held:
            self._pass_held()
        while self.upto < head and self._looked < LOOK_MOST:
            try:
                segments = session.read_log(partition, self.upto, self._most - self.count, self._room - self._size)
            except UnreadableError as unreadable:
                self._parts.append(self._gap(self.upto + 1, unreadable.upto))
                self._looked += unreadable.upto - self.upto
                self.upto = Offset(unreadable.upto)
                continue
            if not segments:
                self._parts.append(self._gap(self.upto + 1, head))
                self.upto = head
            for segment in segments:
                if not self._add(segment):
                    return

    def _pass_held(self) -> None:
        """Passes over what the client holds right behind the position, without a look: a long ack of what was not sent
        yet is one.
        """
        first, last = self.window.held[0]
        if first <= self.upto + 1:
            self.upto = max(self.upto, Offset(last))

    def _has_room(self, count: int, size: int) -> bool:
        """One entry always has, however large, where nothing else is in flight."""
        if self.count + count <= self._most and self._size + size <= self._room:
            return True
        return not self.count and count == 1 and self.window.has_room(size)

    def _add(self, segment: Segment) -> bool:
        """False when there is no room for more, or enough was looked at."""
        if segment.first > self.upto + 1:
            self._parts.append(self._gap(self.upto + 1, segment.first - 1))
            self.upto = Offset(segment.first - 1)
        if not segment.plain or segment.last <= self._each_upto:
            return self._add_each(segment)
        if segment.first <= self._each_upto:
            return self._add_cut(segment, self._each_upto)
        if self._number not in segment.origins or segment.last <= self.window.own_upto:
            return self._add_whole(segment)  # as nearly always
        if segment.first <= self.window.own_upto:
            return self._add_cut(segment, self.window.own_upto)
        if len(segment.origins) > 1:
            return all(map(self._add, segment.by_author(self._number)))
        self._looked += len(segment.sizes)
        self.upto = segment.last
        return True

    def _add_cut(self, segment: Segment, border: int) -> bool:
        """Adds what lies up to there, and then what lies behind it."""
        return self._add(segment.shortened(border + 1 - segment.first)) and self._add(segment.behind(border))

    def _add_whole(self, segment: Segment) -> bool:
        """Adds what is for this device as it is, or as much of it as there is room for."""
        if self._has_room(len(segment.sizes), segment.bytes):
            self._put(segment.joined(), segment.first, segment.sizes, segment.bytes)
            self.places += segment.places()
            self._looked += len(segment.sizes)
            self.upto = segment.last
            return True
        fitting = self._fitting(segment)
        if fitting:
            sizes, joined = segment.sizes[:fitting], segment.joined_up_to(fitting)
            self._put(joined, segment.first, sizes, len(joined))
            self.places += places_of(segment.entries[:fitting])
            self.upto = Offset(segment.first + fitting - 1)
        return False

    def _fitting(self, segment: Segment) -> int:
        """How many of a segment that is for this device, and too long, there is room for."""
        count = bisect_right(list(accumulate(segment.sizes)), self._room - self._size)
        return max(0, min(count, self._most - self.count)) or int(self._has_room(1, segment.sizes[0]))

    def _add_each(self, segment: Segment) -> bool:
        for item in segment.items():
            if self._looked >= LOOK_MOST:
                return False
            self._looked += 1
            try:
                part = self._part(item)
            except Exception as error:
                services, user = self._session.services, self._session.number
                services.poison.note((user, self.partition, item.offset), error)
                raise
            if part is not None:
                if not self._has_room(1, len(part)):
                    return False
                if item.part is None or item.offset in self._damaged:
                    self._parts.append(part)
                else:
                    self._put(part, item.offset, (len(part),), len(part))
                    self.places.append(place_of(item.entry))
            self.upto = item.offset
        return True

    def _put(self, part: bytes, first: Offset, sizes: list[int] | tuple[int, ...], size: int) -> None:
        self._parts.append(part)
        self.flight.append((first, sizes))
        self.count += len(sizes)
        self._size += size

    def _part(self, item: Item) -> bytes | None:
        """The entry as this device gets it; None if it is not owed, or held already."""
        own = item.entry.origin == self._number
        held = self.window.held
        if (own and item.offset > self.window.own_upto) or (held and contains(held, item.offset)):
            return None
        if item.part is None or item.offset in self._damaged:
            return self._gap_part(item.offset, item.offset, pb.DAMAGED)
        if own or not item.entry.addressed:
            return deliver(item)
        self._looked += ADDRESSED_LOOKS
        addressed = addressed_to(self._session, self._number, item)
        if addressed is None:
            self._parts.append(frames.passed_part(item.offset, item.entry.stamp, item.entry.digest))
            return None
        return deliver(item, addressed.payload)

    def _gap(self, first: int, last: int) -> bytes:
        """Offsets that the log does not have: expired, as far as its first one tells.

        That is asked of the store, as the entries were: what it says may be newer than what the session was told.
        """
        session = self._session
        expired = is_expired(session.services.store, session.number, self.partition, last)
        return self._gap_part(first, last, pb.EXPIRED if expired else pb.DAMAGED)

    def _gap_part(self, first: int, last: int, reason: pb.GapReason) -> bytes:
        self._session.services.delivery.gaps[reason] += 1
        return frames.gap_part(self.partition, first, last, reason)


def addressed_to(session: Session, number: DeviceId, item: Item) -> Addressed | None:
    """Reads what of an entry is addressed to a device of the session's user."""
    return read_addressed(session.services.store, item.entry.stamp, session.number, number)


def deliver(item: Item, payload: bytes | None = None) -> bytes:
    """The entry as an element of Body.messages."""
    assert item.part is not None
    if payload is None:
        return item.part
    return stored.deliver(stored.readdressed(stored.undelivered(item.part), payload), item.offset)
