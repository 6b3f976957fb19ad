"""The whole server in one thread, under a virtual clock, with connections in memory: what app.py puts together, as it
is.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import trio

from bimip.client.wire import bimip as pb
from bimip.config import Settings
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis
from bimip.gateway.listener import OpenListeners
from bimip.journal.worker import InlineWorker, Worker
from bimip.parts import Parts
from bimip.push.posting import Poster
from bimip.storage.interface import Store
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import open_virtual_server, virtual_millis
from bimip.users.connection import RefusedError
from tests.kit.codecs import SDK
from tests.kit.memory_connection import Peer
from tests.kit.received import Received

FOR_EVER = Millis(1 << 42)
PATIENCE = 3600
"""Seconds of virtual time after which a test that waits has failed."""


async def settle() -> None:
    """Let everything end that is under way. Acks wait for company, 20 ms at most."""
    await trio.sleep(0.1)


def message(to: str, payload: bytes, message_id: str = "", **fields: Any) -> pb.Message:
    return pb.Message(id=message_id, to=pb.Identity(eid=to), type=1, payload=payload, **fields)


def ranges(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(from_=first, to=last) for first, last in pairs]


def at(offset: int, *held: tuple[int, int], partition: str = "chat") -> pb.Position:
    """A device that holds everything up to `offset`, and these ranges beyond it."""
    return pb.Position(partition=partition, offset=offset, held=ranges(*held))


def begin(start: pb.Start, *, last: int = 0, partition: str = "chat") -> pb.Position:
    """A device without a position."""
    return pb.Position(partition=partition, start=start, last=last)


def go_on(partition: str = "chat") -> pb.Position:
    """Where the server's floor stands."""
    return pb.Position(partition=partition)


class World:
    def __init__(self, server: Parts, nursery: trio.Nursery) -> None:
        self.server = server
        self._nursery = nursery

    def connect(
        self, eid: str, device: str, *, room: int = 1_000_000, expires_at: Millis = FOR_EVER, jti: str = ""
    ) -> "Client":
        """A device knocks, with a token that was verified. What becomes of it shows in the client."""
        peer = Peer(room=room)
        claims = Claims(eid, device, expires_at, jti or f"{eid}/{device}")
        self._nursery.start_soon(self._attach, claims, peer)
        return Client(peer, eid, device)

    def dial(self, eid: str, device: str) -> Peer:
        """The wire of a client that sees to everything by itself."""
        return self.connect(eid, device).peer

    async def join(self, eid: str, device: str, *positions: pb.Position, **hello: Any) -> "Client":
        """Connect, say Hello, and await the answer, which is then the client's `welcome`."""
        client = self.connect(eid, device)
        await client.hello(*positions, **hello)
        return client

    async def register(self, eid: str, *devices: str) -> None:
        """A user and their devices exist once they connected."""
        for device in devices or ("phone",):
            (await self.join(eid, device)).cut()

    async def fill(self, to: str, *numbers: int, partition: str = "") -> None:
        """Carol writes messages whose payloads are these numbers: the offsets that they get in an unused log."""
        carol = await self.join("carol", "phone", go_on())
        for number in numbers:
            carol.write(to, b"%d" % number, f"to {to}: {number}", partition=partition)
        sent = await carol.heard()
        assert not sent.errors, sent.errors
        carol.cut()
        await settle()

    async def kill(self, path: str) -> None:
        """End a process as if it had crashed: `users/alice/phone/fetcher`."""
        assert self.server.processes is not None
        await self.server.processes.kill(f"bimip/{path}")

    async def _attach(self, claims: Claims, peer: Peer) -> None:
        try:
            await self.server.users.attach(claims, peer.connection, [])
        except RefusedError as error:
            peer.connection.close(error.code, error.reason)


