"""One request and its answer, through the gateway: bounds, deadlines, connections that stay, and what ends them."""

import re
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
import trio
import trio.testing
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from trio.testing import MockClock

from bimip.http.problems import ProblemError, problem_response
from bimip.http.server import SLASH_IN_A_NAME, VISITOR
from tests.gateway.harness import HTTP, SETTINGS, World, open_port, open_world, opening, read_all

GET = b"GET /a%20b?c=d HTTP/1.1\r\nHost: h\r\n\r\n"


def post(body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    size = len(body) if length is None else length
    head = f"POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nContent-Length: {size}\r\n{more}\r\n"
    return head.encode() + body


WHOLE = post(b"x" * 2000)


async def answers(world: World, *parts: bytes, pause: float = 0) -> bytes:
    """All that comes back until the connection ends."""
    stream = world.dial()
    for part in parts:
        await stream.send_all(part)
        await trio.sleep(pause)
    return await read_all(stream)


async def test_who_showed_no_token_has_one_answer_for_each_connection(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        said = await answers(world, GET + GET)

    assert said.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in said.lower()
    assert said.endswith(b"Hello at /a b")
    assert b"date: Tue, 14 Nov 2023 22:13:20 GMT" in said


@pytest.mark.parametrize(
    ("path", "read"), [("/a%2Fb/c", "/a|b/c"), ("/a%252Fb", "/a%2Fb"), ("/%ff/b", "/\ufffd/b"), ("//", "//")]
)
async def test_a_slash_that_is_encoded_parts_no_names(path: str, read: str, autojump_clock: MockClock) -> None:
    async def tell_path(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(scope["path"].replace(SLASH_IN_A_NAME, "|"))(scope, receive, send)

    async with open_world(application=tell_path) as world:
        said = await answers(world, f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode())

    assert said.decode().endswith(f"\r\n\r\n{read}")


async def test_a_connection_stays_for_who_showed_one(autojump_clock: MockClock) -> None:
    async with open_world(http=replace(HTTP, keep_alive_seconds=10)) as world:
        began = trio.current_time()
        said = await answers(world, post(b"one") + post(b"two")[:20], post(b"two")[20:], post(b"three"), pause=9)
        waited = trio.current_time() - began

    assert said.count(b"HTTP/1.1 200") == 3
    assert b"onetwo" not in said
    assert said.endswith(b"three")
    assert waited == 27 + 1  # ten seconds after the last answer


async def test_a_websocket_may_open_where_requests_were_answered(autojump_clock: MockClock) -> None:
    """As a proxy does, which keeps connections and sends over them what comes."""
    async with open_world() as world:
        stream = world.dial()
        await stream.send_all(post(b"one") + opening())
        said = b""
        while b"101 Switching" not in said:
            said += bytes(await stream.receive_some(1000))
        await trio.testing.wait_all_tasks_blocked()

        assert said.startswith(b"HTTP/1.1 200")
        assert [claims.device for claims, _, _ in world.echo.attached] == ["phone"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (WHOLE, b"413"),
        (post(b"x" * 2000, length=2001), b"413"),
        (
            b"POST / HTTP/1.1\r\nHost: h\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"400",
        ),
        (post(b"x", length=2), b"408"),
    ],
)
async def test_a_body_has_bounds(request_: bytes, status: bytes, autojump_clock: MockClock) -> None:
    async with open_world(http=replace(HTTP, max_body_bytes=1024), application=with_problems) as world:
        said = await answers(world, request_)

    assert said.startswith(b"HTTP/1.1 " + status)
    assert b"application/problem+json" in said
    assert (b"connection: close" in said.lower()) == (request_ != WHOLE)


@pytest.mark.parametrize("before", [b"", post(b"one")], ids=["first", "kept"])
async def test_a_head_has_a_bound_on_a_kept_connection_too(before: bytes, autojump_clock: MockClock) -> None:
    def padded(size: int) -> bytes:
        return GET.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * size + b"\r\n\r\n")

    async with open_world(replace(SETTINGS, max_head_bytes=4096)) as world:
        said = [await answers(world, before, padded(size), pause=1) for size in (3000, 5000)]

    statuses = [re.findall(rb"HTTP/1.1 (\d+)", one)[-1] for one in said]
    assert statuses == [b"200", b"431"]


async def test_a_body_that_trickles_is_over_after_its_time(autojump_clock: MockClock) -> None:
    async with open_world(http=replace(HTTP, body_seconds=7), application=with_problems) as world:
        stream = world.dial()
        await stream.send_all(post(b"", length=100))

        async def trickle() -> None:
            for _ in range(100):
                await stream.send_all(b"x")
                await trio.sleep(1)

        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            said = bytes(await stream.receive_some(1000))
            nursery.cancel_scope.cancel()

        assert said.startswith(b"HTTP/1.1 408")
        assert trio.current_time() - began == 7


async def test_who_waits_to_be_told_to_go_on_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await stream.send_all(post(b"", length=3, more="Expect: 100-continue\r\n"))
        said = bytes(await stream.receive_some(1000))
        await stream.send_all(b"abc")
        rest = bytes(await stream.receive_some(1000))

    assert said.startswith(b"HTTP/1.1 100")
    assert rest.endswith(b"abc")


async def test_an_answer_to_head_has_no_body(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        said = await answers(world, GET.replace(b"GET", b"HEAD"))

    assert b"content-length: 13" in said
    assert said.endswith(b"\r\n\r\n")


async def test_who_does_not_read_is_cut_and_nobody_waits(autojump_clock: MockClock) -> None:
    async def endless(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await send({"type": "http.response.body", "body": b"x" * 1000, "more_body": True})

    async with open_world(http=replace(HTTP, send_seconds=5), application=endless) as world:
        stream = world.dial(lockstep=True)
        await stream.send_all(GET)
        began = trio.current_time()
        await stream.receive_some(10)
        await world.first_end.wait()

        assert trio.current_time() - began == 5


async def test_a_handler_that_fails_is_reported_and_answered(autojump_clock: MockClock) -> None:
    async def fails(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError("a defect")

    async with open_world(application=fails) as world:
        said = await answers(world, GET)

        assert said.startswith(b"HTTP/1.1 500")
        assert b'"code": "INTERNAL"' in said
        assert [str(error) for error in world.reported] == ["a defect"]


def waiting(release: trio.Event) -> ASGIApp:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        scope[VISITOR].admit_visitor()
        await release.wait()
        await PlainTextResponse("done")(scope, receive, send)

    return wait


async def test_what_is_being_answered_when_the_server_stops_is_answered(autojump_clock: MockClock) -> None:
    release = trio.Event()
    async with open_world(application=waiting(release)) as world:
        stream = world.dial()
        await stream.send_all(GET + GET)
        await trio.testing.wait_all_tasks_blocked()
        world.stop()
        await trio.sleep(1)
        release.set()
        said = await read_all(stream)

    assert said.count(b"HTTP/1.1 200") == 1
    assert b"connection: close" in said.lower()
    assert said.endswith(b"done")


@pytest.mark.parametrize("stops_first", [True, False])
async def test_what_ends_when_the_server_stops_ends_at_once(autojump_clock: MockClock, *, stops_first: bool) -> None:
    """Also where it has come so far only after that."""

    async def until_it_stops(scope: Scope, receive: Receive, send: Send) -> None:
        if stops_first:
            await trio.sleep(2)
        stopping = trio.Event()
        scope[VISITOR].when_stopping(stopping.set)
        await stopping.wait()
        await PlainTextResponse("it stops")(scope, receive, send)

    async with open_world(application=until_it_stops) as world:
        stream = world.dial()
        await stream.send_all(GET)
        await trio.sleep(1)
        world.stop()
        began = trio.current_time()
        said = await read_all(stream)

        assert said.endswith(b"it stops")
        assert trio.current_time() - began < 2


async def test_what_takes_longer_than_a_stop_may_is_cut(autojump_clock: MockClock) -> None:
    async with open_world(application=waiting(trio.Event())) as world:
        stream = world.dial()
        await stream.send_all(GET)
        await trio.testing.wait_all_tasks_blocked()
        world.stop()
        began = trio.current_time()

        assert await read_all(stream) == b""
        assert trio.current_time() - began == 5


async def test_one_that_waits_for_its_next_request_ends_at_once_when_the_server_stops(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        stream = world.dial()
        await stream.send_all(post(b"one"))
        assert bytes(await stream.receive_some(1000)).endswith(b"one")
        await trio.testing.wait_all_tasks_blocked()
        world.stop()
        began = trio.current_time()

        assert await read_all(stream) == b""
        assert trio.current_time() == began


async def test_a_peer_that_leaves_in_its_body_is_forgotten_at_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        stream = world.dial()
        await stream.send_all(post(b"x", length=10))
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
        await trio.testing.wait_all_tasks_blocked()

        assert (world.ended, world.reported) == (1, [])


async def dial(port: int, closing: AsyncExitStack) -> trio.SocketStream:
    """A real socket, which the test's end closes."""
    return await closing.enter_async_context(await trio.open_tcp_stream("127.0.0.1", port))


async def test_an_address_keeps_so_many_connections_and_one_more_is_told_when_to_come() -> None:
    settings = replace(SETTINGS, connections_per_address=2, uncounted_addresses=())
    async with open_world(settings) as world, open_port(world) as port, AsyncExitStack() as closing:
        kept = [await dial(port, closing) for _ in range(2)]
        for stream in kept:
            await stream.send_all(post(b"stays"))
            assert b"stays" in bytes(await stream.receive_some(1000))
        one_more = await dial(port, closing)
        await one_more.send_all(post(b"no"))
        refused = await read_all(one_more)
        await kept[0].aclose()
        while world.ended < 2:
            await trio.lowlevel.checkpoint()
        again = await dial(port, closing)
        await again.send_all(post(b"yes"))

        assert refused.startswith(b"HTTP/1.1 429")
        assert b"retry-after: 60" in refused.lower()
        assert b"yes" in bytes(await again.receive_some(1000))


async def forwarded(world: World, port: int, told: str, request: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request.replace(b"Host: ", f"X-Forwarded-For: {told}\r\nHost: ".encode(), 1))
        return bytes(await stream.receive_some(1000))


@pytest.mark.parametrize("request_", [GET, opening()], ids=["http", "websocket"])
async def test_peers_of_a_proxy_are_counted_each_by_their_own_address(request_: bytes) -> None:
    settings = replace(SETTINGS, proxies=("127.0.0.1/32",), max_connections_per_address=1, uncounted_addresses=())
    held = (opening() if request_ == GET else request_).replace(b"Host: ", b"X-Forwarded-For: 192.0.2.1\r\nHost: ", 1)
    async with open_world(settings) as world, open_port(world) as port, AsyncExitStack() as closing:
        holds = await dial(port, closing)
        await holds.send_all(held)
        assert b"101" in bytes(await holds.receive_some(1000))
        same = await forwarded(world, port, "192.0.2.1", request_)
        other = await forwarded(world, port, "192.0.2.2", request_)

        assert same.startswith(b"HTTP/1.1 429")
        assert other.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101"))
        assert world.told[0][2]["address"] == "192.0.2.1"


async def test_a_header_of_who_is_no_proxy_is_ignored() -> None:
    settings = replace(SETTINGS, max_connections_per_address=1, uncounted_addresses=())
    async with open_world(settings) as world, open_port(world) as port, AsyncExitStack() as closing:
        holds = await dial(port, closing)
        await holds.send_all(opening())
        assert b"101" in bytes(await holds.receive_some(1000))

        assert (await forwarded(world, port, "192.0.2.9", GET)).startswith(b"HTTP/1.1 429")


async def with_problems(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that reads the body and answers what is wrong with it."""
    scope[VISITOR].admit_visitor()
    try:
        while (await receive())["more_body"]:
            pass
        await PlainTextResponse("read")(scope, receive, send)
    except ProblemError as error:
        await problem_response(error)(scope, receive, send)
