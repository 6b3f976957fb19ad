"""A version that tells waiters to look again."""

from collections.abc import Awaitable
from math import inf

import trio

from bimip.concurrency.timers import Timer, Timers


class Watch(Timer):
    """A version that only rises. Take it, look, and wait only while it is unchanged: then nothing is slept through."""

    __slots__ = ("version",)

    def __init__(self, timers: Timers) -> None:
        super().__init__(timers)
        self.version = 0

    def notify(self) -> None:
        self.version += 1
        super().notify()

    def wait_changed_since(self, version: int, until: float = inf) -> Awaitable[None]:
        """Await this at once: it returns when the version is no longer this one, or it is time, and never without a
        checkpoint. Cancelling it is safe.

        It is no coroutine: that would cost its frame for as long as each of thousands of fetchers sleeps.
        """
        return self.until(until) if self.version == version else trio.lowlevel.checkpoint()  # noqa: ASYNC105 - see above
