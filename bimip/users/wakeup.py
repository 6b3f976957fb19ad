"""Something may have changed: look again."""

import trio

from bimip.supervision import Bell


class Wakeup(Bell):
    """A number that only rises. Take it, look, and wait only while it is unchanged: then nothing is slept through."""

    __slots__ = ("number",)

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def ring(self) -> None:
        self.number += 1
        super().ring()

    async def wait_beyond(self, number: int) -> None:
        """Return once the number is no longer this one, and never without a checkpoint. Cancelling it is safe."""
        if self.number != number:
            await trio.lowlevel.checkpoint()
        while self.number == number:
            await self.wait()
