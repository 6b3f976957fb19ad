"""The messenger in a browser, with much in its database: when something is seen, when the first message is, and how
long frames take while somebody scrolls.

The browser has no window and draws by the processor, on the machine that does everything else too: frames of a real
screen take less.
"""

import json
import tempfile
from pathlib import Path
from typing import Any, Final

import trio

from tests.browser.kit import ALICE, Demonstration, fill
from tests.kit.browser import CHROMIUM, Browser, Tab, sharing

CONVERSATIONS, MESSAGES = 500, 10_000
FRAMES, STEP = 300, 60
"""How many frames somebody scrolls, and by how many pixels in each."""
FULL: Final = "c100001"
"""The conversation that `fill` gives the messages to."""
IS_THERE: Final = CHROMIUM is not None

NOTES: Final = """
globalThis.noted = {};
const look = () => {
  for (const [name, where] of [["list_ms", "#inbox li"], ["message_ms", ".pane .message"]]) {
    if (!(name in noted) && document.querySelector(where)) noted[name] = performance.now();
  }
};
new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""
"""Runs before the page's own scripts."""
SCROLL: Final = """(async (where, frames, step) => {
  const box = document.querySelector(where), deltas = [];
  let last = await new Promise(requestAnimationFrame), rows = 0;
  for (let count = 0; count < frames; count++) {
    box.scrollTop += step;
    const now = await new Promise(requestAnimationFrame);
    deltas.push(now - last);
    rows = Math.max(rows, box.querySelectorAll("li").length);
    last = now;
  }
  deltas.sort((one, other) => one - other);
  const at = (part) => deltas[Math.min(frames - 1, Math.floor(part * frames))];
  return { p50_ms: at(0.5), p99_ms: at(0.99), longest_ms: deltas.at(-1), rows };
})"""


def measure(conversations: int = CONVERSATIONS, messages: int = MESSAGES, frames: int = FRAMES) -> dict[str, Any]:
    """Loads the page with a conversation open, and scrolls that to what is older, and the list down."""
    with tempfile.TemporaryDirectory() as folder:
        profile, place = Path(folder) / "profile", Path(folder) / "server"
        profile.mkdir()
        place.mkdir()
        with sharing(profile) as browser, Demonstration(place) as server:
            return trio.run(_measure, browser, server, conversations, messages, frames)


async def _measure(
    browser: Browser, server: Demonstration, conversations: int, messages: int, frames: int
) -> dict[str, Any]:
    async with browser.showing(f"{server.origin}/chat") as tab:
        await tab.wait("document.querySelectorAll('#demonstration button').length === 2")
        await tab.evaluate("document.querySelector('#demonstration button').click()")
        await tab.wait("messenger.device.condition.isConnected")
        await fill(tab, f"{ALICE}/chat", conversations=conversations, messages=messages)
        await tab.call("Page.addScriptToEvaluateOnNewDocument", source=NOTES)
        await tab.evaluate(f"globalThis.isLeft = true; history.replaceState(null, '', '#c/{FULL}')")
        await tab.call("Page.reload")
        await tab.wait("!globalThis.isLeft && 'list_ms' in noted && 'message_ms' in noted")
        await tab.wait(f"document.querySelector('.pane').textContent.includes('Message {messages}')")
        paints = "performance.getEntriesByName('first-contentful-paint')"
        await tab.wait(f"{paints}.length === 1")
        found = dict(await tab.evaluate("noted"))
        found["paint_ms"] = await tab.evaluate(f"{paints}[0].startTime")
        await tab.wait("messenger.device.condition.isConnected")
        return {
            **found,
            "conversation": await _scroll(tab, ".pane .scroll", frames, -STEP),
            "list": await _scroll(tab, "#inbox", frames, STEP),
            "failures": tab.complaints,
        }


async def _scroll(tab: Tab, where: str, frames: int, step: int) -> dict[str, float]:
    return dict(await tab.evaluate(f"{SCROLL}({json.dumps(where)}, {frames}, {step})"))