class Client:
    """A device without memory: it says what the test says, in frames made by the SDK's codec."""

    def __init__(self, peer: Peer, eid: str, device: str) -> None:
        self.peer = peer
        self.eid = eid
        self.device = device
        self.welcome = pb.Hello()

    def send(self, *, ref: int = 0, **payload: Any) -> None:
        """One frame: `send(message=pb.Message(...))`."""
        self.peer.send(SDK.encode(ref, **payload))

    async def receive(self) -> pb.MessageScheme:
        with trio.fail_after(PATIENCE):
            return pb.MessageScheme.parse(await self.peer.receive())

    async def hello(self, *positions: pb.Position, **fields: Any) -> pb.Hello:
        """Say Hello and return the answer; by default for the whole of `chat`."""
        positions = positions or (pb.Position(partition="chat", start=pb.Start.FIRST),)
        self.send(hello=pb.Hello(partitions=list(positions), **fields), ref=1)
        answer = await self.receive()
        assert answer.hello is not None, answer
        self.welcome = answer.hello
        return answer.hello

    async def heard(self) -> Received:
        """All that was told to this device since it was last asked, once nothing is under way any more."""
        await settle()
        return Received([pb.MessageScheme.parse(frame) for frame in self.peer.waiting()])

    async def heard_slowly(self) -> Received:
        """The same for a peer with little room: takes frame after frame until none comes any more."""
        frames: list[pb.MessageScheme] = []
        while batch := (await self.heard()).frames:
            frames += batch
        return Received(frames)

    async def closed(self) -> int:
        """The code that the connection closes with."""
        with trio.fail_after(PATIENCE):
            await self.peer.connection.wait_closed()
        assert self.peer.connection.closed is not None
        return self.peer.connection.closed[0]

    @property
    def is_connected(self) -> bool:
        return self.peer.connection.closed is None

    def cut(self) -> None:
        """The network goes: what was not taken is lost."""
        self.peer.cut()

    async def body(self) -> pb.Body:
        """The next batch that holds more than state."""
        while True:
            body = (await self.receive()).body
            assert body is not None
            if body.messages or body.signals or body.errors or body.gaps or body.upto > body.after:
                return body

    async def post(self, to: str, payload: bytes, message_id: str, **fields: Any) -> pb.Signal:
        """Send one message and await SENT."""
        self.write(to, payload, message_id, **fields)
        while True:
            body = await self.body()
            assert not body.errors, body.errors
            for signal in body.signals:
                if signal.id == message_id:
                    return signal

    def write(self, to: str, payload: bytes, message_id: str = "", **fields: Any) -> None:
        """Send one message, and await nothing."""
        self.send(message=message(to, payload, message_id, **fields), ref=7)

    def acknowledge(self, upto: int = 0, *offsets: int, partition: str = "chat") -> None:
        ranges = [pb.OffsetRange(from_=offset, to=offset) for offset in offsets]
        self.send(signal=pb.Signal(status=pb.MessageStatus.DELIVERED, partition=partition, upto=upto, offsets=ranges))

    def read(self, conversation: str, upto: int = 0, **fields: Any) -> None:
        self.send(signal=pb.Signal(status=pb.MessageStatus.READ, conversation=conversation, upto=upto, **fields))


async def befriend(asking: Client, asked: Client) -> None:
    """Two users let each other see them."""
    for client, other, action in ((asking, asked, pb.ContactAction.REQUEST), (asked, asking, pb.ContactAction.ACCEPT)):
        client.send(contact=pb.Contact(action=action, eid=other.eid, mutual=True), ref=3)
        await settle()


@asynccontextmanager
async def open_world(
    *,
    seed: int = 0,
    store: Store | None = None,
    settings: Settings | None = None,
    open_store: Callable[[], Store] | None = None,
    open_worker: Callable[[], Worker] = InlineWorker,
    wall_clock: Callable[[], Millis] = virtual_millis,
    gateway: Poster | None = None,
    listen: OpenListeners | None = None,
) -> AsyncIterator[World]:
    """Run the server. A given store survives the world, so that the next one begins where this one ended."""
    kept = store if store is not None else MemoryStore()
    serving = open_virtual_server(
        open_store or (lambda: kept),
        settings=settings,
        seed=seed,
        open_worker=open_worker,
        wall_clock=wall_clock,
        gateway=gateway,
        listen=listen,
    )
    async with trio.open_nursery() as nursery:
        async with serving as server:
            yield World(server, nursery)
        nursery.cancel_scope.cancel()
