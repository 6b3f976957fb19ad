"""`device.mjs` in a browser, on its IndexedDB and its WebRTC, with the real server.

BIMIP_GOSSIP_ENTRIES asks for another number of entries than 100.
"""

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from bimip.client import Client, Start, open_client
from bimip.client.events import Received
from bimip.testing import free_port
from tests.chaos.process_driver import ROOT, Served, served, token
from tests.kit.browser import Tab, needs_browser, showing, site

WEB = ROOT / "bimip" / "web"
PAGES = {f"/{path.name}": path.read_text() for path in WEB.glob("*.mjs")} | {
    "/device_page.mjs": (Path(__file__).parent / "device_page.mjs").read_text(),
    "/device.html": '<!doctype html><title>Devices</title><script type="module" src="device_page.mjs"></script>',
}
ENTRIES = int(os.environ.get("BIMIP_GOSSIP_ENTRIES", "100"))
TEXTS = [f"message {number}" for number in range(60)]
CHAT = "/device.html"


class Page:
    """A page with devices, which a test drives."""

    def __init__(self, tab: Tab, port: int) -> None:
        self.tab = tab
        self._port = port

    async def open(self, name: str, user: str, device: str, **options: Any) -> None:
        given = {"url": f"ws://127.0.0.1:{self._port}", "token": token(user, device), **options}
        await self.tab.evaluate(f"open_({json.dumps(name)}, {json.dumps(given)})")

    async def loaded(self) -> None:
        await self.tab.wait("window.ready")

    async def send(self, name: str, to: str, texts: list[str]) -> None:
        """Writes messages, and returns when they are on this device's disk."""
        each = f"devices.{name}.send({{ to: {json.dumps(to)}, text }})"
        await self.tab.evaluate(f"(async () => {{ for (const text of {json.dumps(texts)}) await {each}; }})()")

    async def wait(self, condition: str) -> None:
        """Waits until a promise in the page is of something true."""
        with trio.fail_after(60):
            while not await self.tab.evaluate(f"(async () => Boolean({condition}))()"):  # noqa: ASYNC110 - a page
                await trio.sleep(0.05)

    async def wait_same(self, one: str, other: str) -> None:
        """Waits until two devices have the same entries. Raises AssertionError, which tells which they have."""
        with trio.move_on_after(50):
            await self.wait(f"await sameOn({json.dumps(one)}, {json.dumps(other)})")
        assert await self.tab.evaluate(f"devices.{one}.export()") == await self.tab.evaluate(
            f"devices.{other}.export()"
        )

    async def told(self, name: str) -> dict[str, Any]:
        found = await self.tab.evaluate(f"told.{name}")
        assert isinstance(found, dict)
        return found

    async def texts(self, name: str) -> list[str]:
        found = await self.tab.evaluate(f"texts({json.dumps(name)})")
        assert isinstance(found, list)
        return found


@needs_browser
async def test_reloads_killed_tabs_and_a_killed_server_lose_nothing_and_show_nothing_twice(tmp_path: Path) -> None:
    port = free_port()
    with site(PAGES) as allowed:
        settings = {"BIMIP_GATEWAY_PORT": str(port), "BIMIP_GATEWAY_ORIGINS": allowed.origin}
        url = f"{allowed.origin}{CHAT}"
        server = Served(tmp_path, **settings)
        try:
            async with showing(url, tmp_path / "profile") as tab:
                page = Page(tab, port)
                await page.loaded()
                await open_all(page)
                await page.send("ann", "ben", TEXTS[:20])
                await page.wait("(await texts('ben')).length >= 10")
                server.process.kill()
                server.process.wait()
                await page.send("ann", "ben", TEXTS[20:40])  # nobody is there
                await page.wait("told.ben.shown.length === (await texts('ben')).length")
                shown = (await page.told("ben"))["shown"]
                await tab.evaluate(
                    "delete window.ready, location.reload()"
                )  # or the old page would look like the new one
                await page.loaded()
                await open_all(page)
                await page.send("ann", "ben", TEXTS[40:50])
                shown += (await page.told("ben"))["shown"]
                kill_renderers(tmp_path / "profile")
            with served(tmp_path, **settings):
                async with showing(url, tmp_path / "profile") as tab:
                    page = Page(tab, port)
                    await page.loaded()
                    await open_all(page)
                    await page.send("ann", "ben", TEXTS[50:])
                    await page.wait(f"(await texts('ben')).length === {len(TEXTS)}")
                    await page.wait("devices.ann.condition.outbox === 0")
                    await page.wait_same("ann", "ann2")
                    await page.wait(f"told.ben.shown.length >= {len(TEXTS) - len(shown)}")
                    shown += (await page.told("ben"))["shown"]

                    assert await page.texts("ben") == await page.texts("ann") == TEXTS
                    assert sorted(shown) == sorted(TEXTS)  # each was told once
                    for name in ("ann", "ann2", "ben"):
                        assert (await page.told(name))["errors"] == []
                    assert tab.complaints == []
        finally:
            server.process.kill()
            server.process.wait()


