"""The page: its files and its policy, and all of it in a browser, before a real server."""

import re
from importlib.resources import files
from pathlib import Path

from bimip.console.page import ASSETS, DOCUMENT
from tests.chaos.process_driver import OPERATOR, Phone, served
from tests.console.test_console import parts_of
from tests.console.test_console import served as console_served
from tests.console.test_login import with_page
from tests.kit.browser import Tab, needs_browser, showing

FILES = {name: (files("bimip.console") / "assets" / name).read_text("utf-8") for name in (DOCUMENT, *ASSETS)}


def test_every_file_is_served() -> None:
    assert set(FILES) == {one.name for one in (files("bimip.console") / "assets").iterdir()}


def test_the_page_asks_for_nothing_from_elsewhere() -> None:
    """And makes no markup of what it is told."""
    whole = "\n".join(FILES.values()).replace("http://www.w3.org/2000/svg", "")

    assert not re.findall(r"https?://|//[a-z]+\.", whole)
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", whole)
    assert not re.findall(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", FILES[DOCUMENT])


async def test_the_policy_stands_on_every_file() -> None:
    async with console_served(with_page(parts_of(None))) as client:
        found = [await client.get(path) for path in ("/", *(f"/page/{name}" for name in ASSETS))]

    assert {response.status_code for response in found} == {200}
    for response in found:
        policy = response.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in response.headers
    assert {response.headers["content-type"].partition(";")[0] for response in found} == {
        "text/html",
        "text/css",
        "text/javascript",
        "image/svg+xml",
    }


def row(path: str) -> str:
    return f"document.querySelector('[data-path=\"{path}\"]')"


async def log_in(tab: Tab) -> None:
    await tab.wait("document.getElementById('login')?.hidden === false")
    for one, text in (("token", OPERATOR), ("name", "ada")):
        await tab.evaluate(f"document.getElementById('{one}').focus()")
        await tab.type(text)
    await tab.press("Enter")
    await tab.wait(f"{row('bimip/journal')} !== null")


@needs_browser
async def test_an_operator_sees_a_kill_and_the_restart_as_they_happen(tmp_path: Path) -> None:
    with served(tmp_path) as server, Phone.connect(server.port, "ann@example.org"):
        async with showing(f"http://127.0.0.1:{server.console}/", tmp_path / "profile") as tab:
            await log_in(tab)
            cookie = await tab.evaluate("document.cookie")
            folded = await tab.evaluate(f"{row('bimip/users')}.ariaExpanded")
            for key in ("Home", "ArrowDown", "u", "ArrowRight"):
                await tab.press(key)
            await tab.wait(f"{row('bimip/users/ann@example.org')} !== null")
            await tab.evaluate(f"{row('bimip/users/ann@example.org')}.click()")
            await tab.evaluate("document.querySelector('[data-act=follow]').click()")
            await tab.wait(f"{row('bimip')} === null && {row('bimip/users/ann@example.org/phone/reader')} !== null")
            may_kill = await tab.evaluate("!document.querySelector('[data-act=kill]').disabled")
            await tab.evaluate("document.getElementById('follows').click()")
            await tab.wait(f"{row('bimip/journal')} !== null && document.activeElement.role === 'treeitem'")
            for key in ("Home", "j", "Enter"):
                await tab.press(key)
            await tab.wait("document.querySelector('#details .path').textContent === 'bimip/journal'")
            await tab.evaluate("document.querySelector('[data-act=kill]').click()")
            await tab.wait("document.getElementById('confirm').open")
            await tab.evaluate("document.querySelector('#confirm [value=no]').click()")
            refrained = await tab.evaluate("!document.getElementById('confirm').open")
            quiet = await tab.evaluate("document.querySelector('.events .none') !== null")
            await tab.evaluate("document.querySelector('[data-act=kill]').click()")
            await tab.evaluate("document.getElementById('yes').click()")
            await tab.wait("document.querySelector('.events .restarted') !== null")
            await tab.wait(f"{row('bimip/journal')}.classList.contains('restarted')")
            events = await tab.evaluate("[...document.querySelectorAll('.events li b')].map((one) => one.textContent)")
            seen = await tab.evaluate(f"{row('bimip/journal')}.innerText.split('\\n').map((one) => one.trim())")
            said = await tab.evaluate("document.getElementById('said').textContent")
            await tab.evaluate("document.getElementById('leave').click()")
            await tab.wait("document.getElementById('login')?.hidden === false")
            await tab.evaluate("window.isLeft = true")
            await tab.call("Page.reload")
            await tab.wait("!window.isLeft && document.getElementById('login')?.hidden === false")
        trail = (tmp_path / "store.audit.log").read_text()

    assert (cookie, folded, may_kill, refrained, quiet) == ("", "false", True, True, True)
    assert events == ["restarted", "killed"]
    assert {"running", "1", "killed"} <= set(seen)
    assert "bimip/journal killed" in said
    assert [act in trail for act in ('"log in"', '"kill"', '"log out"', '"operator ada"')] == [True] * 4
    assert tab.complaints == []


@needs_browser
async def test_an_operator_asks_about_a_user_a_device_and_a_message(tmp_path: Path) -> None:
    hostile = "<img src=x onerror=document.title=1>"
    with served(tmp_path) as server, Phone.connect(server.port, "ann@example.org", hostile) as phone:
        phone.write("ann@example.org", b"to myself", "m1")
        async with showing(f"http://127.0.0.1:{server.console}/", tmp_path / "profile") as tab:
            await log_in(tab)
            await tab.evaluate("document.getElementById('asks').click()")
            for key in ("Home", "u", "ArrowRight"):
                await tab.evaluate("document.querySelector('[role=treeitem]').focus()") if key == "Home" else None
                await tab.press(key)
            await tab.wait(f"{row('bimip/users/ann@example.org')} !== null")
            await tab.evaluate(f"{row('bimip/users/ann@example.org')}.click()")
            await tab.evaluate("document.querySelector('[data-act=ask]').click()")
            answer = "document.getElementById('answer')"
            await tab.wait(f"{answer}.innerText.includes('device {hostile}')")
            titles = await tab.evaluate("[document.title, document.querySelectorAll('#answer img').length]")
            await ask(tab, 1)
            await tab.wait(f"{answer}.innerText.includes('committed')")
            device = await tab.evaluate(f"{answer}.innerText")
            await ask(tab, 2, id="m1", eid="ann@example.org")
            await tab.wait(f"{answer}.innerText.includes('recipient')")
            message = await tab.evaluate(f"{answer}.innerText")
            await ask(tab, 3, viewer="nobody", owner="ann@example.org")
            await tab.wait(f"{answer}.innerText.includes('there is no user nobody')")
            await tab.evaluate("document.getElementById('leave').click()")
            await tab.wait("document.getElementById('login')?.hidden === false")
            left = await tab.evaluate(f"{answer}.textContent + document.querySelector('#questions input').value")

    assert titles == ["BIMIP: processes", 0]
    assert hostile in device
    assert "ann@example.org" in message
    assert left == ""
    assert [one for one in tab.complaints if "404" not in one] == []  # the browser's own word for nobody's answer


async def ask(tab: Tab, question: int, **fields: str) -> None:
    """Chooses a question, fills its fields in, and asks."""
    await tab.evaluate(
        f"(() => {{ const one = document.getElementById('question'); one.value = '{question}';"
        " one.dispatchEvent(new Event('change')); })()"
    )
    for name, text in fields.items():
        await tab.evaluate(f"document.querySelector('#questions [name={name}]').value = '{text}'")
    await tab.evaluate("document.getElementById('questions').requestSubmit()")
