"""The dialogs of the messenger, by the keyboard alone, on a screen as narrow as a phone's: groups as an owner, an admin
and a member, and contacts.
"""

import json
from pathlib import Path

from tests.browser.kit import ALICE, BOB, Demonstration, find_barriers
from tests.browser.test_messenger_page import log_in
from tests.kit.browser import Browser, Tab, needs_browser

CAROL, DAVE = "carol@example.org", "dave@example.org"
NARROW = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
AT = "(document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent)"
"""What is said of where the keys are."""
MEMBERS = "[...document.querySelectorAll('dialog .people li')].map((one) => one.querySelector('.quiet').textContent)"
OFFERED = (
    "[...document.querySelectorAll('dialog .dialog-body :is(button, select)')]"
    ".map((one) => one.getAttribute('aria-label') ?? one.textContent)"
)
TITLE = "document.querySelector('dialog:last-of-type h2')?.textContent"
PEOPLE = (
    "[...document.querySelectorAll('dialog h3')].flatMap((title) =>"
    " [...title.nextElementSibling.querySelectorAll('b')].map((one) => [title.textContent, one.textContent]))"
)
KEYS = 60


async def go(tab: Tab, words: str) -> None:
    """Goes to a control by the key that leads to the next one. Raises AssertionError where none leads there."""
    passed: list[str] = []
    while (now := await tab.evaluate(AT)) != words:
        assert len(passed) < KEYS, (words, passed)
        passed.append(now)
        await tab.press("Tab")


async def choose(tab: Tab, words: str) -> None:
    await tab.wait(
        f"{AT} === {json.dumps(words)} || ![...document.querySelectorAll('dialog')].some((one) => !one.open)"
    )
    await go(tab, words)
    await tab.press("Enter")


async def choose_from_menu(tab: Tab, opens: str, words: str) -> None:
    await choose(tab, opens)
    await tab.wait("document.querySelector('.menu')?.contains(document.activeElement)")
    for _ in range(KEYS):
        if await tab.evaluate(AT) == words:
            break
        await tab.press("ArrowDown")
    await tab.press("Enter")


async def fill(tab: Tab, title: str, *texts: str) -> None:
    """Fills in the fields of a dialog, from the one that has the focus on."""
    await tab.wait(f"{TITLE} === {json.dumps(title)}")
    for number, text in enumerate(texts):
        if number:
            await tab.press("Tab")
        await tab.type(text)
    await tab.press("Enter")
    await tab.wait(f"{TITLE} !== {json.dumps(title)}")


async def wait_is(tab: Tab, what: str, expected: object) -> None:
    await tab.wait(
        f"JSON.stringify({what}) === {json.dumps(json.dumps(expected, separators=(',', ':'), ensure_ascii=False))}"
    )


def who(**roles: str) -> list[str]:
    return [f"{name}@example.org · {role}" for name, role in roles.items()]


