"""Long work in slices: one of them, whoever it is for, in each round of the event loop.

A task that works in slices with a checkpoint between lets others have their turn. A hundred such tasks do not: each
has a slice in every round, so a round lasts as long as all of them. Here they stand in line, and whoever has little to
do waits for one slice and not for a hundred.
"""

from collections.abc import Callable
from typing import TypeVar

import trio

T = TypeVar("T")


class Slices:
    """A line of tasks, each with a slice of plain code, which may not wait for anything."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def run(self, work: Callable[[], T]) -> T:
        """Do the work when it is this task's turn; the next one has its own when the loop has been round once more.

        Whoever ends, wherever that is, lets the others go on.
        """
        try:
            await self._lock.acquire()
            try:
                return work()
            finally:
                await trio.lowlevel.checkpoint()
        finally:
            if self._lock.statistics().owner is trio.lowlevel.current_task():
                self._lock.release()
