"""What the demonstration's page is given: to this machine's own pages alone, and with a bound on what may be killed."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import trio
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from bimip.http.server import VISITOR
from bimip.supervision import Child, ChildSpec, ReportHistory, Supervisor, Tree, open_tree
from bimip.web import Demonstration, PageDevice, demonstration_routes
from bimip.web.demonstration import HEADER

SHOWN = Demonstration([PageDevice("alice@example.org", "page-phone", "t0ken")], 17, "kill -9 17", "scripts/run")
OWN = {HEADER: "1"}


class Visitor:
    """Whoever asks."""

    def __init__(self, address: str | None = "127.0.0.1") -> None:
        self.address = address
        self.is_admitted = False

    def admit_visitor(self) -> None:
        self.is_admitted = True


def asked_by(visitor: Visitor, application: ASGIApp) -> ASGIApp:
    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await application({**scope, VISITOR: visitor}, receive, send)

    return answer


def client(visitor: Visitor, tree: Tree | None, history: ReportHistory | None = None) -> httpx.AsyncClient:
    after = history.after if history is not None else lambda _number: ()
    routes = demonstration_routes(SHOWN, tree=lambda: tree, now=trio.current_time, history=after)
    application = asked_by(visitor, Starlette(routes=[*routes]))
    return httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="http://localhost:8470")


async def stay(child: Child) -> None:
    child.started()
    await trio.sleep_forever()


@asynccontextmanager
async def small_tree(intensity: int = 10) -> AsyncIterator[Tree]:
    top = Supervisor([ChildSpec("journal", stay), ChildSpec("gateway", stay)], intensity=intensity, period=60.0)
    async with open_tree(top, name="bimip", now=trio.current_time) as tree:
        yield tree


async def test_its_own_page_is_given_tokens_that_nothing_keeps() -> None:
    visitor = Visitor()
    async with client(visitor, None) as page:
        found = await page.post("/demonstration/devices", headers=OWN | {"origin": "http://localhost:8470"})

    assert found.json() == {
        "devices": [{"eid": "alice@example.org", "device": "page-phone", "token": "t0ken"}],
        "pid": 17,
        "kill": "kill -9 17",
        "again": "scripts/run",
    }
    assert found.headers["cache-control"] == "no-store"
    assert visitor.is_admitted
    assert "t0ken" not in repr(SHOWN)


@pytest.mark.parametrize(
    ("address", "headers"),
    [
        ("192.0.2.7", OWN),
        ("127.0.0.1", {}),
        ("127.0.0.1", OWN | {"host": "evil.example"}),
        ("127.0.0.1", OWN | {"origin": "http://localhost:9000"}),
        ("127.0.0.1", OWN | {"sec-fetch-site": "cross-site"}),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "devices"), ("POST", "kill?path=bimip/journal"), ("GET", "tree/stream")]
)
async def test_others_are_given_nothing(address: str, headers: dict[str, str], method: str, path: str) -> None:
    visitor = Visitor(address)
    async with small_tree() as tree, client(visitor, tree) as page:
        found = await page.request(method, f"/demonstration/{path}", headers=headers)
        restarts = tree.snapshot("bimip/journal").restarts

    assert (found.status_code, restarts, visitor.is_admitted) == (403, 0, False)
    assert "t0ken" not in found.text
    assert found.json()["hint"]


async def test_a_process_is_killed_and_its_supervisor_starts_it_again() -> None:
    async with small_tree() as tree, client(Visitor(), tree) as page:
        found = await page.post("/demonstration/kill?path=bimip/journal", headers=OWN)
        await trio.testing.wait_all_tasks_blocked()
        journal = tree.snapshot("bimip/journal")

    assert (found.status_code, found.json()) == (202, {"killed": "bimip/journal"})
    assert (journal.restarts, journal.state.value) == (1, "running")


@pytest.mark.parametrize(("path", "status"), [("bimip", 409), ("bimip/nobody", 404), ("", 404)])
async def test_what_cannot_be_killed_is_said(path: str, status: int) -> None:
    async with small_tree() as tree, client(Visitor(), tree) as page:
        found = await page.post(f"/demonstration/kill?path={path}", headers=OWN)

    assert found.status_code == status
    assert found.json()["hint"]


async def test_no_visitor_ends_the_server_by_killing_too_much() -> None:
    answers = []
    async with small_tree(intensity=4) as tree, client(Visitor(), tree) as page:
        for _ in range(8):
            answers.append((await page.post("/demonstration/kill?path=bimip/journal", headers=OWN)).status_code)
            await trio.testing.wait_all_tasks_blocked()
        journal = tree.snapshot("bimip/journal")

    assert answers == [202, 202, 202, 409, 409, 409, 409, 409]
    assert journal.state.value == "running"


async def test_before_the_tree_is_there_the_page_is_told_to_come_again() -> None:
    async with client(Visitor(), None) as page:
        looked = await page.get("/demonstration/tree/stream", headers=OWN)
        killed = await page.post("/demonstration/kill?path=bimip/x", headers=OWN)

    assert (looked.status_code, killed.status_code) == (503, 503)


async def test_the_tree_is_told_as_it_is() -> None:
    lines: list[Any] = []
    visitor = Visitor()
    async with small_tree() as tree:
        routes = demonstration_routes(SHOWN, tree=lambda: tree, now=trio.current_time, history=lambda _number: ())
        application = asked_by(visitor, Starlette(routes=[*routes]))
        told = trio.Event()

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body" and message["body"]:
                lines.append(json.loads(message["body"]))
                told.set()

        async def receive() -> Any:
            await told.wait()
            return {"type": "http.disconnect"}

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/demonstration/tree/stream",
            "query_string": b"",
            "root_path": "",
            "headers": [(HEADER.encode(), b"1"), (b"host", b"localhost")],
            "http_version": "1.1",
        }
        with trio.fail_after(20):
            await application(scope, receive, send)

    assert [row["path"] for row in lines[0]["rows"]] == ["bimip", "bimip/journal", "bimip/gateway"]
