"""Long work in slices: one of them, whoever it is for, in each round of the event loop.

A task that works in slices with a checkpoint between lets others have their turn. A hundred such tasks do not: each
has a slice in every round, so a round lasts as long as all of them. Here they stand in line, and whoever has little to
do waits for one slice and not for a hundred.
"""

from types import TracebackType

import trio


class Slices:
    """A line of tasks. `async with` it around one slice of plain code, which may not wait for anything."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = trio.Lock()

    async def __aenter__(self) -> None:
        await self._lock.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The next one has its slice when the loop has been round once more."""
        try:
            await trio.lowlevel.checkpoint()
        finally:
            self._lock.release()
