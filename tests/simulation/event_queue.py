"""What is to come, in virtual time: calls at ticks, in the order in which they were entered.

One task makes all the calls, so what happens between the server and its peers costs no tasks. Times stand on a grid:
what falls on the same tick costs one jump of the clock.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from math import ceil, floor, inf

import trio

TICKS = 128
"""In a second; a power of two, so that floats of seconds are exact."""


class EventQueue:
    def __init__(self) -> None:
        self._entries: list[tuple[int, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0
        self._changed = trio.Event()
        self._awaited = inf

    @property
    def tick(self) -> int:
        return floor(trio.current_time() * TICKS)

    def tick_after(self, seconds: float) -> int:
        return self.tick + max(1, ceil(seconds * TICKS))

    def after(self, seconds: float, call: Callable[..., None], *args: object) -> None:
        """At the next tick at the earliest: nothing happens in the middle of somebody's step."""
        self.at(self.tick_after(seconds), call, *args)

    def at(self, tick: int, call: Callable[..., None], *args: object) -> None:
        self._count += 1
        heappush(self._entries, (tick, self._count, call, args))
        if tick < self._awaited:
            self._changed.set()

    async def run(self) -> None:
        """Make the calls until cancelled. What one of them raises ends it."""
        entries = self._entries
        while True:
            now = self.tick
            while entries and entries[0][0] <= now:
                _, _, call, args = heappop(entries)
                call(*args)
            self._awaited = entries[0][0] if entries else inf
            self._changed = trio.Event()
            with trio.CancelScope(deadline=self._awaited / TICKS):
                await self._changed.wait()


async def sleep_ticks(ticks: int) -> None:
    """Until a tick: as many as these from now."""
    await trio.sleep_until((floor(trio.current_time() * TICKS) + ticks) / TICKS)
