import json
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import trio
from starlette.datastructures import QueryParams
from trio.testing import MockClock

from bimip.console.answers import AnswerError
from bimip.console.watching import (
    HEARTBEAT_SECONDS,
    LOOK_SECONDS,
    MOST_OPENED,
    MOST_STREAMS,
    REST,
    Picture,
    View,
    Watching,
    view_of,
)
from bimip.supervision import (
    Child,
    ChildSpec,
    Crash,
    DynamicSupervisor,
    Happening,
    NoSuchProcess,
    Opened,
    ReportHistory,
    Restart,
    Snapshot,
    State,
    Supervisor,
    open_tree,
)
from tests.console.test_console import OPERATOR, TOKEN, parts_of, served, small_tree
from tests.console.test_login import console
from tests.console.test_tree import node

WHOLE = View(None, Opened())


def test_a_page_is_told_all_and_then_what_is_different() -> None:
    picture = Picture()
    first = node(children=(node(path="bimip/a", id="a"), node(path="bimip/b", id="b")))
    crash = Crash("KeyError", "'x'", "Traceback", when=5.0)
    restarted = node(path="bimip/a", id="a", restarts=1, since=9.0, last_crash=crash)

    whole = picture.changes(first)
    assert [row["path"] for row in whole["rows"]] == ["bimip", "bimip/a", "bimip/b"]
    assert [row["parent"] for row in whole["rows"]] == ["", "bimip", "bimip"]
    assert picture.changes(first) == {}
    assert picture.changes(replace(first, children=(restarted,))) == {
        "rows": [
            {
                "path": "bimip/a",
                "restarts": 1,
                "since": 9.0,
                "last_crash": {"type": "KeyError", "message": "'x'", "when": 5.0, "traceback": "Traceback"},
            }
        ],
        "gone": ["bimip/b"],
    }
    assert picture.changes(None) == {"gone": ["bimip", "bimip/a"], "absent": True}
    assert picture.changes(None) == {}
    assert picture.changes(node())["absent"] is False


def test_a_clock_that_moves_a_little_is_no_difference() -> None:
    picture = Picture()
    picture.changes(node(since=100.0))

    assert picture.changes(node(since=100.4)) == {}
    assert picture.changes(node(since=99.7)) == {}
    assert picture.changes(node(since=100.6)) == {"rows": [{"path": "bimip", "since": 100.6}]}


def test_numbers_that_json_has_not_come_as_text() -> None:
    [row] = Picture().changes(node(details={"left": math.inf}))["rows"]

    assert row["details"] == {"left": "inf"}


def test_what_a_page_looks_at_is_in_its_query() -> None:
    asked = QueryParams([("at", "bimip/users"), ("open", "a"), ("open", "b"), ("find", "ANN")])

    assert view_of(asked) == View("bimip/users", Opened(frozenset("ab"), "ann"))
    assert view_of(QueryParams()) == View(None, Opened(frozenset(), ""))


@pytest.mark.parametrize("asked", [[("open", str(number)) for number in range(MOST_OPENED + 1)], [("find", "x" * 101)]])
def test_a_page_looks_at_so_much_at_most(asked: list[tuple[str, str]]) -> None:
    with pytest.raises(AnswerError) as raised:
        view_of(QueryParams(asked))

    assert raised.value.status == 400


