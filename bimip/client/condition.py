"""A wake-up without a value: whoever wakes looks again at what he waits for."""

import anyio


class Condition:
    def __init__(self) -> None:
        self._event = anyio.Event()

    def notify_all(self) -> None:
        self._event.set()
        self._event = anyio.Event()

    async def wait(self) -> None:
        """Wait until the next `notify_all`. Between looking and waiting there may be no checkpoint."""
        await self._event.wait()
