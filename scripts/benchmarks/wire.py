"""What a benchmark's client says and understands, in bytes, by hand: RFC 6455 frames and BIMIP's few messages.

Only the standard library, so that it also runs inside the harness of the peers. It is cheap on purpose and therefore no
client to learn from: outgoing frames are masked with the key zero, which is legal and costs nothing, and an incoming
frame is looked through for what the benchmark counts, not decoded.
"""

import base64
import hashlib
import hmac
import json
import re
import struct
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

PAYLOAD_BYTES = 150
_GROUP = re.compile(rb"\x12.(c[0-9]+)")  # Conversation.id
MARK = re.compile(rb"@(\d{4}):(\d{8})@")
"""What a payload begins with: which sender, and the how manieth message of theirs, from 0."""

BINARY, CLOSE, PING, PONG = 0x2, 0x8, 0x9, 0xA
_PAD = b"x" * (PAYLOAD_BYTES - 15)
_CHAT = b"chat"
_DELIVERED = b"\x28\x02"  # Signal.status
_BODY = b"\x08\x0a\x52"  # route 10, tag of MessageScheme.body
_SENT_PART, _ERROR_PART, _AWARENESS_PART, _AWARENESS_RESET = 0x3A, 0x52, 17 << 3 | 2, 18 << 3
_STATUS = 0x18  # Awareness.status
ONLINE, OFFLINE, DND = 1, 2, 5
_SCATTER = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""Odd: numbers times this are as far apart as random ones, and no two the same."""


class Malformed(Exception):  # noqa: N818 - it is what it says, and nobody handles it
    """The server sent what this client does not understand: a defect of one of the two."""


class Body(NamedTuple):
    """What a benchmark counts of a batch from the server."""

    after: int
    upto: int
    in_turn: bool
    accepted: int
    """Messages of this device that are on disk (SENT)."""
    marks: list[tuple[bytes, bytes]]
    """The messages delivered."""
    errors: list[bytes]
    statuses: list[tuple[str, int]]
    """Whose status is told, and which: 1 is ONLINE, 2 OFFLINE. Who types and the like is not in it."""
    is_reset: bool
    """Whoever is not named in this batch or a later one is not there."""


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag: bytes, content: bytes) -> bytes:
    return tag + varint(len(content)) + content


def masked(payload: bytes, opcode: int = BINARY) -> bytes:
    """A whole frame from a client."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = struct.pack(">BBH", 0x80 | opcode, 0xFE, size)
    else:
        head = struct.pack(">BBQ", 0x80 | opcode, 0xFF, size)
    return b"".join((head, b"\0\0\0\0", payload))


def opening(port: int, token: str) -> bytes:
    return (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: bimip.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    ).encode()


def hello(offset: int | None, epoch: int = 0, state_version: int = 0) -> bytes:
    """One partition, `chat`, from a position; None: where the server's floor stands. `state_version`: what the device
    has of its user's state already, in this epoch.
    """
    position = field(b"\x0a", _CHAT)
    if offset is not None:
        position += b"\x10" + varint(offset)
    known = b"\x18" + varint(epoch) + b"\x20" + varint(state_version) if epoch else b""
    return masked(field(b"\x08\x0d\x6a", field(b"\x12", position) + known))


def be_online(*, inactive: bool) -> bytes:
    """Somebody looks at this device, or nobody; what the user says of themselves stands."""
    return masked(field(b"\x08\x02\x12", b"\x18\x01" + (b"\x68\x01" if inactive else b"\x80\x01\x01")))


def acknowledgement(upto: int) -> bytes:
    """Everything up to there was received."""
    return masked(field(b"\x08\x07\x3a", _DELIVERED + field(b"\x3a", _CHAT) + b"\x68" + varint(upto)))


def create_group(request_id: str, members: Iterable[str]) -> bytes:
    """A group, with its sender as owner."""
    named = b"".join([field(b"\x22", field(b"\x0a", eid.encode())) for eid in members])
    return masked(field(b"\x08\x12\x92\x01", b"\x08\x01" + named + field(b"\x6a", request_id.encode())))


def created(frame: bytes) -> str:
    """The id of the group that the answer to `create_group` tells."""
    told = _GROUP.search(frame)
    if not frame.startswith(b"\x08\x12\x92\x01") or told is None:
        raise Malformed(f"no group was created: {frame!r}")
    return told[1].decode()


