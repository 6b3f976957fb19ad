"""The longest turns of late: how long the event loop served one thing without letting others have their turn, and whose
that was. Whoever measures compares with `longest` first, so that a usual turn costs no call.

`TurnMeter` times every step of every task. A task that serves many in one step (the poller) measures each of them
itself, and is left out.
"""

from collections.abc import Callable, Mapping
from typing import Final

import trio

PERIOD_SECONDS: Final = 60.0
NOTED_SECONDS: Final = 0.001
"""A step that is shorter is not looked at."""


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

    def longest_of_late(self) -> tuple[float, str]:
        """The longest turn of the last one to two minutes: its seconds, and whose it was."""
        self.turn_over()
        return max((self.longest, self._whose), self._before)

    def describe(self) -> dict[str, object]:
        """Describes the longest turn of the last one to two minutes to the operator."""
        seconds, whose = self.longest_of_late()
        return {"longest_turn": f"{seconds * 1000:.1f} ms ({whose})"} if seconds else {}

    def turn_over(self) -> None:
        """Begin another period, if it is time."""
        period = int(self._now() // PERIOD_SECONDS)
        if period != self._period:
            self._before = (self.longest, self._whose) if period == self._period + 1 else (0.0, "")
            self.longest, self._whose, self._period = 0.0, "", period
            self.until = (period + 1) * PERIOD_SECONDS


class TurnMeter(trio.abc.Instrument):
    """Notes long steps of tasks, by their names: those of `apart` where that says, if anywhere; all others together."""

    def __init__(self, turns: Turns, apart: Mapping[str, Turns | None], clock: Callable[[], float]) -> None:
        self._turns = turns
        self._apart = apart
        self._clock = clock
        self._began = clock()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002 - an instrument has it
        self._began = self._clock()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        seconds = self._clock() - self._began
        if seconds > NOTED_SECONDS:
            turns = self._apart.get(task.name, self._turns)
            if turns is not None:
                turns.note(seconds, task.name)
