"""The console over real loopback sockets, with a real tree."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import httpx
import pytest
import trio
import trio.testing
from hypercorn.trio.tcp_server import TCPServer

from bimip.console import Parts, make_application, make_console, open_loopback
from bimip.supervision import Child, ChildSpec, Supervisor, Tree, open_tree

TOKEN = "an operator's own token"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}


async def idle(child: Child) -> None:
    child.started()
    await trio.sleep_forever()


@asynccontextmanager
async def small_tree() -> AsyncIterator[Tree]:
    users = Supervisor([ChildSpec("alice@example.org", idle), ChildSpec("bob@example.org", idle)])
    async with open_tree(Supervisor([ChildSpec("journal", idle), ChildSpec("users", users)])) as tree:
        yield tree


def parts_of(tree: Tree | None) -> Parts:
    return Parts(tree=lambda: tree, readiness=list, operator_token=TOKEN, now=trio.current_time)


@asynccontextmanager
async def served(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    console = make_console(make_application(parts), partial(open_loopback, "127.0.0.1", 0))
    async with trio.open_nursery() as nursery:

        async def run(task_status: trio.TaskStatus[object]) -> None:
            await console(task_status.started)

        port = await nursery.start(run)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("path", ["/healthz", "/livez"])
async def test_a_live_process_is_healthy(path: str) -> None:
    async with served(parts_of(None)) as client:
        response = await client.get(path)

    assert (response.status_code, response.json()) == (200, {"healthy": True})


async def test_it_is_not_ready_while_the_tree_starts() -> None:
    async with served(parts_of(None)) as client:
        response = await client.get("/readyz")

    assert (response.status_code, response.json()) == (
        503,
        {"ready": False, "reasons": ["the server is starting"], "warnings": []},
    )


@pytest.mark.parametrize(("reasons", "status"), [([], 200), (["the journal cannot write: no space left"], 503)])
async def test_readiness_gives_its_reasons(reasons: list[str], status: int) -> None:
    async with (
        small_tree() as tree,
        served(replace(parts_of(tree), readiness=lambda: reasons)) as client,
    ):
        response = await client.get("/readyz")

    assert (response.status_code, response.json()) == (
        status,
        {"ready": not reasons, "reasons": reasons, "warnings": []},
    )


async def test_the_tree_is_shown_to_operators() -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        response = await client.get("/debug/tree", headers=OPERATOR)
    root = response.json()

    assert response.status_code == 200
    assert (root["path"], root["kind"], root["state"]) == ("bimip", "supervisor", "running")
    assert [child["path"] for child in root["children"]] == ["bimip/journal", "bimip/users"]
    assert root["children"][0]["waiting_at"].startswith("console/test_console.py:")
    assert root["children"][0]["last_crash"] is None


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        ({}, 401, "this is for operators"),
        ({"Authorization": "Basic YTpi"}, 401, "this is for operators"),
        ({"Authorization": "Bearer"}, 401, "this is for operators"),
        ({"Authorization": "Bearer wrong"}, 403, "this is not the operator's token"),
        ({"Authorization": f"Bearer {TOKEN}x"}, 403, "this is not the operator's token"),
        ({"Authorization": "Bearer \u00e4".encode()}, 403, "this is not the operator's token"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/debug/tree"), ("POST", "/debug/kill"), ("POST", "/debug/restart")]
)
async def test_nobody_else_gets_anything(
    headers: Mapping[str, str], status: int, error: str, method: str, path: str
) -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        response = await client.request(method, path, headers=headers, params={"path": "bimip/journal"})
        restarts = tree.snapshot("bimip/journal").restarts

    assert (response.status_code, response.json()["error"]) == (status, error)
    assert response.json()["hint"]
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert restarts == 0


async def test_without_an_operators_token_everybody_is_refused() -> None:
    async with small_tree() as tree, served(replace(parts_of(tree), operator_token="")) as client:
        response = await client.get("/debug/tree", headers={"Authorization": "Bearer"})

    assert response.status_code == 403
    assert response.json() == {
        "error": "there is no operator's token",
        "hint": "set console.operator_token_file and start again",
    }


async def test_a_killed_process_is_started_again_by_its_supervisor() -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        response = await client.post("/debug/kill", headers=OPERATOR, params={"path": "bimip/users/bob@example.org"})
        await trio.testing.wait_all_tasks_blocked()
        bob = tree.snapshot("bimip/users/bob@example.org")

    assert (response.status_code, response.json()) == (200, {"killed": "bimip/users/bob@example.org"})
    assert (bob.state.value, bob.restarts) == ("running", 1)
    assert bob.last_crash is not None


async def test_a_process_can_be_restarted_in_order() -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        response = await client.post("/debug/restart", headers=OPERATOR, params={"path": "bimip/users"})
        users = tree.snapshot("bimip/users")

    assert (response.status_code, response.json()) == (200, {"restarted": "bimip/users"})
    assert users.last_crash is None


@pytest.mark.parametrize("act", ["kill", "restart"])
async def test_a_path_that_is_not_there_is_answered_with_the_nearest_one(act: str) -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        response = await client.post(f"/debug/{act}", headers=OPERATOR, params={"path": "bimip/users/carol/phone"})

    assert response.status_code == 404
    assert response.json()["error"] == "no bimip/users/carol/phone: the nearest is bimip/users"


@pytest.mark.parametrize("act", ["kill", "restart"])
async def test_a_path_must_be_given(act: str) -> None:
    async with small_tree() as tree, served(parts_of(tree)) as client:
        response = await client.post(f"/debug/{act}", headers=OPERATOR)

    assert (response.status_code, response.json()["error"]) == (400, "path is missing")


@asynccontextmanager
async def inside_its_tree() -> AsyncIterator[tuple[httpx.AsyncClient, trio.Event]]:
    """The console as it stands in the server: a child of the tree that it shows; the event says that it came back."""
    again = trio.Event()
    trees: list[Tree] = []
    ports: list[int] = []
    parts = replace(parts_of(None), tree=lambda: trees[0] if trees else None)

    async def listen() -> list[trio.SocketListener]:
        return list(await open_loopback("127.0.0.1", ports[0] if ports else 0))

    console = make_console(make_application(parts), listen)

    async def start(child: Child) -> None:
        def started(port: object) -> None:
            assert isinstance(port, int)
            if ports:
                again.set()
            ports.append(port)
            child.started(port)

        await console(started)

    async with open_tree(Supervisor([ChildSpec("journal", idle), ChildSpec("console", start)])) as tree:
        trees.append(tree)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
            yield client, again


async def test_whoever_kills_the_console_through_itself_is_answered_first() -> None:
    async with inside_its_tree() as (client, again):
        response = await client.post("/debug/kill", headers=OPERATOR, params={"path": "bimip/console"})
        await again.wait()
        after = await client.get("/healthz")

    assert (response.status_code, response.json()) == (202, {"killed": "bimip/console"})
    assert after.status_code == 200


async def test_the_console_does_not_wait_for_its_own_end() -> None:
    async with inside_its_tree() as (client, _again):
        response = await client.post("/debug/restart", headers=OPERATOR, params={"path": "bimip/console"})
        root = await client.post("/debug/restart", headers=OPERATOR, params={"path": "bimip"})

    assert response.status_code == root.status_code == 409
    assert response.json()["hint"] == "kill it instead: its supervisor starts it again"


async def test_the_debug_endpoint_says_when_the_tree_is_not_up() -> None:
    async with served(parts_of(None)) as client:
        response = await client.get("/debug/tree", headers=OPERATOR)

    assert (response.status_code, response.json()["error"]) == (503, "the server is starting")


async def no_user(_eid: str, _device: str) -> Mapping[str, object] | None:
    return None


async def some_user(eid: str, device: str) -> Mapping[str, object] | None:
    return None if device == "watch" else {"eid": eid, "devices": {device: {}} if device else {}}


@pytest.mark.parametrize(
    ("user", "params", "status"),
    [
        (None, {"eid": "alice"}, 404),
        (no_user, {"eid": "alice"}, 404),
        (some_user, {"eid": "alice"}, 200),
        (some_user, {"eid": "alice", "device": "phone"}, 200),
        (some_user, {"eid": "alice", "device": "watch"}, 404),
        (some_user, {}, 400),
    ],
)
async def test_a_users_page_is_there_if_somebody_knows_users(
    user: Callable[[str, str], Awaitable[Mapping[str, object] | None]] | None, params: dict[str, str], status: int
) -> None:
    async with small_tree() as tree, served(replace(parts_of(tree), user=user)) as client:
        response = await client.get("/debug/user", headers=OPERATOR, params=params)

    assert response.status_code == status
    assert status != 200 or [*response.json()["devices"]] == [*filter(None, [params.get("device")])]


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"viewer": "bob", "owner": "ann"}, 200),
        ({"viewer": "bob", "owner": "nobody"}, 404),
        ({"viewer": "bob"}, 400),
        ({"owner": "ann"}, 400),
    ],
)
async def test_an_operator_asks_why_somebody_sees_somebody(params: dict[str, str], status: int) -> None:
    def sight(viewer: str, owner: str) -> dict[str, object] | None:
        return None if owner == "nobody" else {"viewer": viewer, "owner": owner}

    async with small_tree() as tree, served(replace(parts_of(tree), sight=sight)) as client:
        refused = await client.get("/debug/user/why", params=params)
        shown = await client.get("/debug/user/why", headers=OPERATOR, params=params)

    assert (refused.status_code, shown.status_code) == (401, status)
    assert status != 200 or shown.json() == params


@pytest.mark.parametrize(
    ("params", "status", "said"),
    [
        ({"id": "06AFVTVTG0000"}, 200, ["06AFVTVTG0000", "", ""]),
        ({"id": "m1", "eid": "ann", "device": "phone"}, 200, ["m1", "ann", "phone"]),
        ({"id": "gone"}, 404, "there is no message gone"),
        ({"id": "gone", "eid": "ann"}, 404, "there is no message gone of ann"),
        ({"id": "?"}, 400, "? names no message"),
        ({"eid": "ann"}, 400, "id is missing"),
    ],
)
async def test_an_operator_asks_what_became_of_a_message(params: dict[str, str], status: int, said: object) -> None:
    def explain(name: str, eid: str, device: str) -> Iterator[list[dict[str, object]]] | None:
        if name == "?":
            raise ValueError("this is no signal id")
        lines: list[dict[str, object]] = [{"kind": "message", "asked": [name, eid, device]}]
        return None if name == "gone" else iter([lines])

    async with small_tree() as tree, served(replace(parts_of(tree), explain_message=explain)) as client:
        refused = await client.get("/debug/message", params=params)
        shown = await client.get("/debug/message", headers=OPERATOR, params=params)
    first, *rest = [json.loads(line) for line in shown.text.splitlines()]

    assert (refused.status_code, shown.status_code) == (401, status)
    assert first.get("asked", first.get("error")) == said
    assert rest == ([{"kind": "end", "lines": 1}] if status == 200 else [])


@pytest.mark.parametrize(
    ("params", "status", "said"),
    [
        ({}, 200, ["", ""]),
        ({"after": "7/chat"}, 200, ["", "7/chat"]),
        ({"eid": "ann"}, 200, ["ann", ""]),
        ({"after": "?"}, 400, "'?' is no place of a page"),
        ({"eid": "nobody"}, 404, "there is no user nobody"),
    ],
)
async def test_an_operator_asks_who_holds_logs_back(params: dict[str, str], status: int, said: object) -> None:
    async def pins(eid: str, after: str) -> Mapping[str, object] | None:
        if after == "?":
            raise ValueError("'?' is no place of a page")
        return None if eid == "nobody" else {"asked": [eid, after]}

    async with small_tree() as tree, served(replace(parts_of(tree), pins=pins)) as client:
        refused = await client.get("/debug/user/pins", params=params)
        shown = await client.get("/debug/user/pins", headers=OPERATOR, params=params)

    assert (refused.status_code, shown.status_code) == (401, status)
    assert shown.json().get("asked", shown.json().get("error")) == said


@pytest.mark.parametrize(
    ("method", "params", "status", "said"),
    [
        ("GET", {"eid": "ann", "device": "phone"}, 200, "foreseen ann/phone"),
        ("POST", {"eid": "ann", "device": "phone"}, 200, "evicted ann/phone"),
        ("POST", {"eid": "ann", "device": "watch"}, 404, "there is no user ann with a device watch"),
        ("POST", {"eid": "full", "device": "phone"}, 503, "the disk is full"),
        ("GET", {"eid": "ann"}, 400, "device is missing"),
        ("POST", {"device": "phone"}, 400, "eid is missing"),
    ],
)
async def test_an_operator_evicts_a_device_or_looks_what_that_frees(
    method: str, params: dict[str, str], status: int, said: str
) -> None:
    async def foresee(eid: str, device: str) -> Mapping[str, object] | None:
        return {"done": f"foreseen {eid}/{device}"}

    async def evict(eid: str, device: str) -> Mapping[str, object] | None:
        if eid == "full":
            raise ValueError("the disk is full")
        return {"done": f"evicted {eid}/{device}"} if device == "phone" else None

    async with small_tree() as tree:
        parts = replace(parts_of(tree), foresee_eviction=foresee, evict_device=evict)
        async with served(parts) as client:
            refused = await client.request(method, "/debug/user/evict", params=params)
            shown = await client.request(method, "/debug/user/evict", headers=OPERATOR, params=params)

    assert (refused.status_code, shown.status_code) == (401, status)
    assert shown.json().get("done", shown.json().get("error")) == said


@pytest.mark.parametrize(
    ("params", "status", "said"),
    [
        ({}, 200, ["", ""]),
        ({"eid": "ann", "device": "phone"}, 200, ["ann", "phone"]),
        ({"eid": "nobody"}, 404, "there is no user nobody"),
        ({"eid": "nobody", "device": "phone"}, 404, "there is no user nobody with a device phone"),
        ({"device": "phone"}, 400, "eid is missing"),
    ],
)
async def test_an_operator_asks_why_devices_do_not_receive(params: dict[str, str], status: int, said: object) -> None:
    def diagnose(eid: str, device: str) -> dict[str, object] | None:
        return None if eid == "nobody" else {"findings": [eid, device]}

    async with small_tree() as tree, served(replace(parts_of(tree), diagnose=diagnose)) as client:
        refused = await client.get("/debug/doctor", params=params)
        shown = await client.get("/debug/doctor", headers=OPERATOR, params=params)

    assert (refused.status_code, shown.status_code) == (401, status)
    assert shown.json().get("findings", shown.json().get("error")) == said


async def test_an_operator_sees_what_lost() -> None:
    async with small_tree() as tree, served(replace(parts_of(tree), conflicts=lambda: {"conflicts": []})) as client:
        refused = await client.get("/debug/conflicts")
        shown = await client.get("/debug/conflicts", headers=OPERATOR)

    assert (refused.status_code, shown.json()) == (401, {"conflicts": []})


async def test_an_operator_sees_the_clock_and_takes_it_over() -> None:
    accepted: list[bool] = []

    async def accept() -> bool:
        accepted.append(True)
        return True

    async with small_tree() as tree:
        parts = replace(parts_of(tree), clock=lambda: {"time": len(accepted)}, accept_clock=accept)
        async with served(parts) as client:
            refused = await client.post("/debug/clock/accept")
            before = await client.get("/debug/clock", headers=OPERATOR)
            looked = await client.get("/debug/clock/accept", headers=OPERATOR)
            after = await client.post("/debug/clock/accept", headers=OPERATOR)

    assert (refused.status_code, looked.status_code) == (401, 405)
    assert before.json() == {"time": 0}
    assert after.json() == {"time": 1, "noted": True}
    assert accepted == [True]


async def test_a_clock_that_cannot_be_right_is_not_taken_over() -> None:
    async def refuse() -> bool:
        raise ValueError("the machine's clock shows a time before 2023")

    async with small_tree() as tree, served(replace(parts_of(tree), accept_clock=refuse)) as client:
        response = await client.post("/debug/clock/accept", headers=OPERATOR)

    assert (response.status_code, response.json()["error"]) == (409, "the machine's clock shows a time before 2023")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8471", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8471"])
async def test_names_of_this_machine_are_answered(host: str) -> None:
    async with served(parts_of(None)) as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host", ["", "evil.example", "evil.example:8471", "127.0.0.1.evil.example", "localhost:evil", "::1", "[::1"]
)
async def test_other_names_are_refused_so_that_no_web_page_reaches_the_console(host: str) -> None:
    async with served(parts_of(None)) as client:
        response = await client.get("/healthz", headers={"Host": host})

    assert (response.status_code, response.json()["error"]) == (403, "this Host is not a name of the console")


async def test_browsers_are_given_no_leave_to_read_answers() -> None:
    async with served(parts_of(None)) as client:
        response = await client.get("/healthz", headers={"Origin": "https://evil.example"})
        asked = await client.options("/healthz", headers={"Origin": "https://evil.example"})

    assert not [name for name in response.headers if name.startswith("access-control")]
    assert asked.status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/", 404), ("POST", "/healthz", 405), ("GET", "/debug/kill", 405)]
)
async def test_errors_are_json_too(method: str, path: str, status: int) -> None:
    async with served(parts_of(None)) as client:
        response = await client.request(method, path)

    assert response.status_code == status
    assert set(response.json()) == {"error", "hint"}
    assert response.headers["cache-control"] == "no-store"


async def test_a_handler_that_crashes_answers_500_and_the_console_goes_on() -> None:
    def crash() -> list[str]:
        raise ZeroDivisionError("a secret")

    async with small_tree() as tree, served(replace(parts_of(tree), readiness=crash)) as client:
        failed = await client.get("/readyz")
        after = await client.get("/healthz")

    assert (failed.status_code, failed.json()["error"]) == (500, "the console failed to answer")
    assert "secret" not in failed.text
    assert after.status_code == 200


@pytest.mark.parametrize(
    "odd",
    [
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 10_000,
        b"GET /healthz HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 200,
        b"POST /debug/kill HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nless",
        b"POST /debug/kill HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ),
        (
            b"GET / HTTP/1.1\r\nHost: evil\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
            b"HTTP2-Settings: !!!!\r\n\r\n"
        ),
    ],
    ids=[
        "zeros",
        "endless headers",
        "version",
        "http2 garbage",
        "cut body",
        "bad chunk",
        "websocket",
        "rebound",
        "h2c",
    ],
)
async def test_odd_peers_end_their_own_connection_only(odd: bytes) -> None:
    async with served(parts_of(None)) as client:
        stream = await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0)
        async with stream:
            await stream.send_all(odd)
            with trio.move_on_after(0.2):
                await stream.receive_some()
        response = await client.get("/healthz")

    assert response.status_code == 200


async def test_a_peer_that_does_not_read_does_not_keep_the_console_from_stopping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bimip.console.server.SEND_SECONDS", 0.1)
    stopped = trio.Event()
    in_time = False

    async def large(_eid: str, _device: str) -> Mapping[str, object]:
        return {"devices": "x" * 50_000_000}

    async def let_go(stream: trio.SocketStream) -> None:
        """In the end, so that a console that does wait fails the test and does not hang it."""
        nonlocal in_time
        with trio.move_on_after(3):
            await stopped.wait()
            in_time = True
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        async with small_tree() as tree, served(replace(parts_of(tree), user=large)) as client:
            stream = await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0)
            await stream.send_all(
                f"GET /debug/user?eid=a HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
            )
            await stream.receive_some(1)
            await trio.testing.wait_all_tasks_blocked(0.05)
            nursery.start_soon(let_go, stream)
        stopped.set()

    assert in_time


async def test_a_connection_whose_task_fails_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    run = TCPServer.run
    failures = [RuntimeError("a fault of the library")]

    async def fail_once(connection: TCPServer) -> None:
        if failures:
            raise failures.pop()
        await run(connection)

    monkeypatch.setattr(TCPServer, "run", fail_once)
    async with served(parts_of(None)) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/healthz")
        response = await client.get("/healthz")

    assert response.status_code == 200


async def test_a_port_that_is_taken_is_named() -> None:
    first = await open_loopback("127.0.0.1", 0)
    port = first[0].socket.getsockname()[1]
    with pytest.raises(OSError, match=rf"the console cannot listen on 127\.0\.0\.1:{port}: .*; set console\.port"):
        await open_loopback("127.0.0.1", port)
    await first[0].aclose()


def test_the_token_does_not_show_itself() -> None:
    assert TOKEN not in repr(parts_of(None))
    assert json.dumps(TOKEN) not in repr(parts_of(None))


async def some_metrics(accept: str) -> tuple[bytes, str]:
    return f"# asked for {accept}\n".encode(), "text/plain; version=0.0.4; charset=utf-8"


SCRAPER = "a scraper's own token"


@pytest.mark.parametrize("token", [TOKEN, SCRAPER])
async def test_metrics_are_for_the_operator_and_the_scraper(token: str) -> None:
    async with served(replace(parts_of(None), metrics=some_metrics, metrics_token=SCRAPER)) as client:
        response = await client.get("/metrics", headers={"Authorization": f"Bearer {token}", "Accept": "text/plain"})

    assert (response.status_code, response.text) == (200, "# asked for text/plain\n")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("given", "status"), [({}, 401), ({"Authorization": "Bearer wrong"}, 403)])
async def test_metrics_are_for_nobody_else(given: Mapping[str, str], status: int) -> None:
    async with served(replace(parts_of(None), metrics=some_metrics, metrics_token=SCRAPER)) as client:
        response = await client.get("/metrics", headers=given)

    assert response.status_code == status


async def test_without_any_token_metrics_are_closed() -> None:
    async with served(replace(parts_of(None), metrics=some_metrics, operator_token="")) as client:
        response = await client.get("/metrics", headers={"Authorization": "Bearer x"})

    assert response.status_code == 403


async def test_the_scrapers_token_opens_metrics_alone() -> None:
    async with (
        small_tree() as tree,
        served(replace(parts_of(tree), metrics=some_metrics, metrics_token=SCRAPER)) as client,
    ):
        headers = {"Authorization": f"Bearer {SCRAPER}"}
        found = [await client.get("/debug/tree", headers=headers)]
        found.append(await client.post("/debug/kill", headers=headers, params={"path": "bimip/journal"}))

    assert [response.status_code for response in found] == [403, 403]


async def test_what_an_operator_should_know_is_said_of_a_server_that_is_ready() -> None:
    async with small_tree() as tree, served(replace(parts_of(tree), warnings=lambda: ["a disk failed"])) as client:
        response = await client.get("/readyz")

    assert (response.status_code, response.json()["warnings"]) == (200, ["a disk failed"])


async def test_an_operator_drains_a_server_and_takes_it_back() -> None:
    asked: list[float | None] = []

    def drain(seconds: float | None) -> Mapping[str, object]:
        asked.append(seconds)
        return {"state": "draining"}

    async with small_tree() as tree:
        parts = replace(
            parts_of(tree),
            draining=lambda: {"state": "drained"},
            drain=drain,
            cancel_drain=lambda: {"state": "serving"},
        )
        async with served(parts) as client:
            refused = await client.post("/debug/drain")
            begun = [
                await client.post(f"/debug/drain{query}", headers=OPERATOR)
                for query in ("", "?seconds=0", "?seconds=2.5")
            ]
            state = await client.get("/debug/drain", headers=OPERATOR)
            cancelled = await client.post("/debug/drain/cancel", headers=OPERATOR)

    assert refused.status_code == 401
    assert [(one.status_code, one.json()) for one in begun] == [(202, {"state": "draining"})] * 3
    assert asked == [None, 0, 2.5]
    assert (state.json(), cancelled.json()) == ({"state": "drained"}, {"state": "serving"})


@pytest.mark.parametrize("seconds", ["-1", "soon", "nan", "inf", "3601"])
async def test_a_drain_takes_a_number_of_seconds(seconds: str) -> None:
    def drain(_seconds: float | None) -> Mapping[str, object]:
        raise AssertionError("nothing was to begin")

    async with small_tree() as tree, served(replace(parts_of(tree), drain=drain)) as client:
        response = await client.post("/debug/drain", params={"seconds": seconds}, headers=OPERATOR)

    assert (response.status_code, response.json()["error"]) == (400, "seconds is a number from 0 to 3600")


class Trail:
    def __init__(self) -> None:
        self.acts: list[tuple[str, str, str, str]] = []
        self.refused: list[tuple[str, str]] = []

    def note(self, action: str, *, who: str, source: str, target: str, outcome: str) -> None:
        assert source == "127.0.0.1"
        self.acts.append((action, who, target, outcome))

    def refuse(self, source: str, path: str) -> None:
        self.refused.append((source, path))


def recorded_parts(tree: Tree, trail: Trail) -> Parts:
    async def accept() -> bool:
        raise ValueError("the clock is wrong")

    async def erase(eid: str) -> Mapping[str, object] | None:
        return {"user": 7} if eid == "ann" else None

    async def create(eid: str) -> Mapping[str, object] | None:
        if eid == "full":
            raise ValueError("the disk is full")
        return {"eid": eid, "user": 7, "created": True} if eid == "ann" else None

    async def bar(eid: str) -> bool:
        if eid == "full":
            raise ValueError("the disk is full")
        return eid == "ann"

    async def evict(eid: str, device: str) -> Mapping[str, object] | None:
        return {"eid": eid, "device": device}

    return replace(
        parts_of(tree),
        audit=trail.note,
        evict_device=evict,
        token_refused=trail.refuse,
        accept_clock=accept,
        create_user=create,
        erase_user=erase,
        disable_user=bar,
        enable_user=bar,
        revoke_tokens=lambda eid, _device: bar(eid),
        kick=lambda eid, device: [device] if eid == "ann" else None,
        export_user=lambda _eid: iter([[{"kind": "user"}]]),
        drain=lambda _seconds: {},
        cancel_drain=dict,
    )


@pytest.mark.parametrize(
    ("method", "path", "act"),
    [
        ("POST", "/debug/kill?path=bimip/journal", ("kill", "bimip/journal", "200")),
        ("POST", "/debug/restart?path=bimip/journal", ("restart", "bimip/journal", "200")),
        ("POST", "/debug/kill?path=bimip/x", ("kill", "bimip/x", "404 no bimip/x: the nearest is bimip")),
        ("POST", "/debug/user/create?eid=ann", ("create", "ann", "201")),
        ("POST", "/debug/user/create?eid=bob", ("create", "bob", "400 bob is no eid")),
        ("POST", "/debug/user/create?eid=full", ("create", "full", "503 the disk is full")),
        ("POST", "/debug/user/erase?eid=ann", ("erase", "ann", "202")),
        ("POST", "/debug/user/erase?eid=bob", ("erase", "bob", "404 there is no user bob")),
        ("POST", "/debug/user/disable?eid=ann", ("disable", "ann", "200")),
        ("POST", "/debug/user/enable?eid=bob", ("enable", "bob", "404 there is no user bob")),
        ("POST", "/debug/user/revoke?eid=ann&device=phone", ("revoke tokens", "ann/phone", "200")),
        ("POST", "/debug/user/revoke?eid=full", ("revoke tokens", "full", "503 the disk is full")),
        ("POST", "/debug/user/kick?eid=ann&device=phone", ("kick", "ann/phone", "200")),
        ("POST", "/debug/user/kick?eid=bob", ("kick", "bob", "404 there is no user bob")),
        ("POST", "/debug/user/evict?eid=ann&device=phone", ("evict", "ann/phone", "200")),
        ("GET", "/debug/user/export?eid=ann", ("export", "ann", "200")),
        ("POST", "/debug/clock/accept", ("accept clock", "", "409 the clock is wrong")),
        ("POST", "/debug/drain?seconds=30", ("drain", "30 s", "202")),
        ("POST", "/debug/drain/cancel", ("cancel drain", "", "200")),
    ],
)
async def test_what_an_operator_does_is_recorded_with_how_it_was_answered(
    method: str, path: str, act: tuple[str, str, str]
) -> None:
    trail = Trail()
    async with small_tree() as tree, served(recorded_parts(tree, trail)) as client:
        await client.request(method, path, headers=OPERATOR | {"X-Operator": "ada"})

    action, target, outcome = act
    assert trail.acts == [(action, "operator ada", target, outcome)]


async def test_looking_is_no_act() -> None:
    trail = Trail()
    async with small_tree() as tree, served(recorded_parts(tree, trail)) as client:
        await client.get("/debug/tree", headers=OPERATOR)

    assert trail.acts == []


async def test_a_token_that_is_not_the_operators_is_told_and_acts_nothing() -> None:
    trail = Trail()
    async with small_tree() as tree, served(recorded_parts(tree, trail)) as client:
        await client.post("/debug/kill?path=bimip/journal", headers={"Authorization": "Bearer guessed"})
        await client.post("/debug/kill?path=bimip/journal")

    assert trail.refused == [("127.0.0.1", "/debug/kill")]
    assert trail.acts == []


def listed(after: str, limit: int) -> Mapping[str, object]:
    return {"users": [{"eid": f"behind {after}"}], "next": f"{limit}"}


@pytest.mark.parametrize(
    ("query", "status", "found"),
    [
        ("", 200, ("behind ", "100")),
        ("?after=ann&limit=2", 200, ("behind ann", "2")),
        ("?limit=0", 400, None),
        ("?limit=1001", 400, None),
        ("?limit=x", 400, None),
    ],
)
async def test_users_are_listed_some_at_a_time(query: str, status: int, found: tuple[str, str] | None) -> None:
    async with small_tree() as tree, served(replace(parts_of(tree), users=listed)) as client:
        response = await client.get(f"/debug/users{query}", headers=OPERATOR)

    assert response.status_code == status
    if found:
        assert (response.json()["users"][0]["eid"], response.json()["next"]) == found
