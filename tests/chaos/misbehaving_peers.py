"""Peers that bring the server into situations which devices that behave do not: refused openings, a token in Hello,
JSON, texts that mean nothing, a device twice at once, one that does not read, back ends by HTTP, an operator at the
console and at its page.

Each is one visit, by hand and in bytes. Whatever becomes of it, it ends by itself; what must hold is said of others.
"""

import json
import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from random import Random

import trio

from bimip.client.wire import bimip as pb
from bimip.testing.virtual import token
from tests.chaos.virtual import DAY_SECONDS, VirtualWorld
from tests.gateway.harness import frame, opening
from tests.kit.codecs import SDK

TEXT, BINARY, CLOSE = 1, 2, 8
EID = "odd"
OPERATOR = "an operator's token"
VISIT_SECONDS = 15
BATCH = 130
"""Messages: more than are taken at once, and with more values."""
GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class Knocker:
    """Knocks at the doors of a world; whatever was opened is closed at the end of the visit."""

    def __init__(self, world: VirtualWorld, opened: AsyncExitStack) -> None:
        self._world = world
        self._opened = opened

    async def at_gate(self, *, by_memory: bool = False, buffer_bytes: int = 0) -> trio.abc.Stream:
        gate = self._world.gate
        stream = gate.connect() if by_memory else gate.connect_by_socket(buffer_bytes=buffer_bytes)
        return await self._opened.enter_async_context(stream)

    async def at_desk(self) -> trio.abc.Stream:
        return await self._opened.enter_async_context(self._world.desk.connect_by_socket())


def _shown(device: str) -> str:
    return token(EID, device, seconds=DAY_SECONDS, jti=f"{EID}/{device}")


def _hello(**fields: object) -> bytes:
    return SDK.encode(hello=pb.Hello(partitions=[pb.Position(partition="chat", offset=0)], **fields))  # type: ignore[arg-type]


async def _upgraded(stream: trio.abc.Stream, **changes: str | None) -> bool:
    await stream.send_all(opening(**changes))
    head = b""
    while b"\r\n\r\n" not in head:
        some = bytes(await stream.receive_some(1))
        if not some:
            return False
        head += some
    return b" 101 " in head


async def _drain(stream: trio.abc.Stream, seconds: float) -> bytes:
    """Returns what came until then."""
    heard = b""
    with trio.move_on_after(seconds):
        while some := await stream.receive_some(1 << 16):
            heard += some
    return heard


async def refused_opening(knock: Knocker, random: Random) -> None:
    """As a WebSocket, or as nothing that there is."""
    stream = await knock.at_gate()
    if random.random() < 0.5:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await _drain(stream, 1)
    else:
        await _upgraded(stream, shown=_shown("far"), Origin="https://evil.example")


async def slow_opening(knock: Knocker, _random: Random) -> None:
    stream = await knock.at_gate(by_memory=True)
    for byte in opening(shown=_shown("slow"))[:40]:
        await stream.send_all(bytes([byte]))
        await trio.sleep(0.01)


async def token_in_hello(knock: Knocker, random: Random) -> None:
    stream = await knock.at_gate()
    if await _upgraded(stream, Authorization=None):
        await trio.sleep(random.choice([0, 0.01]))
        await stream.send_all(frame(BINARY, _hello(token=_shown("browser"))))
        await _drain(stream, 0.3)
        await stream.send_all(frame(CLOSE, b"\x03\xe8"))
        await _drain(stream, 1)


async def no_hello(knock: Knocker, _random: Random) -> None:
    stream = await knock.at_gate(by_memory=True)
    if await _upgraded(stream, Authorization=None):
        await _drain(stream, 8)


async def json_without_sense(knock: Knocker, random: Random) -> None:
    stream = await knock.at_gate(by_memory=random.random() < 0.5)
    if await _upgraded(stream, shown=_shown("json"), Sec_WebSocket_Protocol="bimip.v1.json"):
        for _ in range(3):
            await stream.send_all(frame(TEXT, b"{") * 2)
            await trio.sleep(0.01)
        await stream.send_all(frame(TEXT, b'{"route": 13, "hello": {"partitions": [{"partition": "chat"}]}}'))
        await _drain(stream, 0.2)


async def breaks_the_protocol(knock: Knocker, _random: Random) -> None:
    stream = await knock.at_gate()
    if await _upgraded(stream, shown=_shown("broken")):
        await stream.send_all(frame(BINARY, _hello()))
        await trio.sleep(0.05)
        await stream.send_all(frame(BINARY, b"x", mask=False) + bytes(100))
        await _drain(stream, 1)


async def twice_at_once(knock: Knocker, random: Random) -> None:
    """A device that connects again and again, before its older connection is gone."""
    streams = []
    for _ in range(3):
        stream = await knock.at_gate()
        streams.append(stream)
        if await _upgraded(stream, shown=_shown("twice")):
            await stream.send_all(frame(BINARY, _hello()))
        await trio.sleep(random.choice([0, 0.005, 0.05]))


