"""The full-screen client in a test: a real server, and Textual's pilot in the place of a terminal."""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import textual.app
import textual.pilot
from textual import events
from textual.pilot import Pilot
from textual.strip import Strip

from bimip.cli.chat.app import ChatApp
from bimip.cli.chat.model import Conversation
from bimip.cli.chat.session import Session
from bimip.cli.devices import Device
from bimip.client import open_client
from bimip.testing import ServerProcess

PATIENCE = 40.0
SETTLING = 20
"""Turns of the loop: from the terminal to the screen, to a widget, to the application, and more than that."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as running:
        yield running


async def in_touch(server: ServerProcess, *eids: str) -> None:
    """Lets users exist, which they do once they were here."""
    for eid in eids:
        async with open_client(server.url, token=server.token(eid)) as client:
            await client.wait_connected()


class Screen:
    """One device's screen, as a test types and reads it."""

    def __init__(self, app: ChatApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.session = app.session
        self.model = app.session.model
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Types characters as a terminal sends them: the pilot has only those with a name of one word."""
        for character in text:
            name = unicodedata.name(character).lower().replace(" ", "_")
            self.app.post_message(events.Key(name, character))
            await self.pilot.pause(0)

    async def write(self, text: str) -> None:
        """Types a message and sends it."""
        self.app.composer.insert(text)
        await self.press("enter")

    async def until(self, holds: Callable[[], object]) -> None:
        """Waits until something holds; a machine may be busy, so only what never comes fails."""
        async with asyncio.timeout(PATIENCE):
            while not holds():  # noqa: ASYNC110 - what it looks at tells nobody
                await asyncio.sleep(0.02)
        await self.pilot.pause()

    async def sees(self, text: str) -> None:
        await self.until(lambda: text in self.shown())

    def shown(self) -> str:
        """Returns what the screen shows."""
        return "\n".join("".join(segment.text for segment in strip) for strip in self.strips())

    def strips(self) -> list[Strip]:
        return self.app.screen._compositor.render_strips()

    def size(self) -> tuple[int, int]:
        """Returns the columns and lines that are drawn."""
        strips = self.strips()
        return strips[0].cell_length, len(strips)

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
    url: str = "",
) -> AsyncIterator[Screen]:
    """Opens the screen of a device, and leaves it as Ctrl-Q does."""
    store = None if folder is None else folder / f"{eid}-{device}.db"
    session = Session(Device(url or server.url, server.token(eid, device), store), ("chat", "feed"), token=token)
    app = ChatApp(session, theme=theme, bell=bell)
    with patch.object(textual.app, "wait_for_idle", _settle), patch.object(textual.pilot, "wait_for_idle", _settle):
        async with app.run_test(size=size, notifications=True) as pilot:
            try:
                yield Screen(app, pilot)
            finally:
                await session.stop()


async def _settle(_least: float = 0.0, _most: float = 0.0) -> None:
    """Lets what was pressed reach its widget, and what that tells reach the screen.

    The pilot waits until the process takes no processor time, up to two seconds for each key: a process in which
    another screen and a client run is never as idle as that.
    """
    for _ in range(SETTLING):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


async def in_thread(call: Callable[[], object]) -> None:
    await asyncio.to_thread(call)


async def wait_for(one: Awaitable[object]) -> None:
    async with asyncio.timeout(PATIENCE):
        await one
