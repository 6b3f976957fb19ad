import itertools
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import Offset
from bimip.session.position import HoleError, Position


def position(offset: int, *held: tuple[int, int]) -> Position:
    return Position(Offset(offset), held)


def test_a_batch_that_joins_moves_the_position_and_shows_what_is_in_it() -> None:
    assert position(5).join(5, 9, [6, 8]) == (position(9), [6, 8])


def test_a_batch_that_overlaps_shows_only_what_is_beyond_the_position() -> None:
    assert position(5).join(3, 7, [4, 5, 6, 7]) == (position(7), [6, 7])


def test_a_batch_in_the_past_changes_nothing() -> None:
    assert position(9).join(3, 7, [4, 7]) == (position(9), [])


def test_an_empty_range_is_legal() -> None:
    assert position(5).join(5, 5, []) == (position(5), [])


def test_a_batch_that_begins_beyond_the_position_is_a_hole() -> None:
    with pytest.raises(HoleError, match=r"after 6.*up to 5"):
        position(5, (7, 8)).join(6, 9, [9])


@pytest.mark.parametrize(("after", "upto", "offsets"), [(5, 4, []), (5, 7, [5]), (5, 7, [8])])
def test_a_batch_that_contradicts_its_range_is_refused(after: int, upto: int, offsets: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        position(5).join(after, upto, offsets)


def test_what_came_out_of_turn_is_held_and_not_shown_again_when_its_turn_comes() -> None:
    held, new = position(5).hold([9, 8, 8])

    assert (held, new) == (position(5, (8, 9)), [8, 9])
    assert held.hold([8]) == (held, [])
    assert held.join(5, 9, [6, 8, 9]) == (position(9), [6])


def test_a_held_offset_right_behind_the_position_is_absorbed() -> None:
    assert position(5, (8, 9)).hold([6, 7]) == (position(9), [6, 7])


def test_a_gap_is_passed_and_one_further_on_is_held() -> None:
    assert position(5).skip(1, 8) == position(8)
    assert position(5).skip(8, 9) == position(5, (8, 9))
    assert position(5, (10, 12)).skip(6, 9) == position(12)


def test_it_tells_the_lowest_held_offsets_up_to_a_window() -> None:
    assert position(1, (3, 4), (8, 12), (20, 20)).announced(4) == ((3, 4), (8, 9))
    assert position(1, (3, 4)).announced() == ((3, 4),)
    assert position(1, (3, 4), (8, 8)).announced(2) == ((3, 4),)


def test_it_never_moves_back() -> None:
    assert position(9, (12, 13)).reach(3) == position(9, (12, 13))


@given(st.integers(0, 30), st.lists(st.tuples(st.integers(1, 60), st.integers(0, 5))))
def test_held_ranges_are_ascending_disjoint_and_beyond_the_offset(offset: int, gaps: list[tuple[int, int]]) -> None:
    at = position(offset)
    for first, length in gaps:
        at = at.skip(first, first + length)

    everything = set(range(1, offset + 1)) | {o for first, length in gaps for o in range(first, first + length + 1)}
    edges = [(0, int(at.offset)), *at.held]
    assert all(low[1] + 1 < high[0] for low, high in itertools.pairwise(edges))
    assert all(at.holds(o) == (o in everything) for o in range(1, 80))


@dataclass
class World:
    """A log of which only some entries are owed, a server that delivers from wherever it likes, and a client."""

    owed: list[int]
    head: int
    client: Position = field(default_factory=Position)
    delivered_upto: int = 0  # of this connection
    shown: list[int] = field(default_factory=list)

    def in_turn(self, length: int) -> None:
        after, upto = self.delivered_upto, min(self.delivered_upto + length, self.head)
        self.client, new = self.client.join(after, upto, [o for o in self.owed if after < o <= upto])
        self.shown += new
        self.delivered_upto = upto

    def out_of_turn(self, start: int, length: int) -> None:
        picked = [o for o in self.owed if start <= o < start + length]
        self.client, new = self.client.hold(picked)
        self.shown += new

    def own_sent(self, offset: int) -> None:
        if offset not in self.owed:
            self.client, _ = self.client.hold([offset])

    def reconnect(self, *, lower_by: int) -> None:
        # A server may begin lower than the client's position; what it was told as held it leaves out or sends again.
        self.delivered_upto = max(0, self.client.offset - lower_by)


steps = st.one_of(
    st.tuples(st.just("in_turn"), st.integers(0, 12), st.just(0)),
    st.tuples(st.just("out_of_turn"), st.integers(1, 60), st.integers(1, 12)),
    st.tuples(st.just("own_sent"), st.integers(1, 60), st.just(0)),
    st.tuples(st.just("reconnect"), st.integers(0, 8), st.just(0)),
)


@given(st.sets(st.integers(1, 60)), st.lists(steps, max_size=60))
def test_every_offset_is_shown_exactly_once_whatever_comes_again(
    owed: set[int], trace: list[tuple[str, int, int]]
) -> None:
    world = World(sorted(owed), head=60)
    for name, a, b in trace:
        if name == "in_turn":
            world.in_turn(a)
        elif name == "out_of_turn":
            world.out_of_turn(a, b)
        elif name == "own_sent":
            world.own_sent(a)
        else:
            world.reconnect(lower_by=a)
    world.reconnect(lower_by=0)
    world.in_turn(60)

    assert sorted(owed) == sorted(world.shown)
    assert position(60) == world.client


@given(st.sets(st.integers(1, 60)), st.lists(steps, max_size=60))
def test_nothing_owed_at_or_below_the_offset_was_not_shown(owed: set[int], trace: list[tuple[str, int, int]]) -> None:
    world = World(sorted(owed), head=60)
    for name, a, b in trace:
        if name == "in_turn":
            world.in_turn(a)
        elif name == "out_of_turn":
            world.out_of_turn(a, b)
        elif name == "reconnect":
            world.reconnect(lower_by=a)

        assert {o for o in owed if o <= world.client.offset} <= set(world.shown)
