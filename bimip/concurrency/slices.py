"""Long work in slices: one of them, whoever it is for, in each round of the event loop.

A task that works in slices with a checkpoint between lets others have their turn. A hundred such tasks do not: each
has a slice in every round, so a round lasts as long as all of them. Here they stand in line, and whoever has little to
do waits for one slice and not for a hundred. Who was served much of late stands behind those who come soon after:
everybody's turn comes, and that of whoever asks little comes next. And where one had so much that it holds up others,
nobody has the next slice of it for some time: else the loop, and what follows from each slice, would never be done, and
whoever asks little would wait for something at each step of the way.
"""

from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from itertools import count
from typing import TypeVar

import trio

from bimip.concurrency.shares import Shares

T = TypeVar("T")

BEHIND = 10.0
"""Who was served for a second of late stands behind those who come within so many."""

PAUSE = 4.0
"""As many times as long as a slice of an account that is held back lasted, no other one is had by such accounts."""


class Slices:
    """A line of tasks, each with a slice of plain code, which may not wait for anything."""

    __slots__ = ("_clock", "_count", "_in_line", "_not_before", "_owner", "_waiting", "served")

    def __init__(self, clock: Callable[[], float] = float) -> None:
        """`clock` tells seconds."""
        self.served = Shares()
        """The seconds that each account had of late. Whoever else serves them adds to it, and ages it."""
        self._clock = clock
        self._waiting: list[tuple[float, int, trio.lowlevel.Task]] = []
        self._in_line = set[trio.lowlevel.Task]()  # who leaves it is passed over when it would be their turn
        self._count = count()
        self._owner: trio.lowlevel.Task | None = None  # whose turn it is
        self._not_before = 0.0  # for those who are held back

    async def run(self, work: Callable[[], T], account: Hashable = None) -> T:
        """Do the work when it is this task's turn; the next one has its own when the loop has been round once more.

        It counts for the account. Whoever ends, wherever that is, lets the others go on.
        """
        try:
            while True:
                await self._stand_in_line(account)
                if account not in self.served.held or trio.current_time() >= self._not_before:
                    break
                self._leave()
                await trio.sleep_until(self._not_before)
            began = self._clock()
            try:
                return work()
            finally:
                self._charge(account, self._clock() - began)
                await trio.lowlevel.checkpoint()
        finally:
            self._leave()

    def _charge(self, account: Hashable, seconds: float) -> None:
        if seconds:
            self.served[account] += seconds
            if account in self.served.held:
                self._not_before = trio.current_time() + PAUSE * seconds

    async def _stand_in_line(self, account: Hashable) -> None:
        task = trio.lowlevel.current_task()
        if self._owner is None:
            self._owner = task
            await trio.lowlevel.checkpoint()
            return

        def leave(_raise: object) -> trio.lowlevel.Abort:
            self._in_line.discard(task)
            return trio.lowlevel.Abort.SUCCEEDED

        due = trio.current_time() + BEHIND * self.served.get(account, 0.0)
        heappush(self._waiting, (due, next(self._count), task))
        self._in_line.add(task)
        await trio.lowlevel.wait_task_rescheduled(leave)

    def _leave(self) -> None:
        """Lets the next one go on, where it is this task's turn; it stands in line no more."""
        task = trio.lowlevel.current_task()
        if self._owner is not task:
            self._in_line.discard(task)
            return
        self._owner = None
        while self._waiting and self._owner is None:
            following = heappop(self._waiting)[-1]
            if following in self._in_line:
                self._in_line.remove(following)
                self._owner = following
                trio.lowlevel.reschedule(following)
