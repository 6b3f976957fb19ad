"""The server's time: the wall clock's, as long as that can be true.

A wall clock jumps: a bad time server, an empty battery, a machine that was resumed. Whoever follows it deletes what is
not old, knows tokens again that were revoked, and marks messages with times that never were. So all of the server asks
the Timekeeper, which compares the wall clock with what cannot jump: with a monotonic clock while the server runs, and
at the start with the latest time that the store knows of.

*Held.* A step beyond `max_step` is not followed, in either direction: time goes on as the monotonic clock has it. At
the start the wall clock may also be ahead by as long as the server may have been stopped (`max_gap`). When the wall
clock agrees again, it is followed again; an operator's word (`accept`) takes it over as it is. Messages are served all
the while. In a start that is held time goes on from what the store knows: stamps that are behind hurt nobody, and those
that ran ahead would have to be lived with.

*Doubt.* A gap at the start that is taken for time may still be a clock that is wrong and about to be corrected. So it
is in doubt for an hour: only what has certainly `passed` makes the server forget or delete anything, and a wall clock
that goes back within the doubt is followed without a word. Where time was held and then moved on, that stays in doubt
for as long as the longest period: what came meanwhile has earlier times than it should, and would be taken for old.

Tolerances are measured from one line and not from the last reading, so that many small steps make no large one; but
for a thousandth of the time, by which clocks may go apart.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Key, Reader, Table
from bimip.settings import seconds, setting, whole

SECOND = 1000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
EARLIEST = Millis(1_672_531_200_000)
"""2023: before the program was written it ran nowhere."""
LATEST = Millis(4_102_444_800_000)
"""2100: some years before stamps have no more bits for it."""
PROOF = HOUR
"""After it a gap that nobody corrected counts as time that has passed."""
DRIFT = 1000
"""Clocks go apart by one part of so many."""
FOR_EVER = 1 << 62


class Known(NamedTuple):
    """A store's knowledge of the time."""

    told: Millis = Millis(0)
    """The latest time that the server went by; 0: none."""
    doubt: int = 0
    """How much of it may not have passed."""
    certain_at: Millis = Millis(0)
    """When that counts as passed."""


class Tolerance(NamedTuple):
    """How far a wall clock may be off until it is not followed, in ms."""

    max_step: int
    max_gap: int
    longest_period: int
    """Whatever is kept for a period is kept for no longer one."""


@dataclass(frozen=True, slots=True)
class TimeSettings:
    max_step_seconds: float = setting(300.0, seconds(1, 86_400))
    max_gap_days: int = setting(7, whole(1, 3650))

    def tolerance(self, longest_days: int) -> Tolerance:
        return Tolerance(int(self.max_step_seconds * SECOND), self.max_gap_days * DAY, longest_days * DAY)


def known_time(view: Reader, newest: Stamp) -> Known:
    """`newest`: no stamp was given beyond it. It may be ahead of the time; then so are those that come after it."""
    told, ahead, doubt, certain_at = (view.get(Table.META, (name,)) or 0 for name in TIME_NAMES)
    last = millis_of(newest) - ahead
    return Known(Millis(max(told, last if last < LATEST else 0)), doubt, Millis(certain_at))


def time_records(known: Known, newest: Stamp) -> dict[Key, int]:
    """Makes the records that `known_time` reads again."""
    ahead = max(0, millis_of(newest) - known.told)
    values = (known.told, ahead, known.doubt, known.certain_at)
    return {(name,): value for name, value in zip(TIME_NAMES, values, strict=True)}


TIME_NAMES = ("time", "ahead", "doubt", "certain")
"""Of these records, in META."""


