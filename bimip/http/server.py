"""One request and its answer, on a connection whose head was read already: bytes by h11, the application by ASGI.

The body is read when the application asks for it, so that who shows no token is refused before any of it is held.
Everything is bounded: the body in bytes and in seconds, each part of an answer in the seconds until it has left. A
connection stays only for who showed a valid token: others have one answer for each opening, which the gateway counts.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Final, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

import h11
import trio
import trio.abc
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Scope

from bimip.domain.core.identity import Claims
from bimip.http.problems import ProblemError, problem_response
from bimip.http.settings import HttpSettings
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

RECEIVE_BYTES: Final = 64 << 10
MAX_UNHEARD_BYTES: Final = 1 << 16
"""Behind the last request of a connection, while it is being answered."""
DEAD: Final = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)
VISITOR: Final = "bimip.visitor"
"""Where a scope has its `Visitor`."""
SLASH_IN_A_NAME: Final = "\udc2f"
"""Stands in a scope's path for a slash that was encoded (%2F): it is part of a name, as of an eid, and parts no names.
No path that was decoded has this code point, so it means nothing else.
"""


class Visitor(Protocol):
    """Whoever asks, as their connection knows them."""

    @property
    def address(self) -> str | None: ...

    @property
    def is_admitted(self) -> bool:
        """They showed a valid token."""
        ...

    def admit_visitor(self) -> None:
        """They did just now."""
        ...

    def refuse_visitor(self, reason: str) -> None:
        """They showed no token that counts."""
        ...

    def connect_device(self, claims: Claims) -> None:
        """The answer is a device's connection. Raises ProblemError where there is no place for another."""
        ...

    @property
    def is_stopping(self) -> bool:
        """The server stops: this is the last request of the connection."""
        ...

    def when_stopping(self, call: Callable[[], None]) -> None:
        """Has this called when it does, while this request is answered; at once, where it does already."""
        ...


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request of which the head was read. What has come of its body, and behind it, is the connection's."""

    connection: h11.Connection
    head: h11.Request


class HttpServer:
    """Answers requests by an ASGI application."""

    def __init__(
        self,
        application: ASGIApp,
        settings: HttpSettings,
        now_ms: Callable[[], int],
        report: Callable[[str, BaseException], None],
    ) -> None:
        self._application = application
        self.settings = settings
        self._now_ms = now_ms
        self._report = report

    async def serve(self, stream: trio.abc.Stream, request: HttpRequest, visitor: Visitor) -> bytes | None:
        """Answers a request. Returns what came behind it; None: the connection is to be closed."""
        exchange = _Exchange(stream, request, self.settings, visitor, self._now_ms)
        try:
            await self._answer(exchange, _scope_of(request.head, visitor))
            return await exchange.end()
        except DEAD:
            return None

    async def refuse(
        self, stream: trio.abc.Stream, request: HttpRequest, visitor: Visitor, problem: ProblemError
    ) -> None:
        """Answers a request with an error, and no other."""
        exchange = _Exchange(stream, request, self.settings, visitor, self._now_ms)
        with suppress(*DEAD):
            await exchange.answer(problem_response(problem))
            await exchange.end()

    async def _answer(self, exchange: "_Exchange", scope: Scope) -> None:
        try:
            await self._application(scope, exchange.receive, exchange.send)
        except DEAD:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where a handler's failure ends; it is reported
            self._report("a request failed", error)
            await exchange.answer(problem_response(ProblemError(crash())))


def crash() -> WireError:
    """The error that tells of a defect of the server."""
    return WireError(pb.INTERNAL, "the server failed at this request; the operator has been told")