class Author:
    """Writes a sender's messages: with a `seq`, so that its index is paid for. All have one length, so that all but a
    number is made once.
    """

    def __init__(self, sender: int, to: str, more: bytes = b"") -> None:
        """`more`: other fields of each message."""
        now = time.time_ns() // 1_000_000
        addressed = field(b"\x22", field(b"\x0a", to.encode())) + b"\x28\x01\x30" + varint(now)
        self._head = b"\xb2\x01\x1c%013d:" % now
        self._sender = sender
        self._began = now
        self._middle = addressed + b"\x3a" + varint(PAYLOAD_BYTES) + b"@%04d:" % sender
        self._tail = b"@" + _PAD + more
        self._element = b"\x2a" + varint(len(self.message(0)))  # of Body.messages

    def message(self, number: int) -> bytes:
        digits = b"%08d" % number
        parts = (self._head, digits, b":phone", self.id_of(number), self._middle, digits, self._tail)
        return b"".join(parts)

    def id_of(self, number: int) -> bytes:
        """The field with a message's id: as the SDK draws it, where somebody writes one a millisecond."""
        drawn = (number << 14 | self._sender) * _SCATTER % (1 << 80)
        return b"\x0a\x20%012x%020x" % (self._began + number, drawn)

    def alone(self, number: int) -> bytes:
        """A frame with one message."""
        return masked(field(b"\x08\x06\x32", self.message(number)))

    def together(self, first: int, count: int) -> bytes:
        """One frame, a Body, with `count` messages."""
        element = self._element
        return masked(field(_BODY, b"".join([element + self.message(n) for n in range(first, first + count)])))


class Frames:
    """Cuts what arrives into frames. The server does not mask and does not fragment."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yields opcode and payload of each frame that is complete."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                if end - at < 4:
                    break
                size, start = data[at + 2] << 8 | data[at + 3], at + 4
            elif size == 127:
                if end - at < 10:
                    break
                size, start = int.from_bytes(data[at + 2 : at + 10], "big"), at + 10
            if end - start < size:
                break
            yield data[at] & 0x0F, data[start : start + size]
            at = start + size
        self._rest = data[at:]


def body(frame: bytes) -> Body | None:  # noqa: C901 - one loop, for each frame that arrives
    """What a frame has for a device; None if it is no Body."""
    if not frame.startswith(_BODY):
        return None
    at = _read(frame, 3)[1]
    after = upto = turn = accepted = 0
    errors = []
    statuses: list[tuple[str, int]] = []
    end = len(frame)
    has_messages = is_reset = False
    while at < end:
        tag, at = _read(frame, at)
        value, start = _read(frame, at)
        at = start
        if tag == 0x10:
            after = value
        elif tag == 0x18:
            upto = value
        elif tag == 0x20:
            turn = value
        elif tag & 7 == 2:
            at += value
            if tag == 0x2A:
                has_messages = True
                break  # they come last, and the marks in them are found by the regular expression
            if tag == _SENT_PART:
                accepted += 1
            elif tag == _ERROR_PART:
                errors.append(frame[start:at])
            elif tag == _AWARENESS_PART:
                statuses += _status(frame[start:at])
        elif tag == _AWARENESS_RESET:
            is_reset = bool(value)
    marks = MARK.findall(frame) if has_messages else []
    return Body(after, upto, turn == 0, accepted, marks, errors, statuses, is_reset)


def _status(awareness: bytes) -> Iterator[tuple[str, int]]:
    """Whose status an Awareness tells, if it does: its fields come in their order."""
    size, start = _read(awareness, 1)
    at = start + size
    size, start = _read(awareness, start + 1)  # of the Identity, in which eid comes first
    eid = awareness[start : start + size].decode()
    if awareness[at] == _STATUS and awareness[at + 1] <= DND:
        yield eid, awareness[at + 1]


def _read(data: bytes, at: int) -> tuple[int, int]:
    """A varint and where it ends."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
        shift += 7


def close_of(frame: bytes) -> str:
    """Code and reason of a close frame."""
    return f"{int.from_bytes(frame[:2], 'big')} {frame[2:].decode(errors='replace')}"


def token(key: str, eid: str, device: str, lifetime_seconds: int = 86_400) -> str:
    """A JWT, HS256."""
    claims = {"sub": eid, "did": device, "exp": int(time.time()) + lifetime_seconds, "jti": f"{eid}/{device}"}
    signed = b".".join(_base64(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    signature = hmac.new(key.encode(), signed, hashlib.sha256).digest()
    return (signed + b"." + _base64(signature)).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
