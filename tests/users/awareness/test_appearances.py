from itertools import pairwise
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Status
from bimip.users.awareness.appearances import Appearances

ANN = UserId(1)
ONLINE, OFFLINE, AWAY = Status.ONLINE, Status.OFFLINE, Status.AWAY
DELAY, INTERVAL = 5.0, 2.0


def look(appearances: Appearances, status: Status, now: float, again_at: float = inf) -> bool:
    return appearances.look(ANN, status, again_at, Millis(int(now * 1000)), now)


def test_who_comes_is_shown_at_once_and_who_goes_when_the_delay_has_passed() -> None:
    shown = Appearances(DELAY, INTERVAL)

    assert look(shown, ONLINE, 0)
    assert not look(shown, OFFLINE, 10)
    assert shown.next_due == 15
    assert shown.pop_due(14.9) is None
    assert shown.pop_due(15) == ANN
    assert look(shown, OFFLINE, 15)
    appearance = shown.known(ANN)
    assert appearance is not None
    assert (appearance.status, appearance.since) == (OFFLINE, 10_000)
    assert shown.of(ANN) is None


def test_who_is_back_in_time_was_never_gone() -> None:
    shown = Appearances(DELAY, INTERVAL)
    look(shown, ONLINE, 0)
    look(shown, OFFLINE, 10)

    assert not look(shown, ONLINE, 14)
    assert shown.pop_due(20) is None
    assert shown.coalesced == 1


def test_who_was_back_for_a_moment_has_all_the_delay_again() -> None:
    shown = Appearances(DELAY, INTERVAL)
    look(shown, ONLINE, 0)
    look(shown, OFFLINE, 10)
    shown.note_back(ANN)

    assert not look(shown, OFFLINE, 14)
    assert not look(shown, OFFLINE, 18)
    assert look(shown, OFFLINE, 19)


def test_changes_in_an_interval_are_shown_once_as_it_is_then() -> None:
    shown = Appearances(DELAY, INTERVAL)
    look(shown, ONLINE, 0)

    assert not look(shown, AWAY, 1)
    assert shown.pop_due(2) == ANN
    assert not look(shown, ONLINE, 2)
    assert not look(shown, AWAY, 1.5)
    assert look(shown, AWAY, 2)


def test_who_is_another_way_by_themselves_is_looked_at_then() -> None:
    shown = Appearances(DELAY, INTERVAL)
    look(shown, AWAY, 0, again_at=60)

    assert shown.pop_due(59) is None
    assert shown.pop_due(60) == ANN


def test_who_is_gone_is_forgotten_when_all_know_and_the_interval_is_over() -> None:
    shown = Appearances(0, INTERVAL)
    look(shown, ONLINE, 0)
    known = shown.known(ANN)
    assert known is not None
    known.told.add(UserId(2))
    look(shown, OFFLINE, 10)
    shown.forget_gone(ANN, 20)
    assert ANN in shown
    known.told.clear()
    shown.forget_gone(ANN, 20)

    assert ANN not in shown
    assert len(shown) == 0


def test_who_never_was_there_is_not_known() -> None:
    shown = Appearances(DELAY, INTERVAL)

    assert not look(shown, OFFLINE, 0)
    assert ANN not in shown


def test_the_next_incarnation_shows_the_same_and_goes_on() -> None:
    shown = Appearances(DELAY, INTERVAL)
    look(shown, ONLINE, 0)
    anew = Appearances(DELAY, INTERVAL)
    anew.take_over(shown)

    assert anew.of(ANN) is not None
    assert not look(anew, OFFLINE, 10)
    assert look(anew, OFFLINE, 15)


@given(st.lists(st.tuples(st.integers(1, 3000), st.sampled_from(Status)), max_size=60))
def test_however_somebody_changes_it_is_shown_once_in_an_interval_and_right_at_the_end(
    steps: list[tuple[int, Status]],
) -> None:
    delay, interval = 5000, 2000
    shown = Appearances(delay, interval)
    now: float = 0
    status = OFFLINE
    shows: list[float] = []

    def wait(until: float) -> None:
        nonlocal now
        while shown.next_due <= until:
            now = max(now, shown.next_due)
            if shown.pop_due(now) is not None and look(shown, status, now):
                shows.append(now)
        now = until

    for pause, change in steps:
        wait(now + pause)
        status = change
        if look(shown, status, now):
            shows.append(now)
    wait(now + delay + 2 * interval)
    appearance = shown.of(ANN)

    assert (OFFLINE if appearance is None else appearance.status) is status
    assert [later - sooner for sooner, later in pairwise(shows) if later - sooner < interval] == []