class _Exchange:
    def __init__(
        self,
        stream: trio.abc.Stream,
        request: HttpRequest,
        settings: HttpSettings,
        visitor: Visitor,
        now_ms: Callable[[], int],
    ) -> None:
        self._stream = stream
        self._http = request.connection
        self._is_head = request.head.method == b"HEAD"
        self._settings = settings
        self._visitor = visitor
        self._now_ms = now_ms
        self._body_until = trio.current_time() + settings.body_seconds
        self._room = settings.max_body_bytes
        self._is_read = False
        """The application was told the whole body."""
        self._unsent = b""
        self._is_begun = False
        self._is_last = False
        """The answer that was begun says that no other request may follow."""

    async def receive(self) -> Message:
        """Reads the next part of the body; behind it, where no other request may follow, that the peer has left. Raises
        ProblemError where it is too large, too slow or no HTTP.
        """
        if self._is_read:
            await self._wait_left()
            return {"type": "http.disconnect"}
        if self._http.they_are_waiting_for_100_continue:
            await self._send(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        event = await self._next_event()
        if isinstance(event, h11.Data):
            self._room -= len(event.data)
            if self._room < 0:
                sentence = (
                    f"The body is larger than {self._settings.max_body_bytes} bytes: send it in several requests."
                )
                raise ProblemError(WireError(pb.TOO_LARGE, sentence))
            return {"type": "http.request", "body": bytes(event.data), "more_body": True}
        self._is_read = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _wait_left(self) -> None:
        """Returns when the peer has left, or says too much that nobody asked for."""
        if not self._is_last:
            await trio.sleep_forever()  # nobody reads the next request while this one is being answered
        room = MAX_UNHEARD_BYTES
        with suppress(*DEAD):
            while room > 0 and (data := await self._stream.receive_some(RECEIVE_BYTES)):
                room -= len(data)

    async def _next_event(self) -> h11.Data | h11.EndOfMessage:
        with trio.move_on_at(self._body_until):
            while True:
                try:
                    event = self._http.next_event()
                    if event is h11.NEED_DATA:
                        data = bytes(await self._stream.receive_some(RECEIVE_BYTES))
                        if not data:
                            raise trio.BrokenResourceError("the peer left in the middle of its request")
                        self._http.receive_data(data)
                        continue
                except h11.RemoteProtocolError as error:
                    sentence = f"The body is no HTTP: {error}."
                    raise ProblemError(WireError(pb.MALFORMED, sentence)) from None
                assert isinstance(event, h11.Data | h11.EndOfMessage)
                return event
        sentence = f"The body did not arrive within {self._settings.body_seconds:g} seconds: send it faster, or less."
        raise ProblemError(WireError(pb.MALFORMED, sentence), status=408)

    async def send(self, message: Message) -> None:
        """Sends a part of the answer: the head with what comes first of the body. Raises one of DEAD."""
        if message["type"] == "http.response.start":
            self._is_begun = True
            head = self._head(message)
            self._is_last = (b"connection", b"close") in head.headers
            self._unsent = self._http.send(head)
            return
        assert message["type"] == "http.response.body"
        body, is_last = message.get("body", b""), not message.get("more_body", False)
        data, self._unsent = self._unsent, b""
        if body and not self._is_head:
            data += self._http.send(h11.Data(data=body)) or b""
        if is_last:
            data += self._http.send(h11.EndOfMessage()) or b""
        await self._send(data)

    async def answer(self, response: Response) -> None:
        """Sends a whole answer; where another was begun, nothing can be said any more."""
        if self._is_begun:
            raise trio.BrokenResourceError("an answer was begun and cannot be ended")
        await response({"type": "http", "method": "GET", "headers": []}, self.receive, self.send)

    def _head(self, message: Message) -> h11.Response:
        headers: list[tuple[bytes, bytes]] = [(bytes(name), bytes(value)) for name, value in message["headers"]]
        headers.append((b"date", formatdate(self._now_ms() / 1000, usegmt=True).encode()))
        if not self._may_stay():
            headers.append((b"connection", b"close"))
        status = message["status"]
        return h11.Response(status_code=status, headers=headers, reason=HTTPStatus(status).phrase)

    def _may_stay(self) -> bool:
        """Whether another request may follow."""
        has_body_left = not self._is_read and self._http.their_state is h11.SEND_BODY and not self._ends_at_once()
        return (
            self._visitor.is_admitted
            and not self._visitor.is_stopping
            and not has_body_left
            and self._http.their_state is not h11.ERROR
            and self._settings.keep_alive_seconds > 0
        )

    def _ends_at_once(self) -> bool:
        """Whether there is no body left that nobody has asked for: it is gone behind then."""
        try:
            event = self._http.next_event()
        except h11.RemoteProtocolError:
            return False
        self._is_read = isinstance(event, h11.EndOfMessage)
        return self._is_read

    async def _send(self, data: bytes | None) -> None:
        if not data:
            return
        with trio.move_on_after(self._settings.send_seconds) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            raise trio.BrokenResourceError("the peer does not read")

    async def end(self) -> bytes | None:
        """Returns the bytes behind the request that was answered; None: nothing else is served here, and the peer was
        given time to take the answer, since closing a socket with unread bytes would reset it.
        """
        http = self._http
        if (http.our_state, http.their_state) == (h11.DONE, h11.DONE):
            return http.trailing_data[0]
        with trio.move_on_after(self._settings.close_seconds):
            if isinstance(self._stream, trio.abc.HalfCloseableStream):
                await self._stream.send_eof()
            while await self._stream.receive_some(RECEIVE_BYTES):
                pass
        return None


def _scope_of(head: h11.Request, visitor: Visitor) -> dict[str, Any]:
    target = head.target
    if not target.startswith(b"/"):  # the form that is meant for proxies
        parts = urlsplit(target)
        target = (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": head.http_version.decode("ascii"),
        "method": head.method.decode("ascii"),
        "scheme": "http",
        "path": "/".join(_name_of(part) for part in path.split(b"/")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": [(name, value) for name, value in head.headers],
        "client": None if visitor.address is None else (visitor.address, 0),
        "server": None,
        "state": {},
        VISITOR: visitor,
    }


def _name_of(part: bytes) -> str:
    return unquote_to_bytes(part).decode("utf-8", "replace").replace("/", SLASH_IN_A_NAME)
