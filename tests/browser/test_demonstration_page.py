"""The page of the demonstration, in a browser, before a real server: four devices end with the same conversation,
whatever was unplugged, reloaded or killed.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.kit import Demonstration, Devices, demonstrating, find_barriers, panel, prefer, reload
from tests.kit.browser import Browser, Tab, needs_browser

HOSTILE = (
    "<script>globalThis.isHit = true</script>",
    "<img src=x onerror='globalThis.isHit = true'>",
    "<svg onload='globalThis.isHit = true'></svg>",
    '"><iframe srcdoc="<script>parent.isHit = true</script>">',
    "javascript:globalThis.isHit=true",
    "{{constructor.constructor('globalThis.isHit = true')()}}",
    "<style>* { display: none }</style>",
    "\u202egro.elpmaxe\u202c and \u2066isolated\u2069",
    "a\u0000b\u0007c\u001b[31mred",
    "e\u0301\u0327" + "\u0301" * 60,
    "<a href='https://evil.example' target=_blank>press</a>",
    "&lt;b&gt; &amp; &#x3c;",
    "\ufffe\U0001f468\u200d\U0001f469\u200d\U0001f467",
)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    """A server of the tests that neither kill it nor count all that was ever written."""
    with Demonstration(tmp_path_factory.mktemp("demonstration")) as server:
        yield server


@needs_browser
async def test_four_devices_end_with_the_same_conversation(tmp_path: Path, browser: Browser) -> None:
    with Demonstration(tmp_path) as server:
        async with demonstrating(server, browser) as (tab, devices):
            await devices.write(0, "Hello Bob")
            await devices.wait_shown("Hello Bob")

            # Apart, and merged.
            await devices.toggle(3)
            await tab.wait(f"{panel(3)}.dataset.state === 'off'")
            await devices.write(3, "written offline")
            await devices.write(0, "written meanwhile")
            await devices.wait_shown("written offline", 3)
            await devices.wait_shown("written meanwhile", 0, 1, 2)
            waiting = await tab.evaluate(f"{panel(3)}.querySelectorAll('.message[data-status=waiting]').length")
            await devices.toggle(3)
            await devices.wait_shown("written offline")
            await devices.wait_shown("written meanwhile")

            # What becomes of a message.
            await devices.act(0, "Hello Bob", "Edit")
            await tab.evaluate(f"{panel(0)}.querySelector('textarea').select()")
            await tab.type("Hello Bob!")
            await tab.press("Enter")
            await devices.wait_shown("Hello Bob!")
            await devices.act(2, "Hello Bob!", "👍")
            for number in range(4):
                await tab.wait(f"{panel(number)}.querySelector('.reaction')?.textContent === '👍'")
            await devices.act(3, "written offline", "Delete for everyone")
            for number in range(4):
                await tab.wait(f"{panel(number)}.querySelectorAll('.deleted').length === 1")
            await tab.evaluate(f"{panel(2)}.dispatchEvent(new Event('pointerenter'))")
            await tab.wait(f"{panel(1)}.querySelectorAll('.mine[data-status=read]').length === 2")

            # A group, typing, and a thread.
            for number in range(4):
                await devices.choose(number, "Trip to Lisbon")
            await tab.evaluate(f"{panel(2)}.querySelector('textarea').focus()")
            await tab.type("Where")
            await tab.evaluate(f"{panel(2)}.querySelector('textarea').dispatchEvent(new InputEvent('input'))")
            await tab.wait(f"{panel(0)}.querySelector('.typing').textContent === 'Bob is typing …'")
            await tab.press("Enter")
            await devices.wait_shown("Where")

            # The page crashes while it writes, the server does before that, and both come again.
            await devices.toggle(1)
            await devices.write(1, "kept in the tab")
            await devices.wait_shown("kept in the tab", 1)
            server.kill()
            await devices.write(0, "while the server is dead")
            await devices.wait_shown("while the server is dead", 0)
            server.start()
            await devices.wait_connected(0, 2, 3)
            await tab.evaluate(WRITE_ON)
            await tab.wait("kept.length >= 30")
            kept = await tab.evaluate("kept")
            await reload(tab, crashes=True)
            await devices.wait_connected()
            entries = await devices.settle()
            texts = [one["text"] for one in entries[0]]
            tokens = await tab.evaluate(
                "JSON.stringify([location.href, performance.getEntries().map((one) => one.name)])"
            )
            complaints = tab.complaints

    assert waiting == 1
    assert entries[0] == entries[1]
    assert entries[2] == entries[3]
    assert [texts.count(one) for one in ("Hello Bob!", "written meanwhile", "kept in the tab", "Where")] == [1, 1, 1, 1]
    assert texts.count("while the server is dead") == 1
    assert [texts.count(one) for one in kept] == [1] * len(kept)
    assert all(texts.count(one) == 1 for one in texts if one)
    assert "eyJ" not in tokens
    assert complaints == []
    assert "eyJ" not in server.told()


@needs_browser
async def test_a_killed_process_is_seen_and_costs_no_message(shared_server: Demonstration, browser: Browser) -> None:
    async with demonstrating(shared_server, browser) as (tab, devices):
        await tab.wait("document.querySelector('[aria-label=\"Kill bimip/journal\"]') !== null")
        await devices.write(0, "before")
        await tab.evaluate("document.querySelector('[aria-label=\"Kill bimip/journal\"]').click()")
        await devices.write(0, "after")
        await tab.wait("[...document.querySelectorAll('.process[data-flash=restarted]')].length > 0")
        await tab.evaluate("document.getElementById('frames-on').click()")
        await tab.evaluate("document.querySelector('[aria-label=\"Kill bimip/gateway\"]').click()")
        await devices.write(2, "answer")
        await devices.wait_shown("answer")
        await tab.wait("document.querySelectorAll('#frames > div').length > 3")
        frames = await tab.evaluate("document.getElementById('frames').innerText")
        steps = await tab.evaluate("[...document.querySelectorAll('.guide .done')].map((one) => one.dataset.step)")
        command = await tab.evaluate("document.getElementById('kill').textContent")
        entries = await devices.settle()

    written = ["before", "after", "answer"]
    assert sorted(one["text"] for one in entries[3] if one["text"] in written) == sorted(written)
    assert "hello" in frames
    assert "chat" in frames
    assert {"write", "kill"} <= set(steps)
    assert command == 'kill -9 "$(cat data/demo/server.pid)"'


WRITE_ON = """(() => {
  globalThis.kept = [];
  demonstration.panels.slice(0, 3).forEach(async ({ device, eid, label }) => {
    const to = eid.startsWith("alice") ? "bob@example.org" : "alice@example.org";
    for (let number = 1; ; number++) {
      const text = `${number} of ${label}`;
      await device.send({ to, text });
      kept.push(text);
    }
  });
})()"""
"""Has three devices write without end; `kept` tells what is on their disks."""


@needs_browser
async def test_a_device_takes_what_it_missed_from_another_one_and_nothing_of_it_from_the_server(
    shared_server: Demonstration, browser: Browser
) -> None:
    async with demonstrating(shared_server, browser) as (tab, devices):
        await devices.settle()
        await devices.toggle(3)
        await tab.wait(f"{panel(3)}.dataset.state === 'off'")
        await tab.evaluate(f"{panel(0)}.querySelector('.choice button').click()")
        for number in (1, 20):
            await devices.wait_shown(f"Message {number} of 20 from Alice\u2019s phone", 0, 1, 2)
        await tab.evaluate(
            "globalThis.fromServer = 0; demonstration.panels[3].device.on('frame', ({ direction, frame }) => {"
            " if (direction === 'in') globalThis.fromServer += frame.body?.messages?.length ?? 0; })"
        )
        await devices.toggle(3)
        for number in (1, 20):
            await devices.wait_shown(f"Message {number} of 20 from Alice\u2019s phone", 3)
        await tab.wait("demonstration.panels[2].place.textContent.startsWith('Gave')")
        said = await tab.evaluate("demonstration.panels.map(({ place }) => place.textContent)")
        done = await tab.evaluate("document.querySelector('.guide [data-step=gossip]').classList.contains('done')")
        entries = await devices.settle()
        kept = await tab.evaluate("demonstration.panels[3].place.textContent")
        from_server = await tab.evaluate("globalThis.fromServer")

    assert said[:2] == ["", ""]
    assert said[2] == "Gave the laptop 20 entries of the log"
    assert said[3] == kept == "Took 20 entries of its log from the phone, not from the server"
    assert from_server == 0
    assert done
    assert entries[2] == entries[3]


@needs_browser
async def test_nothing_of_a_message_becomes_markup(shared_server: Demonstration, browser: Browser) -> None:
    async with demonstrating(shared_server, browser) as (tab, devices):
        await tab.evaluate(
            "document.addEventListener('securitypolicyviolation',"
            " (event) => { globalThis.forbidden = event.violatedDirective; })"
        )
        for text in HOSTILE:
            message = f"{{ to: 'bob@example.org', text: {json.dumps(text)} }}"
            await tab.evaluate(f"demonstration.panels[0].device.send({message})")
        for text in HOSTILE:
            await devices.wait_shown(text, 1, 2)
        too_long = await tab.evaluate(
            "demonstration.panels[0].device.send({ to: 'bob@example.org', text: 'x'.repeat(100_000) })"
            ".then(({ sent }) => sent.then(() => 'sent', (error) => error.code))"
        )
        await tab.wait(f"{panel(0)}.querySelector('[data-status=refused]') !== null")
        longest = await tab.evaluate(
            f"Math.max(...[...{panel(0)}.querySelectorAll('.text')].map((one) => one.textContent.length))"
        )
        made = await tab.evaluate("document.querySelectorAll('#devices :is(img, iframe, script, style, a)').length")
        title = f"Trip {HOSTILE[1]}"
        await tab.evaluate(f"demonstration.panels[0].device.createGroup({json.dumps(title)}, ['bob@example.org'])")
        await devices.choose(2, title[:8])
        await tab.wait(f"{panel(2)}.querySelector('.event')?.textContent.includes('<img')")
        hit = await tab.evaluate("[globalThis.isHit ?? null, globalThis.forbidden ?? null]")
        complaints = tab.complaints

    assert too_long == "TOO_LARGE"
    assert longest < 2100
    assert made == 0
    assert hit == [None, None]
    assert complaints == []


GROUPS = """Promise.all(demonstration.panels.map(({ device }) => device.groups()))
  .then((all) => all.map((groups) => groups.filter((one) => one.title === "Trip to Lisbon").length))"""
"""How often each device has the demonstration's group."""


@needs_browser
async def test_everybody_can_use_it(shared_server: Demonstration, browser: Browser) -> None:
    async with demonstrating(shared_server, browser) as (tab, devices):
        await tab.wait(f"{GROUPS}.then((all) => all.every(Boolean))")  # whoever comes first makes it
        await _say_something(tab, devices)
        await tab.evaluate("document.getElementById('frames-on').click()")
        await devices.write(3, "waits")  # its plug is pulled
        await tab.wait(f"{panel(3)}.querySelector('.message[data-status=waiting]') !== null")
        barriers = {}
        for scheme in ("light", "dark"):
            await prefer(tab, scheme)
            barriers[scheme] = await find_barriers(tab)
        groups = await tab.evaluate(GROUPS)

    assert barriers == {"light": [], "dark": []}
    assert groups == [1, 1, 1, 1], "the group is made once, however many browsers open the page"


async def _say_something(tab: Tab, devices: Devices) -> None:
    await devices.write(0, "Hello")
    await devices.wait_shown("Hello")
    await devices.act(2, "Hello", "👍")
    await devices.write(2, "Answer")
    await devices.wait_shown("Answer")
    await tab.evaluate(f"{panel(3)}.querySelector('.switch').click()")
