"""The service worker of the messenger: a page that begins without a server, and notifications of what is pushed."""

import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

from bimip.testing import free_port
from tests.browser.kit import ALICE, Demonstration
from tests.browser.test_messenger_page import fill_dialog, log_in, press, wait_shown, write
from tests.chaos.process_driver import served, token
from tests.kit.browser import Browser, Tab, needs_browser
from tests.kit.push import BROWSER, VAPID_KEY

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


SUBSCRIBES = """Object.assign(PushManager.prototype, {
  async subscribe(options) {
    globalThis.asked = options;
    return globalThis.subscription = { ...GIVEN, unsubscribe: async () => { globalThis.subscription = null; } };
  },
  async getSubscription() { return globalThis.subscription ?? null; },
}), 0"""
"""Makes a page's browser one that has a push service, at `GIVEN`: this one has none."""
PRESS = """registration.getNotifications().then(([shown]) => {
  globalThis.opened = [];
  clients.openWindow = async (address) => opened.push(address);
  WindowClient.prototype.focus = async function () { opened.push(`focus ${new URL(this.url).pathname}`); };
  dispatchEvent(new NotificationEvent("notificationclick", { notification: shown }));
})"""
"""Presses the notification that is shown. A window opens, or has the focus, for a person's press alone: it is noted."""
COUNTS = """(() => {
  const { waitUntil } = ExtendableEvent.prototype;
  globalThis.taken = 0;
  ExtendableEvent.prototype.waitUntil = function (work) {
    waitUntil.call(this, work);
    const count = () => { if (this.type === "push") taken++; };
    work.then(count, count);
  };
})(), 0"""
"""Counts what was pushed and is done with. Nobody may look before: Chromium forgets a notification that is being shown
while it is asked for all of them.
"""
REGISTRATION = "0"
"""The first one of a browser's."""


async def wait_shown_as(worker: Tab, *notifications: list[str]) -> None:
    """Until these notifications are shown and no others: their titles and texts."""
    shown = "registration.getNotifications().then((all) => JSON.stringify(all.map((one) => [one.title, one.body])))"
    await worker.wait(f"{shown}.then((all) => all === JSON.stringify({json.dumps(notifications)}))")


@needs_browser
async def test_what_is_pushed_is_a_notification_that_leads_to_its_conversation(
    tmp_path: Path, browser: Browser
) -> None:
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    environ = {"BIMIP_PUSH_VAPID_KEY": VAPID_KEY, "BIMIP_PUSH_VAPID_SUBJECT": "mailto:push@example.org"}
    text = {"payload": b64encode("Grüße aus Lissabon".encode()).decode()}
    bob = {"kind": "message", "sender": "bob@example.org"}
    with served(tmp_path, BIMIP_GATEWAY_PORT=str(port), **environ):
        async with browser.fresh("notifications") as profile, profile.showing(f"{origin}/chat") as tab:
            await tab.wait("document.getElementById('login')?.hidden === false")
            await tab.evaluate("document.getElementById('keep').click(), document.getElementById('token').focus()")
            await tab.type(token(ALICE, "browser"))
            await tab.press("Enter")
            await tab.wait("messenger.device.condition.isConnected")
            conversation = await begin(tab, "bob@example.org")
            await tab.evaluate(SUBSCRIBES.replace("GIVEN", json.dumps(subscription())))
            await tab.evaluate("document.querySelector('#tools [aria-label=Settings]').click()")
            await press(tab, "dialog[open] button", "Turn on")
            await tab.wait("document.querySelector('dialog').textContent.includes('also while this page is closed')")
            is_key = await tab.evaluate("messenger.device.pushKey().then((key) => key === asked.applicationServerKey)")

            await tab.call("ServiceWorker.enable")
            async with profile.worker() as worker:
                await worker.evaluate(COUNTS)
                pushed = 0

                async def push(key: str = "1", **told: Any) -> None:
                    nonlocal pushed
                    pushed += 1
                    content = json.dumps({"conversation": conversation, "collapse_key": key * 32, **told})
                    given = {"origin": origin, "registrationId": REGISTRATION, "data": content}
                    await tab.call("ServiceWorker.deliverPushMessage", **given)

                async def wait_pushed_as(*notifications: list[str]) -> None:
                    await worker.wait(f"taken === {pushed}")
                    await wait_shown_as(worker, *notifications)

                # Somebody looks at the page: a call alone is shown beside it, and leads there.
                await push("1", message=text, **bob)
                await push("2", kind="call", sender="bob@example.org")
                await wait_pushed_as(["Bob", "Calls you"])
                await tab.evaluate("document.querySelector('dialog').close(), history.pushState(null, '', '#')")
                await tab.evaluate("dispatchEvent(new Event('popstate'))")
                await tab.wait("document.getElementById('empty').hidden === false")
                await worker.evaluate(PRESS)
                await wait_shown_as(worker)
                await wait_shown(tab, "Hello Bob")
                focused = await worker.evaluate("opened")

                # Nobody has it open.
                await tab.call("Page.navigate", url="about:blank")
                await worker.wait("clients.matchAll({ includeUncontrolled: true }).then((all) => !all.length)")
                for told, *words in (
                    ({**bob, "message": text}, "Bob", "Grüße aus Lissabon"),
                    ({**bob, "message": text, "title": "Trip"}, "Bob in Trip", "Grüße aus Lissabon"),
                    ({**bob, "message": text | {"encrypted": "x"}, "mention": True}, "Bob", "Mentions you"),
                    ({**bob, "missed_call": True}, "Bob", "You missed a call"),
                    ({"kind": "message"}, "A message", "A message"),
                    ({**bob, "kind": "summary", "title": "Trip", "messages": 7}, "Trip", "7 new messages"),
                    ({**bob, "kind": "summary", "messages": 7}, "Bob", "7 new messages"),
                    ({"kind": "test"}, "BIMIP", "Notifications arrive"),
                ):
                    await push(**told)
                    await wait_pushed_as(words)
                await push(kind="of a later version")
                await push("2", message=text, **bob)
                await push("3", message=text, **bob)
                await push("3", kind="clear")
                await push(kind="clear")
                await wait_pushed_as(["Bob", "Grüße aus Lissabon"])
                await worker.evaluate(PRESS)
                await wait_shown_as(worker)
                (address,) = await worker.evaluate("opened")
                await tab.call("Page.navigate", url=f"{origin}{address}")
                await wait_shown(tab, "Hello Bob")

    assert is_key
    assert focused == ["focus /chat"]
    assert address == f"/chat#c/{conversation}"


def subscription() -> dict[str, Any]:
    """A browser's, as JSON."""

    def text(content: bytes) -> str:
        return urlsafe_b64encode(content).rstrip(b"=").decode()

    return {"endpoint": BROWSER["token"], "keys": {name: text(BROWSER[name]) for name in ("p256dh", "auth")}}