class Timekeeper:
    """Made once: it outlives the processes that ask it."""

    def __init__(
        self,
        wall_clock: Callable[[], Millis],
        monotonic: Callable[[], float],
        known: Known,
        tolerance: Tolerance,
        changed: Callable[[str], None] = lambda _held: None,
    ) -> None:
        """`monotonic` tells seconds, those in which the machine slept too. `changed` is told `held` when it changes."""
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._tolerance = tolerance
        self._changed = changed
        is_known = EARLIEST <= known.told < LATEST
        elapsed = self._elapsed()
        # All of these are wall clock minus monotonic clock.
        self._shift = self._line = (known.told if is_known else EARLIEST) - elapsed
        self._offered = self._shift
        self._since = elapsed
        self._gap = tolerance.max_gap if is_known else FOR_EVER
        self._doubt = known.doubt if is_known and known.certain_at > known.told else 0
        self._certain_at = min(known.certain_at, known.told + tolerance.longest_period)
        self._is_held = False
        self._noted_at = 0
        self._judge(self._wall_clock() - elapsed, elapsed)
        if not is_known and not self._is_held:
            self._doubt = 0  # there is nothing yet that could be forgotten
        self.gap_ms = max(0, elapsed + self._shift - known.told) if is_known else 0
        """How long, as far as is known, the server was stopped before it began."""

    def now(self) -> Millis:
        elapsed = int(self._monotonic() * 1000)
        shift = self._wall_clock() - elapsed
        slack = self._tolerance.max_step + (elapsed - self._since) // DRIFT
        if self._is_held or abs(shift - self._line) > slack:
            self._judge(shift, elapsed)
        else:
            self._shift = shift
        return Millis(elapsed + self._shift)

    def passed(self) -> Millis:
        """How far time has certainly come: the present, but for what is in doubt."""
        now = self.now()
        if self._doubt and now >= self._certain_at and not self._is_held:
            self._doubt = 0
        return Millis(now - self._doubt)

    def nearly_passed(self) -> Millis:
        """How far time has come for what is due within minutes: a doubt of no more than a step counts as passed, as a
        step does while the server runs.
        """
        now, passed = self.now(), self.passed()
        return now if now - passed <= self._tolerance.max_step else passed

    @property
    def held(self) -> str:
        """Why the wall clock is not followed; empty: it is."""
        if not self._is_held:
            return ""
        wall = self._offered + self._elapsed()
        if not EARLIEST <= wall < LATEST:
            return f"{_impossible(wall)}: set it"
        off = self._offered - self._line
        return (
            f"the machine's clock is {_span(abs(off))} {'ahead of' if off > 0 else 'behind'} the time that the server "
            "knows of: set it, or, if it is right, run `bimip clock accept`"
        )

    def accept(self) -> Millis:
        """An operator says that the wall clock is right. Raises ValueError for a time that cannot be."""
        elapsed = self._elapsed()
        wall = self._wall_clock()
        if not EARLIEST <= wall < LATEST:
            raise ValueError(f"{_impossible(wall)}: set it first")
        self._follow(wall - elapsed, elapsed)
        self._hold(held=False)
        return wall

    def describe(self) -> dict[str, object]:
        """Describes the clock to an operator: times in ms, spans in seconds."""
        now, passed = self.now(), self.passed()
        return {
            "time": now,
            "machine": self._wall_clock(),
            "held": self.held,
            "doubt_seconds": (now - passed) // SECOND,
        }

    def note(self) -> Known | None:
        """Tells what the store is to note, if it would be wrong about the time by too much, were this its last word."""
        return self.known() if abs(self.now() - self._noted_at) > HOUR else None

    def known(self) -> Known:
        """Makes what the store is to tell at the next start."""
        passed = self.passed()
        now = self.now()
        self._noted_at = now
        return Known(now, now - passed, Millis(self._certain_at))

    def _elapsed(self) -> int:
        return int(self._monotonic() * 1000)

    def _judge(self, shift: int, elapsed: int) -> None:
        """Judges a wall clock that is not simply where it is expected."""
        self._offered = shift
        slack, off = self._tolerance.max_step + (elapsed - self._since) // DRIFT, shift - self._line
        can_be = EARLIEST <= shift + elapsed < LATEST and -slack - self._back(elapsed) <= off <= slack + self._gap
        if can_be and (self._gap or abs(off) > slack):
            self._follow(shift, elapsed)
        elif can_be:
            self._shift = shift
        self._hold(held=not can_be)

    def _back(self, elapsed: int) -> int:
        """How far it may go back: over a gap at the start that nothing has proven yet."""
        return self._doubt if 0 < self._certain_at - self._shift - elapsed <= PROOF else 0

    def _follow(self, shift: int, elapsed: int) -> None:
        """Go by this wall clock from now on."""
        moved = shift - self._shift
        wait = self._tolerance.longest_period if self._is_held else PROOF
        self._doubt = max(0, self._doubt + moved)
        self._certain_at = max(self._certain_at + min(0, moved), shift + elapsed + wait)
        self._shift = self._line = shift
        self._since = elapsed
        self._gap = 0
        self._noted_at = 0

    def _hold(self, *, held: bool) -> None:
        if held is not self._is_held:
            self._is_held = held
            self._changed(self.held)


def _impossible(wall: int) -> str:
    when = "before 2023" if wall < EARLIEST else "after 2100"
    return f"the machine's clock shows a time {when}, which cannot be"


def _span(span: int) -> str:
    for unit, name in ((365 * DAY, "years"), (DAY, "days"), (HOUR, "hours")):
        if span >= 2 * unit:
            return f"{round(span / unit)} {name}"
    return f"{span // SECOND} seconds"
