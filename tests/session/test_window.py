"""Against the plain model: a dictionary of what was sent and not acknowledged."""

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bimip.domain.core import ranges
from bimip.domain.core.ids import Offset
from bimip.domain.core.ranges import Ranges
from bimip.session.window import Window

GRACE = 30.0
ROUNDS = 3


def window(
    position: int = 0,
    held: Ranges = (),
    *,
    entries: int = 4,
    max_bytes: int = 100,
    rounds: int = ROUNDS,
) -> Window:
    return Window(
        Offset(position),
        held,
        Offset(position),
        max_entries=entries,
        max_bytes=max_bytes,
        grace_seconds=GRACE,
        max_rounds=rounds,
    )


def send(given: Window, *offsets: int, now: float = 0.0, size: int = 10) -> None:
    given.sent(Offset(max(offsets)), [(Offset(offset), (size,)) for offset in offsets], now)


def test_it_has_room_for_so_many_entries() -> None:
    given = window(entries=2)
    send(given, 1)

    assert given.has_room(10)
    send(given, 2)
    assert not given.has_room(10)


def test_it_has_room_for_so_many_bytes() -> None:
    given = window(max_bytes=100)
    send(given, 1, size=60)

    assert given.has_room(40)
    assert not given.has_room(41)


def test_the_room_is_what_is_left_of_both() -> None:
    given = window(entries=3, max_bytes=100)
    empty = given.room()
    send(given, 1, size=60)
    one = given.room()
    given.acknowledge(1, (), 0.0)
    send(given, 2, size=130)

    assert (empty, one, given.room()) == ((3, 100), (2, 40), (2, -30))


def test_one_entry_always_has_room_however_large() -> None:
    assert window(max_bytes=100).has_room(1_000_000)


def test_an_empty_range_moves_the_position_and_starts_no_grace_period() -> None:
    given = window()
    given.sent(Offset(9), [], 0.0)

    assert given.position == 9
    assert len(given) == 0
    assert given.deadline == inf


def test_the_grace_period_starts_with_what_is_sent_first_and_each_ack_resets_it() -> None:
    given = window()
    send(given, 1, 2, now=10.0)
    send(given, 3, now=20.0)
    first = given.deadline
    given.acknowledge(1, (), 25.0)

    assert first == 10.0 + GRACE
    assert given.deadline == 25.0 + GRACE
    given.acknowledge(3, (), 26.0)
    assert given.deadline == inf


def test_when_it_ends_all_in_flight_is_due_once() -> None:
    given = window()
    send(given, 1, 2, 3)
    early = given.expire(GRACE - 0.1), given.due
    late = given.expire(GRACE), list(given.iter_due())
    given.redelivered([Offset(1), Offset(2)])

    assert early == (True, False)
    assert late == (True, [1, 2, 3])
    assert list(given.iter_due()) == [3]
    assert given.deadline == 2 * GRACE
    assert len(given) == 3


def test_what_is_acknowledged_meanwhile_is_not_sent_again() -> None:
    given = window()
    send(given, 1, 2, 3)
    given.expire(GRACE)
    given.acknowledge(1, ((3, 3),), GRACE)

    assert list(given.iter_due()) == [2]


def test_after_the_last_round_without_an_ack_it_gives_up() -> None:
    given = window()
    send(given, 1)
    outcomes = [given.expire(GRACE * number) for number in range(1, ROUNDS + 2)]

    assert outcomes == [True] * ROUNDS + [False]


def test_an_ack_begins_the_rounds_anew() -> None:
    given = window()
    send(given, 1, 2)
    for number in range(1, ROUNDS + 1):
        given.expire(GRACE * number)
    given.acknowledge(1, (), GRACE * ROUNDS)

    assert given.rounds == 0
    assert given.expire(GRACE * (ROUNDS + 1))


def test_what_the_client_holds_is_forgotten_once_the_position_passed_it() -> None:
    given = window(5, ((8, 9), (12, 14)))
    send(given, 6)
    before = given.held
    send(given, 10)
    between = given.held
    send(given, 13)

    assert before == ((8, 9), (12, 14))
    assert between == ((12, 14),)
    assert ranges.above(given.held, 13) == ((14, 14),)


