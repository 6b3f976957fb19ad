"""Both backends, and a server that does what a test says: it speaks frames over connections in memory."""

import functools
import inspect
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, TypeVar

import anyio
import betterproto2
import pytest
import trio.testing

from bimip.client import Backoff, Client, open_client
from bimip.client.errors import ConnectFailed, ConnectionClosed
from bimip.client.events import Connected, Event
from bimip.client.frames import Payload, decode, encode
from bimip.client.wire.bimip import (
    Body,
    Hello,
    HelloResult,
    Identity,
    Limits,
    LogState,
    Message,
    MessageStatus,
    Signal,
    StateDelta,
    StateItem,
)

P = TypeVar("P", bound=betterproto2.Message)
E = TypeVar("E")

TIME = 1_700_000_000_000
LIMITS = Limits(
    max_message_bytes=1000, max_frame_bytes=8000, window_entries=256, heartbeat_ms=30_000, max_unanswered=64
)


def both_backends(scenario: Callable[..., Awaitable[None]], *, virtual: bool = True) -> Callable[..., None]:
    """A test of an async scenario under trio (in virtual time) and under asyncio."""
    wants_path = "tmp_path" in inspect.signature(scenario).parameters

    @pytest.mark.parametrize("backend", ["trio", "asyncio"])
    def test(backend: str, tmp_path: Path) -> None:
        run(functools.partial(scenario, tmp_path=tmp_path) if wants_path else scenario, backend, virtual=virtual)

    test.__name__ = getattr(scenario, "__name__", "scenario")
    test.__doc__ = scenario.__doc__
    return test


both_backends_in_real_time = functools.partial(both_backends, virtual=False)
"""For scenarios with real sockets."""


def run(scenario: Callable[[], Awaitable[None]], backend: str = "trio", *, virtual: bool = True) -> None:
    virtual = virtual and backend == "trio"
    options: dict[str, Any] = {"clock": trio.testing.MockClock(autojump_threshold=0)} if virtual else {}

    async def within_time() -> None:
        with anyio.fail_after(3600 if virtual else 60):  # so long alone on a machine that is busy
            await scenario()

    anyio.run(within_time, backend=backend, backend_options=options)


class Taken(NamedTuple):
    payload: betterproto2.Message | None
    ref: int


