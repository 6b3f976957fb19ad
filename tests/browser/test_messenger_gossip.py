"""Two browsers with the messenger, each with a device of one person, of which one was closed for a while."""

from pathlib import Path

from bimip.client import open_client
from bimip.testing import free_port
from tests.browser.kit import ALICE
from tests.chaos.process_driver import served, token
from tests.kit.browser import Browser, Tab, needs_browser

ENTRIES = 520
"""More than a device asks its siblings for, before it asks the server."""
ATTEMPTS = 5
"""Whoever is offered nothing in three seconds takes the log from the server, as on a machine that has more to do."""
HEARS = """Object.defineProperty(globalThis, "messenger", {
  get() { return globalThis.shown; },
  set(shown) {
    Object.assign(globalThis, { shown, gossip: [], fromServer: 0 });
    shown.device.on("gossip", (told) => gossip.push(told));
    shown.device.on("frame", ({ direction, frame }) => {
      if (direction === "in") globalThis.fromServer += frame.body?.messages?.length ?? 0;
    });
  },
});"""
"""Notes what the device of the page tells, from its beginning on."""
TEXTS = "messenger.device.export().then((all) => all.filter((one) => one.text).length)"


async def log_in(tab: Tab, device: str) -> None:
    await tab.wait("document.getElementById('login')?.hidden === false")
    await tab.evaluate("document.getElementById('keep').click(), document.getElementById('token').focus()")
    await tab.type(token(ALICE, device))
    await tab.press("Enter")
    await tab.wait("messenger.device.condition.isConnected")


@needs_browser
async def test_a_messenger_takes_what_it_missed_from_the_one_in_another_browser(
    tmp_path: Path, browser: Browser
) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}/chat"
    with served(tmp_path, BIMIP_GATEWAY_PORT=str(port)):
        async with browser.fresh() as laptops, browser.fresh() as phones, phones.showing(address) as phone:
            async with laptops.showing(address) as laptop:
                await log_in(laptop, "laptop")
            await phone.call("Page.addScriptToEvaluateOnNewDocument", source=HEARS)
            await phone.call("Page.reload")
            await log_in(phone, "phone")
            for attempt in range(1, ATTEMPTS + 1):
                count = attempt * ENTRIES
                async with open_client(f"ws://127.0.0.1:{port}", token=token("zoe"), partitions=()) as zoe:
                    for first in range(count - ENTRIES, count, 130):
                        await zoe.messages.send_many([(ALICE, f"{n}".encode()) for n in range(first, first + 130)])
                await phone.wait(f"{TEXTS}.then((count) => count === {count})")
                await phone.evaluate("gossip.length = 0")
                async with laptops.showing("about:blank") as laptop:
                    await laptop.call("Page.addScriptToEvaluateOnNewDocument", source=HEARS)
                    await laptop.call("Page.navigate", url=address)
                    await laptop.wait(f"{TEXTS}.then((count) => count === {count})")
                    await laptop.wait("messenger.device.condition.isConnected")
                    from_server, took = await laptop.evaluate("[fromServer, gossip]")
                    if from_server and attempt < ATTEMPTS:
                        continue
                    await phone.wait("gossip.at(-1)?.phase === 'over'")
                    gave = await phone.evaluate("gossip")
                    entries = [await tab.evaluate("messenger.device.export()") for tab in (laptop, phone)]
                    await laptop.evaluate("document.querySelector('#inbox li').click()")
                    newest = "document.querySelector('.pane .message:last-child .text')?.textContent"
                    await laptop.wait(f"{newest} === '{count - 1}'")
                    complaints = laptop.complaints + phone.complaints
                break

    assert from_server == 0
    assert [one["phase"] for one in took] == ["asking", "open", "taken", "over"]
    assert (took[-1]["taken"], gave[-1]["given"]) == (ENTRIES, ENTRIES)
    assert entries[0] == entries[1]
    assert [one["text"] for one in entries[0]] == [str(number) for number in range(count)]
    assert complaints == []
