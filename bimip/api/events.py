"""Server-sent events: a device's stream for those who cannot have a WebSocket. What a socket is sent after its Hello
comes as events, each frame one, in ProtoJSON; acknowledgements are requests of their own.

To the users it is a connection as any other: one of a device, whose position, window and redelivery are the same. The
last event's id is the position: a stream that is opened with it goes on there, by the Hello that it stands for.
"""

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import trio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bimip.api.endpoint import Endpoint, Parameter, Reply, Visit, invalid
from bimip.domain.core.identity import Claims
from bimip.http.problems import ProblemError
from bimip.http.server import DEAD, VISITOR, Visitor
from bimip.session.close import Close, named_wait
from bimip.users.connection import Connection, ConnectionClosedError, RefusedError, Take
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire import json as protojson
from bimip.wire.errors import WireError

Attach = Callable[[Claims, Connection, list[bytes]], Awaitable[object]]
"""Gives a connection to its device, with its Hello. Raises RefusedError."""

MEDIA_TYPE: Final = "text/event-stream"
DESCRIPTION: Final = """\
Server-sent events, for who cannot have a WebSocket: the answer to Hello first, then each frame as one event, named as
its payload, in ProtoJSON. Acknowledge by POST /messages/acknowledgements: what is not, is sent again. The stream is the
device's connection: a newer one, or a WebSocket, takes its place. It ends with the event close, which has the code and
the reason that a socket would be closed with, and retry where that names a wait; open it again with Last-Event-ID.
Whoever ends the connection, or only their half of it, has left: they are there no more, from then on. No other request
is answered on it."""
RETRY_MS: Final = 3000
"""Until a stream that was cut is opened again: said at each one's beginning, as a close may have named more."""
_ID: Final = re.compile(r"([0-9]{1,20})\.([0-9]{1,20})((?:;[^;=\x00-\x1f]{1,64}=[0-9]{1,20})*)")
_REFUSED: Final = {
    Close.TRY_AGAIN_LATER: pb.RATE_LIMITED,
    Close.TOKEN_REVOKED: pb.UNAUTHENTICATED,
    Close.USER_ERASED: pb.UNAUTHENTICATED,
    Close.USER_DISABLED: pb.UNAUTHENTICATED,
}
"""Codes of what was no stream; else it is UNAVAILABLE."""


class Place:
    """Tells where a stream stands: the store's epoch, the version of the state, and a position in each partition."""

    def __init__(self, epoch: int, state: int, positions: dict[str, int | None]) -> None:
        """A position that is None is where the server knows the device to be."""
        self.epoch = epoch
        self.state = state
        self.positions = positions
        self._is_whole = True  # no page of a whole state is left

    def hello(self) -> pb.Hello:
        """The Hello that begins there."""
        hello = pb.Hello(epoch=self.epoch, state_version=self.state, agent="events")
        for partition, offset in self.positions.items():
            position = hello.partitions.add(partition=partition)
            if offset is not None:
                position.offset = offset
        return hello

    def take(self, scheme: pb.MessageScheme) -> None:
        """Moves it behind a frame."""
        if scheme.HasField("hello"):
            self.epoch = scheme.hello.epoch
            self.positions = {log.partition: log.position for log in scheme.hello.logs}
            return
        body = scheme.body
        if body.partition and body.turn == pb.IN_TURN and body.upto:
            self.positions[body.partition] = body.upto
        for delta in body.states:
            self._is_whole = delta.complete or (self._is_whole and not delta.reset)
            if self._is_whole:  # else it begins anew: what is left of it would be dropped
                self.state = delta.upto

    def __str__(self) -> str:
        places = "".join(f";{partition}={offset}" for partition, offset in self.positions.items())
        return f"{self.epoch}.{self.state}{places}"


def place_of(last_event_id: str, partitions: str) -> Place:
    """Finds where a stream begins: at an event's id, or, without one, where the server knows the device to be. Raises
    ProblemError.
    """
    if not last_event_id:
        return Place(0, 0, dict.fromkeys(filter(None, partitions.split(","))))
    found = _ID.fullmatch(last_event_id)
    numbers = [int(number) for number in re.findall(r"[0-9]+(?=[.;]|$)", last_event_id)] if found else []
    if found is None or max(numbers) >= 2**64:
        raise invalid("Last-Event-ID is no id of an event: give back the last one's, as it is.", "Last-Event-ID")
    pairs = (one.rsplit("=", 1) for one in found[3].split(";") if one)
    return Place(int(found[1]), int(found[2]), {name: int(offset) for name, offset in pairs})


