"""Draws the pictures of the server's pages in the README from the real thing: python -m scripts.page_pictures [FOLDER]

A server in demonstration mode runs, a browser without a window shows its pages, people write, and what is seen is saved
as PNG of few colours. No emoji is in it: not every machine that draws has a font for them.
"""

import json
import struct
import sys
import tempfile
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import trio

from bimip.client import Client, open_client
from bimip.gateway.authentication import issue
from tests.browser.kit import ALICE, BOB, Demonstration, Devices, panel, prefer
from tests.kit.browser import Tab, showing

CAROL, DAVE = "carol@example.org", "dave@example.org"
DEMONSTRATION, MESSENGER = (1280, 860), (1000, 570)
COLOURS, APART = 64, 10
"""How many colours a picture has at most, and by how much two of them differ."""
BITS, INDEXED = 8, 3
"""The kind of PNG: one with a palette."""
HOUR_SECONDS = 3600


async def draw_demonstration(tab: Tab) -> None:
    """Bob's laptop has no network, and somebody has just killed a process."""
    devices = Devices(tab)
    await tab.wait("demonstration.panels.length === 4")
    await devices.wait_connected()
    for number in range(4):
        await tab.wait(f"{panel(number)}.querySelectorAll('option').length === 2")
    await _say(devices, 0, "The train to Lisbon leaves at ten past eight")
    await _say(devices, 2, "I have the tickets")
    for number in (0, 3):
        await _look(tab, number)
    await tab.wait("demonstration.panels.every(({ device }) => device.condition.outbox === 0)")
    await devices.toggle(3)
    await tab.wait(f"{panel(3)}.dataset.state === 'off'")
    await _say(devices, 0, "See you under the clock", 0, 1, 2)
    await _say(devices, 3, "Written without a network", 3)
    await _look(tab, 2)
    await tab.wait(f"{panel(1)}.querySelectorAll('.mine[data-status=read]').length === 2")
    await tab.evaluate("document.querySelector('[aria-label=\"Kill bimip/journal\"]').click()")
    await tab.wait("document.querySelector('.process[data-flash=restarted]') !== null")
    await tab.wait("document.getElementById('process-said').textContent.endsWith('restarted')")
    await tab.wait("demonstration.panels.slice(0, 3).every(({ box }) => box.dataset.state === 'on')")
    await tab.evaluate("document.activeElement.blur()")


async def _say(devices: Devices, number: int, text: str, *shown: int) -> None:
    await devices.write(number, text)
    await devices.wait_shown(text, *shown)


async def _look(tab: Tab, number: int) -> None:
    """Somebody points at a device, and away from it again."""
    for event in ("pointerenter", "pointerleave"):
        await tab.evaluate(f"{panel(number)}.dispatchEvent(new Event('{event}'))")


async def draw_messenger(server: Demonstration, tab: Tab) -> None:
    """Alice reads a group, and others have written to her."""
    async with _friends(server) as (bob, carol, dave):
        await tab.wait("document.querySelectorAll('#demonstration button').length === 2")
        await tab.evaluate("document.querySelector('#demonstration button').click()")
        await tab.wait("messenger.device.condition.isConnected")
        await dave.messages.send(ALICE, b"The invoice is in your post")
        await dave.messages.send(ALICE, b"Thank you!")
        group = await carol.groups.create("Trip to Lisbon", [ALICE, BOB])
        asked = await carol.messages.send(group, b"Where do we meet on Friday?")
        await bob.messages.send(group, b"At the station, under the clock. The train leaves at ten past eight.")
        await tab.wait("document.querySelectorAll('#inbox li').length >= 2")
        send = (
            "messenger.device.send({ conversation: %s, text: %s, replyTo: %s }).then(({ sent }) => sent.then(() => 1))"
        )
        for text, answered in (
            ("I'll be there, with two bags and coffee for everybody", asked.signal_id),
            ("See you on Friday", None),
        ):
            await tab.evaluate(send % tuple(json.dumps(one) for one in (group, text, answered)))
        mine = f"messenger.device.messages({json.dumps(group)}).then((all) => all.at(-1)"
        await tab.evaluate(
            f"{mine}).then(({{ signalId }}) => messenger.device.edit(signalId, 'See you on Friday at eight'))"
        )
        offset = await tab.evaluate(f"{mine}.offset)")
        for friend in (bob, carol):
            await friend.messages.mark_read(group, int(offset))
        await bob.messages.send(ALICE, b"Did the parcel come?")
        await tab.wait("document.querySelectorAll('#inbox li').length >= 3")
        await tab.evaluate(
            "[...document.querySelectorAll('#inbox li')].find((one) => one.textContent.includes('Lisbon')).click()"
        )
        await tab.wait("document.querySelectorAll('.pane .mine[data-status=read]').length === 2")
        await tab.wait("document.activeElement.matches('textarea')")
        await carol.presence.say_typing(group, seconds=30)
        await tab.wait("document.querySelector('.pane .typing').textContent !== ''")
        await tab.evaluate("document.activeElement.blur()")


