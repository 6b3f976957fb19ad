"""A server that says what a sequence wants, on trio-websocket. Of BIMIP's own server it has the messages alone.

A connection's client shakes hands and says Hello before the sequence is given it. All that a client says is kept in
its order; pings of the protocol are answered, unless the connection is silent.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import trio
from google.protobuf.message import Message
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream

from bimip.conformance.frames import CODECS, FrameError, scheme_of
from bimip.conformance.proxy import Plan, relay
from bimip.wire import bimip_pb2 as pb

EPOCH: Final = 7130316800000000001
"""Beyond what a double can hold."""
USER: Final = "bob@example.org"
DEVICE: Final = "phone"
LONGEST_CLOSE: Final = 2.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer by HTTP to an opening request."""

    status: int
    sentence: str
    retry_after: int = 0


class Line(trio.abc.Stream):
    """A stream that can be silenced: then what is written goes nowhere."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.is_silent = False
        self._stream = stream

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        if not self.is_silent:
            await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass(eq=False)
class Connection:
    """One connection of the client under test, as the server sees it."""

    number: int
    opened: float
    socket: WebSocketConnection
    line: Line
    subprotocol: str
    token: str  # of the header
    hello: pb.Hello = field(default_factory=pb.Hello)
    hello_ref: int = 0
    frames: list[pb.MessageScheme] = field(default_factory=list)
    """All that came behind Hello."""
    upto: dict[str, int] = field(default_factory=dict)
    """How far each log was sent."""
    end: float | None = None
    """When it ended."""
    closing: trio.Event | None = None
    """Set when the server's own close is through."""
    code: int = 0
    """With which code the client ended it; 0: it did not say one."""

    def payloads(self, name: str) -> list[Message]:
        """Lists what came of one kind, by its name in MessageScheme; what stands in a Body counts too."""
        found: list[Message] = []
        for scheme in self.frames:
            if scheme.HasField(name):
                found.append(getattr(scheme, name))
            if scheme.HasField("body") and name in {"message", "signal", "command"}:
                found += getattr(scheme.body, f"{name}s")
        return found

    @property
    def messages(self) -> list[pb.Message]:
        """The messages that the client sent, those in Hello first."""
        return [*self.hello.messages, *self.payloads("message")]  # type: ignore[list-item]

    @property
    def signals(self) -> list[pb.Signal]:
        return self.payloads("signal")  # type: ignore[return-value]

    def ref_of(self, message_id: str) -> int:
        """Returns the `ref` under which a message came last; 0 of one in Hello."""
        for scheme in reversed(self.frames):
            if scheme.message.id == message_id or any(one.id == message_id for one in scheme.body.messages):
                return scheme.ref
        return 0

    def position(self, partition: str = "chat") -> pb.Position | None:
        """Returns what Hello said of a partition."""
        return next((one for one in self.hello.partitions if one.partition == partition), None)

    def offset(self, partition: str = "chat") -> int:
        found = self.position(partition)
        return 0 if found is None else found.offset

    def held(self, partition: str = "chat") -> list[tuple[int, int]]:
        found = self.position(partition)
        return [] if found is None else [(getattr(one, "from"), one.to) for one in found.held]

    def acknowledges(self, offset: int, partition: str = "chat") -> bool:
        """Whether an ack covers an offset."""
        return any(
            one.upto >= offset
            or one.user_offset == offset
            or any(getattr(run, "from") <= offset <= run.to for run in one.offsets)
            for one in self.signals
            if one.status == pb.DELIVERED and one.partition == partition
        )

    def acks(self, partition: str = "chat") -> int:
        """Counts the acks of a log."""
        return sum(one.status == pb.DELIVERED and one.partition == partition for one in self.signals)

    # What the server says.

    async def send(self, payload: Message, ref: int = 0, *, unknown: bool = False) -> None:
        """Sends a frame; with `unknown` each message in it has a field that no client knows."""
        await self.send_data(CODECS[self.subprotocol].encode(scheme_of(payload, ref), unknown=unknown))

    async def send_data(self, data: str | bytes) -> None:
        with suppress(ConnectionClosed):  # what the sequence waits for next tells it
            await self.socket.send_message(data)

    async def send_raw(self, data: bytes) -> None:
        """Sends bytes below WebSocket, which are frames of a server or parts of one."""
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self.line.send_all(data)

    def body_of(self, *entries: pb.Message, partition: str = "chat", after: int = 0) -> tuple[bytes, int]:
        """Returns the bytes of a batch in turn, and the opcode that WebSocket has for them."""
        upto = max(one.user_offset for one in entries)
        body = pb.Body(partition=partition, after=after, upto=upto, messages=entries)
        data = CODECS[self.subprotocol].encode(scheme_of(body), unknown=False)
        return (data.encode(), 1) if isinstance(data, str) else (data, 2)

    async def send_out_of_turn(self, *entries: pb.Message, partition: str = "chat") -> None:
        """Sends entries without a range."""
        await self.send(pb.Body(partition=partition, turn=pb.TURN_RESUME, messages=entries))

    async def welcome(
        self,
        *,
        epoch: int = EPOCH,
        positions: dict[str, int] | None = None,
        heads: dict[str, int] | None = None,
        heartbeat_ms: int = 30_000,
        state_version: int = 0,
        gaps: Iterable[pb.Gap] = (),
        result: pb.ErrorCode = pb.UNAVAILABLE,
        unknown: bool = False,
    ) -> None:
        """Answers Hello. A log begins where Hello said, or at `positions`; messages in Hello are refused with `result`,
        so that they are sent again at once.
        """
        logs = []
        for one in self.hello.partitions:
            at = (positions or {}).get(one.partition, one.offset)
            self.upto[one.partition] = at
            head = max((heads or {}).get(one.partition, at), at)
            logs.append(pb.LogState(partition=one.partition, first=1, head=head, floor=at, position=at))
        hello = pb.Hello(
            epoch=epoch,
            agent="bimip-conformance",
            identity=pb.Identity(eid=USER, connection_resource_id=DEVICE),
            limits=limits(heartbeat_ms),
            logs=logs,
            state_version=state_version,
            server_time=1_700_000_000_000,
            gaps=gaps,
            results=[
                pb.HelloResult(error=pb.ErrorMessage(code=result, id=one.id, retry_after_ms=1, message="once more"))
                for one in self.hello.messages
            ],
        )
        await self.send(hello, self.hello_ref, unknown=unknown)

    async def deliver(
        self,
        *entries: pb.Message,
        partition: str = "chat",
        upto: int = 0,
        gaps: Iterable[pb.Gap] = (),
        unknown: bool = False,
    ) -> None:
        """Sends a batch in turn, which goes on behind the last one."""
        after = self.upto.get(partition, 0)
        self.upto[partition] = upto or max((one.user_offset for one in entries), default=after)
        body = pb.Body(partition=partition, after=after, upto=self.upto[partition], messages=entries, gaps=gaps)
        await self.send(body, unknown=unknown)

    async def ping(self, payload: bytes, within: float) -> bool:
        """Sends a ping of WebSocket. Returns whether its pong came."""
        with trio.move_on_after(within), suppress(ConnectionClosed):
            await self.socket.ping(payload)
            return True
        return False

    async def close(self, code: int, reason: str = "") -> None:
        """Closes with a code, and cuts where the client does not answer that."""
        self.closing = trio.Event()
        with trio.move_on_after(LONGEST_CLOSE):
            await self.socket.aclose(code, reason)
        self.closing.set()
        await self.cut()

    async def cut(self) -> None:
        """Ends the connection without a word."""
        await trio.aclose_forcefully(self.line)


