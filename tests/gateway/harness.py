"""A gateway whose devices echo, and peers for it: over memory in virtual time, or over real sockets."""

import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio
import trio.abc
import trio.testing
import trio_websocket
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from trio_websocket import WebSocketConnection, wrap_client_stream

from bimip.concurrency import Timers
from bimip.domain.core.identity import Claims
from bimip.gateway.authentication import Verifier, issue
from bimip.gateway.listener import Listener
from bimip.gateway.poller import Poller
from bimip.gateway.serving import Gateway
from bimip.gateway.settings import GatewaySettings, TokenSettings
from bimip.http.server import VISITOR, HttpServer
from bimip.http.settings import HttpSettings
from bimip.settings import Secret
from bimip.users.connection import Connection, ConnectionClosedError
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.limits import Limits

Stream = trio.abc.Stream

NOW_MS = 1_700_000_000_000
SECRET = "a secret for tests, long enough for HS256"
SETTINGS = GatewaySettings(port=0)
LIMITS = Limits()
HTTP = HttpSettings()
PING = codec.encode(pb.PingPong(), ref=7)


def token(*, now_ms: int = NOW_MS, device: str = "phone", signing_key: str = SECRET) -> str:
    return issue(
        algorithm="HS256",
        signing_key=signing_key,
        eid="alice@example.org",
        device=device,
        now_ms=now_ms,
        lifetime_seconds=3600,
        jti="t1",
    )


def hello(shown: str | None = None) -> bytes:
    return codec.encode(pb.Hello(token=token() if shown is None else shown))


def bearer(shown: str | None = None) -> list[tuple[bytes, bytes]]:
    return (
        []
        if not shown and shown is not None
        else [(b"Authorization", b"Bearer " + (token() if shown is None else shown).encode())]
    )


@dataclass
class Echo:
    """The floor above: each device sends back what it receives. Runs its devices in a nursery of its own."""

    nursery: trio.Nursery
    attached: list[tuple[Claims, Connection, list[bytes]]] = field(default_factory=list)
    ends: list[tuple[int, str]] = field(default_factory=list)
    refusal: Exception | None = None
    serve: bool = True

    async def attach(self, claims: Claims, connection: Connection, frames: list[bytes]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.attached.append((claims, connection, frames))
        if self.serve:
            self.nursery.start_soon(self._device, connection)

    @property
    def connection(self) -> Connection:
        return self.attached[-1][1]

    async def _device(self, connection: Connection) -> None:
        try:
            while True:
                for frame in await connection.receive():
                    while not connection.send_nowait(frame):
                        await connection.wait_sendable()
        except ConnectionClosedError as error:
            self.ends.append((error.code, error.reason))


@dataclass
class World:
    echo: Echo
    gateway: Gateway
    nursery: trio.Nursery
    crashes: list[Exception] = field(default_factory=list)
    ended: int = 0
    first_end: trio.Event = field(default_factory=trio.Event)
    scopes: list[trio.CancelScope] = field(default_factory=list)
    told: list[tuple[str, int, dict[str, object]]] = field(default_factory=list)
    """Of who came and went: what happened, the connection's number, and more."""
    reported: list[BaseException] = field(default_factory=list)
    """What failed and was answered."""

    async def serve(self, stream: trio.abc.Stream) -> None:
        """As a supervisor runs it: what it raises is noted, and ends nobody else."""
        scope = trio.CancelScope()
        self.scopes.append(scope)
        try:
            with scope:
                await self.gateway.serve_connection(stream)
        except Exception as error:  # noqa: BLE001 -- it is the test's to look at
            self.crashes.append(error)
        finally:
            self.ended += 1
            self.first_end.set()

    def stop(self) -> None:
        for scope in self.scopes:
            scope.cancel()

    def dial(self, *, lockstep: bool = False) -> Stream:
        """A raw stream to a served connection, in memory. In lockstep, nothing leaves before it is read."""
        pair = trio.testing.lockstep_stream_pair() if lockstep else trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.serve, pair[1])
        return pair[0]

    async def connect(
        self, stream: Stream | None = None, *, subprotocol: str = "bimip.v1", shown: str | None = None
    ) -> WebSocketConnection:
        """A WebSocket over that, with a token, which is "" to show none."""
        return await wrap_client_stream(
            self.nursery,
            stream or self.dial(),  # type: ignore[arg-type]  # any stream will do
            "localhost",
            "/",
            subprotocols=[subprotocol],
            extra_headers=bearer(shown),
        )


