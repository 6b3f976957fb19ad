"""WebSocket frames (RFC 6455, part 5), without I/O: bytes in, messages and control frames out.

Why a reader of our own: a general library makes an event, a generator step and a copy of each frame and cannot hand
over all that arrived at once; it also counts neither fragments nor what a broken header announces. What is not here
(the opening, the order of a close, deadlines) is the connection's. The fuzz tests hold it to wsproto's verdicts.

Every limit applies before the bytes are there: a frame that announces too much is refused at its header. Bytes are
taken into one buffer that is cut where complete frames end, so one byte at a time costs no more than all at once. And
work is bounded as memory is: what one `feed` leaves is `pending`, and taken by the next one.
"""

from struct import Struct
from typing import Final, NamedTuple

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA

PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1002, 1007, 1009
NO_CODE: Final = 1005
"""What a close frame without a code counts as."""

_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_WHOLE_BINARY = _FIN | BINARY
_MAX_CONTROL_BYTES = 125
_SHORT, _LONG = Struct(">H"), Struct(">Q")
_CODES = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}

LONG_BYTES: Final = 32 << 10
"""A frame that is longer, and has not come whole, is unmasked part by part."""
PART_BYTES: Final = 16 << 10
"""The least of such a frame that is unmasked at once, but for its end: a byte is not worth a turn of the work."""
FRAMES_AT_ONCE: Final = 256
"""What one `feed` takes; the smallest frames have six bytes, and a read brings thousands of them. About 1 ms."""


class Ping(NamedTuple):
    payload: bytes


class Pong(NamedTuple):
    payload: bytes


class CloseFrame(NamedTuple):
    code: int
    reason: str


class Fault(NamedTuple):
    """The peer broke the protocol, or a limit: close with this. Nothing after it is read."""

    code: int
    reason: str


Event = bytes | str | Ping | Pong | CloseFrame | Fault
"""A binary or a text message, or what else a peer may say."""


class _FaultError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(code, reason)


class _LongFrame:
    """One that is unmasked as it comes: at its end that would take milliseconds, at once."""

    __slots__ = ("_mask", "first", "left", "payload")

    def __init__(self, first: int, mask: bytes, length: int) -> None:
        self.first = first
        self.left = length
        self.payload = bytearray()
        self._mask = mask

    def take(self, data: bytes) -> int:
        part = data[: self.left]
        turn = len(self.payload) % 4
        self.payload += unmask(part, self._mask[turn:] + self._mask[:turn])
        self.left -= len(part)
        return len(part)


