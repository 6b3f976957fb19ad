"""Draws the picture of `bimip chat` in the README from the real thing: python scripts/chat_picture.py [FILE]

A server runs, three people write to each other, and what Alice's screen shows is saved as SVG, without fonts from
elsewhere.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bimip.cli.chat.app import ChatApp
from bimip.cli.chat.session import Session
from bimip.cli.devices import Device
from bimip.client import Client, open_client
from bimip.testing import ServerProcess

ALICE, BOB, CAROL, DAVE = (f"{name}@example.org" for name in ("alice", "bob", "carol", "dave"))
FONTS = "ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
SIZE = (96, 26)


async def draw(server: ServerProcess, folder: Path) -> str:
    device = Device(server.url, server.token(ALICE, "laptop"), folder / "alice.db")
    app = ChatApp(Session(device, ("chat", "feed")), theme="dark")
    async with (
        open_client(server.url, token=server.token(BOB)) as bob,
        open_client(server.url, token=server.token(CAROL)) as carol,
        open_client(server.url, token=server.token(DAVE)) as dave,
        app.run_test(size=SIZE) as pilot,
    ):

        async def until(holds: Callable[[], object]) -> None:
            while not holds():
                await pilot.pause(0.05)

        async def connected(*clients: Client) -> None:
            for client in clients:
                await client.wait_connected()

        await connected(bob, carol, dave)
        await until(lambda: app.session.link.is_connected)
        for friend in (bob, carol):
            await friend.contacts.request(ALICE, mutual=True)
        await until(lambda: len(app.model.contacts) == 2)
        for eid in (BOB, CAROL):
            await app.session.change_contact("accept", eid)
        await dave.messages.send(ALICE, b"The invoice is in your post")
        await dave.messages.send(ALICE, b"Thank you!")
        await bob.messages.send(ALICE, b"Did the parcel come?")
        group = await carol.groups.create("Trip to Rome", [ALICE, BOB])
        await carol.messages.send(group, b"Where do we meet on Friday?")
        await bob.messages.send(group, b"At the station, under the clock. The train leaves at ten past eight.")
        await until(lambda: len(app.model.conversations) == 3 and app.model.by_target(group).head == 3)
        app._open(app.model.by_target(group).key)  # noqa: SLF001 - as a key does
        await pilot.pause(0.3)
        one = app.model.by_target(group)
        answered = next(entry for entry in one.entries if "Friday" in entry.text)
        app.session.send(one, "I'll be there, with two bags\nand coffee for everybody", answered.key)
        app.session.send(one, "See you on Friday")
        await until(lambda: not app.session.link.waiting)
        mine = one.entries[-2]
        await bob.messages.react(mine.signal_offset, "☕")
        await carol.messages.react(mine.signal_offset, "☕")
        await carol.messages.react(mine.signal_offset, "❤")
        app.session.edit(one.entries[-1], "See you on Friday at eight")
        for friend in (bob, carol):
            await friend.messages.mark_read(group, mine.offset)
        await carol.presence.say_typing(group, seconds=30)
        await until(lambda: one.typing and app.model.stage_of(mine) == "read" and one.entries[-1].changes)
        await pilot.pause(1.0)
        picture = app.export_screenshot(title="bimip chat", simplify=True)
        await app.session.stop()
    return _without_fonts(picture)


def _without_fonts(picture: str) -> str:
    """Leaves out fonts that would be fetched from elsewhere."""
    picture = re.sub(r"\s*@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    return re.sub(r"font-family: Fira Code, monospace", f"font-family: {FONTS}", picture).rstrip() + "\n"


def main(file: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, ServerProcess(Path(folder)) as server:
        file.write_text(asyncio.run(draw(server, Path(folder))))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".github/chat.svg"))
