"""Signals that also come at a time, all by one task.

Why not a timeout around each wait: a cancel scope for each of thousands of tasks that sleep all day is a kilobyte each,
and entering one costs more than most of what they wake for. Times are those of the event loop's clock, in seconds.
"""

from heapq import heapify, heappop, heappush
from itertools import count
from math import inf
from typing import Self

import trio

from bimip.supervision import Notify

FEW = 64
"""Entries that mean nothing any more, which nobody minds."""


class Timers:
    """Notifies the waiters whose time has come. It is made once; `run` is each incarnation."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = count()
        self._dropped = 0  # entries of timers that were cancelled
        self._earlier = Notify()

    def __len__(self) -> int:
        return len(self._heap)

    async def run(self) -> None:
        """Notify whoever is due, until cancelled."""
        while True:
            now = trio.current_time()
            while self._heap and self._heap[0][0] <= now:
                self._notify_first()
            with trio.move_on_at(self._heap[0][0] if self._heap else inf):
                await self._earlier

    def _notify_first(self) -> None:
        when, _, timer = heappop(self._heap)
        if timer.deadline == when:
            timer.deadline = inf
            timer.notify()
        else:
            self._dropped -= 1

    def add(self, when: float, timer: "Timer") -> None:
        heappush(self._heap, (when, next(self._numbers), timer))
        if self._heap[0][2] is timer:
            self._earlier.notify()

    def drop(self) -> None:
        """An entry means nothing any more."""
        self._dropped += 1
        if self._dropped > max(FEW, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[2].deadline == entry[0]]
            heapify(self._heap)
            self._dropped = 0


class Timer(Notify):
    """A signal that can be waited for until a time."""

    __slots__ = ("_timers", "deadline")

    def __init__(self, timers: Timers) -> None:
        super().__init__()
        self._timers = timers
        self.deadline = inf

    def until(self, when: float) -> Self:
        """`await timer.until(when)`: until the next notification or this time, or an earlier one set before."""
        if when < self.deadline:
            self.cancel()
            if when < inf:
                self.deadline = when
                self._timers.add(when, self)
        return self

    def cancel(self) -> None:
        """Drop its time: nobody will wait for it."""
        if self.deadline < inf:
            self.deadline = inf
            self._timers.drop()
