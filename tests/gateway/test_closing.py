"""Every set of what can have happened, with every kind of code."""

from itertools import product

import pytest

from bimip.gateway.closing import (
    ABNORMAL,
    ABORTED,
    BROKEN,
    CLOSE_SENT,
    CLOSED_HERE,
    EOF,
    HALF_CLOSED,
    PEER_CLOSED,
    Step,
    may_be_sent,
    may_reset,
    next_step,
)
from bimip.gateway.framing import NO_CODE

FACTS = (CLOSED_HERE, PEER_CLOSED, EOF, BROKEN, CLOSE_SENT, HALF_CLOSED, ABORTED)
SETS = range(sum(FACTS) + 1)
CODES = (1000, 4001, NO_CODE, ABNORMAL, 1015)
ALL = list(product(SETS, CODES, (False, True), (False, True)))
WAITING = {Step.AWAIT_CLOSE, Step.AWAIT_EOF}
SENDING = {Step.SEND_CLOSE, Step.FLUSH, Step.HALF_CLOSE}


def step_of(happened: int, code: int = 1000, *, unsent: bool = False, broke: bool = False) -> Step:
    return next_step(happened, code, unsent=unsent, broke_the_protocol=broke)


def path(happened: int, code: int = 1000, *, unsent: bool = False, broke: bool = False) -> list[Step]:
    """The steps until the peer is awaited, or all is done."""
    steps: list[Step] = []
    while len(steps) < 10:
        step = step_of(happened, code, unsent=unsent, broke=broke)
        steps.append(step)
        if step in WAITING or step is Step.DONE:
            return steps
        unsent = unsent and step is not Step.FLUSH
        happened |= {Step.SEND_CLOSE: CLOSE_SENT, Step.HALF_CLOSE: HALF_CLOSED}.get(step, 0)
    raise AssertionError(steps)


def test_the_facts_are_different() -> None:
    assert [fact.bit_count() for fact in FACTS] == [1] * len(FACTS)
    assert len(set(FACTS)) == len(FACTS)


def test_it_comes_to_an_end_once_the_peers_stream_has_ended() -> None:
    for happened, code, unsent, broke in ALL:
        assert path(happened | EOF, code, unsent=unsent, broke=broke)[-1] is Step.DONE


def test_each_step_is_taken_once() -> None:
    for happened, code, unsent, broke in ALL:
        steps = path(happened, code, unsent=unsent, broke=broke)

        assert len(set(steps)) == len(steps)


def test_nothing_follows_a_frame_that_left_in_part() -> None:
    for happened, code, unsent, broke in ALL:
        for end in (BROKEN, ABORTED):
            assert step_of(happened | end, code, unsent=unsent, broke=broke) is Step.DONE


def test_no_close_frame_goes_where_nobody_listens_or_twice() -> None:
    for happened, code, unsent, broke in ALL:
        for done in (EOF, CLOSE_SENT):
            assert Step.SEND_CLOSE not in path(happened | done, code, unsent=unsent, broke=broke)


def test_what_is_unsent_leaves_before_the_stream_is_ended() -> None:
    for happened, code, broke in product(SETS, CODES, (False, True)):
        steps = path(happened, code, unsent=True, broke=broke)

        assert Step.FLUSH in steps or happened & (BROKEN | ABORTED)
        assert Step.HALF_CLOSE not in steps[: steps.index(Step.FLUSH)] if Step.FLUSH in steps else True


def test_a_peer_that_can_still_answer_is_given_the_time() -> None:
    for happened, code, unsent, broke in ALL:
        over = happened & (PEER_CLOSED | EOF | BROKEN | ABORTED)

        assert (path(happened, code, unsent=unsent, broke=broke)[-1] is Step.DONE) == bool(over)


@pytest.mark.parametrize(
    ("happened", "broke", "expected"),
    [
        (CLOSED_HERE, False, [Step.SEND_CLOSE, Step.AWAIT_CLOSE]),
        (CLOSED_HERE | CLOSE_SENT | PEER_CLOSED, False, [Step.DONE]),
        (PEER_CLOSED, False, [Step.SEND_CLOSE, Step.DONE]),
        (PEER_CLOSED | EOF, False, [Step.DONE]),
        (0, True, [Step.SEND_CLOSE, Step.HALF_CLOSE, Step.AWAIT_EOF]),
        (EOF, False, [Step.HALF_CLOSE, Step.DONE]),
    ],
)
def test_the_usual_ends(happened: int, broke: bool, expected: list[Step]) -> None:  # noqa: FBT001 - a table's column
    assert path(happened, broke=broke) == expected


def test_codes_that_mean_that_there_was_none_are_not_sent() -> None:
    for happened in SETS:
        assert not may_be_sent(ABNORMAL, happened)
        assert not may_be_sent(1015, happened)
        assert may_be_sent(1000, happened)
        assert may_be_sent(NO_CODE, happened) == bool(happened & PEER_CLOSED)


def test_only_a_peer_that_is_still_there_is_reset() -> None:
    assert may_reset(CLOSED_HERE | CLOSE_SENT | BROKEN)
    assert not may_reset(EOF)
    assert not may_reset(PEER_CLOSED)