async def open_all(page: Page) -> None:
    await page.open("ann", "ann", "phone")
    await page.open("ann2", "ann", "laptop")
    await page.open("ben", "ben", "phone")


def kill_renderers(profile: Path) -> None:
    """Kills the processes of the tabs of the browser with this profile, which have no time to say anything."""
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "--type=renderer" in command and str(profile) in command:
            os.kill(int(process.parent.name), signal.SIGKILL)


@asynccontextmanager
async def gossiping(tmp_path: Path) -> AsyncIterator[tuple[Page, Served]]:
    with site(PAGES) as allowed, served(tmp_path, BIMIP_GATEWAY_ORIGINS=allowed.origin) as server:
        async with showing(f"{allowed.origin}{CHAT}", tmp_path / "profile") as tab:
            page = Page(tab, server.port)
            await page.loaded()
            if not await tab.evaluate(COMES_ABOUT):
                pytest.skip("no network interface here over which WebRTC comes about")
            yield page, server


COMES_ABOUT = """\
import("./channel.mjs").then(async ({ Channel }) => {
  const one = new Channel(), other = new Channel();
  await one.accept(await other.answer(await one.offer()));
  return Promise.race([one.opened, new Promise((resolve) => setTimeout(resolve, 5000, false))]);
})"""
LIE = """\
(async () => {
  const opened = await (await import("./database.mjs")).browserDatabase("phone");
  const [entry] = await opened.find("entries", "log", ["chat", OFFSET], ["chat", OFFSET]);
  entry.message.payload = btoa("a lie");
  await opened.commit([{ table: "entries", value: entry }]);
})()"""
LEAST = ENTRIES // 2
GOSSIP = {"gossip": {"least": LEAST, "awayMs": 0}}
WANTED = [f"message {number}" for number in range(2 * ENTRIES)]


async def fill(server: Served, user: str, first: int, count: int) -> None:
    """Others write to a user."""
    async with open_client(f"ws://127.0.0.1:{server.port}", token=token("zoe"), partitions=()) as zoe:
        for start in range(first, first + count, 200):
            texts = WANTED[start : min(start + 200, first + count)]
            await zoe.messages.send_many([(user, text.encode()) for text in texts])


async def be_there_once(page: Page, name: str, user: str, device: str) -> None:
    """A device connects, so that it has a place, and goes."""
    await page.open(name, user, device, **GOSSIP)
    await page.wait(f"devices.{name}.condition.isConnected")
    await page.tab.evaluate(f"devices.{name}.unplug()")