class Channel:
    """One direction."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._event = anyio.Event()
        self._end: ConnectionClosed | None = None

    def put(self, frame: bytes) -> None:
        if self._end is None:
            self._frames.append(frame)
            self._event.set()

    def end(self, code: int, reason: str) -> None:
        self._end = self._end or ConnectionClosed(code, reason)
        self._event.set()

    async def get(self) -> bytes:
        while not self._frames:
            if self._end is not None:
                raise self._end
            self._event = anyio.Event()
            await self._event.wait()
        return self._frames.popleft()


class MemoryConnection:
    """The client's end."""

    def __init__(self, to_server: Channel, to_client: Channel) -> None:
        self._to_server = to_server
        self._to_client = to_client

    async def receive(self) -> bytes:
        return await self._to_client.get()

    async def send(self, frame: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        self._to_server.put(frame)

    async def aclose(self, code: int, reason: str) -> None:
        self._to_server.end(code, reason)
        self._to_client.end(code, reason)


class Peer:
    """The server's end of one connection."""

    def __init__(self, token: str, to_server: Channel, to_client: Channel) -> None:
        self.token = token
        self._to_server = to_server
        self._to_client = to_client

    async def receive(self) -> Taken:
        payload, ref = decode(await self._to_server.get())
        return Taken(payload, ref)

    async def expect(self, kind: type[P]) -> tuple[P, int]:
        payload, ref = await self.receive()
        assert isinstance(payload, kind), f"expected {kind.__name__}, got {payload}"
        return payload, ref

    async def expect_behind_acks(self, kind: type[P]) -> tuple[P, int]:
        """The next of this kind; acks before it are passed over."""
        while True:
            payload, ref = await self.receive()
            if isinstance(payload, kind):
                return payload, ref
            assert isinstance(payload, Signal), f"expected {kind.__name__}, got {payload}"

    def send(self, payload: Payload, ref: int = 0) -> None:
        self._to_client.put(encode(payload, ref))

    def send_bytes(self, frame: bytes) -> None:
        self._to_client.put(frame)

    def close(self, code: int, reason: str = "") -> None:
        self._to_client.end(code, reason)
        self._to_server.end(code, reason)

    def cut(self) -> None:
        self.close(1006)

    async def wait_closed(self) -> ConnectionClosed:
        """What the client closed with."""
        try:
            while True:
                await self._to_server.get()
        except ConnectionClosed as closed:
            return closed

    async def greet(self, **fields: Any) -> Hello:
        """Receive the client's Hello, and answer it."""
        hello, _ = await self.expect(Hello)
        self.send(welcome(hello, **fields))
        return hello


class FakeServer:
    def __init__(self) -> None:
        self._arrived: deque[Peer] = deque()
        self._event = anyio.Event()
        self.refusals: list[ConnectFailed] = []  # of the next connections
        self.attempts = 0

    async def connect(self, url: str, token: str) -> MemoryConnection:
        await anyio.lowlevel.checkpoint()
        self.attempts += 1
        if self.refusals:
            raise self.refusals.pop(0)
        to_server, to_client = Channel(), Channel()
        self._arrived.append(Peer(token, to_server, to_client))
        self._event.set()
        return MemoryConnection(to_server, to_client)

    async def accept(self) -> Peer:
        while not self._arrived:
            self._event = anyio.Event()
            await self._event.wait()
        return self._arrived.popleft()


@asynccontextmanager
async def a_client(server: FakeServer, **options: Any) -> AsyncIterator[Client]:
    settings: dict[str, Any] = {
        "token": "token",
        "connect": server.connect,
        "backoff": Backoff(base=0.01, longest=0.02),
        "random": Random(1),
        "now": lambda: TIME,
        "timeout": 5.0,
    }
    async with open_client("ws://server", **{**settings, **options}) as client:
        yield client


@asynccontextmanager
async def a_connected_client(**options: Any) -> AsyncIterator[Client]:
    """One that is greeted and knows it, for tests in which the server has nothing more to say."""
    server = FakeServer()
    async with a_client(server, **options) as client:
        await (await server.accept()).greet()
        await next_of(client, Connected)
        yield client


def welcome(
    hello: Hello,
    *,
    epoch: int = 7,
    position: int = 0,
    heads: dict[str, int] | None = None,
    results: list[HelloResult] | None = None,
    **fields: Any,
) -> Hello:
    """The server's Hello, which begins where the client is, or at `position`."""
    logs = [
        LogState(
            partition=at.partition,
            first=1,
            head=(heads or {}).get(at.partition, 100),
            position=position if at.offset is None else at.offset,
        )
        for at in hello.partitions
    ]
    identity = fields.pop("identity", Identity(eid="alice@example.org", connection_resource_id="phone"))
    return Hello(
        epoch=epoch, identity=identity, limits=fields.pop("limits", LIMITS), logs=logs, results=results or [], **fields
    )


def a_message(offset: int, text: str = "", *, sender: str = "bob@example.org", device: str = "tablet") -> Message:
    return Message(
        id=f"{sender}-{offset}",
        signal_id=f"s{offset:05d}",
        signal_offset=offset * 1000,
        user_offset=offset,
        from_=Identity(eid=sender, connection_resource_id=device),
        payload=(text or f"text {offset}").encode(),
        partition="chat",
        conversation="c1",
        conversation_offset=offset,
        server_time=TIME,
    )


def batch(after: int, upto: int, *offsets: int, **fields: Any) -> Body:
    """In turn: of (after, upto] those that are owed."""
    return Body(partition="chat", after=after, upto=upto, messages=[a_message(o) for o in offsets], **fields)


def page(after: int, upto: int, *items: StateItem, reset: bool = False, complete: bool = False) -> StateDelta:
    return StateDelta(after=after, upto=upto, items=list(items), reset=reset, complete=complete)


def sent(message_id: str, offset: int, *, duplicate: bool = False) -> Signal:
    return Signal(
        id=message_id,
        status=MessageStatus.SENT,
        partition="chat",
        signal_id=f"s{offset:05d}",
        signal_offset=offset * 1000,
        user_offset=offset,
        conversation="c1",
        conversation_offset=offset,
        timestamp=TIME,
        duplicate=duplicate,
    )


async def next_of(client: Client, kind: type[E]) -> E:
    """The next event of this kind; those before it are taken as well."""
    async for event in client:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}")


async def take(client: Client, kind: type[E], count: int) -> list[E]:
    return [await next_of(client, kind) for _ in range(count)]


async def nothing_more(client: Client) -> list[Event]:
    """What still comes within a second."""
    events: list[Event] = []
    with anyio.move_on_after(0.2):
        async for event in client:
            events.append(event)  # noqa: PERF401 - a comprehension would lose them when time is up
    return events


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what a test waits for has no event of its own
        await anyio.sleep(0.01)
