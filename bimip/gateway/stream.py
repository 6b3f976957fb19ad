"""The stream that the WebSocket library is given in place of the socket.

Theory of operation. The library treats a connection as its own: it sends in whichever task happens to be there, for as
long as that takes, answers a ping after the close frame (which is an error), and closes the socket when it has seen a
broken frame, before anybody could say why. So it gets this stream instead, which keeps these rules, whoever sends:

- One call of `send_all` is one frame (the library works so), and a frame leaves whole or is the last thing that left:
  a send has a deadline, and where it was cut nothing follows.
- Nothing follows a close frame. What the library would still send is dropped in silence.
- The library's `aclose` only lets go; `aclose_socket` closes. In between there is time for the right close code.
- It knows when the peer was heard, and for how long we have been listening in vain. A server that does not read
  because its reader has enough to do must not take its peer for silent.
- The bytes of an opening handshake are counted.

Later limits on the bytes, fragments and seconds of an unfinished message belong here: every byte passes `receive_some`
before the library sees it.
"""

import math
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import trio
from wsproto.frame_protocol import FrameProtocol

SWITCHING = b"HTTP/1.1 101 "
BARE_REFUSAL = b"HTTP/1.1 400 "
CLOSE_OPCODE = 0x8

PLAIN_TEXT = b"Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
NOT_A_WEBSOCKET = b"""This is a WebSocket endpoint. Open it as one, and offer the subprotocol bimip.v1 or bimip.v1.json.
"""


class GuardedStream(trio.abc.Stream):
    def __init__(
        self,
        inner: trio.abc.Stream,
        *,
        send_seconds: float,
        max_opening_bytes: int,
        on_change: Callable[[], None],
    ) -> None:
        self._inner = inner
        self._send_seconds = send_seconds
        self._on_change = on_change
        self._frames = FrameProtocol(client=False, extensions=[])
        self._turn = trio.StrictFIFOLock()
        self._sending: trio.CancelScope | None = None
        self._hurry_at = math.inf
        self._opening = True
        self._opening_bytes_left = max_opening_bytes
        self._first_bytes = b""
        self._listening_since: float | None = None

        self.answered_opening = False
        """An HTTP answer left, be it the good one."""
        self._cut = False  # a frame is leaving, or has left in part
        self.too_slow = False
        """A frame did not leave within the send deadline."""
        self.close_sent = False
        self.close_answered = False
        """The library wanted to send a close frame: it answers the peer's, or refuses what is too big."""
        self.let_go = False
        """The library is through with the socket."""
        self.eof = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        data = bytes(data)
        if self._opening:
            self._opening = not data.startswith(SWITCHING)
            await self._send(self._explained(data))
            self.answered_opening = True
        elif data[0] & 0x0F == CLOSE_OPCODE:
            self.close_answered = True
            await self._send(data, last=True)
            self._on_change()
        else:
            await self._send(data)

    async def send_ping(self) -> None:
        """Any pong, and any other byte, is the answer."""
        await self._send(bytes(self._frames.ping()))

    async def send_close(self, code: int, reason: str) -> None:
        await self._send(bytes(self._frames.close(code, reason)), last=True)

    async def _send(self, data: bytes, *, last: bool = False) -> None:
        async with self._turn:
            if self.close_sent:
                return
            if self._cut:
                raise trio.BrokenResourceError("an earlier frame left in part")
            self._cut = True
            in_time = trio.current_time() + self._send_seconds
            with trio.CancelScope(deadline=min(in_time, self._hurry_at)) as self._sending:
                await self._inner.send_all(data)
                self._cut = False
                self.close_sent = last
            self._sending = None
            if self._cut:
                self.too_slow = trio.current_time() >= in_time
                self._on_change()
                raise trio.BrokenResourceError("a frame did not leave in time")

    def hurry(self, seconds: float) -> None:
        """From now on no frame may take longer than that. The connection ends."""
        self._hurry_at = min(self._hurry_at, trio.current_time() + seconds)
        if self._sending is not None:
            self._sending.deadline = min(self._sending.deadline, self._hurry_at)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self.let_go or self.close_answered:
            raise trio.ClosedResourceError("the library is through with it")
        self._listening_since = trio.current_time()
        try:
            data = bytes(await self._inner.receive_some(max_bytes))
        finally:
            self._listening_since = None
        self.eof = not data
        return self._counted(data) if self._opening else data

    async def discard_all(self) -> None:
        """Send no more, and read until the peer has closed. To close a socket with unread bytes would reset it, and
        the peer might never see the close frame that it was sent.
        """
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(self._inner, trio.abc.HalfCloseableStream):
                await self._inner.send_eof()
            while not self.eof and await self._inner.receive_some(64 << 10):
                pass

    def listening_in_vain_since(self) -> float:
        """When we began to wait for the next bytes; inf while we do not."""
        return math.inf if self._listening_since is None else self._listening_since

    async def aclose(self) -> None:
        self.let_go = True
        self._on_change()
        await trio.lowlevel.checkpoint()

    async def aclose_socket(self, *, reset: bool) -> None:
        """Close at once, also when cancelled. With `reset`, what the peer has not taken yet is dropped: the system
        would otherwise keep it for minutes for a peer that does not read.
        """
        if reset:
            with suppress(OSError):
                self._set_linger()
        await trio.aclose_forcefully(self._inner)

    async def wait_send_all_might_not_block(self) -> None:
        await self._inner.wait_send_all_might_not_block()

    def _set_linger(self) -> None:
        transport = self._inner
        if isinstance(transport, trio.SSLStream):
            transport = transport.transport_stream
        if isinstance(transport, trio.SocketStream):
            transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _counted(self, data: bytes) -> bytes:
        self._first_bytes = self._first_bytes or data[:4]
        self._opening_bytes_left -= len(data)
        return data if self._opening_bytes_left >= 0 else b""

    def _explained(self, answer: bytes) -> bytes:
        """The library refuses what is no WebSocket handshake without a word."""
        if not (answer.startswith(BARE_REFUSAL) and b"content-length: 0\r\n" in answer.lower()):
            return answer
        status = b"426 Upgrade Required\r\nUpgrade: websocket" if self._first_bytes == b"GET " else b"400 Bad Request"
        return b"HTTP/1.1 %b\r\n%b%d\r\n\r\n%b" % (status, PLAIN_TEXT, len(NOT_A_WEBSOCKET), NOT_A_WEBSOCKET)
