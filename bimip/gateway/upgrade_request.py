"""The head of a request, without I/O: the opening handshake (RFC 6455, part 4), or any other request by HTTP. h11 reads
it; whether an opening may become a connection is `upgrade_policy.judge_upgrade`'s to say. Whatever speaks of a
WebSocket is meant to become one; all else is answered by HTTP.

The usual request, which came whole and in which nothing is unusual, is read here: h11 takes a tenth of all that a login
costs. Whatever is not the plainest HTTP/1.1 is h11's, to refuse or to allow, and the tests hold what is read here to
what h11 says of it.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import h11

from bimip.gateway.upgrade_policy import Headers, UpgradeRefusedError
from bimip.http.server import HttpRequest

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION = b"13"
_REASONS = {400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 426: "Upgrade Required"} | {
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}
_NOT_A_WEBSOCKET = (
    "This opens no WebSocket, and is no other request by HTTP/1.1. Open a WebSocket endpoint as one, and offer the "
    "subprotocol bimip.v1 or bimip.v1.json."
)

_TOO_LARGE = (
    "The head of this request is too large, whether it opens a WebSocket endpoint or asks for anything: send fewer and "
    "shorter headers."
)


@dataclass(frozen=True, slots=True)
class Request:
    headers: Headers  # names in lower case
    host: str
    offered: Sequence[str]  # subprotocols
    key: bytes
    rest: bytes  # bytes that came after the request: frames, of a client that did not wait


_USUAL_REQUEST = re.compile(rb"GET [\x21-\x7e]+ HTTP/1\.1")
_USUAL_HEADER = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
_USUAL_SIGN = b"\r\nSec-WebSocket-"
"""Shows that an opening is meant, as it is mostly spelt: to look at each header costs ten times as much."""
_OF_BODIES = {b"content-length", b"transfer-encoding"}


class UpgradeReader:
    """Reads one head."""

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes`: of a head. What comes behind it does not count."""
        self._http: h11.Connection | None = None  # until something is unusual
        self._max_bytes = max_bytes
        self._bytes_left = max_bytes

    def feed(self, data: bytes) -> Request | HttpRequest | None:
        """The request once its head is whole. Raises UpgradeRefusedError for what is none."""
        if self._bytes_left < 0:
            raise UpgradeRefusedError(431, _TOO_LARGE)
        self._bytes_left -= len(data)
        if self._http is None:
            usual = read_usual(data)
            if usual is not None and self._bytes_left + len(usual[1]) >= 0:
                head = data[: len(data) - len(usual[1])]
                if _USUAL_SIGN in head or _is_opening(usual[0]):
                    return _judge(*usual)
            self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=self._max_bytes)
        request = self._feed_http(self._http, data)
        behind = b"" if request is None else self._http.trailing_data[0]
        if self._bytes_left + len(behind) < 0:
            raise UpgradeRefusedError(431, _TOO_LARGE)
        return request

    @staticmethod
    def _feed_http(http: h11.Connection, data: bytes) -> Request | HttpRequest | None:
        try:
            http.receive_data(data)
            event = http.next_event()
            if event is h11.NEED_DATA:
                return None
            if not isinstance(event, h11.Request) or event.method == b"PRI":  # how HTTP/2 begins
                raise UpgradeRefusedError(400, _NOT_A_WEBSOCKET)
            if not _is_opening(list(event.headers)):
                return HttpRequest(http, event)
            ended = http.next_event()
        except h11.RemoteProtocolError as error:
            raise UpgradeRefusedError(error.error_status_hint, _NOT_A_WEBSOCKET) from None
        if not isinstance(ended, h11.EndOfMessage) or event.method != b"GET":
            raise UpgradeRefusedError(400, _NOT_A_WEBSOCKET)
        headers = [(name, value) for name, value in event.headers]
        return _judge(headers, http.trailing_data[0], is_http_1_1=event.http_version == b"1.1")


def read_usual(data: bytes) -> tuple[Headers, bytes] | None:
    """The headers of a GET, and what came after it. None: this is not all, or something is not as it mostly is."""
    head, end, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    if not end or _USUAL_REQUEST.fullmatch(first) is None:
        return None
    headers: list[tuple[bytes, bytes]] = []
    hosts = 0
    for line in lines:
        header = _USUAL_HEADER.fullmatch(line)
        if header is None:
            return None
        name = header[1].lower()
        if name in _OF_BODIES:
            return None
        hosts += name == b"host"
        headers.append((name, header[2]))
    return (headers, rest) if hosts == 1 else None


def _is_opening(headers: Headers) -> bool:
    """Whether a request is meant to open a WebSocket, however faulty."""
    is_named = any(name.startswith(b"sec-websocket-") for name, _ in headers)
    return is_named or b"websocket" in _tokens(headers, b"upgrade")


def _judge(headers: Headers, rest: bytes, *, is_http_1_1: bool = True) -> Request:
    if _values(headers, b"sec-websocket-version") != [_VERSION]:
        upgrade = [(b"Upgrade", b"websocket"), (b"Sec-WebSocket-Version", _VERSION)]
        raise UpgradeRefusedError(426, _NOT_A_WEBSOCKET, upgrade)
    key = _values(headers, b"sec-websocket-key")
    is_upgrade = b"websocket" in _tokens(headers, b"upgrade") and b"upgrade" in _tokens(headers, b"connection")
    if not is_http_1_1 or not is_upgrade or len(key) != 1 or not _is_key(key[0]):
        raise UpgradeRefusedError(426, _NOT_A_WEBSOCKET, [(b"Upgrade", b"websocket")])
    host = b"".join(_values(headers, b"host")).decode("latin-1")
    offered = [name.decode("latin-1") for name in _list(headers, b"sec-websocket-protocol")]
    return Request(headers, host, offered, key[0], rest)


def accepted(request: Request, subprotocol: str) -> bytes:
    digest = hashlib.sha1(request.key + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: %b\r\n\r\n"
        % (base64.b64encode(digest), subprotocol.encode())
    )


def refused(refusal: UpgradeRefusedError) -> bytes:
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
