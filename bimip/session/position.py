"""How far a client is in one partition: what turns "sent at least once" into "shown exactly once" (I5).

The model. A log numbers its entries 1, 2, 3 …; only some of them are owed to a given device. A position is

    offset   everything owed up to and with it is held
    held     ranges beyond it that are held as well

*Held* means: this end has it, or knows that it never comes (a gap), or needs no copy (its own message, once SENT told
its offset). There are two ways in:

- **In turn.** A batch says that it covers (after, upto] and that all that is owed there is in it. It moves the
  position, provided that it *joins*: `after` may lie anywhere up to `offset`, never beyond, or something between would
  be skipped for good. What heals a hole is a new connection: its Hello tells the position, and delivery starts there.
- **Out of turn** (a resume, a redelivery, an own SENT). It names single offsets, says nothing about those between
  them, and so only adds to `held`. When a range reaches them they are absorbed.

Whatever is held is dropped when it comes again, whichever way. A position never forgets a held range. Bounded is what
Hello says of them (`announced`), since a server keeps no more than a window; what was not announced comes again, and
is dropped.

Positions are values. A client keeps two of each: what has been *seen* (arrived here: decides what is shown) and what
has been *taken* (the application is done with it: decides what is acknowledged, stored and announced in Hello).
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bimip.domain.core.ids import Offset
from bimip.domain.core.ranges import Ranges, contains, from_offsets, lowest, normal

WINDOW = 256
"""How many offsets beyond its position a client tells of at most, and a server has in flight at most."""

START = Offset(0)


class HoleError(Exception):
    """A batch in turn does not join: it begins beyond the position."""

    def __init__(self, offset: int, after: int) -> None:
        super().__init__(f"the range begins after {after}, but only what is owed up to {offset} is held")
        self.offset = offset
        self.after = after


@dataclass(frozen=True, slots=True)
class Position:
    offset: Offset = START
    held: Ranges = ()  # ascending, disjoint, not adjacent to each other nor to offset

    def holds(self, offset: int) -> bool:
        return offset <= self.offset or contains(self.held, offset)

    def join(self, after: int, upto: int, offsets: Iterable[int]) -> "tuple[Position, list[Offset]]":
        """Take a batch in turn that covers (after, upto]: the position behind it, and which offsets are new.

        Raises HoleError if it does not join, ValueError if it contradicts itself.
        """
        arrived = list(offsets)
        if after > upto or any(not after < offset <= upto for offset in arrived):
            raise ValueError(f"a batch that covers ({after}, {upto}] cannot hold {arrived}")
        if after > self.offset:
            raise HoleError(self.offset, after)
        return self.reach(upto), self._new(arrived)

    def hold(self, offsets: Iterable[int]) -> "tuple[Position, list[Offset]]":
        """Take offsets out of turn: the position with them held, and which ones are new."""
        new = self._new(offsets)
        return _absorb(self.offset, self.held + from_offsets(new)), new

    def reach(self, offset: int) -> "Position":
        """Everything owed up to and with `offset` is held. Never moves back."""
        return _absorb(offset, self.held) if offset > self.offset else self

    def skip(self, first: int, last: int) -> "Position":
        """A gap: first … last are not there and will not come."""
        return _absorb(self.offset, (*self.held, (first, last)))

    def announced(self, limit: int = WINDOW) -> Ranges:
        """The lowest ranges held beyond the offset, at most `limit` offsets of them."""
        return lowest(self.held, limit)

    def _new(self, offsets: Iterable[int]) -> list[Offset]:
        return [Offset(offset) for offset in sorted(set(offsets)) if not self.holds(offset)]


def _absorb(offset: int, held: Ranges) -> Position:
    """Moves the offset over the held ranges that touch it."""
    beyond = normal(held)
    while beyond and beyond[0][0] <= offset + 1:
        offset = max(offset, beyond[0][1])
        beyond = beyond[1:]
    return Position(Offset(offset), beyond)
