"""The service worker of the messenger: a page that begins without a server."""

from pathlib import Path

from tests.browser.kit import Demonstration
from tests.browser.test_messenger_page import fill_dialog, log_in, wait_shown, write
from tests.kit.browser import Browser, Tab, needs_browser

OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
IS_KEPT = "caches.match('/api/v1/chain.mjs').then((found) => Boolean(found))"
"""The last module that the page reads, which it reads before there is a worker."""


async def begin(tab: Tab, eid: str) -> str:
    """Begins a conversation with somebody by a message. Returns its id."""
    await tab.evaluate("document.querySelector('[aria-label=\"New conversation\"]').click()")
    await fill_dialog(tab, "Begin", eids=eid)
    await write(tab, "Hello Bob")
    await tab.wait("/^#c.c\\d+$/.test(location.hash)")
    found = await tab.evaluate("location.hash.slice(3)")
    assert isinstance(found, str)
    return found


@needs_browser
async def test_the_messenger_begins_without_a_server_and_sends_later_what_is_written_then(
    tmp_path: Path, browser: Browser
) -> None:
    async with browser.fresh() as profile:
        with Demonstration(tmp_path) as server:
            address = f"{server.origin}/chat"
            async with profile.showing(address) as tab:
                await tab.wait("document.getElementById('login')?.hidden === false")
                await tab.evaluate("document.getElementById('keep').checked = true")
                await log_in(tab)
                address = f"{address}#c/{await begin(tab, 'bob@example.org')}"
                await tab.wait(IS_KEPT)

            # Nothing reaches the worker but a proxy's error, then nothing at all, and then there is no server.
            for hindrance in ("proxy", "network", "server"):
                async with profile.worker() as worker:
                    if hindrance == "proxy":
                        await worker.evaluate(
                            "real = fetch; fetch = async () => new Response('no', { status: 502 }); 0"
                        )
                    elif hindrance == "network":
                        await worker.evaluate("fetch = real; 0")
                        await worker.call("Network.enable")
                        await worker.call("Network.emulateNetworkConditions", **OFFLINE)
                    else:
                        server.kill()
                    async with profile.showing(address) as tab:
                        await wait_shown(tab, "Hello Bob")
                        if hindrance == "server":
                            await tab.wait("document.getElementById('condition').textContent === 'Connects'")
                            await write(tab, "written to nobody")
                            told = await tab.evaluate("document.getElementById('condition').textContent")
                            complaints = tab.complaints

            # It is sent when the server is there, by another page that was opened meanwhile.
            async with profile.showing(address) as tab:
                await wait_shown(tab, "written to nobody")
                server.start()
                await tab.wait("messenger.device.condition.isConnected && messenger.device.condition.outbox === 0")
                texts = await tab.evaluate("messenger.device.export().then((all) => all.map((one) => one.text))")

    assert told == "Connects: 1 to send"
    assert texts == ["Hello Bob", "written to nobody"]
    assert complaints == []
