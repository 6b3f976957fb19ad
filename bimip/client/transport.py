"""A WebSocket to the server that runs wherever anyio does: wsproto's sans-IO protocol over an anyio stream.

What the client sees of it is `Connection`: whole binary messages, in order. Pings are answered while `receive` waits.
"""

import re
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from typing import NamedTuple, Protocol
from urllib.parse import quote, urlsplit

import anyio
import wsproto
from anyio.abc import ByteStream
from wsproto import events
from wsproto.connection import ConnectionState
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from bimip.client.errors import ConnectFailed, ConnectionClosed
from bimip.session.close import Close

SUBPROTOCOL = "bimip.v1"
ABNORMAL_CLOSURE = 1006  # RFC 6455's name for: no close frame came
MAX_FRAME_BYTES = 16 * 1024 * 1024
MAX_SENTENCE_BYTES = 1000
CLOSE_TIMEOUT = 2.0
LONGEST_RETRY_AFTER = 3600.0
"""Seconds. What names a longer one is out of order, and the way there may be mended sooner."""
_TOKEN_CODE = re.compile(r"41[0-9]{2}")
_TARGET_CHARACTERS = "/%:=&?~+!$,;'@()*"


class Connection(Protocol):
    async def receive(self) -> bytes:
        """Wait for the next frame. Cancelling it is safe. Raises ConnectionClosed."""
        ...

    async def send(self, frame: bytes) -> None:
        """Send a frame. Cancelling it may leave half a frame behind: close then. Raises ConnectionClosed."""
        ...

    async def aclose(self, code: int, reason: str) -> None:
        """Close with a code, wait a little for the answer, and let go of the socket. Never raises."""
        ...


Connect = Callable[[str, str], Awaitable[Connection]]
"""(url, token) -> a connection whose handshake is done. Raises ConnectFailed."""


def websocket(*, ssl_context: ssl.SSLContext | None = None, timeout: float = 10.0) -> Connect:
    """A Connect for ws:// and wss://. `timeout` is in seconds, over name, TCP, TLS and HTTP handshake together."""

    async def connect(url: str, token: str) -> Connection:
        try:
            with anyio.fail_after(timeout):
                return await _open(url, token, ssl_context)
        except TimeoutError:
            raise ConnectFailed(f"{url} did not answer within {timeout} s") from None

    return connect


async def _open(url: str, token: str, ssl_context: ssl.SSLContext | None) -> Connection:
    address = _address_in(url)
    if not (token.isascii() and token.isprintable() and " " not in token):  # h11's error would quote it
        raise ConnectFailed("the token holds a character that no token has", code=Close.UNAUTHENTICATED)
    try:
        stream: ByteStream = (
            await anyio.connect_tcp(
                address.host, address.port, tls=True, ssl_context=ssl_context, tls_standard_compatible=False
            )
            if address.is_secure
            else await anyio.connect_tcp(address.host, address.port)
        )
    except OSError as problem:  # ssl.SSLError is one
        raise ConnectFailed(f"{address.host}:{address.port}: {problem}") from problem
    socket = WebSocket(stream)
    try:
        await socket.shake_hands(address.authority, address.target, token)
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return socket


class Address(NamedTuple):
    """A server's address as its URL says it, in ASCII."""

    is_secure: bool
    host: str
    port: int
    authority: str  # host and port, as the header Host has them
    target: str


def _address_in(url: str) -> Address:
    problem = "it begins with ws:// or wss:// and names a host"
    try:
        parts = urlsplit(url)
        is_secure = parts.scheme == "wss"
        if parts.scheme in {"ws", "wss"} and parts.hostname:
            host = parts.hostname.encode("idna").decode()
            named = f"[{host}]" if ":" in host else host
            target = quote(parts.path or "/", safe=_TARGET_CHARACTERS)
            return Address(
                is_secure,
                host,
                parts.port or (443 if is_secure else 80),
                named if parts.port is None else f"{named}:{parts.port}",
                f"{target}?{quote(parts.query, safe=_TARGET_CHARACTERS)}" if parts.query else target,
            )
    except (ValueError, AttributeError, TypeError) as error:  # of a port, of brackets, of a name's labels; of no text
        problem = str(error)
    raise ConnectFailed(f"{url!r} is no address of a server: {problem}", status=400, final=True)


