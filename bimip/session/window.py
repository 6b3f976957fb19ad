"""What a server has in flight to one device in one partition: sent, not yet acknowledged.

The window bounds it, in entries and in bytes, so that a device that never acknowledges costs a constant amount. Every
ack resets the grace timer; when it expires, all that is in flight is due again, marked as redelivered; after
`max_rounds` without a single ack the connection is to be closed. What is kept per entry is its offset and size: the
content is read again from the log.
"""

from collections.abc import Iterator, Sequence
from math import inf

from bimip.domain.core import ranges
from bimip.domain.core.ids import Offset
from bimip.domain.core.ranges import Ranges

Flight = tuple[Offset, Sequence[int]]
"""Consecutive entries that were sent: the first one's offset, and the bytes of each."""


class Window:
    """Times are seconds of one monotonic clock."""

    __slots__ = (
        "_count",
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
        self._flight: list[Flight] = []  # ascending, as all here
        self._count = 0  # entries of it
        self._due: list[Offset] = []
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._grace_seconds = grace_seconds
        self._max_rounds = max_rounds

    def __len__(self) -> int:
        return self._count

    def is_in_flight(self, offset: int) -> bool:
        """Whether it lies between the oldest entry that is not acknowledged and the newest that was sent."""
        return bool(self._flight) and self._flight[0][0] <= offset <= self.position

    def has_room(self, size: int) -> bool:
        """Whether an entry of `size` bytes may be sent. One always may, however large."""
        return not self._count or (self._count < self._max_entries and self.bytes + size <= self._max_bytes)

    def room(self) -> tuple[int, int]:
        """How many entries and bytes there is room for. Less than none where one was larger than all room."""
        return self._max_entries - self._count, self._max_bytes - self.bytes

    def sent(self, upto: Offset, flight: list[Flight], now: float) -> None:
        """A range was taken by the connection: the position moves, its entries are in flight."""
        self.position = upto
        if self.held and self.held[0][1] <= upto:
            self.held = ranges.above(self.held, upto)
        if flight:
            if not self._flight:
                self.deadline = now + self._grace_seconds
            self._flight += flight
            for _, sizes in flight:
                self._count += len(sizes)
                self.bytes += sum(sizes)

    def acknowledge(self, upto: int, more: Ranges, now: float) -> None:
        """The client holds these: also what this connection did not send, for it may have them from a sibling."""
        if upto >= self.position:
            self._flight.clear()
            self._due.clear()
            self._count = self.bytes = 0
        elif self._flight:
            self._flight = list(self._unacknowledged(upto, more))
            self._count = sum([len(sizes) for _, sizes in self._flight])
            self.bytes = sum([sum(sizes) for _, sizes in self._flight])
            self._due = [offset for offset in self._due if offset > upto and not ranges.contains(more, offset)]
        if upto > self.position or (more and more[-1][1] > self.position):
            beyond = ranges.above(ranges.normal((*more, (1, upto))), self.position)
            # Bounded like everything here: what is forgotten is sent, and dropped by the client.
            self.held = ranges.normal((*self.held, *beyond))[: self._max_entries]
        self.rounds = 0
        self.deadline = now + self._grace_seconds if self._flight else inf

    def _unacknowledged(self, upto: int, more: Ranges) -> Iterator[Flight]:
        for first, sizes in self._flight:
            if first > upto and not more:
                yield first, sizes
            elif first + len(sizes) - 1 > upto:
                for offset, size in enumerate(sizes, first):
                    if offset > upto and not ranges.contains(more, offset):
                        yield Offset(offset), (size,)

    def expire(self, now: float) -> bool:
        """If the grace period is over, all in flight is due again. False when it was the last round: give up."""
        if now < self.deadline:
            return True
        if self.rounds == self._max_rounds:
            self.deadline = inf  # said once: whoever waits for the deadline is not to spin
            return False
        self.rounds += 1
        self.deadline = now + self._grace_seconds
        self._due = [Offset(first + at) for first, sizes in self._flight for at in range(len(sizes))]
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
        return f"<Window position={self.position} in_flight={self._count} bytes={self.bytes} round={self.rounds}>"
