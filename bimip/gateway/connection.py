"""A connected peer, for its socket's whole life: `bimip.users.connection.Connection` over trio-websocket.

Three hands work on it. The library's reader (the pump) takes bytes from the socket and answers pings. The connection's
own task, `run`, is the only one that sends frames, pings and the close frame, and the only one that closes the socket.
And the floors above call the synchronous methods, which leave what they want in a slot and wake that task. Both tasks
are shielded: a stop or a kill reaches the task that serves the connection, which closes it like everybody else, so no
cancellation ever falls into the middle of a frame.

The life of a connection:

    open -- close() called, the peer closed, the socket died, a deadline passed --> closing -- socket closed --> gone

`_ending` is the code and the reason, set at the moment of leaving `open`, by whoever comes first. Everything is
bounded: one unfinished frame, one unfinished error answer, one received message in the library's channel and one that
it is assembling, `send_seconds` for each frame and `close_seconds` for the end.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import trio
import trio_websocket

from bimip.gateway.pump import FAULTS, Pump
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.stream import GuardedStream
from bimip.gateway.wire import JSON, error_frame, frame_of, text_of
from bimip.session.close import Close
from bimip.users.connection import ConnectionClosedError
from bimip.wire.errors import WireError

ABNORMAL = 1006
NEVER_SENT = {1005, ABNORMAL, 1015}
FAILED = (Close.INTERNAL_ERROR, "the server failed here; please connect again")


class WebSocketConnection:
    def __init__(
        self,
        websocket: trio_websocket.WebSocketConnection,
        stream: GuardedStream,
        pump: Pump,
        settings: GatewaySettings,
    ) -> None:
        self._websocket = websocket
        self._stream = stream
        self._pump = pump
        self._settings = settings
        self._is_json = websocket.subprotocol == JSON
        self._unfinished: bytes | None = None
        self._answer: bytes | None = None
        self._malformed_in_a_row = 0
        self._ending: tuple[int, str] | None = None
        self._closed_here = False  # what has arrived and was not received yet is of no interest any more
        self._ping_at = trio.current_time() + settings.heartbeat_seconds
        self._wake = trio.Event()
        self._sendable = trio.Event()
        self._answered = trio.Event()
        self._farewell = trio.Event()
        self._gone = trio.Event()
        self._scope = trio.CancelScope(shield=True)
        self._receiving: set[trio.CancelScope] = set()
        self._opened_for: set[trio.CancelScope] = set()

    async def receive(self) -> list[bytes]:
        """See `Connection`. Raises at once when the connection was closed from this side."""
        while True:
            while self._answer is not None and self._ending is None:
                await self._answered.wait()
            frame = self._understood(await self._next_message())
            if frame is not None:
                return [frame]

    @property
    def sendable(self) -> bool:
        return self._unfinished is None or self._ending is not None

    def send_nowait(self, frame: bytes) -> bool:
        if self._ending is not None:
            return True
        if self._unfinished is not None:
            return False
        self._unfinished = frame
        self.wake_up()
        return True

    async def wait_sendable(self) -> None:
        while self._unfinished is not None and self._ending is None:
            await self._sendable.wait()
        await trio.lowlevel.checkpoint()
        if self._ending is not None:
            raise ConnectionClosedError(*self._ending)

    def close(self, code: int, reason: str) -> None:
        if self._ending is None:
            self._closed_here = True
            self._end(code, reason)
            for scope in self._receiving:
                scope.cancel()

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def wake_up(self) -> None:
        """Something happened that the connection's task should look at."""
        self._wake.set()

    async def wait_farewell(self) -> None:
        """Return when the close frame has left, or cannot."""
        await self._farewell.wait()

    @contextmanager
    def while_open(self) -> Iterator[None]:
        """Cut what runs in here when the connection ends."""
        with trio.CancelScope() as scope:
            if self._ending is not None:
                scope.cancel()
            self._opened_for.add(scope)
            try:
                yield
            finally:
                self._opened_for.discard(scope)

    def hurry(self) -> None:
        """The server stops: the unfinished frame has no more time than a farewell."""
        self._stream.hurry(self._settings.close_seconds)

    def cut(self) -> None:
        """Close the socket now. Nothing else cancels `run`."""
        self._scope.cancel()

    async def run(self) -> None:
        """Serve the connection until its socket is closed. Where that fails it closes with 1011."""
        try:
            with self._scope:
                await self._serve_and_finish()
        finally:
            self._end(ABNORMAL, "the connection was cut")
            self._farewell.set()
            try:
                await self._stream.aclose_socket(reset=not (self._stream.eof or self._was_answered()))
            finally:
                self._gone.set()

    async def _serve_and_finish(self) -> None:
        try:
            await self._serve()
            await self._finish()
        except Exception:
            self._unfinished = self._answer = None  # it may be what failed
            self.close(*FAILED)
            await self._finish()
            raise

    async def _serve(self) -> None:
        while not self._is_over():
            self._wake = trio.Event()
            if self._unfinished is not None:
                await self._send_unfinished()
            elif self._answer is not None:
                await self._send_answer()
            elif self._ending is not None:
                return
            elif not await self._beat():
                await self._sleep()

    def _end(self, code: int, reason: str) -> None:
        if self._ending is None:
            self._ending = (int(code), reason)
            for scope in self._opened_for:
                scope.cancel()
            self._sendable.set()
            self._answered.set()
            self.wake_up()

    def _is_over(self) -> bool:
        """Notes why, if so."""
        is_over = self._pump.over or self._stream.too_slow or self._stream.let_go or self._stream.close_answered
        if is_over:
            self._end(*self._why_it_is_over())
        return is_over

    def _why_it_is_over(self) -> tuple[int, str]:
        closed = self._websocket.closed
        if self._stream.too_slow:
            return Close.TOO_SLOW, "a frame could not be sent in time"
        if self._pump.crashed:
            return FAILED
        if closed is not None:
            return closed.code, closed.reason or ""
        if self._pump.fault:
            return Close.PROTOCOL_ERROR, "this is not the WebSocket protocol"
        return ABNORMAL, "the peer is gone"

    async def _send_unfinished(self) -> None:
        assert self._unfinished is not None
        await self._send(self._unfinished)
        self._unfinished = None
        self._sendable.set()
        self._sendable = trio.Event()

    async def _send_answer(self) -> None:
        assert self._answer is not None
        await self._send(self._answer)
        self._answer = None
        self._answered.set()
        self._answered = trio.Event()

    async def _send(self, frame: bytes) -> None:
        try:
            await self._websocket.send_message(text_of(frame) if self._is_json else frame)
        except FAULTS:
            self._end(*self._why_it_is_over())

    async def _beat(self) -> bool:
        """Do what is due for the heartbeat, if anything is."""
        if trio.current_time() >= self._silent_at():
            self.close(Close.SILENT, "nothing was heard for two heartbeats")
            return True
        if trio.current_time() < self._ping_at:
            return False
        self._ping_at = trio.current_time() + self._settings.heartbeat_seconds
        try:
            await self._stream.send_ping()
        except FAULTS:
            self._end(*self._why_it_is_over())
        return True

    async def _sleep(self) -> None:
        with trio.move_on_at(min(self._ping_at, self._silent_at())):
            await self._wake.wait()

    def _silent_at(self) -> float:
        return self._stream.listening_in_vain_since() + 2 * self._settings.heartbeat_seconds

    async def _next_message(self) -> str | bytes:
        with trio.CancelScope() as scope:
            if not self._closed_here:
                self._receiving.add(scope)
                try:
                    return await self._websocket.get_message()
                except trio_websocket.ConnectionClosed:
                    self._end(*self._why_it_is_over())
                finally:
                    self._receiving.discard(scope)
        assert self._ending is not None
        raise ConnectionClosedError(*self._ending)

    def _understood(self, message: str | bytes) -> bytes | None:
        """The message as a frame. None: it was answered here, or closes the connection."""
        if self._is_json and isinstance(message, str):
            return self._translated(message)
        if not self._is_json and isinstance(message, bytes):
            return message
        kind = "text frames" if self._is_json else "binary frames"
        self.close(Close.UNSUPPORTED_DATA, f"the subprotocol {self._websocket.subprotocol} has {kind} only")
        return None

    def _translated(self, text: str) -> bytes | None:
        try:
            frame = frame_of(text)
        except WireError as error:
            self._malformed_in_a_row += 1
            if self._malformed_in_a_row > self._settings.max_malformed:
                self.close(Close.TOO_MANY_ERRORS, "too many frames in a row that cannot be understood")
            else:
                self._answer = error_frame(error)
                self.wake_up()
            return None
        self._malformed_in_a_row = 0
        return frame

    async def _finish(self) -> None:
        """Say goodbye, and give the peer some time to answer."""
        assert self._ending is not None
        self._stream.hurry(self._settings.close_seconds)
        with trio.move_on_after(self._settings.close_seconds):
            await self._send_close()
            self._farewell.set()
            if self._stream.close_sent:
                await self._await_the_peers_end()

    async def _send_close(self) -> None:
        """The library does not always: not for a broken frame, and not for any code of ours, because a library that
        knows that it is closing fails at the next ping.
        """
        assert self._ending is not None
        code, reason = self._ending
        if self._stream.eof or code in NEVER_SENT:
            return
        with suppress(*FAULTS):
            await self._stream.send_close(code, reason)

    async def _await_the_peers_end(self) -> None:
        if self._closed_here:
            await self._discard_messages()
        await self._pump.ended.wait()
        if not self._was_answered():
            await self._stream.discard_all()

    def _was_answered(self) -> bool:
        """Both close frames went over the wire. (What was too big makes the library send one and not let go.)"""
        return self._stream.close_answered and self._stream.let_go

    async def _discard_messages(self) -> None:
        """The library reads no further, and so not the answer to the close, while a message waits."""
        with suppress(trio_websocket.ConnectionClosed):
            while True:
                await self._websocket.get_message()
