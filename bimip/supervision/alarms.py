"""Bells that also ring at a time, all by one task.

Why not a timeout around each wait: a cancel scope for each of thousands of tasks that sleep all day is a kilobyte each,
and entering one costs more than most of what they wake for. Times are those of the event loop's clock, in seconds.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Self

import trio

from bimip.supervision.bell import Bell

FEW = 64
"""Entries that mean nothing any more, which nobody minds."""


class Alarms:
    """Made once; `run` is each incarnation."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._numbers = count()
        self._dropped = 0  # entries of alarms that were switched off
        self._earlier = Bell()

    def __len__(self) -> int:
        return len(self._heap)

    async def run(self) -> None:
        """Ring until cancelled."""
        while True:
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                self._ring_first()
            with trio.move_on_at(self._heap[0][0] if self._heap else inf):
                await self._earlier

    def _ring_first(self) -> None:
        when, _, alarm = heappop(self._heap)
        if alarm.set_for == when:
            alarm.set_for = inf
            alarm.ring()
        else:
            self._dropped -= 1

    def add(self, when: float, alarm: "Alarm") -> None:
        heappush(self._heap, (when, next(self._numbers), alarm))
        if self._heap[0][2] is alarm:
            self._earlier.ring()

    def drop(self) -> None:
        """An entry means nothing any more."""
        self._dropped += 1
        if self._dropped > max(FEW, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[2].set_for == entry[0]]
            heapify(self._heap)
            self._dropped = 0


class Alarm(Bell):
    """A bell that can be waited for until a time."""

    __slots__ = ("_alarms", "set_for")

    def __init__(self, alarms: Alarms) -> None:
        super().__init__()
        self._alarms = alarms
        self.set_for = inf

    def until(self, when: float) -> Self:
        """`await alarm.until(when)`: until the next ring or this time, or an earlier one that it was set for before."""
        if when < self.set_for:
            self.switch_off()
            if when < inf:
                self.set_for = when
                self._alarms.add(when, self)
        return self

    def switch_off(self) -> None:
        """It need not ring at the time that it was set for: nobody will wait."""
        if self.set_for < inf:
            self.set_for = inf
            self._alarms.drop()