async def answer_briefly(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that repeats the body to whoever shows a token, and others the path."""
    request = Request(scope, receive)
    if "authorization" not in request.headers:
        await PlainTextResponse(f"Hello at {request.url.path}")(scope, receive, send)
        return
    scope[VISITOR].admit_visitor()
    await PlainTextResponse(await request.body())(scope, receive, send)


@asynccontextmanager
async def open_world(
    settings: GatewaySettings = SETTINGS,
    limits: Limits = LIMITS,
    *,
    http: HttpSettings = HTTP,
    application: ASGIApp = answer_briefly,
    crashes: bool = False,
) -> AsyncIterator[World]:
    """Raises what connections raised, unless a test wants `crashes`."""
    async with trio.open_nursery() as nursery:
        echo = Echo(nursery)
        poller = Poller()
        told: list[tuple[str, int, dict[str, object]]] = []
        timers = Timers()
        reported: list[BaseException] = []
        nursery.start_soon(poller.run)
        nursery.start_soon(timers.run)
        gateway = Gateway(
            settings=settings,
            limits=limits,
            verifier=Verifier(TokenSettings("HS256", Secret(SECRET))),
            attach=echo.attach,
            now_ms=lambda: NOW_MS,
            poller=poller,
            timers=timers,
            http=HttpServer(application, http, lambda: NOW_MS, lambda _what, error: reported.append(error)),
            tell=lambda what, connection, **more: told.append((what, connection, more)),
        )
        world = World(echo, gateway, nursery, told=told, reported=reported)
        yield world
        nursery.cancel_scope.cancel()
    poller.close()
    if world.crashes and not crashes:
        raise ExceptionGroup("connections crashed", world.crashes)


@asynccontextmanager
async def open_port(world: World, *, shuts_out: Callable[[Stream], bool] = lambda _stream: False) -> AsyncIterator[int]:
    """A real listener."""
    async with trio.open_nursery() as nursery:
        ready, started = trio.open_memory_channel[object](1)
        listener = Listener(world.gateway.settings, world.serve, world.nursery, shuts_out=shuts_out)
        nursery.start_soon(listener.run, ready.send_nowait)
        await started.receive()
        yield listener.port
        nursery.cancel_scope.cancel()


async def close_of(websocket: WebSocketConnection) -> tuple[int, str | None]:
    """What the peer's connection closed with, whatever comes before."""
    try:
        while True:
            await websocket.get_message()
    except trio_websocket.ConnectionClosed as closed:
        return (closed.reason.code, closed.reason.reason) if closed.reason else (1006, None)


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    data = b""
    try:
        while more := bytes(await stream.receive_some(65536)):
            data += more
    except trio.BrokenResourceError:
        pass
    return data


def opening(*, shown: str | None = None, **changes: str | None) -> bytes:
    """A handshake by hand. A header that is None is left out."""
    headers: dict[str, str | None] = {
        "Host": "localhost",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "bimip.v1",
        "Authorization": f"Bearer {token() if shown is None else shown}",
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value is not None)
    return f"GET / HTTP/1.1\r\n{lines}\r\n".encode()


def frame(
    opcode: int, payload: bytes = b"", *, first: int = 0x80, length: bytes | None = None, mask: bool = True
) -> bytes:
    """A WebSocket frame by hand, masked with zeros."""
    if length is None:
        size = len(payload)
        if size < 126:
            length = bytes([size])
        else:
            length = b"\x7e" + size.to_bytes(2) if size < 1 << 16 else b"\x7f" + size.to_bytes(8)
    length = bytes([length[0] | (0x80 if mask else 0)]) + length[1:]
    return bytes([first | opcode]) + length + (bytes(4) if mask else b"") + payload


async def upgrade(stream: Stream, **changes: str | None) -> None:
    """Open by hand, and read the 101 and nothing after it."""
    await stream.send_all(opening(**changes))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += bytes(await stream.receive_some(1))
    assert head.startswith(b"HTTP/1.1 101 ")


def close_code_in(data: bytes) -> int | None:
    """The code in the close frame that what a server sent ends with."""
    at = 0
    while at + 2 <= len(data):
        opcode, size, at = data[at] & 0x0F, data[at + 1], at + 2
        if size == 126:
            size, at = int.from_bytes(data[at : at + 2]), at + 2
        elif size == 127:
            size, at = int.from_bytes(data[at : at + 8]), at + 8
        if opcode == 8:
            return int.from_bytes(data[at : at + 2])
        at += size
    return None


def reset(stream: trio.SocketStream) -> None:
    """Close with RST."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stream.socket.close()