@pytest.mark.parametrize(("upto", "more"), [(0, ()), (0, ((7, 9),)), (3, ())])
def test_acks_of_what_is_not_in_flight_are_passed_over(upto: int, more: Ranges) -> None:
    given = window(3)
    send(given, 4, 5, size=10)
    given.acknowledge(upto, more, 1.0)

    assert len(given) == 2
    assert given.bytes == 20


def test_what_the_device_holds_from_elsewhere_is_not_sent() -> None:
    given = window(entries=5, max_bytes=1000)
    given.sent(Offset(2), [(Offset(1), (10, 10))], 0.0)
    given.acknowledge(4, ((6, 7),), 1.0)

    assert given.held == ((3, 4), (6, 7))
    assert len(given) == 0


class Flight(RuleBasedStateMachine):
    @initialize(entries=st.integers(1, 5), max_bytes=st.integers(10, 60))
    def begin(self, entries: int, max_bytes: int) -> None:
        self.window = window(entries=entries, max_bytes=max_bytes)
        self.max_entries, self.max_bytes = entries, max_bytes
        self.now = 0.0
        self.flight: dict[int, int] = {}
        self.due: set[int] = set()
        self.rounds = 0
        self.since: float | None = None

    @rule(sizes=st.lists(st.integers(1, 80), max_size=4), passed=st.integers(0, 2), together=st.booleans())
    def deliver(self, sizes: list[int], passed: int, *, together: bool) -> None:
        """A frame with as many as there is room for; the range may pass over some that are not owed."""
        most, left = self.window.room()
        assert (most, left) == (self.max_entries - len(self.flight), self.max_bytes - sum(self.flight.values()))
        planned: list[tuple[Offset, int]] = []
        at = self.window.position
        for size in sizes:
            fits = len(planned) < most and sum(size for _, size in planned) + size <= left
            if not (fits or (not planned and self.window.has_room(size))):
                break
            at = Offset(at + 1)
            planned.append((at, size))
        flight: list[tuple[Offset, Sequence[int]]] = [(offset, (size,)) for offset, size in planned]
        if together and planned:
            flight = [(planned[0][0], [size for _, size in planned])]
        if planned and not self.flight:
            self.since = self.now
        at = Offset(at + passed)
        self.window.sent(at, flight, self.now)
        self.flight.update(planned)

    @rule(upto=st.integers(0, 30), pieces=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 3)), max_size=2))
    def acknowledge(self, upto: int, pieces: list[tuple[int, int]]) -> None:
        more = ranges.normal((first, first + length) for first, length in pieces)
        self.window.acknowledge(upto, more, self.now)
        self.flight = {one: size for one, size in self.flight.items() if one > upto and not ranges.contains(more, one)}
        self.due &= set(self.flight)
        self.rounds = 0
        self.since = self.now if self.flight else None

    @rule(seconds=st.sampled_from([1.0, GRACE / 2, GRACE]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        going_on = self.window.expire(self.now)
        expired = self.since is not None and self.now - self.since >= GRACE
        assert going_on == (not expired or self.rounds < ROUNDS)
        if expired and not going_on:
            self.since = None  # said once: nobody spins on a deadline that is over
        if expired and going_on:
            self.rounds += 1
            self.since = self.now
            self.due = set(self.flight)

    @rule(count=st.integers(0, 3))
    def redeliver(self, count: int) -> None:
        again = list(self.window.iter_due())[:count]
        self.window.redelivered(again)
        self.due -= set(again)

    @invariant()
    def it_is_what_the_model_says(self) -> None:
        given = self.window
        assert len(given) == len(self.flight)
        assert given.bytes == sum(self.flight.values())
        assert list(given.iter_due()) == sorted(self.due)
        assert given.due == bool(self.due)
        assert given.deadline == (inf if self.since is None else self.since + GRACE)
        assert given.rounds == self.rounds

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.window) <= self.max_entries
        assert self.window.bytes <= self.max_bytes or len(self.window) == 1


TestFlight = Flight.TestCase
TestFlight.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