@needs_browser
async def test_groups_are_made_and_changed_by_who_may(tmp_path: Path, browser: Browser) -> None:
    with Demonstration(tmp_path) as server:
        address = f"{server.origin}/chat"
        async with browser.showing(address) as alice, browser.showing(address) as bob:
            for tab, user in ((alice, "Alice"), (bob, "Bob")):
                await log_in(tab, user)
                await tab.call("Emulation.setDeviceMetricsOverride", **NARROW)

            await choose(alice, "New conversation")
            await fill(alice, "New conversation", f"{BOB}, {CAROL}", "Trip")
            await alice.wait("document.querySelector('.pane h2')?.textContent === 'Trip'")
            await choose_from_menu(alice, "This conversation", "Members")
            await wait_is(alice, MEMBERS, who(alice="owner", bob="member", carol="member"))
            await choose(alice, "Add somebody")
            await fill(alice, "Add to the group", DAVE)
            await wait_is(alice, MEMBERS, who(alice="owner", bob="member", carol="member", dave="member"))
            await alice.wait(f"{AT} === 'Add somebody'")
            await choose(alice, "Rename")
            await fill(alice, "Rename the group", "Trip to Porto")
            await alice.wait("document.querySelector('dialog b').textContent === 'Trip to Porto'")
            await choose(alice, f"Remove {DAVE}")
            await wait_is(alice, MEMBERS, who(alice="owner", bob="member", carol="member"))
            await go(alice, f"Role of {BOB}")
            await alice.press("ArrowUp")
            await wait_is(alice, MEMBERS, who(alice="owner", bob="admin", carol="member"))

            # What one may not do is told, and the keys stay where they are.
            await go(alice, f"Role of {ALICE}")
            await alice.press("ArrowDown")
            await alice.wait("document.querySelector('dialog .refused').textContent.includes('no other owner')")
            await wait_is(alice, MEMBERS, who(alice="owner", bob="admin", carol="member"))
            await alice.wait(f"{AT} === 'Role of {ALICE}'")
            barriers = await find_barriers(alice)
            wide = await alice.evaluate("document.querySelector('dialog').scrollWidth")

            # Or it is not offered.
            await bob.evaluate("document.querySelector('.rows').focus()")
            await bob.press("Enter")
            await bob.wait("document.querySelector('.pane h2')?.textContent === 'Trip to Porto'")
            await choose_from_menu(bob, "This conversation", "Members")
            await wait_is(bob, OFFERED, ["Rename", "Add somebody", "Leave", f"Remove {CAROL}"])
            await go(alice, f"Role of {BOB}")
            await alice.press("ArrowDown")
            await wait_is(bob, OFFERED, ["Leave"])
            await choose(bob, "Leave")
            await bob.wait(f"{TITLE} === 'Leave Trip to Porto?'")
            await choose(bob, "Leave")
            await bob.wait("document.querySelector('.pane .bar p').textContent === 'You are not in this group'")
            await bob.wait("document.querySelector('.pane .composer').hidden && !document.querySelector('dialog')")
            await choose(bob, "This conversation")
            await bob.wait("document.querySelector('.menu') !== null")
            offered = await bob.evaluate("[...document.querySelectorAll('.menu button')].map((one) => one.textContent)")
            await wait_is(alice, MEMBERS, who(alice="owner", carol="member"))
            await alice.press("Escape")
            await alice.wait(f"{AT} === 'This conversation' && !document.querySelector('dialog')")
            toasts = await bob.evaluate("document.getElementById('toasts').textContent")
            complaints = alice.complaints + bob.complaints

    assert barriers == []
    assert toasts == "", "nobody is told that what they did not mean was refused"
    assert wide <= NARROW["width"]
    assert "Members" not in offered
    assert complaints == []


@needs_browser
async def test_contacts_are_asked_for_named_blocked_and_removed(tmp_path: Path, browser: Browser) -> None:
    with Demonstration(tmp_path) as server:
        address = f"{server.origin}/chat"
        async with browser.showing(address) as alice, browser.showing(address) as bob:
            for tab, user in ((alice, "Alice"), (bob, "Bob")):
                await log_in(tab, user)
                await tab.call("Emulation.setDeviceMetricsOverride", **NARROW)
                await choose(tab, "People")
            await choose(bob, "Add somebody")
            await fill(bob, "Add somebody", ALICE)
            await wait_is(bob, PEOPLE, [["You asked", "Alice"]])
            await wait_is(alice, PEOPLE, [["Wish to see you", "Bob"]])
            await choose(alice, f"Accept {BOB}")
            await wait_is(alice, PEOPLE, [["Contacts", "Bob"]])
            await wait_is(bob, PEOPLE, [["Contacts", "Alice"]])
            await choose(alice, f"Rename {BOB}")
            await fill(alice, f"What do you call {BOB}?", "Bobby")
            await wait_is(alice, PEOPLE, [["Contacts", "Bobby"]])
            await alice.wait(f"{AT} === 'Rename {BOB}'")
            barriers = await find_barriers(alice)
            await choose(alice, f"Block {BOB}")
            await wait_is(alice, PEOPLE, [["Blocked", "Bobby"]])
            await choose(alice, f"Unblock {BOB}")
            await wait_is(alice, PEOPLE, [["Contacts", "Bobby"]])
            await choose(alice, f"Remove {BOB}")
            await wait_is(alice, PEOPLE, [])
            await wait_is(bob, PEOPLE, [])

            # What is refused is told in the dialog that asks, which stays.
            await choose(alice, "Add somebody")
            await alice.wait(f"{TITLE} === 'Add somebody'")
            await alice.type(ALICE)
            await alice.press("Enter")
            await alice.wait("document.querySelector('dialog:last-of-type .refused').textContent !== ''")
            for closed in range(2):
                await alice.press("Escape")
                await alice.wait(f"document.querySelectorAll('dialog').length === {1 - closed}")
            await alice.wait(f"{AT} === 'People'")
            complaints = alice.complaints + bob.complaints

    assert barriers == []
    assert complaints == []