@asynccontextmanager
async def _friends(server: Demonstration) -> AsyncIterator[list[Client]]:
    """The others, as programs."""
    key = (server.folder / "data" / "demo" / "signing.key").read_text().strip()
    url = server.origin.replace("http", "ws", 1)
    async with AsyncExitStack() as stack:
        found = []
        for eid in (BOB, CAROL, DAVE):
            now_ms = time.time_ns() // 1_000_000
            token = issue(
                algorithm="HS256",
                signing_key=key,
                eid=eid,
                device="program",
                now_ms=now_ms,
                lifetime_seconds=HOUR_SECONDS,
                jti=eid,
            )
            found.append(await stack.enter_async_context(open_client(url, token=token)))
        for one in found:
            await one.wait_connected()
        yield found


async def _picture(tab: Tab) -> bytes:
    """What is seen, as PNG with a palette: a third of what the browser's has."""
    await tab.evaluate("new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn)))")
    whole = json.dumps(b64encode(await tab.picture()).decode())
    found = await tab.evaluate(f"({WITH_FEW_COLOURS})({whole}, {COLOURS}, {APART})")
    width, height, pixels = found["width"], found["height"], b64decode(found["pixels"])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))
    head = struct.pack(">IIBBBBB", width, height, BITS, INDEXED, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", bytes(found["palette"])), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


WITH_FEW_COLOURS = """async (picture, most, apart) => {
  const bytes = Uint8Array.from(atob(picture), (one) => one.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const { width, height } = bitmap;
  const drawn = new OffscreenCanvas(width, height).getContext("2d");
  drawn.drawImage(bitmap, 0, 0);
  const { data } = drawn.getImageData(0, 0, width, height);
  const counts = new Map();
  const colour = (at) => (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];
  for (let at = 0; at < data.length; at += 4) counts.set(colour(at), (counts.get(colour(at)) ?? 0) + 1);
  const parts = (one) => [one >> 16, (one >> 8) & 255, one & 255];
  const distance = (one, other) => Math.hypot(...parts(one).map((part, at) => part - parts(other)[at]));
  const palette = [];
  for (const [one] of [...counts].sort(([, a], [, b]) => b - a)) {
    if (palette.length < most && palette.every((other) => distance(one, other) > apart)) palette.push(one);
  }
  const nearest = new Map([...counts.keys()].map((one) => {
    const far = palette.map((other) => distance(one, other));
    return [one, far.indexOf(Math.min(...far))];
  }));
  let pixels = "";
  for (let at = 0; at < data.length; at += 4) pixels += String.fromCharCode(nearest.get(colour(at)));
  return { width, height, palette: palette.flatMap(parts), pixels: btoa(pixels) };
}"""
"""The commonest colours that differ, and of each point which of them is nearest."""


async def _resize(tab: Tab, size: tuple[int, int]) -> None:
    width, height = size
    await tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)


async def draw(folder: Path, workplace: Path) -> None:
    with Demonstration(workplace) as server:
        async with showing(f"{server.origin}/", workplace / "profile") as tab:
            await _resize(tab, DEMONSTRATION)
            await prefer(tab, "light")
            await draw_demonstration(tab)
            (folder / "page-demonstration.png").write_bytes(await _picture(tab))
    with Demonstration(workplace / "chat") as server:
        async with showing(f"{server.origin}/chat", workplace / "profile") as tab:
            await _resize(tab, MESSENGER)
            await prefer(tab, "light")
            await draw_messenger(server, tab)
            (folder / "page-chat.png").write_bytes(await _picture(tab))


def main(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as workplace:
        (Path(workplace) / "chat").mkdir()
        trio.run(draw, folder, Path(workplace))


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ".github"))
