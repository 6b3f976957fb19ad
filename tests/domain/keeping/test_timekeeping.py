import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.clock import earliest_stamp, next_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Changes, Table
from bimip.domain.keeping.timekeeping import (
    DAY,
    EARLIEST,
    HOUR,
    LATEST,
    PROOF,
    SECOND,
    Known,
    Timekeeper,
    Tolerance,
    known_time,
    time_records,
)
from bimip.storage.memory import MemoryStore

BEGIN = Millis(1_790_000_000_000)
TOLERANCE = Tolerance(max_step=300 * SECOND, max_gap=7 * DAY, longest_period=30 * DAY)
FAR = [40 * DAY, -40 * DAY, 400 * SECOND, -400 * SECOND, 36_500 * DAY, -BEGIN]
"""Jumps that nobody follows; the last two are to years that cannot be."""


class Machine:
    """Its wall clock and its monotonic one, and a timekeeper that goes by them."""

    def __init__(self, wall: int = BEGIN, *, known: Known | None = None) -> None:
        self.true = wall
        self.off = 0
        self.seconds = 1234.5
        self.told: list[str] = []
        self.keeper = self.start(Known(Millis(wall)) if known is None else known)

    def start(self, known: Known) -> Timekeeper:
        self.keeper = Timekeeper(
            lambda: Millis(self.true + self.off), lambda: self.seconds, known, TOLERANCE, self.told.append
        )
        return self.keeper

    def restart(self, *, after: int = 0) -> None:
        """With what the store was told last; the monotonic clock begins anew."""
        known = self.keeper.known()
        self.true += after
        self.seconds = 1.0
        self.start(known)

    def wait(self, span: int) -> None:
        self.true += span
        self.seconds += span / 1000

    @property
    def error(self) -> int:
        return self.keeper.now() - self.true


@pytest.mark.parametrize("jump", FAR)
def test_a_jump_is_held_until_the_wall_clock_agrees_again(jump: int) -> None:
    machine = Machine()
    machine.off = jump
    machine.wait(HOUR)

    assert machine.error == 0
    assert "clock" in machine.keeper.held
    assert machine.keeper.passed() == machine.true

    machine.off = 2 * SECOND

    assert machine.error == 2 * SECOND
    assert machine.keeper.held == ""
    assert [bool(held) for held in machine.told] == [True, False]


@pytest.mark.parametrize("step", [299 * SECOND, -299 * SECOND])
def test_a_step_within_the_tolerance_is_followed(step: int) -> None:
    machine = Machine()
    machine.off = step

    assert machine.error == step
    assert machine.told == []


def test_many_small_steps_make_no_large_one() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.off += 100 * SECOND
        machine.wait(SECOND)
        machine.keeper.now()

    assert abs(machine.error) <= TOLERANCE.max_step + 2 * SECOND
    assert machine.keeper.held


def test_clocks_that_go_apart_slowly_stay_followed() -> None:
    machine = Machine()
    for _ in range(1000):
        machine.off += DAY // 2000
        machine.wait(DAY)

    assert machine.error == machine.off
    assert machine.told == []


@pytest.mark.parametrize("jump", FAR)
def test_a_start_with_a_clock_that_is_far_off_goes_on_from_what_the_store_knows(jump: int) -> None:
    machine = Machine()
    machine.off = jump if abs(jump) > DAY else 8 * DAY
    machine.restart(after=10 * SECOND)

    assert machine.error == -10 * SECOND
    assert machine.keeper.held

    machine.off = 0

    assert machine.error == 0
    assert machine.keeper.held == ""


def test_jumps_over_many_restarts_expire_nothing_and_lose_no_time_but_the_downtime() -> None:
    machine = Machine()
    for off in (40 * DAY, -40 * DAY, 0, 400 * DAY, -BEGIN, 0):
        machine.off = off
        machine.restart(after=SECOND)
        machine.wait(HOUR)

        assert -7 * SECOND < machine.error <= 0
        assert machine.keeper.passed() <= machine.true


def test_a_gap_that_the_server_may_have_been_stopped_for_counts_as_passed_after_an_hour() -> None:
    machine = Machine()
    machine.restart(after=5 * DAY)

    assert machine.error == 0
    assert machine.keeper.passed() == machine.true - 5 * DAY

    machine.wait(PROOF)

    assert machine.keeper.passed() == machine.true


