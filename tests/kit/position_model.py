"""A client's position in one partition, as small as it can be: apart from the SDK's, so neither hides a fault."""

from tests.kit.history import Place, Ranges


class PositionModel:
    def __init__(self) -> None:
        self.offset = 0
        self.held: set[int] = set()  # beyond the offset
        self.pending: set[int] = set()  # arrived, and not acknowledged

    def has(self, offset: int) -> bool:
        return offset <= self.offset or offset in self.held

    def hold(self, first: int, last: int) -> None:
        self.held.update(range(first, last + 1))
        self.reach(self.offset)

    def reach(self, offset: int) -> None:
        self.offset = max(self.offset, offset)
        while self.offset + 1 in self.held:
            self.offset += 1
        self.held = {offset for offset in self.held if offset > self.offset}

    def place(self) -> Place:
        return Place(self.offset, runs(self.held))


def runs(offsets: set[int]) -> Ranges:
    found: list[list[int]] = []
    for offset in sorted(offsets):
        if found and found[-1][1] == offset - 1:
            found[-1][1] = offset
        else:
            found.append([offset, offset])
    return tuple((first, last) for first, last in found)


def lowest(ranges: Ranges, limit: int) -> Ranges:
    """The first `limit` offsets of them."""
    kept: list[tuple[int, int]] = []
    for first, last in ranges:
        if limit <= 0:
            break
        kept.append((first, min(last, first + limit - 1)))
        limit -= last - first + 1
    return tuple(kept)
