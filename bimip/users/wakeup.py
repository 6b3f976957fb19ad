"""Something may have changed: look again."""

from collections.abc import Awaitable
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

    def wait_beyond(self, number: int, until: float = inf) -> Awaitable[None]:
        """Await this at once: it returns when the number is no longer this one, or it is time, and never without a
        checkpoint. Cancelling it is safe.

        It is no coroutine: that would cost its frame for as long as each of thousands of fetchers sleeps.
        """
        return self.until(until) if self.number == number else trio.lowlevel.checkpoint()  # noqa: ASYNC105 - see above