class WebSocket:
    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._pending: deque[events.Event] = deque()
        self._parts = bytearray()
        self._sending = anyio.Lock()
        self._closed: ConnectionClosed | None = None

    async def shake_hands(self, host: str, target: str, token: str) -> None:
        request = events.Request(
            host=host,
            target=target,
            subprotocols=[SUBPROTOCOL],
            extra_headers=[(b"Authorization", b"Bearer " + token.encode("utf-8"))] if token else [],
        )
        try:
            await self._stream.send(self._protocol.send(request))
            await self._accepted()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError) as cut:
            raise ConnectFailed("cut in the middle of the handshake") from cut
        except (RemoteProtocolError, LocalProtocolError) as problem:
            raise ConnectFailed(f"the peer is no WebSocket server: {problem}") from problem

    async def _accepted(self) -> None:
        refused: events.RejectConnection | None = None
        sentence = bytearray()
        while True:
            for event in self._protocol.events():
                if isinstance(event, events.AcceptConnection):
                    if event.subprotocol != SUBPROTOCOL:
                        raise ConnectFailed(f"the server does not speak {SUBPROTOCOL}", status=400)
                    return
                if isinstance(event, events.RejectConnection):
                    refused = event
                elif isinstance(event, events.RejectData):
                    sentence += event.data
                    if event.body_finished or len(sentence) > MAX_SENTENCE_BYTES:
                        raise _refusal(refused, bytes(sentence))
            self._protocol.receive_data(await self._more(refused))

    async def _more(self, refused: events.RejectConnection | None) -> bytes | None:
        try:
            return await self._stream.receive()
        except anyio.EndOfStream:
            if refused is None:
                raise
            return None  # the end of a body without a length

    async def receive(self) -> bytes:
        while True:
            self._pending.extend(self._protocol.events())
            while self._pending and self._closed is None:
                if (frame := await self._on(self._pending.popleft())) is not None:
                    return frame
            if self._closed is not None:
                raise self._closed
            try:
                self._protocol.receive_data(await self._stream.receive())
            except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as cut:
                self._closed = ConnectionClosed(ABNORMAL_CLOSURE, "the connection was cut")
                raise self._closed from cut
            except RemoteProtocolError as problem:
                await self._fail(Close.PROTOCOL_ERROR, f"no WebSocket frame: {problem}")

    async def _on(self, event: events.Event) -> bytes | None:
        if isinstance(event, events.BytesMessage):
            self._parts += event.data
            if len(self._parts) > MAX_FRAME_BYTES:
                await self._fail(Close.TOO_BIG, f"a frame is longer than {MAX_FRAME_BYTES} bytes")
            elif event.message_finished:
                frame = bytes(self._parts)
                self._parts.clear()
                return frame
        elif isinstance(event, events.TextMessage):
            await self._fail(Close.UNSUPPORTED_DATA, f"{SUBPROTOCOL} has no text frames")
        elif isinstance(event, events.Ping):
            await self._write(event.response())
        elif isinstance(event, events.CloseConnection):
            if self._protocol.state is ConnectionState.OPEN:  # wsproto's way to report what it could not parse
                await self._fail(event.code, event.reason or "")
                return None
            self._closed = ConnectionClosed(event.code, event.reason or "")
            if self._protocol.state is ConnectionState.REMOTE_CLOSING:
                await self._write(event.response())
        return None

    async def _fail(self, code: int, reason: str) -> None:
        """Close with the code of the peer's fault, and end here as if cut, since only a new connection can help."""
        await self._write(events.CloseConnection(code, reason[:100]))
        self._closed = ConnectionClosed(ABNORMAL_CLOSURE, reason)

    async def send(self, frame: bytes) -> None:
        if self._closed is not None:
            raise self._closed
        await self._write(events.BytesMessage(frame))
        if self._closed is not None:
            raise self._closed

    async def _write(self, event: events.Event) -> None:
        async with self._sending:
            try:
                await self._stream.send(self._protocol.send(event))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError, LocalProtocolError):
                if self._closed is None:
                    self._closed = ConnectionClosed(ABNORMAL_CLOSURE, "the connection was cut")

    async def aclose(self, code: int, reason: str) -> None:
        with anyio.move_on_after(CLOSE_TIMEOUT, shield=True):
            if self._closed is None and self._protocol.state is ConnectionState.OPEN:
                await self._write(events.CloseConnection(code, reason[:100]))
                await self._drain()
        await anyio.aclose_forcefully(self._stream)

    async def _drain(self) -> None:
        """Read until the peer has closed too: a socket closed with unread data would cut off our last frames."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return


def _refusal(refused: events.RejectConnection | None, body: bytes) -> ConnectFailed:
    """Reads a refused handshake.

    The sentence of a 401 begins with a close code. Any other body may be that of whatever stands in between.
    """
    status = refused.status_code if refused else 0
    wait = _retry_after(dict(refused.headers) if refused else {})
    sentence = body.decode("utf-8", "replace").strip()
    code, _, rest = sentence.partition(" ")
    if status == 401 and (named := _TOKEN_CODE.fullmatch(code)):
        return ConnectFailed(rest or sentence, status=status, code=int(named[0]), retry_after=wait)
    reason = sentence or f"the server refused the handshake with HTTP status {status}"
    return ConnectFailed(reason, status=status, retry_after=wait)


def _retry_after(headers: Mapping[bytes, bytes]) -> float:
    """Reads Retry-After, in seconds; 0: none.

    A date (RFC 9110, 10.2.3) is of the other side's clock, which the answer's own date shows.
    """
    said, now = (headers.get(name, b"").decode("ascii", "replace").strip() for name in (b"retry-after", b"date"))
    wait = 0.0
    if said.isdecimal():
        wait = float(said)
    else:
        with suppress(ValueError, TypeError):
            wait = (parsedate_to_datetime(said) - parsedate_to_datetime(now)).total_seconds()
    return min(max(wait, 0.0), LONGEST_RETRY_AFTER)