def test_a_wrong_clock_at_the_start_that_is_corrected_within_the_hour_is_followed_back() -> None:
    machine = Machine()
    machine.off = 5 * DAY
    machine.restart()
    machine.wait(HOUR // 2)
    machine.restart()
    machine.wait(HOUR // 2)
    ahead = machine.keeper.passed()
    machine.off = 0

    assert ahead <= machine.true
    assert machine.error == 0
    assert machine.keeper.held == ""
    assert machine.keeper.passed() <= machine.true


def test_after_the_hour_no_clock_goes_back() -> None:
    machine = Machine()
    machine.restart(after=5 * DAY)
    machine.wait(PROOF)
    machine.keeper.passed()
    machine.off = -4 * DAY

    assert machine.error == 0
    assert "4 days behind" in machine.keeper.held


def test_the_first_start_takes_any_clock_that_can_be() -> None:
    machine = Machine(known=Known())

    assert machine.error == 0
    assert machine.keeper.held == ""
    assert machine.keeper.passed() == BEGIN


@pytest.mark.parametrize("wall", [0, EARLIEST - 1, LATEST, 10 * LATEST])
def test_a_first_start_at_a_time_that_cannot_be_waits_for_one_that_can(wall: int) -> None:
    machine = Machine(wall, known=Known())

    assert EARLIEST <= machine.keeper.now() < LATEST
    assert "cannot be" in machine.keeper.held
    with pytest.raises(ValueError, match="set it first"):
        machine.keeper.accept()

    before = machine.keeper.now()
    machine.off = BEGIN - wall

    assert machine.keeper.now() == BEGIN
    assert machine.keeper.held == ""
    assert machine.keeper.passed() == before, "what came meanwhile must not be old at once"


@pytest.mark.parametrize("jump", [40 * DAY, -40 * DAY])
def test_an_operator_takes_a_clock_over_and_restarts_keep_to_that(jump: int) -> None:
    machine = Machine()
    machine.off = jump
    machine.keeper.now()
    machine.keeper.accept()

    assert machine.error == jump
    assert machine.keeper.held == ""

    machine.restart(after=SECOND)

    assert machine.error == jump
    assert machine.keeper.held == ""


def test_what_an_operator_took_over_makes_nothing_older_until_the_longest_period_is_over() -> None:
    machine = Machine()
    machine.off = 40 * DAY
    machine.keeper.now()
    machine.keeper.accept()
    machine.wait(29 * DAY)
    machine.restart()

    assert machine.keeper.passed() == machine.true

    machine.wait(DAY + SECOND)

    assert machine.keeper.passed() == machine.true + 40 * DAY


def test_a_jump_back_after_an_operators_word_is_held_like_any_other() -> None:
    machine = Machine()
    machine.off = 40 * DAY
    machine.keeper.now()
    machine.keeper.accept()
    machine.off = 0

    assert machine.error == 40 * DAY
    assert machine.keeper.held


def test_the_time_is_noted_hourly_and_after_an_operators_word() -> None:
    machine = Machine()
    assert machine.keeper.note() == Known(BEGIN, 0, Millis(BEGIN + PROOF))
    machine.wait(HOUR)
    assert machine.keeper.note() is None
    machine.wait(SECOND)
    assert machine.keeper.note() is not None
    machine.off = -DAY
    machine.keeper.now()
    machine.keeper.accept()
    assert machine.keeper.note() is not None


def remembered(known: Known, noted_at: Stamp, newest: Stamp) -> Known:
    store = MemoryStore()
    store.begin()
    store.apply(Changes(puts={Table.META: time_records(known, noted_at)}))
    store.commit()
    with store.snapshot() as view:
        return known_time(view, newest)


def test_the_store_knows_the_time_of_its_newest_message() -> None:
    known = Known(BEGIN, 7, Millis(BEGIN + 9))
    noted_at, newest = earliest_stamp(BEGIN), earliest_stamp(Millis(BEGIN + 5 * SECOND))

    assert remembered(known, noted_at, newest) == known._replace(told=Millis(BEGIN + 5 * SECOND))


@pytest.mark.parametrize("ahead", [40 * DAY, 29_000 * DAY])
def test_stamps_that_ran_ahead_are_no_news_of_the_time(ahead: int) -> None:
    noted_at = earliest_stamp(Millis(BEGIN + ahead))
    newest = noted_at
    for _ in range(5000):
        newest = next_stamp(newest, BEGIN, 0)

    assert remembered(Known(BEGIN), noted_at, newest).told - BEGIN < SECOND


def test_a_stamp_of_a_year_that_cannot_be_tells_nothing() -> None:
    with MemoryStore().snapshot() as view:
        assert known_time(view, earliest_stamp(Millis(LATEST + DAY))) == Known()


JUMPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(0, 2 * HOUR)),
    st.tuples(st.just("jump"), st.sampled_from([0, *FAR])),
    st.tuples(st.just("restart"), st.integers(0, 60 * SECOND)),
)


@given(st.lists(JUMPS, max_size=30))
def test_whatever_the_wall_clock_does_time_passes_as_it_does(acts: list[tuple[str, int]]) -> None:
    """Without an operator's word: it is behind by no more than the server was stopped, and ahead by no more than a step
    that is followed.
    """
    machine = Machine()
    stopped = begun = 0
    for act, span in acts:
        if act == "wait":
            machine.wait(span)
            begun += span
        elif act == "jump":
            machine.off = span
        else:
            machine.restart(after=span)
            stopped += span + TOLERANCE.max_step
        slack = TOLERANCE.max_step + begun // 1000 + stopped

        assert -slack <= machine.error <= slack
        assert machine.keeper.passed() - machine.true <= slack
