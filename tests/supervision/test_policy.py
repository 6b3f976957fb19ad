"""The rules of OTP's supervisor as tables."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.supervision.policy import (
    Action,
    AutoShutdown,
    Exit,
    ExitReason,
    Restart,
    RestartWindow,
    Strategy,
    ends_supervisor,
    on_end,
    restarted_with,
    root_error,
)

ON_END = """
            normal   shutdown  killed   crashed  failed start
permanent   restart  restart   restart  restart  restart
transient   ignore   ignore    restart  restart  restart
temporary   ignore   ignore    ignore   ignore   ignore
"""


def _cells() -> list[tuple[Restart, str, Action]]:
    head, *rows = ON_END.strip().splitlines()
    columns = [*head.split()[:4], "failed start"]
    return [
        (Restart(row.split()[0]), column, Action(cell))
        for row in rows
        for column, cell in zip(columns, row.split()[1:], strict=True)
    ]


@pytest.mark.parametrize(("restart", "how", "expected"), _cells())
def test_restart_type_by_exit_reason(restart: Restart, how: str, expected: Action) -> None:
    if how == "failed start":
        actual = {on_end(restart, each, started=False) for each in Exit}
    else:
        actual = {on_end(restart, Exit(how))}

    assert {expected} == actual


@pytest.mark.parametrize(
    ("strategy", "ended", "expected"),
    [
        (Strategy.ONE_FOR_ONE, "a", "a"),
        (Strategy.ONE_FOR_ONE, "b", "b"),
        (Strategy.ONE_FOR_ONE, "c", "c"),
        (Strategy.REST_FOR_ONE, "a", "abc"),
        (Strategy.REST_FOR_ONE, "b", "bc"),
        (Strategy.REST_FOR_ONE, "c", "c"),
        (Strategy.ONE_FOR_ALL, "a", "abc"),
        (Strategy.ONE_FOR_ALL, "b", "abc"),
        (Strategy.ONE_FOR_ALL, "c", "abc"),
    ],
)
def test_whom_a_restart_concerns_and_in_which_order(strategy: Strategy, ended: str, expected: str) -> None:
    actual = restarted_with(strategy, ("a", "b", "c"), ended)

    assert list(expected) == actual


@pytest.mark.parametrize(
    ("mode", "significant", "others", "expected"),
    [
        *[(AutoShutdown.NEVER, significant, others, False) for significant, others in product([False, True], [0, 1])],
        (AutoShutdown.ANY_SIGNIFICANT, False, 0, False),
        (AutoShutdown.ANY_SIGNIFICANT, False, 1, False),
        (AutoShutdown.ANY_SIGNIFICANT, True, 0, True),
        (AutoShutdown.ANY_SIGNIFICANT, True, 1, True),
        (AutoShutdown.ALL_SIGNIFICANT, False, 0, False),
        (AutoShutdown.ALL_SIGNIFICANT, False, 1, False),
        (AutoShutdown.ALL_SIGNIFICANT, True, 0, True),
        (AutoShutdown.ALL_SIGNIFICANT, True, 1, False),
    ],
)
def test_which_end_ends_the_supervisor(mode: AutoShutdown, *, significant: bool, others: int, expected: bool) -> None:
    actual = ends_supervisor(mode, significant=significant, others=others)

    assert expected is actual


@pytest.mark.parametrize(
    ("intensity", "times", "expected"),
    [
        (0, [0.0], [False]),
        (1, [0.0, 0.0], [True, False]),
        (2, [0.0, 1.0, 5.0], [True, True, False]),  # exactly a period old still counts
        (2, [0.0, 1.0, 5.1], [True, True, True]),
        (1, [0.0, 5.1, 10.2], [True, True, True]),
    ],
)
def test_intensity_within_a_period_of_5_seconds(intensity: int, times: list[float], expected: list[bool]) -> None:
    window = RestartWindow(intensity, 5.0)

    assert expected == [window.add(now) for now in times]


@given(st.integers(0, 5), st.lists(st.integers(0, 30), max_size=30))
def test_a_window_allows_exactly_what_a_count_over_all_times_allows(intensity: int, gaps: list[int]) -> None:
    window, now, seen = RestartWindow(intensity, 10), 0, list[int]()
    for gap in gaps:
        now += gap
        seen.append(now)
        expected = sum(time >= now - 10 for time in seen)

        assert (expected <= intensity) is window.add(now)
        assert expected == window.used(now)


def test_an_unused_window_holds_nothing() -> None:
    assert RestartWindow(3, 5.0).used(100.0) == 0


def test_a_reason_shows_the_exception_inside_groups_of_one() -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("bad frame")])])
    two = ExceptionGroup("two", [ValueError(), KeyError()])

    assert str(ExitReason(Exit.CRASHED, group)) == "crashed: ValueError: bad frame"
    assert str(ExitReason(Exit.NORMAL)) == "normal"
    assert root_error(two) is two