class EventConnection:
    """A stream's `Connection`: it takes a frame whole, and the next one when that has left."""

    round_trip_seconds = None  # a stream has no heartbeat that is answered

    def __init__(self, address: str = "") -> None:
        self.address = self.account = address
        self.unsent: bytes | None = None
        self.closed: tuple[int, str] | None = None
        self._is_gone = False
        self._changed = trio.Event()

    async def receive(self) -> list[bytes]:
        """Nothing arrives but the Hello that it began with."""
        while self.closed is None:
            await self.wait_changed()
        raise ConnectionClosedError(*self.closed)

    async def hand_to(self, _take: Take) -> None:
        await self.receive()

    @property
    def sendable(self) -> bool:
        return self.unsent is None

    def send_nowait(self, frame: bytes) -> bool:
        if self.closed is not None:
            return True
        if self.unsent is not None:
            return False
        self.unsent = frame
        self._notify()
        return True

    async def wait_sendable(self) -> None:
        while self.unsent is not None:
            if self.closed is not None:
                raise ConnectionClosedError(*self.closed)
            await self.wait_changed()

    def sent(self) -> None:
        """The frame has left."""
        self.unsent = None
        self._notify()

    def close(self, code: int, reason: str) -> None:
        if self.closed is None:
            self.closed = (int(code), reason)
            self._notify()

    async def wait_closed(self) -> None:
        while not self._is_gone:
            await self.wait_changed()

    def end(self) -> None:
        """The peer is gone, or was told all."""
        self.close(Close.GOING_AWAY, "the stream ended")
        self._is_gone = True
        self._notify()

    async def wait_changed(self) -> None:
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Streams:
    """Opens streams of events."""

    def __init__(self, attach: Attach) -> None:
        self._attach = attach

    async def open(self, visit: Visit) -> Reply | Response:
        if visit.request.method == "HEAD":
            return Response(media_type=MEDIA_TYPE, headers={"cache-control": "no-store"})
        place = place_of(visit.request.headers.get("last-event-id", ""), visit.query("partitions", "chat"))
        visitor: Visitor = visit.request.scope[VISITOR]
        caller = visit.caller
        visitor.connect_device(caller.claims)
        connection = EventConnection(visitor.address or "")
        try:
            try:
                await self._attach(caller.claims, connection, [codec.encode(place.hello(), 1)])
            except RefusedError as error:
                code = _REFUSED.get(Close(error.code), pb.UNAVAILABLE)
                wait_ms = 1000 * named_wait(error.code, error.reason)
                raise ProblemError(WireError(code, error.reason, retry_after_ms=wait_ms)) from None
            while connection.unsent is None and connection.closed is None:
                await connection.wait_changed()
            _check_greeting(connection)
        except BaseException:
            connection.end()
            raise
        return _Events(connection, place, visitor, caller.services.limits.heartbeat_seconds)


def _check_greeting(connection: EventConnection) -> None:
    """Raises ProblemError where the answer to Hello is an error."""
    if connection.unsent is None:
        assert connection.closed is not None
        raise ProblemError(WireError(pb.UNAVAILABLE, connection.closed[1]))
    scheme = codec.decode(connection.unsent)
    if not scheme.HasField("hello"):
        raise ProblemError(scheme.error if scheme.HasField("error") else scheme.body.errors[0])


class _Events(Response):
    """The stream, until either side ends it."""

    def __init__(self, connection: EventConnection, place: Place, visitor: Visitor, heartbeat_seconds: float) -> None:
        headers = {"cache-control": "no-store", "connection": "close", "x-accel-buffering": "no"}
        super().__init__(headers=headers, media_type=MEDIA_TYPE)
        del self.headers["content-length"]
        self._connection = connection
        self._place = place
        visitor.when_stopping(lambda: connection.close(Close.GOING_AWAY, "the server stops; please connect again"))
        self._heartbeat_seconds = heartbeat_seconds

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        dead: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                try:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    nursery.start_soon(_wait_left, receive, nursery.cancel_scope)
                    await self._stream(send)
                except DEAD as error:
                    dead = error
                nursery.cancel_scope.cancel()
        finally:
            self._connection.end()
        if dead is not None:
            raise dead

    async def _stream(self, send: Send) -> None:
        """Sends what there is, until the connection is closed, and that it is."""
        connection = self._connection

        async def send_on(text: str, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

        while connection.unsent is not None or connection.closed is None:
            if connection.unsent is not None:
                await send_on(self._event(connection.unsent))
                connection.sent()
                continue
            with trio.move_on_after(self._heartbeat_seconds) as quiet:
                await connection.wait_changed()
            if quiet.cancelled_caught:
                await send_on(":\n\n")  # a comment: proxies and peers see that it is there
        code, reason = connection.closed
        said = protojson.dump({"code": code, "reason": reason})
        wait = named_wait(code, reason)
        retry = f"retry: {1000 * wait}\n" if wait else ""
        await send_on(f"event: close\n{retry}data: {said}\n\n", more=False)

    def _event(self, frame: bytes) -> str:
        scheme = codec.decode(frame)
        self._place.take(scheme)
        name, payload = codec.payload_of(scheme)
        retry = f"retry: {RETRY_MS}\n" if name == "hello" else ""
        return f"{retry}id: {self._place}\nevent: {name}\ndata: {protojson.dump(protojson.message_of(payload))}\n\n"


async def _wait_left(receive: Receive, streaming: trio.CancelScope) -> None:
    """Ends a stream when its peer leaves, or sends a body that cannot be: who reads no more is not there."""
    with suppress(ProblemError, *DEAD):
        while (await receive())["type"] != "http.disconnect":
            pass
    streaming.cancel()


def endpoints(streams: Streams) -> tuple[Endpoint, ...]:
    """The rows of a server's streams."""
    return (
        Endpoint(
            "GET",
            "/events",
            streams.open,
            "Stream what this device is sent",
            DESCRIPTION,
            parameters=(
                Parameter(
                    "partitions", "Names with commas between them, by default chat: what is not named is not sent."
                ),
                Parameter(
                    "Last-Event-ID", "The id of the last event that was taken: it goes on there.", place="header"
                ),
            ),
            answer={"type": "string", "description": "Events, each with id, event and data."},
            errors=(pb.NOT_FOUND, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME, pb.OFFSET_BEYOND_HEAD),
            media_type=MEDIA_TYPE,
        ),
    )