@needs_browser
async def test_pages_give_each_other_what_one_lacks_and_one_that_lies_is_dropped(tmp_path: Path) -> None:
    async with gossiping(tmp_path) as (page, server):
        await be_there_once(page, "laptop", "ann", "laptop")
        await page.open("phone", "ann", "phone", **GOSSIP)
        await fill(server, "ann", 0, ENTRIES)
        await page.wait(f"devices.phone.condition.isConnected && (await texts('phone')).length === {ENTRIES}")
        await page.tab.evaluate("devices.laptop.plug()")
        await page.wait(f"(await texts('laptop')).length === {ENTRIES} && devices.laptop.condition.isConnected")
        laptop, phone = await page.told("laptop"), await page.told("phone")

        assert await page.texts("laptop") == WANTED[:ENTRIES]
        assert await page.tab.evaluate("sameOn('laptop', 'phone')")
        assert (laptop["fetched"], laptop["errors"], phone["errors"]) == (0, [], [])
        assert (laptop["gossip"][-1]["taken"], phone["gossip"][-1]["given"]) == (ENTRIES, ENTRIES)

        await page.tab.evaluate("devices.laptop.unplug()")
        await fill(server, "ann", ENTRIES, LEAST - 1)
        await page.tab.evaluate("devices.laptop.plug()")
        upto = ENTRIES + LEAST - 1
        await page.wait(f"(await texts('laptop')).length === {upto}")

        assert (await page.told("laptop"))["fetched"] == LEAST - 1  # a little is the server's

        await page.tab.evaluate("devices.laptop.unplug()")
        await fill(server, "ann", upto, LEAST)
        await page.wait(f"(await texts('phone')).length === {upto + LEAST}")
        await page.tab.evaluate(LIE.replace("OFFSET", str(upto + 9)))
        await page.tab.evaluate("devices.laptop.plug()")
        await page.wait(f"(await texts('laptop')).length === {upto + LEAST}")
        laptop = await page.told("laptop")

        assert await page.texts("laptop") == WANTED[: upto + LEAST]
        assert [one["phase"] for one in laptop["gossip"]][-2:] == ["dropped", "over"]
        assert (laptop["gossip"][-1]["taken"], laptop["fetched"]) == (ENTRIES, 2 * LEAST - 1)


@needs_browser
async def test_a_page_and_the_sdk_in_python_give_each_other_what_one_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bimip.client.gossip.gossip.LEAST", LEAST)
    async with gossiping(tmp_path) as (page, server):
        await be_there_once(page, "laptop", "ann", "laptop")
        async with sdk(server, tmp_path, "tablet") as tablet:  # it was there once, too
            await tablet.wait_connected()
        async with sdk(server, tmp_path, "phone") as phone, anyio.create_task_group() as tasks:
            texts: list[str] = []
            tasks.start_soon(take, phone, texts)
            await fill(server, "ann", 0, ENTRIES)
            with trio.fail_after(60):
                while len(texts) < ENTRIES:  # noqa: ASYNC110 - a list that a task fills
                    await trio.sleep(0.02)
            await page.tab.evaluate("devices.laptop.plug()")
            await page.wait(f"(await texts('laptop')).length === {ENTRIES} && devices.laptop.condition.isConnected")
            tasks.cancel_scope.cancel()
        laptop = await page.told("laptop")

        assert await page.texts("laptop") == WANTED[:ENTRIES]
        assert (laptop["fetched"], laptop["gossip"][-1]["taken"]) == (0, ENTRIES)

        async with sdk(server, tmp_path, "tablet") as tablet:  # the phone is gone: the page gives
            took: list[str] = []
            with trio.fail_after(60):
                while len(took) < ENTRIES:
                    note(took, await anext(tablet))
            assert took == WANTED[:ENTRIES]
            assert tablet.gossip is not None
            assert (tablet.gossip.taken, tablet.gossip.dropped) == (ENTRIES, 0)
        assert (await page.told("laptop"))["gossip"][-1]["given"] == ENTRIES


def sdk(server: Served, folder: Path, device: str) -> Any:
    return open_client(
        f"ws://127.0.0.1:{server.port}",
        token=token("ann", device),
        path=folder / f"{device}.db",
        keep_messages=True,
        start=Start.FIRST,
        gossip=True,
    )


async def take(client: Client, texts: list[str]) -> None:
    async for event in client:
        note(texts, event)


def note(texts: list[str], event: object) -> None:
    if isinstance(event, Received):
        texts.append(event.message.payload.decode())
