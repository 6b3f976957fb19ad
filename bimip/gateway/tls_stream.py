"""TLS over a socket: a stream for the handshake and for HTTP, and the record layer that a WebSocket takes over from it.

Why two: a stream can only be awaited, and needs a task for each direction; records are plain code. So trio's stream
does what happens once, and is given up when the WebSocket is open. From then on the poller reads ciphertext, a frame is
encrypted where it is written, and nothing of TLS waits (`connection.py`). Python's `ssl` does all of the cryptography
and of the protocol, over two buffers in memory.

Reading may have to write: a peer that changes its key asks for ours (RFC 8446, 4.6.3), and a record that is forged is
answered by an alert. What is to be sent gathers in order behind what was encrypted before, so that whoever sends next
sends it first. OpenSSL gets one record at a time, and so many in a turn: it would go through hundreds of changes of a
key in one call. The buffers keep the memory that they once had, so they never hold more than a record either.
"""

import ssl
from contextlib import suppress
from typing import Any, Final, cast

import trio
import trio.abc

RECORD_BYTES: Final = 16 << 10
"""The most that a record holds (RFC 8446, 5.1)."""
RECEIVE_BYTES: Final = RECORD_BYTES + 512
"""What is read at once: the largest record, with what encrypting adds."""
RECORDS_AT_ONCE: Final = 64
"""A read brings hundreds of small ones. One that changes a key takes 30 µs, so these take 2 ms at most."""
_HEAD_BYTES: Final = 5


class TlsRecords:
    """Decrypts what comes on a connection and encrypts what leaves, without I/O."""

    __slots__ = (
        "_fault",
        "_head",
        "_incoming",
        "_is_between",
        "_left",
        "_missing",
        "_object",
        "_outgoing",
        "closed",
        "ended",
        "pending",
    )

    def __init__(self, tls: ssl.SSLObject, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        """The handshake is over."""
        self._object = tls
        self._incoming, self._outgoing = incoming, outgoing
        self._left = incoming.read()  # of what came
        self._head = b""  # of a record, as long as it is not whole
        self._missing = 0  # of the body of a record
        self._is_between = True
        """All of what came are whole records."""
        self._fault: ssl.SSLError | None = None
        self.pending = bool(self._left)
        """The next `decrypt`, if only of b"", goes on with what came already."""
        self.ended = False
        """The peer said that it sends no more."""
        self.closed = False
        """The peer was told that nothing more is sent."""

    def decrypt(self, data: bytes) -> bytes:
        """Decrypts what came, as far as it is whole and not too much for a turn. Raises ssl.SSLError: it is broken."""
        if self._is_between and not self.pending and _is_one_record(data):
            self._incoming.write(data)
            plain = self._read()
            self.pending = self.ended or self._incoming.pending > 0
            return plain or b""
        if not self.pending:
            self._left = data
        return self._decrypt_some()

    def _decrypt_some(self) -> bytes:
        if self._fault is not None:
            raise self._fault
        found: list[bytes] = []
        try:
            for _ in range(RECORDS_AT_ONCE):
                if not self._incoming.pending:
                    if not self._left or self.ended:
                        break
                    self._incoming.write(self._next_part())
                plain = self._read()
                if plain:
                    found.append(plain)
        except ssl.SSLError as error:
            if not found:
                raise
            self._fault = error
        self._is_between = not self._head and not self._missing
        self.pending = bool(self._left or self._incoming.pending or self.ended or self._fault)
        return b"".join(found)

    def _read(self) -> bytes | None:
        """Reads what a record holds; None: nothing that is for us."""
        try:
            plain = self._object.read(RECORD_BYTES)
        except ssl.SSLWantReadError:
            return None
        except ssl.SSLZeroReturnError:
            plain = b""
        if not plain:
            self.ended = True
        return plain

    def _next_part(self) -> bytes:
        """Takes what came of the next record."""
        size = self._missing
        if not size:
            size = _HEAD_BYTES - len(self._head)
            self._head += self._left[:size]
            if len(self._head) == _HEAD_BYTES:
                size += _body_bytes(self._head)
                self._head = b""
        part, self._left = self._left[:size], self._left[size:]
        self._missing = 0 if self._head else size - len(part)
        return part

    @property
    def unsent_bytes(self) -> int:
        """Counts what is to be sent because of what was read."""
        return self._outgoing.pending

    def encrypt(self, data: bytes) -> bytes:
        """Encrypts data, and returns all that is to be sent now, perhaps something for b"" too. Raises ssl.SSLError."""
        if len(data) <= RECORD_BYTES:
            if data:
                self._object.write(data)
            return self._outgoing.read()
        records, view = [], memoryview(data)
        for at in range(0, len(data), RECORD_BYTES):
            self._object.write(view[at : at + RECORD_BYTES])
            records.append(self._outgoing.read())
        return b"".join(records)

    def close(self) -> None:
        """Says that nothing more is sent: `encrypt` returns it. Not while something waits to be decrypted: OpenSSL
        looks for the peer's end behind it, and would take that for a fault.
        """
        self.closed = True
        if not self.pending or self.ended:
            with suppress(ssl.SSLError):  # the peer has not said so yet
                self._object.unwrap()


def _body_bytes(head: bytes) -> int:
    return head[3] << 8 | head[4]


def _is_one_record(data: bytes) -> bool:
    return len(data) > _HEAD_BYTES and len(data) == _HEAD_BYTES + _body_bytes(data)


class _Handover:
    """A context that keeps what it makes for `trio.SSLStream`, which gives nothing away."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, **options: Any) -> ssl.SSLObject:  # noqa: ANN401
        tls = self._context.wrap_bio(incoming, outgoing, **options)
        self.parts = tls, incoming, outgoing
        return tls


class TlsStream(trio.abc.Stream):
    """A server's stream over TLS. It neither sends nor expects the end of TLS, as HTTP's clients do not."""

    __slots__ = ("_handover", "_stream", "transport")

    def __init__(self, transport: trio.SocketStream, context: ssl.SSLContext) -> None:
        self.transport = transport
        self._handover: _Handover | None = _Handover(context)
        self._stream: trio.abc.Stream = trio.SSLStream(
            transport, cast("ssl.SSLContext", self._handover), server_side=True, https_compatible=True
        )

    def take_over(self) -> TlsRecords:
        """Its record layer, once something was sent and nobody sends or receives. This only closes from then on."""
        assert self._handover is not None
        parts, self._handover, self._stream = self._handover.parts, None, self.transport
        return TlsRecords(*parts)

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def transport_of(stream: trio.abc.Stream) -> trio.abc.Stream:
    """The socket below a stream, or the stream itself."""
    return stream.transport if isinstance(stream, TlsStream) else stream
