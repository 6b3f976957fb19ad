"""The opening handshake (RFC 6455, part 4), without I/O. h11 reads the HTTP; whether the request may become a
connection is `handshake.judge_opening`'s to say.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import h11

from bimip.gateway.handshake import Headers, RefusedOpeningError

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = b"13"
_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 426: "Upgrade Required"} | {
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_NOT_A_WEBSOCKET = "This is a WebSocket endpoint. Open it as one, and offer the subprotocol bimip.v1 or bimip.v1.json."


@dataclass(frozen=True, slots=True)
class Request:
    headers: Headers  # names in lower case
    host: str
    offered: Sequence[str]  # subprotocols
    key: bytes
    rest: bytes  # bytes that came after the request: frames, of a client that did not wait


class OpeningReader:
    """Of one request."""

    def __init__(self, max_bytes: int) -> None:
        self._http = h11.Connection(h11.SERVER)
        self._bytes_left = max_bytes

    def feed(self, data: bytes) -> Request | None:
        """The request once it is whole. Raises RefusedOpeningError for what is no WebSocket's."""
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise RefusedOpeningError(431, _NOT_A_WEBSOCKET)
        try:
            self._http.receive_data(data)
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return None
            if not isinstance(event, h11.Request):
                raise RefusedOpeningError(400, _NOT_A_WEBSOCKET)
            ended = self._http.next_event()
        except h11.RemoteProtocolError as error:
            raise RefusedOpeningError(error.error_status_hint, _NOT_A_WEBSOCKET) from None
        return self._judge(event, whole=isinstance(ended, h11.EndOfMessage))

    def _judge(self, request: h11.Request, *, whole: bool) -> Request:
        headers = [(name, value) for name, value in request.headers]
        if not whole or request.method != b"GET":
            raise RefusedOpeningError(400, _NOT_A_WEBSOCKET)
        if _values(headers, b"sec-websocket-version") != [_VERSION]:
            upgrade = [(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", _VERSION)]
            raise RefusedOpeningError(426, _NOT_A_WEBSOCKET, upgrade)
        key = _values(headers, b"sec-websocket-key")
        is_upgrade = b"websocket" in _tokens(headers, b"upgrade") and b"upgrade" in _tokens(headers, b"connection")
        if request.http_version != b"1.1" or not is_upgrade or len(key) != 1 or not _is_key(key[0]):
            raise RefusedOpeningError(426, _NOT_A_WEBSOCKET, [(b"Upgrade", b"websocket")])
        host = b"".join(_values(headers, b"host")).decode("latin-1")
        offered = [name.decode("latin-1") for name in _list(headers, b"sec-websocket-protocol")]
        return Request(headers, host, offered, key[0], self._http.trailing_data[0])


def accepted(request: Request, subprotocol: str) -> bytes:
    digest = hashlib.sha1(request.key + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: %b\r\n\r\n"
        % (base64.b64encode(digest), subprotocol.encode())
    )


def refused(refusal: RefusedOpeningError) -> bytes:
    body = f"{refusal.sentence}\n".encode()
    lines = b"".join(b"%b: %b\r\n" % header for header in refusal.headers)
    head = b"HTTP/1.1 %d %b\r\n" % (refusal.status, _REASONS.get(refusal.status, "Refused").encode())
    fixed = b"Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body)
    return b"".join((head, fixed, lines, b"\r\n", body))


def _values(headers: Headers, name: bytes) -> list[bytes]:
    return [value for found, value in headers if found == name]


def _list(headers: Headers, name: bytes) -> list[bytes]:
    return [part.strip() for value in _values(headers, name) for part in value.split(b",") if part.strip()]


def _tokens(headers: Headers, name: bytes) -> list[bytes]:
    return [part.lower() for part in _list(headers, name)]


def _is_key(text: bytes) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == 16
    except binascii.Error:
        return False
