"""A device that behaves badly from a seed: over a real socket, with the SDK's codec and a position logic of its own.

What it keeps over its connections is what a client keeps on disk: epoch, positions with what it holds beyond them,
state version, and the messages that it was not answered for, which it sends again under the same id. Everything that
it does and sees goes into the history, an ack or a message before it leaves.
"""

import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from bimip.client.wire import bimip as pb
from tests.chaos import frames
from tests.chaos.history import Acked, Answered, Batch, Closed, Complaint, Event, Knocked, Name, Read, Refused, Turn
from tests.chaos.shelf import Shelf, lowest, runs
from tests.chaos.writing import Writer

ANSWER_SECONDS = 30
TOLD = 256
"""How many held offsets a Hello names at most."""
MAX_OUTBOX = 24
AGAIN = {pb.ErrorCode.UNAVAILABLE, pb.ErrorCode.STORAGE_FULL, pb.ErrorCode.RATE_LIMITED}
OURS = (
    OSError,
    HandshakeError,
    ConnectionClosed,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)
"""What the death of a socket looks like, at whatever moment."""


@dataclass(frozen=True)
class Mood:
    """How a device behaves just now."""

    writes: bool = False
    cuts: bool = False
    dawdles: bool = False
    """Acknowledges late, reads slowly, asks for what it has."""
    pause_seconds: float = 0.01
    """Between two writes, on average."""


CALM = Mood()


@dataclass
class Link:
    """One connection."""

    websocket: WebSocketConnection
    scope: trio.CancelScope
    outgoing: trio.MemorySendChannel[bytes]
    heads: dict[str, int] = field(default_factory=dict)  # as Hello told them
    version: int = 0
    offered: list[str] = field(default_factory=list)  # the messages in Hello
    contradictions: dict[int, str] = field(default_factory=dict)
    barriers: dict[int, trio.Event] = field(default_factory=dict)
    conversations: dict[int, str] = field(default_factory=dict)  # what a Fetch asked for


class _Reader:
    """Runs the library's reader: where that ends before the handshake does, the library would wait for ever."""

    def __init__(self, nursery: trio.Nursery, opening: trio.CancelScope) -> None:
        self._nursery = nursery
        self._opening = opening

    def start_soon(self, reader: Callable[[], Awaitable[object]]) -> None:
        self._nursery.start_soon(self._run, reader)

    async def _run(self, reader: Callable[[], Awaitable[object]]) -> None:
        try:
            await reader()
        finally:
            self._opening.cancel()


