"""Who fails several is left alone for a while, then tried once; one who is failed alone opens nothing."""

from bimip.push.breaker import FAILURES, FIRST_SECONDS, Breaker

MOST = 60.0


def breaker() -> Breaker:
    return Breaker(MOST, lambda: 1.0)


def opened(now: float = 0.0) -> Breaker:
    made = breaker()
    for who in range(FAILURES):
        made.failed(now, who)
    return made


def test_it_opens_when_several_were_failed() -> None:
    made = breaker()
    for who in range(FAILURES - 1):
        made.failed(0.0, who)
    assert (made.state(0.0), made.room(0.0, 4)) == ("closed", 4)
    made.failed(0.0, "another")
    assert (made.state(0.0), made.room(0.0, 4)) == ("open", 0)


def test_one_alone_opens_nothing_however_often() -> None:
    made = breaker()
    for _ in range(100):
        made.failed(0.0, "the same")

    assert made.state(0.0) == "closed"


def test_then_one_is_let_through_and_if_that_goes_well_all_are() -> None:
    made = opened()
    assert (made.state(FIRST_SECONDS), made.room(FIRST_SECONDS, 4)) == ("half open", 1)
    made.succeeded()
    assert (made.state(FIRST_SECONDS), made.is_whole) == ("closed", True)


def test_else_it_opens_for_twice_as_long_up_to_a_limit() -> None:
    made, now, pauses = opened(), 0.0, []
    for _ in range(6):
        pauses.append(made.open_until - now)
        now = made.open_until
        made.failed(now, "x")

    assert pauses == [FIRST_SECONDS, 10.0, 20.0, 40.0, MOST, MOST]


def test_who_asks_for_a_pause_has_it() -> None:
    made = breaker()
    made.pause(7.0)

    assert [made.room(now, 4) for now in (0.0, 6.9, 7.0)] == [0, 0, 4]
