import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.clock import (
    COUNTER_BITS,
    NODE_BITS,
    earliest_stamp,
    millis_of,
    next_stamp,
    signal_id,
    stamp_of,
)
from bimip.domain.core.ids import Millis, Stamp

walls = st.integers(0, 2**41).map(Millis)
steps = st.lists(walls | st.integers(1_700_000_000_000, 1_700_000_000_003).map(Millis), min_size=1, max_size=50)
nodes = st.integers(0, 2**NODE_BITS - 1)
stamps = st.integers(0, 2**64 - 1).map(Stamp)


@given(steps, nodes)
def test_stamps_increase_whatever_the_wall_clock_says(readings: list[Millis], node: int) -> None:
    given = [Stamp(0)]
    for reading in readings:
        given.append(next_stamp(given[-1], reading, node))

    assert given == sorted(set(given))
    assert all(millis_of(stamp) >= reading for stamp, reading in zip(given[1:], readings, strict=True))


@given(steps, st.tuples(nodes, nodes))
def test_stamps_of_two_nodes_are_never_the_same(readings: list[Millis], pair: tuple[int, int]) -> None:
    one, other = Stamp(0), Stamp(0)
    ones, others = set(), set()
    for reading in readings:
        one = next_stamp(one, reading, pair[0])
        other = next_stamp(other, reading, pair[1])
        ones.add(one)
        others.add(other)

    assert pair[0] == pair[1] or not ones & others


@given(walls, walls, nodes, nodes)
def test_a_restart_goes_on_behind_the_last_stamp(before: Millis, after: Millis, node: int, later_node: int) -> None:
    last = next_stamp(Stamp(0), before, node)

    assert next_stamp(last, after, later_node) > last


def test_a_new_millisecond_starts_its_counter_at_zero() -> None:
    stamp = next_stamp(next_stamp(Stamp(0), Millis(5), 3), Millis(9), 3)

    assert stamp == 9 << NODE_BITS + COUNTER_BITS | 3
    assert millis_of(stamp) == 9


def test_a_counter_that_runs_over_borrows_from_the_future() -> None:
    stamp = Stamp(0)
    for _ in range((1 << COUNTER_BITS) + 1):
        stamp = next_stamp(stamp, Millis(7), 1)

    assert millis_of(stamp) == 8
    assert next_stamp(stamp, Millis(8), 1) > stamp  # the wall clock reaches what was borrowed


@given(walls, walls, nodes)
def test_no_stamp_given_at_or_after_a_time_is_below_its_earliest(at: Millis, now: Millis, node: int) -> None:
    stamp = next_stamp(Stamp(0), now, node)

    assert (stamp >= earliest_stamp(at)) == (now >= at)


@given(stamps)
def test_a_signal_id_is_the_stamp_again(stamp: Stamp) -> None:
    assert stamp_of(signal_id(stamp)) == stamp
    assert len(signal_id(stamp)) == 13


@given(stamps, stamps)
def test_signal_ids_sort_as_their_stamps_do(one: Stamp, other: Stamp) -> None:
    assert (signal_id(one) < signal_id(other)) == (one < other)


@pytest.mark.parametrize(
    "text",
    ["", "0", "0" * 12, "0" * 14, "000000000000I", "000000000000o", "00000000000é0", "G000000000000", "Z" * 13],
)
def test_text_that_is_no_signal_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"signal id|not found"):
        stamp_of(text)


@given(st.text(max_size=15))
def test_text_is_a_signal_id_or_refused(text: str) -> None:
    try:
        stamp = stamp_of(text)
    except ValueError:
        return

    assert signal_id(stamp) == text
