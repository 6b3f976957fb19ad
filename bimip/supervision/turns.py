"""The longest turns of late: how long the event loop served one thing without letting others have their turn, and whose
that was. Whoever measures compares with `longest` first, so that a usual turn costs no call.
"""

from collections.abc import Callable
from typing import Final

PERIOD_SECONDS: Final = 60.0


class Turns:
    """Two numbers for each of two periods: that one which is going on, and the one before."""

    __slots__ = ("_before", "_now", "_period", "_whose", "longest", "until")

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._period = 0
        self.longest = 0.0
        """Seconds, in the period that is going on. A longer one is to be noted."""
        self.until = PERIOD_SECONDS
        """When the period ends: whoever measures calls `turn_over` then."""
        self._whose = ""
        self._before = (0.0, "")

    def note(self, seconds: float, whose: str) -> None:
        """A turn took longer than `longest`."""
        self.turn_over()
        if seconds > self.longest:
            self.longest, self._whose = seconds, whose

    def describe(self) -> dict[str, object]:
        """For the operator: the longest of the last one to two minutes."""
        self.turn_over()
        seconds, whose = max((self.longest, self._whose), self._before)
        return {"longest_turn": f"{seconds * 1000:.1f} ms ({whose})"} if seconds else {}

    def turn_over(self) -> None:
        """Begin another period, if it is time."""
        period = int(self._now() // PERIOD_SECONDS)
        if period != self._period:
            self._before = (self.longest, self._whose) if period == self._period + 1 else (0.0, "")
            self.longest, self._whose, self._period = 0.0, "", period
            self.until = (period + 1) * PERIOD_SECONDS
