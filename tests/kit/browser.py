"""A headless browser, where there is one, and a web server of a test's own, by whose pages it says what happens."""

import json
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

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
def browsing(url: str, profile: Path) -> Iterator[None]:
    """Has a browser show a page, until the test is done with it."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-port=0", url]
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