def limits(heartbeat_ms: int) -> pb.Limits:
    return pb.Limits(
        max_message_bytes=65536,
        max_frame_bytes=1048576,
        max_eid_bytes=255,
        max_id_bytes=64,
        window_entries=256,
        window_bytes=1048576,
        grace_period_ms=30_000,
        heartbeat_ms=heartbeat_ms,
        max_unanswered=64,
        max_fetch=256,
        max_batch=1024,
        max_group_members=500,
        max_small_group=32,
        max_title_bytes=255,
        edit_seconds=172_800,
        delete_seconds=172_800,
        max_reactions=16,
    )


class ScriptedServer:
    """Accepts connections, reads Hello of each, and keeps them for the sequence."""

    def __init__(self, subprotocol: str, token: str, changed: Callable[[], None], fail: Callable[[str], None]) -> None:
        self.connections: list[Connection] = []
        self.attempts: list[float] = []
        """When an opening request came, also one that was refused."""
        self.refusals: list[Refusal] = []
        """For the next opening requests."""
        self.plan = Plan()
        """What becomes of the bytes of each connection."""
        self._subprotocol = subprotocol
        self._token = token
        self._changed = changed
        self._fail = fail

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serves one connection until it ends."""
        try:
            if self.plan == Plan():
                await self._serve(stream)
                return
            near, far = memory_stream_pair()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(relay, stream, near, self.plan)
                nursery.start_soon(self._serve, far)
        except* Exception as group:  # noqa: BLE001 - whatever the library makes of what a client says
            self._fail(f"a connection ended with {_innermost(group)!r}")

    async def _serve(self, stream: trio.abc.Stream) -> None:
        line = Line(stream)
        async with line, trio.open_nursery() as nursery:
            try:
                request = await wrap_server_stream(nursery, line, max_message_size=1_048_576)
                connection = await self._accept(request, line)
            except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):  # it did not come so far
                connection = None
            if connection is not None:
                await self._read(connection)
                if connection.closing is not None:
                    await connection.closing.wait()
                connection.end = trio.current_time()
                self._changed()
            nursery.cancel_scope.cancel()

    async def _accept(self, request: WebSocketRequest, line: Line) -> Connection | None:
        self.attempts.append(trio.current_time())
        self._changed()
        if self.refusals:
            refusal = self.refusals.pop(0)
            wait = [(b"Retry-After", str(refusal.retry_after).encode())] if refusal.retry_after else []
            await request.reject(refusal.status, extra_headers=wait, body=refusal.sentence.encode())
            return None
        if self._subprotocol not in request.proposed_subprotocols:
            self._fail(f"the opening request does not offer the subprotocol {self._subprotocol}")
            await request.reject(400, body=b"no known subprotocol")
            return None
        headers = {name.lower(): value for name, value in request.headers}
        token = headers.get(b"authorization", b"").decode("ascii", "replace").removeprefix("Bearer ")
        socket = await request.accept(subprotocol=self._subprotocol)
        return Connection(len(self.connections), trio.current_time(), socket, line, self._subprotocol, token)

    async def _read(self, connection: Connection) -> None:
        try:
            while True:
                self._take(connection, await connection.socket.get_message())
                self._changed()
                scheme = connection.frames[-1] if connection.frames else None
                if scheme is not None and scheme.HasField("ping_pong") and scheme.ping_pong.kind == pb.PingPong.PING:
                    pong = pb.PingPong(kind=pb.PingPong.PONG, id=scheme.ping_pong.id)
                    await connection.send(pong, scheme.ref)
        except ConnectionClosed as closed:
            connection.code = closed.reason.code if closed.reason is not None else 0
        except FrameError as error:
            self._fail(f"the client said what is no frame: {error}")

    def _take(self, connection: Connection, data: str | bytes) -> None:
        scheme = CODECS[self._subprotocol].decode(data)
        if connection in self.connections:
            connection.frames.append(scheme)
            if scheme.HasField("hello"):
                self._fail("the client said Hello twice on one connection")
            return
        if not scheme.HasField("hello"):
            self._fail("the first frame of a connection is not Hello")
        if self._token not in {connection.token, scheme.hello.token}:
            self._fail("the token stands neither in the header Authorization (Bearer …) nor in Hello.token")
        connection.hello, connection.hello_ref = scheme.hello, scheme.ref
        self.connections.append(connection)


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