class Device:
    def __init__(
        self,
        name: Name,
        *,
        token: str,
        port: int,
        random: Random,
        record: Callable[[Event], None],
        directory: Sequence[Name],
        partitions: Sequence[str],
        start: pb.Start = pb.Start.FIRST,
    ) -> None:
        self.name = name
        self.mood = CALM
        self.link: Link | None = None
        """The connection whose Hello was answered."""
        self.waits = True
        """Without a connection, for a server to connect to."""
        self.connections = 0
        self.shelves: dict[str, Shelf] = {}
        self.version = 0
        self.outbox: dict[str, pb.Message] = {}
        self.counts: Counter[str] = Counter()
        self._epoch = 0
        self._token = token
        self._port = port
        self._random = random
        self._record = record
        self._partitions = partitions
        self._start = start
        self._whole_state = False
        self._refs = 0
        self._answered: list[pb.Message] = []
        self._writer = Writer(name, directory, partitions, random)

    def cut(self) -> None:
        """End the connection without a word."""
        if self.link is not None:
            self.link.scope.cancel()

    @property
    def lacks(self) -> str:
        """What it waits for before it has everything that the last Hello spoke of; empty when it has."""
        if self.link is None:
            return "a connection"
        if self.outbox:
            return f"answers for {list(self.outbox)}"
        for partition, head in self.link.heads.items():
            if self.shelves[partition].offset < head:
                return f"{partition} up to {head}: it has {self.shelves[partition].place()}"
        return "" if self.version >= self.link.version else f"state up to {self.link.version}: it has {self.version}"

    def ask_for_barrier(self) -> trio.Event:
        """Acknowledge all there is; the event is set when that is on disk."""
        assert self.link is not None
        for partition, shelf in self.shelves.items():
            if shelf.offset:
                self._acknowledge(self.link, partition, upto=shelf.offset)
        ref = self._next_ref()
        done = self.link.barriers[ref] = trio.Event()
        fetch = pb.Fetch(kind=pb.FetchKind.LOG, partition=self._partitions[0], limit=1, backwards=True)
        self._post(self.link, ref, fetch=fetch)
        return done

    async def live(self, up: Callable[[], trio.Event]) -> None:
        """Connect again and again; `up` tells when there is a server to connect to."""
        while True:
            self.waits = True
            await up().wait()
            self.waits = False
            with suppress(OSError):
                stream = await trio.open_tcp_stream("127.0.0.1", self._port)
                await self._connect(stream)
            await trio.sleep(self._random.uniform(0.001, 0.03))

    async def _connect(self, stream: trio.SocketStream) -> None:
        code = 1006
        try:
            async with trio.open_nursery() as nursery:
                link = await self._open(nursery, stream)
                code = await self._converse(link, nursery)
                nursery.cancel_scope.cancel()
        except* OURS:
            pass
        finally:
            self.link = None
            if self._random.random() < 0.5:  # as the network sees an app that was killed: an end, or a reset
                with suppress(OSError):
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()
            self._record(Closed(self.name, code))

    async def _open(self, nursery: trio.Nursery, stream: trio.SocketStream) -> Link:
        opening = trio.CancelScope(deadline=trio.current_time() + ANSWER_SECONDS)
        with opening:
            websocket = await wrap_client_stream(
                _Reader(nursery, opening),  # type: ignore[arg-type]  # of a nursery it uses start_soon alone
                stream,
                "127.0.0.1",
                "/",
                subprotocols=["bimip.v1"],
                extra_headers=[(b"Authorization", f"Bearer {self._token}".encode())],
            )
        if opening.cancelled_caught:
            raise trio.BrokenResourceError("no opening handshake")
        outgoing, to_send = trio.open_memory_channel[bytes](10_000)
        nursery.start_soon(self._send_all, websocket, to_send)
        return Link(websocket, nursery.cancel_scope, outgoing)

    @staticmethod
    async def _send_all(websocket: WebSocketConnection, frames: trio.MemoryReceiveChannel[bytes]) -> None:
        with suppress(ConnectionClosed):
            async for frame in frames:
                await websocket.send_message(frame)

    async def _converse(self, link: Link, nursery: trio.Nursery) -> int:
        """Hello, then read until the end; returns the close code."""
        try:
            self._say_hello(link)
            with trio.fail_after(ANSWER_SECONDS):
                answer = await self._next(link)
            if not self._welcome(link, answer):
                return 1006
            nursery.start_soon(self._write_on, link)
            return await self.read_on(link)
        except ConnectionClosed as closed:
            return 1006 if closed.reason is None else int(closed.reason.code)

    @staticmethod
    async def _next(link: Link) -> pb.MessageScheme:
        frame = await link.websocket.get_message()
        assert isinstance(frame, bytes)
        return pb.MessageScheme.parse(frame)

    async def read_on(self, link: Link) -> int:
        left = self._random.randint(3, 100)
        while True:
            self._receive(link, await self._next(link))
            if self.mood.dawdles and self._random.random() < 0.02:
                await trio.sleep(self._random.uniform(0.0, 0.1))
            left -= 1
            if self.mood.cuts and left <= 0:
                self.counts["cuts"] += 1
                return 1006

    def _say_hello(self, link: Link) -> None:
        self._abandon_some()
        if self.mood.writes and self._random.random() < 0.3:  # offline
            for _ in range(self._random.randint(1, 5)):
                self._compose()
        messages = list(self.outbox.values())
        first = self._random.randint(0, len(messages)) if self.mood.writes else len(messages)
        link.offered = [message.id for message in messages[:first]]
        hello = pb.Hello(
            partitions=[self._position(partition) for partition in self._partitions],
            epoch=self._epoch,
            state_version=self.version,
            messages=messages[:first],
            agent="chaos",
        )
        places = {partition: shelf.place() for partition, shelf in self.shelves.items()}
        self._record(Knocked(self.name, places, self.version))
        self._post(link, hello=hello)
        if messages[first:]:
            self._post(link, body=pb.Body(messages=messages[first:]))

    def _abandon_some(self) -> None:
        """Whether these were stored, nobody will ever tell this device, unless they come back as its own."""
        for message_id in list(self.outbox):
            if self.mood.writes and self._random.random() < 0.03:
                del self.outbox[message_id]
                self.counts["abandoned"] += 1

    def _position(self, partition: str) -> pb.Position:
        shelf = self.shelves.get(partition)
        if shelf is None:
            return pb.Position(partition=partition, start=self._start)
        held = [pb.OffsetRange(from_=a, to=b) for a, b in lowest(shelf.place().held, TOLD)]
        return pb.Position(partition=partition, offset=shelf.offset, held=held)

    def _welcome(self, link: Link, answer: pb.MessageScheme) -> bool:
        hello = answer.hello
        if hello is None:
            self._be_turned_away(answer)
            return False
        self._record(frames.opened(self.name, hello))
        if self._epoch not in {0, hello.epoch}:
            self._begin_anew()
        self._epoch, link.version = hello.epoch, hello.state_version
        for log in hello.logs:
            link.heads[log.partition] = log.head
            if log.partition not in self.shelves:
                shelf = self.shelves[log.partition] = Shelf()
                shelf.reach(log.position)
            self.shelves[log.partition].pending.clear()  # the position that was told has acknowledged them
        for gap in hello.gaps:
            self.shelves[gap.partition].hold(gap.from_, gap.to)
        for message_id, result in zip(link.offered, hello.results, strict=True):
            if result.sent is not None:
                self._take_sent(link, result.sent)
            elif result.error is not None:
                result.error.id = result.error.id or message_id
                self._take_error(link, result.error)
        self._whole_state = False
        self.link = link
        self.connections += 1
        return True

    def _begin_anew(self) -> None:
        """Another epoch: an older copy of the server's store was put back."""
        self.counts["told another epoch"] += 1
        self.shelves = {}
        self.version = 0
        self._answered.clear()

    def _be_turned_away(self, answer: pb.MessageScheme) -> None:
        self._complain("I5", "client", f"Hello was answered with {answer}")

    def _receive(self, link: Link, scheme: pb.MessageScheme) -> None:
        if scheme.body is not None:
            self._take_body(link, scheme.body)
        elif scheme.state_delta is not None:
            self._take_state(scheme.state_delta)
        elif scheme.error is not None:
            self._take_error(link, scheme.error)

    def _take_body(self, link: Link, body: pb.Body) -> None:
        for signal in body.signals:
            self._take_sent(link, signal)
        for error in body.errors:
            self._take_error(link, error)
        for delta in body.states:
            self._take_state(delta)
        if body.partition or body.messages:
            self._take_entries(link, body)
        if body.ref in link.barriers:
            link.barriers[body.ref].set()

    def _take_state(self, delta: pb.StateDelta) -> None:
        self._record(frames.state(self.name, delta))
        self._whole_state = (self._whole_state or delta.reset) and not delta.complete
        if not self._whole_state:  # which counts when it is complete
            self.version = delta.upto

    def _take_sent(self, link: Link, signal: pb.Signal) -> None:
        if signal.ref in link.contradictions:
            self._complain("I5", "duplicated", f"other content under the id {signal.id} was accepted")
            return
        self.counts["acknowledged"] += not signal.duplicate
        self.counts["duplicates answered"] += signal.duplicate
        self._record(Answered(self.name, signal.id, frames.ids(signal), signal.duplicate))
        shelf = self.shelves.get(signal.partition)
        if shelf is not None:
            shelf.hold(signal.user_offset, signal.user_offset)
        message = self.outbox.pop(signal.id, None)
        if message is not None:
            self._answered = [*self._answered[-5:], message]

    def _take_error(self, link: Link, error: pb.ErrorMessage) -> None:
        if link.contradictions.pop(error.ref, None) is not None:
            self.counts["conflicts answered"] += error.code == pb.ErrorCode.CONFLICT
        elif error.id:
            unknown = error.code == pb.ErrorCode.UNKNOWN_OUTCOME
            self._record(Refused(self.name, error.id, error.code.name or "", unknown=unknown))
            self.counts["unknown to the server" if unknown else "refused"] += 1
            if unknown or error.code in AGAIN:
                link.scope.cancel()  # and send it again behind the next Hello
            else:
                self.outbox.pop(error.id, None)
        else:
            self._complain("I5", "client", f"was told {error.code.name}: {error.message}")

    def _take_entries(self, link: Link, body: pb.Body) -> None:
        turn = Turn(int(body.turn))
        if body.ref in link.conversations:
            turn = Turn.HISTORY
        batch = Batch(
            self.name, body.partition, body.after, body.upto, turn, frames.deliveries(body), frames.gaps(body)
        )
        self._record(batch)
        if turn is Turn.HISTORY:
            return
        self.counts["redelivered"] += len(batch.deliveries) if turn is Turn.REDELIVERED else 0
        shelf = self.shelves[body.partition]
        if turn is Turn.IN_TURN and body.after > shelf.offset:
            self._complain("I4", "skipped", f"({body.after}, {body.upto}] begins beyond {shelf.offset}")
            link.scope.cancel()
            return
        self._take_deliveries(shelf, batch)
        if turn is Turn.IN_TURN:
            shelf.reach(body.upto)
        self._react(link, batch)

    def _take_deliveries(self, shelf: Shelf, batch: Batch) -> None:
        for gap in batch.gaps:
            shelf.hold(gap.first, gap.last)
        for delivery in batch.deliveries:
            shelf.pending.add(delivery.offset)
            if delivery.author == self.name:
                self.outbox.pop(delivery.id, None)  # as good as its SENT
            elif not shelf.has(delivery.offset):
                self.counts["delivered"] += 1
            if batch.turn is not Turn.IN_TURN:
                shelf.hold(delivery.offset, delivery.offset)

    def _react(self, link: Link, batch: Batch) -> None:
        """Acknowledge in one of the ways that there are; tell what was read; ask for something."""
        shelf = self.shelves[batch.partition]
        chance = self._random.random()
        if not self.mood.dawdles or chance < 0.3:
            self._acknowledge(link, batch.partition, upto=shelf.offset)
        elif chance < 0.45 and shelf.pending:
            self._acknowledge(link, batch.partition, one=self._random.choice(sorted(shelf.pending)))
        elif chance < 0.65 and shelf.pending:
            count = self._random.randint(1, len(shelf.pending))
            self._acknowledge(link, batch.partition, many=set(self._random.sample(sorted(shelf.pending), count)))
        if batch.deliveries and self.mood.dawdles:
            if self._random.random() < 0.15:
                self._read_one(link, batch)
            if self._random.random() < 0.05:
                self._fetch(link, batch)

    def _acknowledge(
        self,
        link: Link,
        partition: str,
        *,
        upto: int = 0,
        one: int = 0,
        many: set[int] = frozenset(),  # type: ignore[assignment]
    ) -> None:
        shelf = self.shelves[partition]
        if not (upto or one or many):
            return
        ranges = lowest(runs(many), TOLD)[:TOLD]
        told = ((one, one), *ranges) if one else ranges
        self._record(Acked(self.name, partition, upto, told))
        shelf.pending = {
            offset for offset in shelf.pending if offset > upto and not any(a <= offset <= b for a, b in told)
        }
        signal = pb.Signal(
            status=pb.MessageStatus.DELIVERED,
            partition=partition,
            upto=upto,
            user_offset=one,
            offsets=[pb.OffsetRange(from_=a, to=b) for a, b in ranges],
        )
        self._post(link, signal=signal)

    def _read_one(self, link: Link, batch: Batch) -> None:
        delivery = self._random.choice(batch.deliveries)
        upto = self._random.random() < 0.5
        place = delivery.place
        self._record(Read(self.name, delivery.conversation, place if upto else 0, () if upto else ((place, place),)))
        signal = pb.Signal(
            status=pb.MessageStatus.READ,
            conversation=delivery.conversation,
            upto=place if upto else 0,
            conversation_offset=0 if upto else place,
        )
        self._post(link, signal=signal)

    def _fetch(self, link: Link, batch: Batch) -> None:
        ref = self._next_ref()
        kind = self._random.choice([pb.FetchKind.UNACKNOWLEDGED, pb.FetchKind.LOG, pb.FetchKind.HISTORY])
        fetch = pb.Fetch(kind=kind, limit=self._random.randint(1, 40), backwards=False)
        if kind == pb.FetchKind.HISTORY:
            fetch.conversation = link.conversations[ref] = batch.deliveries[0].conversation
            fetch.backwards = self._random.random() < 0.5
        else:
            fetch.partition = batch.partition
        if self._random.random() < 0.5:
            fetch.offset = self._random.randint(1, max(1, batch.deliveries[0].offset))
        self._post(link, ref, fetch=fetch)
        self.counts["fetches"] += 1

    async def _write_on(self, link: Link) -> None:
        while True:
            await trio.sleep(self._random.expovariate(1 / self.mood.pause_seconds))
            if not self.mood.writes or len(self.outbox) >= MAX_OUTBOX:
                continue
            ref = self._next_ref()
            chance = self._random.random()
            if self._answered and chance < 0.03:
                self._post(link, ref, message=self._random.choice(self._answered))
            elif self._answered and chance < 0.05:
                known = self._random.choice(self._answered)
                link.contradictions[ref] = known.id
                self._post(link, ref, message=self._writer.contradict(known))
            elif chance < 0.3:
                batch = [self._compose() for _ in range(self._random.randint(2, 8))]
                self._post(link, ref, body=pb.Body(messages=batch))
            else:
                self._post(link, ref, message=self._compose())

    def _compose(self) -> pb.Message:
        message, wrote = self._writer.write()
        self._record(wrote)
        self.outbox[message.id] = message
        self.counts["written"] += 1
        return message

    def _next_ref(self) -> int:
        self._refs += 1
        return self._refs

    def _post(
        self,
        link: Link,
        ref: int = 0,
        **payload: pb.Message | pb.Signal | pb.Body | pb.Hello | pb.Fetch,
    ) -> None:
        with suppress(trio.BrokenResourceError, trio.WouldBlock):
            link.outgoing.send_nowait(frames.encode(ref, **payload))

    def _complain(self, invariant: str, kind: str, line: str) -> None:
        self._record(Complaint(self.name, invariant, kind, line))
