"""The full-screen client in a test: a real server, and Textual's pilot in the place of a terminal."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from bimip.cli.chat.app import ChatApp
from bimip.cli.chat.model import Conversation
from bimip.cli.chat.session import Session
from bimip.cli.devices import Device
from bimip.testing import ServerProcess

PATIENCE = 40.0


class Screen:
    """One device's screen, as a test types and reads it."""

    def __init__(self, app: ChatApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.session = app.session
        self.model = app.session.model
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def write(self, text: str) -> None:
        """Types a message and sends it."""
        self.app.composer.insert(text)
        await self.press("enter")

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits until something holds; a machine may be busy, so only what never comes fails."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                await self.pilot.pause(0.02)
        await self.pilot.pause()

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.shown())

    def shown(self) -> str:
        """Returns what the screen shows."""
        lines = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in lines)

    def opened(self) -> Conversation:
        one = self.model.open_one
        assert one is not None
        return one

    async def open(self, to: str) -> Conversation:
        self.app._open(self.model.by_target(to).key)
        await self.pilot.pause()
        return self.opened()


@asynccontextmanager
async def a_screen(
    server: ServerProcess,
    eid: str,
    device: str = "laptop",
    *,
    folder: Path | None = None,
    size: tuple[int, int] = (80, 24),
    theme: str = "dark",
    bell: bool = False,
    token: Callable[[], str] | None = None,
) -> AsyncIterator[Screen]:
    """Opens the screen of a device, and leaves it as Ctrl-Q does."""
    store = None if folder is None else folder / f"{eid}-{device}.db"
    session = Session(Device(server.url, server.token(eid, device), store), ("chat", "feed"), token=token)
    app = ChatApp(session, theme=theme, bell=bell)
    async with app.run_test(size=size, notifications=True) as pilot:
        try:
            yield Screen(app, pilot)
        finally:
            await session.stop()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


async def in_thread(call: Callable[[], object]) -> None:
    await asyncio.to_thread(call)


async def wait_for(one: Awaitable[object]) -> None:
    async with asyncio.timeout(PATIENCE):
        await one