async def leaves_and_returns(knock: Knocker, _random: Random) -> None:
    """The last device of a user: its session ends, and there it is again."""
    for _ in range(4):
        stream = await knock.at_gate(by_memory=True)
        if await _upgraded(stream, shown=_shown("hasty")):
            await stream.send_all(frame(BINARY, _hello()))
            await trio.sleep(0.003)
        await stream.aclose()


async def does_not_read(knock: Knocker, random: Random) -> None:
    """Asks for more than its socket takes, and for more than may be unanswered; then leaves, or reads after all."""
    stream = await knock.at_gate(by_memory=random.random() < 0.2, buffer_bytes=2048)
    if await _upgraded(stream, shown=_shown("lazy")):
        await stream.send_all(frame(BINARY, _hello()))
        ping = encode_ping()
        for _ in range(random.choice([2, 8])):
            await stream.send_all(frame(BINARY, ping) * 40)
            await trio.sleep(0.01)
        big = pb.Message(to=pb.Identity(eid=EID), type=1, payload=bytes(30_000))
        for number in range(4):
            big.id = f"big {trio.current_time()} {number}"
            await stream.send_all(frame(BINARY, SDK.encode(message=big)))
        other = await knock.at_gate()
        if await _upgraded(other, shown=_shown("writer")):
            await other.send_all(frame(BINARY, _hello()))
            for number in range(6):
                big.id = f"large {trio.current_time()} {number}"
                await other.send_all(frame(BINARY, SDK.encode(message=big)))
                await _drain(other, 0.01)
        await trio.sleep(random.choice([0.1, 1.0]))
        ending = random.random()
        if ending < 0.4:
            await _drain(stream, 0.5)
        elif ending < 0.7:
            await stream.send_all(frame(CLOSE, b"\x03\xe8"))
            await _drain(stream, 1)


def encode_ping() -> bytes:
    ping = pb.PingPong(kind=pb.PingPongKind.PING, id="p" * 60)
    return SDK.encode(ping_pong=ping)


async def crowd(knock: Knocker, random: Random) -> None:
    """More than may be unknown at once."""
    for _ in range(24):
        await knock.at_gate()
    await trio.sleep(random.choice([0.01, 0.1]))


def _request(method: str, path: str, *, shown: str, body: object = None, more: str = "") -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    length = "" if "chunked" in more else f"Content-Length: {len(content)}\r\n"
    head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {shown}\r\n{more}{length}\r\n"
    return head.encode() + content


async def back_end(knock: Knocker, random: Random) -> None:
    """Asks for this and that on one connection; some of it in parts, and not always till the end."""
    stream = await knock.at_gate(by_memory=random.random() < 0.3)
    shown, other = _shown("backend"), _shown("other backend")
    message = {"to": {"eid": EID}, "type": 1, "text": "from a back end"}
    some = [{**message, "id": f"rest {trio.current_time()} {number}"} for number in range(BATCH)]
    asked = [
        _request("GET", "/openapi.json", shown=shown),
        _request("POST", "/messages", shown=shown, body=some[0]),
        _request("POST", "/messages/batch", shown=shown, body={"messages": some}),
        _request("GET", f"/messages/conversation/{EID}/backfill", shown=shown),
        _request("GET", "/messages?limit=100", shown=shown),
        _request("GET", "/inbox?cursor=AAAA", shown=shown),
        _request("GET", "/contacts", shown=shown),
        _request("PATCH", "/settings", shown=shown, body={"exceptions": _exceptions()}),
        _request("GET", "/settings", shown=shown),
        _request("GET", "/devices", shown=shown),
        _request("GET", "/state", shown=shown),
        _request("GET", "/snapshot", shown=shown),
        _request("PATCH", "/devices/backend", shown=shown, body={"label": "a back end"}),
        _request("DELETE", "/devices/other%20backend", shown=shown),
        _request("DELETE", "/devices/other%20backend", shown=other),
        _request("POST", "/token/refresh", shown=shown, body={"token": _shown("backend")}),
        _request("POST", "/token/revoke", shown=shown, body={"token": token(EID, "lost", jti="lost")}),
        _request("GET", "/export", shown=shown),
        _request("POST", "/messages", shown=shown, body=[]),
        _request("GET", "/nothing", shown=shown),
    ]
    for one in random.sample(asked, 8):
        await stream.send_all(one)
        if random.random() < 0.5:
            await _drain(stream, random.choice([0.01, 0.2]))
    if random.random() < 0.7:
        expecting = _request(
            "POST", "/messages", shown=shown, more="Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n"
        )
        await stream.send_all(expecting)
        await _drain(stream, 0.1)
        content = json.dumps(message).encode()
        for byte in (b"%x\r\n" % len(content), content, b"\r\n", b"0\r\n\r\n"):
            await stream.send_all(byte)
            await trio.sleep(0.01)
    await _drain(stream, random.choice([0, 1]))