class FrameReader:
    """Reads a client's WebSocket frames."""

    __slots__ = (
        "_at_once",
        "_buffer",
        "_fragments",
        "_long",
        "_max_bytes",
        "_max_fragments",
        "_max_later_bytes",
        "_need",
        "_size",
        "_text",
        "extra",
        "held",
        "over",
        "pending",
    )

    def __init__(self, *, max_message_bytes: int, max_fragments: int, max_first_bytes: int = 0) -> None:
        """`max_first_bytes`, if any, is for the first message, and what follows it is not read before `admit`."""
        self._max_later_bytes = max_message_bytes
        self._max_bytes = min(max_first_bytes or max_message_bytes, max_message_bytes)
        self._at_once = 1 if max_first_bytes else FRAMES_AT_ONCE
        self.held = False
        """The first message has come, and nothing more is read before `admit`."""
        self.over = False
        """Nothing that comes is read any more."""
        self._max_fragments = max_fragments
        self.extra = 0
        """Frames that were no whole message: pings, pongs, fragments. Whoever charges for them sets it back."""
        self.pending = False
        """The next `feed`, if only of b"", goes on with what came already."""
        self._buffer = bytearray()
        self._need = 0  # bytes that the buffer must hold before it is worth another look
        self._long: _LongFrame | None = None
        self._fragments: list[bytes] = []
        self._size = 0  # of the fragments
        self._text = False

    @property
    def unfinished(self) -> bool:
        """Whether a frame or a message has begun and not ended."""
        return bool(self._buffer or self._fragments or self._long)

    def admit(self) -> None:
        """Admits the client: from now on read as many messages as come, with the limit that holds for all."""
        self._max_bytes = self._max_later_bytes
        self._at_once = FRAMES_AT_ONCE
        self.release()

    def release(self) -> None:
        """The first message was none that counts: the next one is."""
        if self.held:
            self.held = False
            self.pending = bool(self._buffer)

    def stop(self) -> None:
        """Read nothing any more, as after a Fault."""
        self.over = True
        self.pending = False
        self._buffer = bytearray()
        self._long = None
        self._fragments = []

    def feed(self, data: bytes) -> list[Event]:
        """Feeds bytes, and returns what is complete now, in order: at most `FRAMES_AT_ONCE`. After a CloseFrame or a
        Fault nothing follows.
        """
        events: list[Event] = []
        if self.over:
            return events
        buffer = self._buffer
        if buffer or self.held or self._long is not None:
            buffer += data
            if self.held or (len(buffer) < self._need and not self.pending):
                return events
            data = bytes(buffer)
        self.pending = False
        try:
            at = self._read_frames(data, events)
        except _FaultError as error:
            events.append(error.fault)
            self.over = True
        if self.over:
            self.stop()
        elif at < len(data) or buffer:
            self._buffer = bytearray(memoryview(data)[at:])
        return events

    def _read_frames(self, data: bytes, events: list[Event]) -> int:  # noqa: C901 - a call more for each read
        """Take whole frames; returns where the first unfinished one begins."""
        at, size = 0, len(data)
        if self._long is not None:
            at = self._go_on(self._long, data, events)
        for _ in range(self._at_once - len(events)):
            if size - at < 2 or self.over:
                break
            first, second = data[at], data[at + 1]
            # As nearly all are: a whole binary message, masked. Nothing but its length can be wrong with it.
            usual = first == _WHOLE_BINARY and second & _MASKED and not self._fragments
            length = second & _LENGTH
            body = at + 6
            if length > _MAX_CONTROL_BYTES:
                body += 2 if length == 126 else 8
                if not usual:
                    self._check(first, second, 0)  # the shortest header tells enough to refuse
                if body <= size:
                    length = _long_length(data, at + 2, length)
            if not usual or length > self._max_bytes:
                self._check(first, second, length if body <= size else 0)
            end = body + length if body <= size else body
            if end > size:
                if body <= size and length > LONG_BYTES and self._at_once > 1:
                    self._long = _LongFrame(first, data[body - 4 : body], length)
                    at = body + self._long.take(data[body:])
                    break
                self._need = end - at
                return at
            payload = unmask(data[body:end], data[body - 4 : body])
            if usual:
                events.append(payload)
            else:
                self._take(first, payload, events)
            at = end
        else:
            self.held = self._at_once == 1 and bool(events) and isinstance(events[0], bytes | str)
            self.pending = size - at >= 2 and not (self.held or self.over)
        self._need = 2 if self._long is None else min(self._long.left, PART_BYTES)
        return at

    def _go_on(self, long: "_LongFrame", data: bytes, events: list[Event]) -> int:
        """Take the next part of a long frame; returns how much of the data it was."""
        taken = long.take(data)
        if not long.left:
            self._long = None
            payload = bytes(long.payload)
            if long.first == _WHOLE_BINARY and not self._fragments:
                events.append(payload)
            else:
                self._take(long.first, payload, events)
        return taken

    def _check(self, first: int, second: int, length: int) -> None:
        """Checks what can be said of a frame before its payload is there."""
        opcode = first & _OPCODE
        if first & _RESERVED:
            raise _FaultError(PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on")
        if not second & _MASKED:
            raise _FaultError(PROTOCOL_ERROR, "a client must mask its frames")
        if opcode >= CLOSE:
            if opcode > PONG:
                raise _FaultError(PROTOCOL_ERROR, f"there is no opcode {opcode}")
            if not first & _FIN or length > _MAX_CONTROL_BYTES or second & _LENGTH > _MAX_CONTROL_BYTES:
                raise _FaultError(PROTOCOL_ERROR, "a control frame must be whole and short")
            return
        if opcode > BINARY:
            raise _FaultError(PROTOCOL_ERROR, f"there is no opcode {opcode}")
        if (opcode == CONTINUATION) != bool(self._fragments):
            raise _FaultError(PROTOCOL_ERROR, "a continuation without a beginning, or a message within another")
        if len(self._fragments) >= self._max_fragments:
            raise _FaultError(TOO_BIG, f"a message may come in {self._max_fragments} fragments")
        if self._size + length > self._max_bytes:
            raise _FaultError(TOO_BIG, f"a message may have {self._max_bytes} bytes")

    def _take(self, first: int, payload: bytes, events: list[Event]) -> None:
        opcode = first & _OPCODE
        if opcode >= CLOSE or not first & _FIN or opcode == CONTINUATION:
            self.extra += 1
        if opcode < CLOSE:
            self._take_fragment(opcode, payload, events, last=bool(first & _FIN))
        elif opcode == PING:
            events.append(Ping(payload))
        elif opcode == PONG:
            events.append(Pong(payload))
        else:
            events.append(_close_frame(payload))
            self.over = True

    def _take_fragment(self, opcode: int, payload: bytes, events: list[Event], *, last: bool) -> None:
        if opcode != CONTINUATION:
            self._text = opcode == TEXT
        self._fragments.append(payload)
        self._size += len(payload)
        if not last:
            return
        message = b"".join(self._fragments)
        self._fragments = []
        self._size = 0
        events.append(_text_of(message) if self._text else message)


def frame_head(opcode: int, length: int) -> bytes:
    """Packs the head of a server's frame."""
    if length <= _MAX_CONTROL_BYTES:
        return bytes((_FIN | opcode, length))
    if length < 1 << 16:
        return bytes((_FIN | opcode, 126)) + _SHORT.pack(length)
    return bytes((_FIN | opcode, 127)) + _LONG.pack(length)


def close_payload(code: int, reason: str) -> bytes:
    """Packs a close frame's payload; the reason is cut to what a control frame holds. Code 1005: without a code."""
    if code == NO_CODE:
        return b""
    text = reason.encode()[: _MAX_CONTROL_BYTES - 2].decode(errors="ignore")
    return _SHORT.pack(code) + text.encode()


def unmask(payload: bytes, mask: bytes) -> bytes:
    """One xor of two big integers: the fastest way that needs no extension module."""
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload) ^ int.from_bytes(key)).to_bytes(length)


def _long_length(data: bytes, at: int, kind: int) -> int:
    length: int
    if kind == 126:
        (length,) = _SHORT.unpack_from(data, at)
        shortest = _MAX_CONTROL_BYTES
    else:
        (length,) = _LONG.unpack_from(data, at)
        shortest = (1 << 16) - 1
    if length <= shortest or length >> 63:
        raise _FaultError(PROTOCOL_ERROR, "a length must be written in as few bytes as hold it")
    return length


def _text_of(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise _FaultError(INVALID_DATA, "a text must be UTF-8") from None


def _close_frame(payload: bytes) -> CloseFrame:
    if not payload:
        return CloseFrame(NO_CODE, "")
    if len(payload) == 1 or _SHORT.unpack_from(payload)[0] not in _CODES:
        raise _FaultError(PROTOCOL_ERROR, "a close frame must carry a code that may be sent")
    return CloseFrame(_SHORT.unpack_from(payload)[0], _text_of(payload[2:]))
