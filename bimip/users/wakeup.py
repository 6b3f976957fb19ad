"""Something may have changed: look again."""

from math import inf

import trio

from bimip.supervision import Alarm, Alarms


class Wakeup(Alarm):
    """A number that only rises. Take it, look, and wait only while it is unchanged: then nothing is slept through."""

    __slots__ = ("number",)

    def __init__(self, alarms: Alarms) -> None:
        super().__init__(alarms)
        self.number = 0

    def ring(self) -> None:
        self.number += 1
        super().ring()

    async def wait_beyond(self, number: int, until: float = inf) -> None:
        """Return once the number is no longer this one, or it is time, and never without a checkpoint. Cancelling it is
        safe.
        """
        if self.number == number:
            await self.until(until)
        else:
            await trio.lowlevel.checkpoint()
