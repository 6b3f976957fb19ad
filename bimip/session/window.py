"""What a server has in flight to one device in one partition: sent, not yet acknowledged.

The window bounds it, in entries and in bytes, so that a device that never acknowledges costs a constant amount. Every
ack resets the grace timer; when it expires, all that is in flight is due again, marked as redelivered; after
`max_rounds` without a single ack the connection is to be closed. What is kept per entry is its offset and size: the
content is read again from the log.
"""

from collections.abc import Iterator
from math import inf

from bimip.domain import ranges
from bimip.domain.ids import Offset
from bimip.domain.ranges import Ranges


class Window:
    """Times are seconds of one monotonic clock."""

    __slots__ = (
        "_due",
        "_flight",
        "_grace_seconds",
        "_max_bytes",
        "_max_entries",
        "_max_rounds",
        "bytes",
        "deadline",
        "held",
        "own_upto",
        "position",
        "rounds",
    )

    def __init__(
        self,
        position: Offset,
        held: Ranges,
        own_upto: Offset,
        *,
        max_entries: int,
        max_bytes: int,
        grace_seconds: float,
        max_rounds: int,
    ) -> None:
        self.position = position
        """All owed up to here was sent on this connection, or was held when it began. The next range begins here."""
        self.held = held
        """Beyond the position the client holds these: they are not sent."""
        self.own_upto = own_upto
        """Up to here the device gets its own entries too (a SENT may have been lost, or the client's store)."""
        self.bytes = 0
        self.rounds = 0
        self.deadline = inf
        self._flight: list[tuple[Offset, int]] = []  # ascending, as all here
        self._due: list[Offset] = []
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._grace_seconds = grace_seconds
        self._max_rounds = max_rounds

    def __len__(self) -> int:
        return len(self._flight)

    def has_room(self, size: int, planned: int = 0, planned_bytes: int = 0) -> bool:
        """Whether an entry of `size` bytes may be sent besides what is planned. One always may, however large."""
        entries = len(self._flight) + planned
        if entries == 0:
            return True
        return entries < self._max_entries and self.bytes + planned_bytes + size <= self._max_bytes

    def room(self) -> tuple[int, int]:
        """How many entries and bytes there is room for. Less than none where one was larger than all room."""
        return self._max_entries - len(self._flight), self._max_bytes - self.bytes

    def sent(self, upto: Offset, entries: list[tuple[Offset, int]], now: float) -> None:
        """A range was taken by the connection: the position moves, its entries (offset, bytes) are in flight."""
        self.position = upto
        if self.held and self.held[0][1] <= upto:
            self.held = ranges.above(self.held, upto)
        if entries:
            if not self._flight:
                self.deadline = now + self._grace_seconds
            self._flight += entries
            self.bytes += sum([size for _, size in entries])

    def acknowledge(self, upto: int, more: Ranges, now: float) -> None:
        """The client holds these: also what this connection did not send, for it may have them from a sibling."""
        if upto >= self.position:
            self._flight.clear()
            self._due.clear()
            self.bytes = 0
        elif self._flight:
            self._flight = [one for one in self._flight if one[0] > upto]
            self._due = [offset for offset in self._due if offset > upto]
            if more:
                self._flight = [one for one in self._flight if not ranges.contains(more, one[0])]
                self._due = [offset for offset in self._due if not ranges.contains(more, offset)]
            self.bytes = sum([size for _, size in self._flight])
        if upto > self.position or (more and more[-1][1] > self.position):
            beyond = ranges.above(ranges.normal((*more, (1, upto))), self.position)
            # Bounded like everything here: what is forgotten is sent, and dropped by the client.
            self.held = ranges.normal((*self.held, *beyond))[: self._max_entries]
        self.rounds = 0
        self.deadline = now + self._grace_seconds if self._flight else inf

    def expire(self, now: float) -> bool:
        """If the grace period is over, all in flight is due again. False when it was the last round: give up."""
        if now < self.deadline:
            return True
        if self.rounds == self._max_rounds:
            self.deadline = inf  # said once: whoever waits for the deadline is not to spin
            return False
        self.rounds += 1
        self.deadline = now + self._grace_seconds
        self._due = [offset for offset, _ in self._flight]
        return True

    @property
    def due(self) -> bool:
        return bool(self._due)

    def iter_due(self) -> Iterator[Offset]:
        """Offsets to be sent again, ascending. Do not change the window meanwhile."""
        return iter(self._due)

    def redelivered(self, offsets: list[Offset]) -> None:
        again = set(offsets)
        self._due = [offset for offset in self._due if offset not in again]

    def __repr__(self) -> str:
        return f"<Window position={self.position} in_flight={len(self._flight)} bytes={self.bytes} round={self.rounds}>"
