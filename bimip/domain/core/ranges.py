"""Sets of offsets as disjoint ascending ranges, both ends inclusive, that do not touch each other."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator

Range = tuple[int, int]
Ranges = tuple[Range, ...]


def normal(ranges: Iterable[Range]) -> Ranges:
    """The same set in its one normal form, whatever order, overlaps and empty ranges it came in."""
    merged: list[Range] = []
    for first, last in sorted(ranges):
        if last < first:
            continue
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return tuple(merged)


def from_offsets(offsets: Iterable[int]) -> Ranges:
    ascending = sorted(offsets)
    if not ascending:
        return ()
    if ascending[-1] - ascending[0] == len(ascending) - 1 == len(set(ascending)) - 1:
        return ((ascending[0], ascending[-1]),)
    merged: list[Range] = []
    first = last = ascending[0]
    for offset in ascending:
        if offset > last + 1:
            merged.append((first, last))
            first = offset
        last = offset
    merged.append((first, last))
    return tuple(merged)


def above(ranges: Ranges, floor: int) -> Ranges:
    """Keeps what lies beyond the floor."""
    return tuple((max(first, floor + 1), last) for first, last in ranges if last > floor)


def clip(ranges: Ranges, low: int, high: int) -> Ranges:
    """Keeps what lies within low and high, both inclusive."""
    if low > high:
        return ()
    return tuple((max(first, low), min(last, high)) for first, last in ranges if last >= low and first <= high)


def contains(ranges: Ranges, offset: int) -> bool:
    at = bisect_left(ranges, (offset + 1,))
    return at > 0 and offset <= ranges[at - 1][1]


def count(ranges: Ranges) -> int:
    return sum(last - first + 1 for first, last in ranges)


def lowest(ranges: Ranges, number: int) -> Ranges:
    """The first `number` offsets."""
    kept: list[Range] = []
    for first, last in ranges:
        if number <= 0:
            break
        kept.append((first, min(last, first + number - 1)))
        number -= last - first + 1
    return tuple(kept)


def subtract(ranges: Ranges, taken: Ranges) -> Ranges:
    left: list[Range] = []
    at = 0
    for first, last in ranges:
        start = first
        while at < len(taken) and taken[at][1] < first:
            at += 1
        for low, high in taken[at : bisect_left(taken, (last + 1,))]:
            if low > start:
                left.append((start, low - 1))
            start = max(start, high + 1)
        if start <= last:
            left.append((start, last))
    return tuple(left)


def intersect(one: Ranges, other: Ranges) -> Ranges:
    return subtract(one, subtract(one, other))


def offsets(ranges: Ranges) -> Iterator[int]:
    for first, last in ranges:
        yield from range(first, last + 1)
