"""What each side of a call may do, in each of its states."""

from itertools import product

import pytest

from bimip.domain.awareness.calls import (
    RINGING_AT_ONCE,
    TRANSITIONS,
    Busyness,
    End,
    Phase,
    Side,
    Step,
    To,
    draw,
    is_busy,
    transition,
)

SIDES_OF = {
    Phase.RINGING: {Side.CALLER, Side.CALLEE, Side.SERVER},
    Phase.TALKING: {Side.CALLER, Side.ANSWERER, Side.SERVER},
    Phase.OVER: set[Side](),
}
"""Whoever is told an end already takes part no more."""
ALL = list(product(Phase, Side, Step))


@pytest.mark.parametrize(("phase", "side", "step"), ALL, ids=lambda one: one.name)
def test_each_step_in_each_state_is_one_of_the_table_or_may_not_be(phase: Phase, side: Side, step: Step) -> None:
    found = transition(phase, side, step)

    if side not in SIDES_OF[phase] or (side is Side.SERVER) != (step > Step.HANG_UP):
        assert found is None
    elif found is not None:
        assert found.then is phase or found.then in list(Phase)[list(Phase).index(phase) + 1 :], "it went back"
        assert (found.then is Phase.OVER) <= (found.end is not None), "it ends, and nobody is told"


def test_a_call_that_nobody_answered_becomes_a_message_unless_it_was_declined() -> None:
    ended = {row.end: row.is_missed for (phase, _, _), row in TRANSITIONS.items() if phase is Phase.RINGING and row.end}

    assert ended == {
        End.CANCELLED: True,
        End.TIMED_OUT: True,
        End.BUSY: True,
        End.LOST: True,
        End.DECLINED: False,
        End.ANSWERED_ELSEWHERE: False,
    }
    assert not any(row.is_missed for (phase, _, _), row in TRANSITIONS.items() if phase is Phase.TALKING)


def test_what_rings_is_heard_by_all_devices_of_the_callee_and_what_is_answered_by_one() -> None:
    relayed = {(phase, side): row.relayed for (phase, side, step), row in TRANSITIONS.items() if step is Step.CANDIDATE}

    assert relayed == {
        (Phase.RINGING, Side.CALLER): To.CALLEES,
        (Phase.TALKING, Side.CALLER): To.OTHER_END,
        (Phase.TALKING, Side.ANSWERER): To.OTHER_END,
    }


def test_both_can_always_end_it() -> None:
    both = [(phase, side) for phase in Phase for side in SIDES_OF[phase] - {Side.SERVER}]
    for place in both:
        found = transition(*place, Step.HANG_UP)

        assert found is not None
        assert found.then is Phase.OVER


@pytest.mark.parametrize(
    ("talks", "rings", "at_once", "expected"),
    [
        (0, 0, 1, "free"),
        (1, 0, 1, "busy"),
        (1, 0, 2, "free"),
        (0, RINGING_AT_ONCE - 1, 1, "free"),
        (0, RINGING_AT_ONCE, 1, "busy"),
    ],
)
def test_who_talks_is_busy_and_so_is_who_is_rung_by_many(talks: int, rings: int, at_once: int, expected: str) -> None:
    assert is_busy(Busyness(talks, rings), at_once) == (expected == "busy")


def test_the_table_is_drawn_with_a_line_for_each_row() -> None:
    lines = list(draw())

    assert len(lines) == len(TRANSITIONS) + 2
    assert {line.count("|") for line in lines} == {7}
