"""The messenger, in a browser, before a real server: as one person uses it, and with much in its store."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bimip.testing import free_port
from tests.browser.kit import ALICE, Demonstration, fill, find_barriers, prefer
from tests.chaos.process_driver import served, token
from tests.kit.browser import Browser, Tab, needs_browser

WINDOW, INBOX_ROWS = 120, 40
"""Rows of a conversation in the page at most, as messages.mjs has them; and of the list, on a screen of this height."""
CHOSEN = "document.querySelector('.pane')"


@asynccontextmanager
async def messenger(folder: Path, browser: Browser, user: str = "Alice") -> AsyncIterator[tuple[Demonstration, Tab]]:
    """The messenger of somebody, who logged in as the demonstration offers."""
    with Demonstration(folder) as server:
        async with browser.showing(f"{server.origin}/chat") as tab:
            await log_in(tab, user)
            yield server, tab


async def log_in(tab: Tab, user: str = "Alice") -> None:
    await tab.wait("document.querySelectorAll('#demonstration button').length === 2")
    await press(tab, "#demonstration button", f"Log in as {user}")
    await tab.wait("messenger.device.condition.isConnected")


async def press(tab: Tab, where: str, words: str) -> None:
    """Presses the button that says so."""
    found = (
        f"[...document.querySelectorAll({json.dumps(where)})].find((one) => one.textContent === {json.dumps(words)})"
    )
    await tab.wait(f"{found} !== undefined")
    await tab.evaluate(f"{found}.click()")


async def write(tab: Tab, text: str) -> None:
    await tab.wait(f"{CHOSEN}.querySelector('textarea') !== null")
    await tab.evaluate(f"{CHOSEN}.querySelector('textarea').focus()")
    await tab.type(text)
    await tab.press("Enter")
    await wait_shown(tab, text)


async def wait_shown(tab: Tab, text: str) -> None:
    await tab.wait(
        f"[...{CHOSEN}.querySelectorAll('.message .text')]"
        f".filter((one) => one.textContent === {json.dumps(text)}).length === 1"
    )


async def fill_dialog(tab: Tab, yes: str, **fields: str) -> None:
    for name, text in fields.items():
        await tab.wait(f"document.querySelector('dialog[open] [name={name}]') !== null")
        await tab.evaluate(f"document.querySelector('dialog[open] [name={name}]').focus()")
        await tab.type(text)
    await press(tab, "dialog[open] .buttons button", yes)
    await tab.wait("document.querySelector('dialog') === null")


@needs_browser
async def test_one_person_uses_it(tmp_path: Path, browser: Browser) -> None:
    hostile = "<img src=x onerror='globalThis.isHit = true'>"
    async with messenger(tmp_path, browser) as (server, tab):
        await tab.evaluate("document.querySelector('[aria-label=\"New conversation\"]').click()")
        await fill_dialog(tab, "Begin", eids="bob@example.org")
        await write(tab, "Hello Bob")
        await write(tab, hostile)
        await tab.wait("document.querySelector('#inbox .line').textContent.startsWith('You: <img')")
        await tab.evaluate("document.querySelector('[aria-label=\"New conversation\"]').click()")
        await fill_dialog(tab, "Begin", eids="bob@example.org, carol@example.org", title="Trip")
        await tab.wait(f"{CHOSEN}.querySelector('h2')?.textContent === 'Trip'")
        await write(tab, "Where to?")
        address = await tab.evaluate("location.hash")

        # By the keyboard, and by what is searched for.
        await tab.evaluate("document.querySelector('.rows').focus()")
        for key in ("Home", "ArrowDown", "Enter"):
            await tab.press(key)
        await wait_shown(tab, "Hello Bob")
        await tab.evaluate("document.getElementById('find').focus()")
        await tab.type("where")
        await tab.wait("document.querySelector('#found .line')?.textContent === 'You: Where to?'")
        await tab.evaluate("document.querySelector('#found .result').click()")
        await wait_shown(tab, "Where to?")

        # The server is killed: one writes on, and reloads; it comes again.
        server.kill()
        await tab.wait("!messenger.device.condition.isConnected")
        await write(tab, "written to nobody")
        server.start()
        await tab.evaluate("globalThis.isLeft = true")
        await tab.call("Page.reload")
        await tab.wait("!globalThis.isLeft && messenger.device.condition.isConnected")
        await tab.wait("messenger.device.condition.outbox === 0")
        await wait_shown(tab, "written to nobody")
        names = await tab.evaluate("JSON.stringify([location.href, performance.getEntries().map((one) => one.name)])")
        hit = await tab.evaluate("globalThis.isHit ?? null")
        entries = await tab.evaluate("messenger.device.export()")

        # Logged out, nothing is left.
        await tab.evaluate("document.getElementById('me').click()")
        await press(tab, ".menu button", "Log out")
        await tab.evaluate("globalThis.isLeft = true")
        await press(tab, "dialog[open] .buttons button", "Log out")
        await tab.wait("!globalThis.isLeft && document.getElementById('login')?.hidden === false")
        left = await tab.evaluate(
            "indexedDB.databases().then((all) => [all.map((one) => one.name), sessionStorage.length])"
        )
        complaints = tab.complaints

    assert address.startswith("#c/c")
    assert [one["text"] for one in entries if one["text"]] == ["Hello Bob", hostile, "Where to?", "written to nobody"]
    assert hit is None
    assert "eyJ" not in names
    assert left == [["bimip login"], 0]
    assert complaints == []
    assert "eyJ" not in server.told()


HOLDS = """((...names) => {
  const { device } = messenger;
  globalThis.reading = 0;
  globalThis.held = new Promise((resolve) => { globalThis.release = resolve; });
  for (const name of names) {
    const does = device[name];
    device[name] = async (...asked) => {
      reading++;
      await held;
      return does.apply(device, asked).finally(() => reading--);
    };
  }
})"""
"""Has what a device is asked for wait until `release` is called."""
OPENS = {
    ".pane": "document.querySelector('#inbox li').click()",
    ".thread": "document.querySelector('.pane .acts button').click(),"
    " [...document.querySelectorAll('.menu button')].find((one) => one.textContent === 'Reply in a thread').click()",
}


@needs_browser
async def test_a_conversation_that_is_left_before_it_has_its_id_is_shown_again(
    tmp_path: Path, browser: Browser
) -> None:
    async with messenger(tmp_path, browser) as (_, tab):
        await tab.evaluate("document.querySelector('[aria-label=\"New conversation\"]').click()")
        await fill_dialog(tab, "Begin", eids="bob@example.org")
        await tab.wait(f"{CHOSEN}?.querySelector('textarea') === document.activeElement")
        await tab.evaluate(f"{HOLDS}('conversationWith', 'messages')")
        await tab.type("Hello Bob")
        await tab.press("Enter")
        await tab.wait("messenger.device.inbox().then(([row]) => row?.conversation.startsWith('c'))")
        await tab.evaluate("history.pushState(null, '', '#'), dispatchEvent(new Event('popstate'))")
        await tab.wait("document.getElementById('empty').hidden === false")
        await tab.evaluate("release()")
        await tab.wait("reading === 0")
        place = await tab.evaluate("location.hash")
        await tab.wait("document.querySelector('#inbox li') !== null")
        await tab.evaluate("document.querySelector('#inbox li').click()")
        await wait_shown(tab, "Hello Bob")
        complaints = tab.complaints

    assert place == ""
    assert complaints == []


@needs_browser
@pytest.mark.parametrize("where", OPENS)
async def test_a_menu_that_is_opened_while_messages_are_read_keeps_the_focus(
    tmp_path: Path, browser: Browser, where: str
) -> None:
    focused = []
    async with messenger(tmp_path, browser) as (_, tab):
        await tab.evaluate("document.querySelector('[aria-label=\"New conversation\"]').click()")
        await fill_dialog(tab, "Begin", eids="bob@example.org")
        await write(tab, "Hello Bob")
        await tab.wait(f"{CHOSEN}.querySelector('.message[data-status=waiting]') === null")
        for opens_menu in (True, False):
            if where == ".pane":
                await tab.evaluate("history.pushState(null, '', '#'), dispatchEvent(new Event('popstate'))")
                await tab.wait("document.getElementById('empty').hidden === false")
            await tab.evaluate(f"{HOLDS}('messages')")
            await tab.evaluate(f"{OPENS[where]}, 0")
            if opens_menu:
                await tab.evaluate("document.getElementById('me').click()")
                await tab.wait("document.querySelector('.menu')?.contains(document.activeElement)")
            await tab.evaluate("release()")
            await tab.wait("reading === 0")
            await tab.wait(f"document.querySelector('{where} .message .text')?.textContent === 'Hello Bob'")
            focused.append(await tab.evaluate("document.activeElement.closest('.menu, .composer')?.className"))
            await tab.evaluate("document.querySelector('.menu')?.hidePopover()")
            await tab.wait("document.querySelector('.menu') === null")
        complaints = tab.complaints

    assert focused == ["menu", "composer"]
    assert complaints == []


@needs_browser
async def test_ten_thousand_messages_are_a_hundred_rows_and_everybody_can_use_them(
    tmp_path: Path, browser: Browser
) -> None:
    async with messenger(tmp_path, browser) as (_, tab):
        await fill(tab, f"{ALICE}/chat", conversations=500, messages=10_000)
        await tab.evaluate("globalThis.isLeft = true")
        await tab.call("Page.reload")
        await tab.wait("!globalThis.isLeft && document.querySelectorAll('#inbox li').length > 3")
        listed = await tab.evaluate("document.querySelector('#inbox li').ariaSetSize")
        rows = await tab.evaluate("document.querySelectorAll('#inbox li').length")
        await tab.evaluate("document.getElementById('inbox').scrollTop = 20000")
        await tab.wait("Number(document.querySelector('#inbox li').ariaPosInSet) > 250")
        rows = max(rows, await tab.evaluate("document.querySelectorAll('#inbox li').length"))
        await tab.evaluate("document.getElementById('inbox').scrollTop = 0")
        await tab.wait("document.querySelector('#inbox li').ariaPosInSet === '1'")
        await tab.evaluate("document.querySelector('#inbox li').click()")
        await wait_shown(tab, "Message 10000")
        shown = await tab.evaluate(f"{CHOSEN}.querySelectorAll('.message').length")
        for text in ("Message 9800", "Message 9700"):
            for _ in range(8):
                if await tab.evaluate(f"{CHOSEN}.textContent.includes({json.dumps(text)})"):
                    break
                first = await tab.evaluate(f"{CHOSEN}.querySelector('.message').dataset.key")
                await tab.evaluate(f"{CHOSEN}.querySelector('.scroll').scrollTop = 0")
                await tab.wait(f"{CHOSEN}.querySelector('.message').dataset.key !== {json.dumps(first)}")
            await wait_shown(tab, text)
            shown = max(shown, await tab.evaluate(f"{CHOSEN}.querySelectorAll('.message').length"))
        await tab.evaluate("document.querySelector('.to-end').click()")
        await wait_shown(tab, "Message 10000")
        barriers = {}
        for scheme in ("light", "dark"):
            await prefer(tab, scheme)
            barriers[scheme] = await find_barriers(tab)
        for opens in ("People", "Settings"):
            await tab.evaluate(f"document.querySelector('#tools [aria-label={opens}]').click()")
            await tab.wait("document.querySelector('dialog[open] .dialog-body').childElementCount > 1")
            barriers[opens] = await find_barriers(tab)
            await tab.evaluate("document.querySelector('dialog[open] [aria-label=Close]').click()")
        await tab.call("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=True)
        wide = await tab.evaluate("document.documentElement.scrollWidth")
        barriers["narrow"] = await find_barriers(tab)
        complaints = tab.complaints

    assert listed == "500"
    assert rows <= INBOX_ROWS
    assert shown == WINDOW
    assert wide <= 360
    assert barriers == {"light": [], "dark": [], "People": [], "Settings": [], "narrow": []}
    assert complaints == []


@needs_browser
async def test_without_a_demonstration_one_logs_in_with_a_token(tmp_path: Path, browser: Browser) -> None:
    port = free_port()
    shown = token(ALICE, "browser")
    with served(tmp_path, BIMIP_GATEWAY_PORT=str(port)) as server:
        async with browser.showing(f"http://127.0.0.1:{port}/") as tab:
            await tab.wait("location.pathname === '/chat' && document.getElementById('login')?.hidden === false")
            for said in ("no token", shown):
                await tab.evaluate("document.getElementById('token').focus()")
                await tab.type(said)
                await tab.press("Enter")
                if said == "no token":
                    await tab.wait("document.getElementById('refused').textContent.startsWith('This is no token')")
                    await tab.evaluate("document.getElementById('token').value = ''")
            await tab.wait("messenger.device.condition.isConnected")
            offered = await tab.evaluate("document.getElementById('demonstration').childElementCount")
            kept = await tab.evaluate("[document.getElementById('token').value, location.href]")
        told = server.log.read_text()

    assert offered == 0
    assert kept == ["", f"http://127.0.0.1:{port}/chat"]
    assert shown not in told
