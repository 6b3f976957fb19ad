"""The demonstration as a newcomer starts it, `bimip serve --demo`, and its pages as a browser shows them."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

from bimip.testing import free_port
from tests.chaos.process_driver import ROOT
from tests.kit.browser import Browser, Tab

PATIENCE = 60
AXE_DIGEST = "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc"
"""axe-core 4, of Deque: MPL 2.0. What is run in a page is what was looked at."""
ALICE, BOB = "alice@example.org", "bob@example.org"
DEVICES = [(eid, device) for eid in (ALICE, BOB) for device in ("page-phone", "page-laptop")]


class Demonstration:
    """A server in demonstration mode, in a folder of its own, which may be killed and started again at its port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._console = free_port(), free_port()
        self.log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        given = {
            "BIMIP_GATEWAY_PORT": str(self.port),
            "BIMIP_CONSOLE_PORT": str(self._console),
            "BIMIP_LOGGING_FORMAT": "json",
            "BIMIP_LOGGING_LEVEL": "debug",
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "bimip", "serve", "--demo", "--config", str(ROOT / "config" / "demo.toml")]
        begun = len(self.told())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, **given}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + PATIENCE
        while '"serving"' not in self.told()[begun:]:
            assert time.monotonic() < deadline, self.told()[-2000:]
            assert self._process.poll() is None, self.told()[-2000:]
            time.sleep(0.02)

    def told(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """As the page says: kill -9 of the process whose number stands in the file."""
        pid = int((self.folder / "data" / "demo" / "server.pid").read_text())
        assert self._process is not None
        assert pid == self._process.pid
        os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def tokens(self) -> list[str]:
        return [one.read_text().strip() for one in (self.folder / "data" / "demo").glob("*.token")]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Devices:
    """The four devices of the page."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def wait_connected(self, *numbers: int) -> None:
        for number in numbers or range(4):
            await self.tab.wait(f"demonstration.panels[{number}].device.condition.isConnected")

    async def write(self, number: int, text: str) -> None:
        """Writes as a person does: in the field, and Enter."""
        await self.tab.evaluate(f"{panel(number)}.querySelector('textarea').focus()")
        await self.tab.type(text)
        await self.tab.press("Enter")
        await self.tab.wait(f"{panel(number)}.querySelector('textarea').value === ''")

    async def toggle(self, number: int) -> None:
        await self.tab.evaluate(f"{panel(number)}.querySelector('.switch').click()")

    async def choose(self, number: int, title: str) -> None:
        """Chooses a conversation by its title."""
        await self.tab.wait(
            f"[...{panel(number)}.querySelectorAll('option')].some((one) => one.text.startsWith({json.dumps(title)}))"
        )
        await self.tab.evaluate(
            f"(() => {{ const field = {panel(number)}.querySelector('select');"
            f" field.value = [...field.options].find((one) => one.text.startsWith({json.dumps(title)})).value;"
            " field.dispatchEvent(new Event('change')); })()"
        )

    async def wait_shown(self, text: str, *numbers: int) -> None:
        """Until a message is on the screens, once."""
        for number in numbers or range(4):
            await self.tab.wait(
                f"[...{panel(number)}.querySelectorAll('.message .text')]"
                f".filter((one) => one.textContent === {json.dumps(text)}).length === 1"
            )

    async def act(self, number: int, text: str, action: str) -> None:
        """Opens the menu of a message, and chooses what stands in it."""
        await self.tab.wait("document.querySelector('.menu') === null")
        await self.tab.evaluate(
            f"[...{panel(number)}.querySelectorAll('.message')].find((one) =>"
            f" one.querySelector('.text')?.textContent === {json.dumps(text)}).querySelector('.acts button').click()"
        )
        is_it = f"(one) => one.textContent === {json.dumps(action)}"
        await self.tab.evaluate(f"[...document.querySelectorAll('.menu button')].find({is_it}).click()")

    async def settle(self) -> list[list[dict[str, Any]]]:
        """What each device has, once nothing is on its way and all have the same."""
        await self.wait_connected()
        await self.tab.wait("demonstration.panels.every(({ device }) => device.condition.outbox === 0)")
        await self.tab.wait(f"({SAME})()")
        await self.tab.wait("globalThis.same === true")
        found = await self.tab.evaluate("Promise.all(demonstration.panels.map(({ device }) => device.export()))")
        assert isinstance(found, list)
        return found


SAME = """() => {
  const view = ({ conversation, place, signalId, author, text, reactions, isDeleted }) =>
    JSON.stringify([conversation, place, signalId, author.eid ?? author, text, isDeleted,
      (reactions ?? []).map((one) => [one.emoji, [...one.eids].sort()]).sort()]);
  Promise.all(demonstration.panels.map(({ device }) => device.export())).then((all) => {
    const each = all.map((entries) => JSON.stringify(entries.map(view).sort()));
    globalThis.same = each.every((one) => one === each[0]);
  });
  return globalThis.same === true;
}"""
"""Whether all have the same messages in the same places, entry by entry; it is known a moment later."""


def panel(number: int) -> str:
    eid, device = DEVICES[number]
    return f'document.querySelector(\'[data-eid="{eid}"][data-device="{device}"]\')'


@asynccontextmanager
async def demonstrating(server: Demonstration, browser: Browser) -> AsyncIterator[tuple[Tab, Devices]]:
    """The page of a server in a browser, with all four devices connected."""
    async with browser.showing(f"{server.origin}/") as tab:
        devices = Devices(tab)
        await tab.wait("demonstration.panels.length === 4")
        await devices.wait_connected()
        yield tab, devices


async def reload(tab: Tab, *, crashes: bool = False) -> None:
    """Loads the page of the demonstration again, which was asked to be left, or is dead."""
    if crashes:
        await tab.crash()
    else:
        await tab.evaluate("globalThis.isLeft = true")
    await tab.call("Page.reload")
    await tab.wait(
        "!globalThis.isLeft && demonstration.panels.length === 4 && demonstration.panels.every((one) => one.device)"
    )


def read_axe() -> str:
    script = gzip.decompress((Path(__file__).parent / "axe.min.js.gz").read_bytes())
    assert sha256(script).hexdigest() == AXE_DIGEST
    return script.decode()


async def find_barriers(tab: Tab) -> list[str]:
    """What axe finds serious or critical in the page as it is."""
    await tab.evaluate(f"{read_axe()}; true")
    found = await tab.evaluate(
        "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations"
        ".filter((one) => ['serious', 'critical'].includes(one.impact))"
        ".map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).slice(0, 4).join(', ')}`))"
    )
    assert isinstance(found, list)
    return found


async def prefer(tab: Tab, scheme: str) -> None:
    """Dark or light."""
    await tab.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


async def fill(tab: Tab, name: str, *, conversations: int, messages: int) -> None:
    """Puts so much into a device's database, as if it had been delivered; the newest conversation has the messages."""
    await tab.evaluate("messenger.device.close()")
    await tab.evaluate(f"({FILL})({json.dumps(name)}, {conversations}, {messages})")


FILL = """async (name, conversations, messages) => {
  const { browserDatabase } = await import("/api/v1/database.mjs");
  const database = await browserDatabase(name);
  const entry = (conversation, order, peer, text, time) => {
    const signal_id = `${conversation}-${order}`;
    return {
      key: signal_id, signal_id, conversation, order, theirs: conversation,
      message: { id: signal_id, signal_id, conversation, conversation_offset: String(order), server_time: String(time),
        from: { eid: peer, connection_resource_id: "phone" }, payload: btoa(text), type: 1 },
    };
  };
  const changes = [], now = Date.now();
  for (let number = 1; number <= conversations; number++) {
    const id = `c${100_000 + number}`, peer = `friend-${number}@example.org`, isMain = number === 1;
    const count = isMain ? messages : 1;
    let last = null;
    for (let order = 1; order <= count; order++) {
      last = entry(id, order, peer, `Message ${order}`, now - number * 60_000 - (count - order) * 1000);
      changes.push({ table: "entries", value: last });
    }
    const row = { id, peer, unread: number % 3, mentions: 0, countedAt: 0, last, top: count };
    changes.push({ table: "conversations", value: row });
  }
  for (let at = 0; at < changes.length; at += 5000) await database.commit(changes.slice(at, at + 5000));
  database.close();
}"""