def _exceptions() -> list[dict[str, object]]:
    """More values than are taken at once."""
    return [{"eid": f"exception {number}", "show_online_status": "DENIED"} for number in range(BATCH)]


async def page_of_others(knock: Knocker, random: Random) -> None:
    """A browser asks for a page of another origin, and, before it asks for one of this server's, whether it may."""
    method, origin = random.choice([("GET", "https://evil.example"), ("OPTIONS", "http://localhost")])
    stream = await knock.at_gate()
    said = f"Origin: {origin}\r\nAccess-Control-Request-Method: POST\r\n"
    await stream.send_all(_request(method, "/inbox", shown=_shown("browser"), more=said))
    await _drain(stream, 0.5)


async def reads_events(knock: Knocker, random: Random) -> None:
    """A device of somebody to whom nobody writes: it is sent its stream as events, and a heartbeat. Its last event's id
    may mean nothing.
    """
    stream = await knock.at_gate(by_memory=random.random() < 0.2)
    last = random.choice(["", "", "", "Last-Event-ID: 1.2;chat=3\r\n"])
    shown = token("quiet", "events", seconds=DAY_SECONDS, jti="quiet/events")
    await stream.send_all(_request("GET", "/events", shown=shown, more=last))
    await _drain(stream, random.choice([0.1, 1, 6, 6]))


async def operator(knock: Knocker, random: Random) -> None:
    target, method = random.choice(
        [
            ("/healthz", "GET"),
            ("/readyz", "GET"),
            ("/debug/tree", "GET"),
            ("/metrics", "GET"),
            ("/debug/busiest", "GET"),
            ("/debug/user?eid=alice", "GET"),
            ("/debug/user?eid=nobody", "GET"),
            ("/debug/user/pins?eid=alice", "GET"),
            ("/debug/user/evict?eid=alice&device=phone", "GET"),
            ("/debug/restart?path=bimip/retention", "POST"),
            ("/debug/restart?path=bimip/gateway/listener", "POST"),
            ("/debug/restart?path=bimip/journal", "POST"),
            (f"/debug/kill?path=bimip/users/{EID}", "POST"),
            (f"/debug/restart?path=bimip/users/{EID}", "POST"),
            (f"/debug/restart?path=bimip/users/{EID}/killed", "POST"),
        ]
    )
    if "users/" in target:
        streams = [await knock.at_gate()]
        if await _upgraded(streams[0], shown=_shown("killed")):
            await streams[0].send_all(frame(BINARY, _hello()))
            await trio.sleep(0.02)
    else:
        streams = []
    host = "localhost" if random.random() < 0.9 else "evil.example"
    streams.append(await knock.at_desk())
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {OPERATOR}\r\nConnection: close\r\n"
    await streams[-1].send_all(f"{head}Content-Length: 0\r\n\r\n".encode())
    await _drain(streams[-1], 5)


async def operators_page(knock: Knocker, random: Random) -> None:
    """The console's page: an operator logs in, looks at the tree as it changes, with the users unfolded, and leaves."""
    stream = await knock.at_desk()
    content = json.dumps({"token": OPERATOR, "name": "sweep"}).encode()
    length = len(content) + (9 if random.random() < 0.1 else 0)  # the rest never comes
    head = "Host: localhost\r\nConnection: close\r\n"
    login = f"POST /login HTTP/1.1\r\n{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    await stream.send_all(login.encode() + content)
    answer = await _drain(stream, 2)
    found = re.search(rb"set-cookie: ([^;]+);", answer), re.search(rb'"csrf":"(\w+)"', answer)
    cookie, csrf = (one[1].decode() if one else "" for one in found)
    for method, target in (("GET", "/debug/tree/stream?open=bimip/users"), ("POST", "/logout")):
        stream = await knock.at_desk()
        shown = f"{head}Cookie: {cookie}\r\nX-CSRF-Token: {csrf}\r\nContent-Length: 0\r\n\r\n"
        await stream.send_all(f"{method} {target} HTTP/1.1\r\n{shown}".encode())
        await _drain(stream, 3)


VISITS: tuple[Callable[[Knocker, Random], Awaitable[None]], ...] = (
    refused_opening,
    slow_opening,
    token_in_hello,
    no_hello,
    json_without_sense,
    breaks_the_protocol,
    twice_at_once,
    leaves_and_returns,
    does_not_read,
    does_not_read,
    crowd,
    back_end,
    back_end,
    page_of_others,
    reads_events,
    operator,
    operator,
    operator,
    operator,
    operator,
    operators_page,
    operators_page,
)


async def visit_again_and_again(world: VirtualWorld, random: Random) -> None:
    while True:
        for visit in random.sample(VISITS, len(VISITS)):
            with trio.move_on_after(VISIT_SECONDS), suppress(*GONE):
                async with AsyncExitStack() as opened:
                    await visit(Knocker(world, opened), random)
            await trio.sleep(random.uniform(0, 0.1))
