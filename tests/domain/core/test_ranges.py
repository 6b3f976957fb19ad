from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core import ranges

offsets = st.integers(1, 40)
sets = st.sets(offsets, max_size=20)
loose = st.lists(st.tuples(offsets, offsets), max_size=12)


def members(given: object) -> set[int]:
    return set(ranges.offsets(given))  # type: ignore[arg-type]  # also ranges that are not normal


def is_normal(given: ranges.Ranges) -> bool:
    inside = all(first <= last for first, last in given)
    return inside and all(one[1] + 1 < other[0] for one, other in pairwise(given))


@given(loose)
def test_any_ranges_have_one_normal_form(given: list[tuple[int, int]]) -> None:
    normal = ranges.normal(given)

    assert members(normal) == members(given)
    assert is_normal(normal)
    assert ranges.normal(normal) == normal
    assert ranges.normal(reversed(given)) == normal


@given(sets)
def test_offsets_become_ranges_and_come_back(given: set[int]) -> None:
    made = ranges.from_offsets(given)

    assert is_normal(made)
    assert list(ranges.offsets(made)) == sorted(given)
    assert ranges.count(made) == len(given)


@given(sets, st.integers(0, 45))
def test_what_lies_above_a_floor(given: set[int], floor: int) -> None:
    above = ranges.above(ranges.from_offsets(given), floor)

    assert above == ranges.from_offsets(offset for offset in given if offset > floor)


@given(sets, st.integers(0, 45), st.integers(0, 45))
def test_what_lies_within(given: set[int], low: int, high: int) -> None:
    clipped = ranges.clip(ranges.from_offsets(given), low, high)

    assert clipped == ranges.from_offsets(offset for offset in given if low <= offset <= high)


@given(sets, offsets)
def test_whether_one_is_in_it(given: set[int], offset: int) -> None:
    assert ranges.contains(ranges.from_offsets(given), offset) == (offset in given)


@given(sets, st.integers(-3, 25))
def test_the_lowest(given: set[int], number: int) -> None:
    lowest = ranges.lowest(ranges.from_offsets(given), number)

    assert lowest == ranges.from_offsets(sorted(given)[: max(0, number)])


@given(sets, sets)
def test_one_set_without_another(one: set[int], other: set[int]) -> None:
    left = ranges.subtract(ranges.from_offsets(one), ranges.from_offsets(other))

    assert left == ranges.from_offsets(one - other)