class Peer:
    """An ASGI peer of a stream: notes when it is sent what, and leaves when it is told to."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, Any]] = []
        self.ended = False
        self.left = trio.Event()

    async def run(self, response: Callable[..., Awaitable[None]], method: str = "GET") -> None:
        await response({"type": "http", "method": method}, self.receive, self.send)

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.body":
            if message["body"]:
                self.lines.append((trio.current_time(), json.loads(message["body"])))
            self.ended = not message.get("more_body", False)


def quiet(_after: int) -> list[Happening]:
    return []


async def test_a_quiet_tree_says_that_it_is_there(autojump_clock: MockClock) -> None:
    peer, watching = Peer(), Watching(quiet, trio.current_time)
    begun = trio.current_time()
    with trio.move_on_after(2.5 * HEARTBEAT_SECONDS):
        await peer.run(watching.answer(lambda *_, **__: node(), WHOLE, lambda: True))

    assert [round(at - begun) for at, _ in peer.lines] == [0, HEARTBEAT_SECONDS, 2 * HEARTBEAT_SECONDS]
    assert [set(line) for _, line in peer.lines] == [{"now", "rows"}, {"now"}, {"now"}]
    assert watching.pages == 0


async def test_who_is_not_there_is_awaited(autojump_clock: MockClock) -> None:
    begun = trio.current_time()

    def look(path: str | None = None, **_: Any) -> Snapshot:
        if trio.current_time() < begun + 3:
            raise NoSuchProcess(str(path))
        return node(path="bimip/users/ann")

    peer, watching = Peer(), Watching(quiet, trio.current_time)
    with trio.move_on_after(5):
        await peer.run(watching.answer(look, View("bimip/users/ann", Opened()), lambda: True))

    assert [line["absent"] for _, line in peer.lines] == [True, False]
    assert [row["path"] for row in peer.lines[-1][1]["rows"]] == ["bimip/users/ann"]


async def test_a_look_rests_in_proportion_to_what_it_costs_and_to_all_who_look(autojump_clock: MockClock) -> None:
    looks: list[float] = []

    def look(*_: Any, **__: Any) -> Snapshot:
        looks.append(trio.current_time())
        autojump_clock.jump(0.5)
        return node(restarts=len(looks))

    watching = Watching(quiet, trio.current_time)
    watching.pages = 1  # another one looks too
    with trio.move_on_after(0.5 + 2 * REST * 0.5 + LOOK_SECONDS):
        await Peer().run(watching.answer(look, WHOLE, lambda: True))

    assert [later - before for before, later in pairwise(looks)] == [0.5 + 2 * REST * 0.5]


async def test_a_session_that_is_over_ends_its_stream(autojump_clock: MockClock) -> None:
    begun = trio.current_time()
    peer, watching = Peer(), Watching(quiet, trio.current_time)
    await peer.run(watching.answer(lambda *_, **__: node(), WHOLE, lambda: trio.current_time() < begun + 3))

    assert peer.ended
    assert trio.current_time() - begun == 3


async def test_whoever_leaves_is_gone(autojump_clock: MockClock) -> None:
    peer, watching = Peer(), Watching(quiet, trio.current_time)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run, watching.answer(lambda *_, **__: node(), WHOLE, lambda: True))
        await trio.sleep(2.5)
        assert watching.pages == 1
        peer.left.set()

    assert watching.pages == 0


async def test_so_many_pages_look_at_once(autojump_clock: MockClock) -> None:
    watching = Watching(quiet, trio.current_time)
    async with trio.open_nursery() as nursery:
        for _ in range(MOST_STREAMS):
            nursery.start_soon(Peer().run, watching.answer(lambda *_, **__: node(), WHOLE, lambda: True))
            await trio.sleep(0.01)
        with pytest.raises(AnswerError) as raised:
            watching.answer(lambda *_, **__: node(), WHOLE, lambda: True)
        nursery.cancel_scope.cancel()

    assert raised.value.status == 503
    assert watching.pages == 0


async def test_a_head_is_answered_without_a_stream(autojump_clock: MockClock) -> None:
    peer, watching = Peer(), Watching(quiet, trio.current_time)
    await peer.run(watching.answer(lambda *_, **__: node(), WHOLE, lambda: True), "HEAD")

    assert (peer.ended, peer.lines, watching.pages) == (True, [], 0)


async def test_a_kill_is_seen_with_the_restart_and_in_the_history(autojump_clock: MockClock) -> None:
    async def idle(child: Child) -> None:
        child.started()
        await trio.sleep_forever()

    history = ReportHistory(trio.current_time)
    users = ChildSpec("users", DynamicSupervisor())
    async with open_tree(Supervisor([ChildSpec("journal", idle), users]), report=history.note) as tree:
        for name in ("ann", "bob"):
            await tree.children("bimip/users").start_child(ChildSpec(name, idle, Restart.TEMPORARY))
        peer, watching = Peer(), Watching(history.after, trio.current_time)
        async with trio.open_nursery() as nursery:
            view = View(None, Opened({"bimip/users"}, "ann"))
            nursery.start_soon(peer.run, watching.answer(tree.snapshot, view, lambda: True))
            await trio.sleep(0.5)
            await tree.kill("bimip/journal")
            await trio.sleep(1)
            nursery.cancel_scope.cancel()
    (_, first), (_, then) = peer.lines
    [journal] = [row for row in then["rows"] if row["path"] == "bimip/journal"]

    assert [row["path"] for row in first["rows"]] == ["bimip", "bimip/journal", "bimip/users", "bimip/users/ann"]
    assert [row["child_count"] for row in first["rows"]] == [2, 0, 2, 0]
    assert first["rows"][1]["state"] == State.RUNNING.value
    assert (journal["restarts"], journal["last_crash"]["type"]) == (1, "killed")
    assert [(one["what"], one["path"]) for one in then["events"]] == [
        ("killed", "bimip/journal"),
        ("restarted", "bimip/journal"),
    ]


async def test_the_stream_comes_by_http_for_the_token() -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        refused = await client.get("/debug/tree/stream?find=" + "x" * 101, headers=OPERATOR)
        async with await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0) as stream:
            await stream.send_all(
                f"GET /debug/tree/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
            )
            heard = b""
            while b"}\n" not in heard:
                heard += await stream.receive_some()
    [line] = [line for line in heard.splitlines() if line.startswith(b"{")]

    assert refused.status_code == 400
    assert b"content-type: application/x-ndjson\r\n" in heard
    assert len(json.loads(line)["rows"]) == 5


async def test_the_stream_of_who_logs_out_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bimip.console.watching.LOOK_SECONDS", 0.01)
    async with console() as opened:
        secret = await opened.log_in()
        async with opened.client.stream("GET", "/debug/tree/stream") as response:
            await opened.client.post("/logout", headers={"X-CSRF-Token": secret})
            lines = [line async for line in response.aiter_lines()]

    assert lines
