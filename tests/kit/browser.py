"""A headless browser, where there is one, and a web server of a test's own, by whose pages it says what happens."""

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KEY_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowUp": 38, "ArrowDown": 40}
"""Of the keys that a browser itself does something at."""
SECONDS = 60
POLL_SECONDS = 5
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="there is no browser here: install chromium")


class Site:
    """Serves pages from an origin of its own, to which they tell what happens, and which tells them what to do."""

    def __init__(self, pages: Mapping[str, str]) -> None:
        """`pages`: texts by path."""
        self.told: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._orders: queue.Queue[dict[str, Any]] = queue.Queue()
        self._server = _Server(("127.0.0.1", 0), type("Answering", (_Pages,), {"site": self}))
        self._pages = dict(pages)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def page(self, path: str) -> str | None:
        return self._pages.get(path)

    def take(self, line: dict[str, Any]) -> None:
        """A page says that something happened."""
        with self._changed:
            self.told.append(line)
            self._changed.notify_all()

    def order(self) -> dict[str, Any]:
        """What a page is to do next; nothing where there is nothing for a while."""
        try:
            return self._orders.get(timeout=POLL_SECONDS)
        except queue.Empty:
            return {}

    def say(self, **order: Any) -> None:
        self._orders.put(order)

    def all(self, name: str, **like: Any) -> list[Any]:
        """What was told under this name, in its order, by lines that say also this."""
        with self._changed:
            return [one[name] for one in self.told if name in one and like.items() <= one.items()]

    def wait(self, is_so: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(is_so, SECONDS), self.told[-10:]

    def wait_for(self, name: str, count: int = 1, **like: Any) -> Any:
        self.wait(lambda: len(self.all(name, **like)) >= count)
        return self.all(name, **like)[count - 1]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that left while it waited for what to do."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Pages(BaseHTTPRequestHandler):
    """Answers the browser: pages, and the lines between them and the test."""

    site: Site

    def do_GET(self) -> None:
        page = json.dumps(self.site.order()) if self.path == "/order" else self.site.page(self.path)
        media_type = "text/javascript" if self.path.endswith(".mjs") else "text/html"
        self._answer(200 if page is not None else 404, page or "", media_type)

    def do_POST(self) -> None:
        self.site.take(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self._answer(200, "", "text/plain")

    def _answer(self, status: int, text: str, media_type: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("content-type", f"{media_type}; charset=utf-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_given: object) -> None:
        """Says nothing."""


@contextmanager
def site(pages: Mapping[str, str]) -> Iterator[Site]:
    opened = Site(pages)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def browsing(url: str, profile: Path, *more: str) -> Iterator[None]:
    """Has a browser show a page, until the test is done with it."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, *more, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()  # it ends its own processes, which a kill would leave
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class NotNowError(Exception):
    """A page that is being left, or is not there yet, was asked."""


class Tab:
    """A page in a browser, which a test drives by the DevTools protocol: as it is served, with no line of a test."""

    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self._count = 0
        self.complaints: list[str] = []
        """What the page threw, and what its policy forbade."""

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        await self._socket.send_message(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            told = json.loads(await self._socket.get_message())
            if told.get("id") == self._count:
                if "error" in told:
                    raise NotNowError(told["error"])
                found = told["result"]
                assert isinstance(found, dict)
                return found
            self._note(told)

    def _note(self, told: dict[str, Any]) -> None:
        if "method" not in told:
            return  # the answer to what nobody waits for any more
        if told["method"] == "Runtime.exceptionThrown":
            details = told["params"]["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description", details["text"]))
        elif told["method"] == "Log.entryAdded" and told["params"]["entry"]["source"] != "network":
            self.complaints.append(told["params"]["entry"]["text"])

    async def evaluate(self, script: str) -> Any:
        """The value of an expression in the page."""
        found = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def wait(self, script: str) -> None:
        """Until an expression is true: of a page that is not there yet it is not."""

        async def look() -> Any:
            try:
                return await self.evaluate(f"(() => {{ try {{ return {script} }} catch {{ return false }} }})()")
            except NotNowError:
                return False

        try:
            await _until(look)
        except trio.TooSlowError:
            seen = await self.evaluate("globalThis.document?.body?.innerText")
            raise AssertionError(f"never: {script}\n{self.complaints}\n{seen}") from None

    async def crash(self) -> None:
        """Has the page's process die, which leaves it no time for anything; `Page.reload` makes another one."""
        await self.call("Inspector.enable")
        await self._socket.send_message(json.dumps({"id": 0, "method": "Page.crash"}))
        with trio.fail_after(SECONDS):
            while json.loads(await self._socket.get_message()).get("method") != "Inspector.targetCrashed":
                pass

    async def press(self, key: str) -> None:
        given = {"key": key, "windowsVirtualKeyCode": KEY_CODES.get(key, 0), "text": "\r" if key == "Enter" else ""}
        for what in ("keyDown", "keyUp"):
            await self.call("Input.dispatchKeyEvent", type=what, **given)

    async def type(self, text: str) -> None:
        await self.call("Input.insertText", text=text)

    async def picture(self) -> bytes:
        """A PNG of what is seen."""
        return b64decode((await self.call("Page.captureScreenshot", format="png"))["data"])


async def _until(look: Callable[[], Awaitable[Any]]) -> Any:
    """Looks into another process until something is found there."""
    with trio.fail_after(SECONDS):
        while not (found := await look()):  # noqa: ASYNC110 - nothing tells it but asking
            await trio.sleep(0.02)
    return found


class Browser(NamedTuple):
    """A browser that tests share, by what it is reached."""

    port: int
    path: str

    @asynccontextmanager
    async def showing(self, url: str, *, width: int = 1280, height: int = 800) -> AsyncIterator[Tab]:
        """Shows a page for a test to drive, to which no other test's has left anything: no database, no login."""
        async with self.fresh() as profile, profile.showing(url, width=width, height=height) as tab:
            yield tab

    @asynccontextmanager
    async def fresh(self, *allowed: str) -> AsyncIterator["Profile"]:
        """Begins as a browser of its own does. `allowed`: what pages may do, as `Browser.grantPermissions` has it."""
        async with _driving(f"ws://127.0.0.1:{self.port}{self.path}") as whole:
            context = (await whole.call("Target.createBrowserContext", disposeOnDetach=True))["browserContextId"]
            await whole.call("Browser.grantPermissions", browserContextId=context, permissions=allowed)
            yield Profile(self.port, whole, context)


class Profile(NamedTuple):
    """What pages share, until the test is done with it: databases, logins, a service worker."""

    port: int
    whole: Tab
    context: str

    @asynccontextmanager
    async def showing(self, url: str, *, width: int = 1280, height: int = 800) -> AsyncIterator[Tab]:
        """Shows a page, and closes it."""
        place = {"browserContextId": self.context, "newWindow": True, "width": width, "height": height}
        target = (await self.whole.call("Target.createTarget", url="about:blank", **place))["targetId"]
        async with self._driving(target) as tab:
            for domain in ("Runtime", "Log", "Page"):
                await tab.call(f"{domain}.enable")
            await tab.call("Emulation.setFocusEmulationEnabled", enabled=True)  # as if it were the only one
            await tab.call("Page.navigate", url=url)
            yield tab
        await self.whole.call("Target.closeTarget", targetId=target)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Tab]:
        """Drives the service worker of the pages."""

        async def find() -> Any:
            for one in (await self.whole.call("Target.getTargets"))["targetInfos"]:
                if one["type"] == "service_worker" and one["browserContextId"] == self.context:
                    return one["targetId"]
            return None

        async with self._driving(await _until(find)) as worker:
            yield worker

    def _driving(self, target: str) -> AbstractAsyncContextManager[Tab]:
        return _driving(f"ws://127.0.0.1:{self.port}/devtools/page/{target}")


@contextmanager
def sharing(profile: Path) -> Iterator[Browser]:
    """Starts a browser for several tests, one after the other: that takes longer than many of them."""
    told = profile / "DevToolsActivePort"
    with browsing("about:blank", profile):
        deadline = time.monotonic() + SECONDS
        while not (told.exists() and len(lines := told.read_text().split("\n")) > 1):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Browser(int(lines[0]), lines[1])


@asynccontextmanager
async def _driving(url: str) -> AsyncIterator[Tab]:
    async with open_websocket_url(url, max_message_size=1 << 26) as socket:
        yield Tab(socket)


@asynccontextmanager
async def showing(url: str, profile: Path, *, size: str = "1280,800") -> AsyncIterator[Tab]:
    """Has a browser of its own show a page, for a test to drive; another one with this profile has what it left."""
    (profile / "DevToolsActivePort").unlink(missing_ok=True)  # an earlier browser's, of the same profile
    with browsing(url, profile, f"--window-size={size}"):
        told = trio.Path(profile / "DevToolsActivePort")

        async def port() -> int:
            return int((await told.read_text()).split("\n")[0] or 0) if await told.exists() else 0

        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{await _until(port)}", trust_env=False) as tools:

            async def page() -> Any:
                pages = [one for one in (await tools.get("/json")).json() if one["type"] == "page"]
                return pages[0]["webSocketDebuggerUrl"] if pages else None

            found = await _until(page)
        async with _driving(found) as tab:
            for domain in ("Runtime", "Log", "Page"):
                await tab.call(f"{domain}.enable")
            yield tab
