"""Something may have changed: look again."""

import trio


class Wakeup:
    """A number that only rises. Take it, look, and wait only while it is unchanged: then nothing is slept through."""

    __slots__ = ("_event", "number")

    def __init__(self) -> None:
        self.number = 0
        self._event: trio.Event | None = None

    def ring(self) -> None:
        self.number += 1
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self, number: int) -> None:
        """Return once the number is no longer this one, and never without a checkpoint. Cancelling it is safe."""
        if self.number != number:
            await trio.lowlevel.checkpoint()
        while self.number == number:
            if self._event is None:
                self._event = trio.Event()
            await self._event.wait()
