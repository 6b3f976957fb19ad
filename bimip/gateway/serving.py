"""One socket, from its first byte to its last: what it asks for by HTTP, or opening handshake, authentication, and then
the connection's life. Every head is read here; whose it is, the WebSocket's or `bimip.http`'s, shows in it.

Runs as a supervised child of its own. Whatever a peer does ends here; only defects of this server leave as exceptions,
after the peer was told with 1011.
"""

import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import (
    AbstractContextManager,
    suppress,
)
from dataclasses import dataclass
from functools import cached_property, partial
from ipaddress import ip_network
from itertools import count

import trio
import trio.abc

from bimip.concurrency import Timer, Timers
from bimip.domain.core.identity import Claims
from bimip.gateway.admission import Admission, AdmissionRefusedError, Slot, address_of, end_stream
from bimip.gateway.authentication import Verifier
from bimip.gateway.connection import FAILED, UNREAD_BYTES, UNREAD_UNKNOWN_BYTES, WebSocketConnection
from bimip.gateway.forwarded import Networks, peer_address
from bimip.gateway.poller import Poller
from bimip.gateway.pumps import DEAD
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.tls_stream import TlsStream, transport_of
from bimip.gateway.upgrade_policy import FindRefusal, UpgradeRefusedError, judge_upgrade
from bimip.gateway.upgrade_request import Request, UpgradeReader, accepted, refused
from bimip.gateway.wire import hello_token
from bimip.http.problems import ProblemError
from bimip.http.server import HttpRequest, HttpServer
from bimip.session.close import PEERS_FAULT, Close
from bimip.session.tokens import TokenError
from bimip.users.connection import Connection, ConnectionClosedError, RefusedError
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

RECEIVE_BYTES = 16 << 10
CLOSE_FRAME_SECONDS = 0.1
"""For a task that was killed and has no grace: time to put a close frame into the system's buffer."""
STOPPING = (Close.GOING_AWAY, "the server stops; please connect again")

Grace = Callable[[], AbstractContextManager[object]]

Attach = Callable[[Claims, Connection, list[bytes]], Awaitable[object]]
"""Give an authenticated connection to its device, with the frames that were received already: `Hello` first, or none.
Returns when the device runs. Raises RefusedError. Cancelled where the peer leaves in the meantime."""


Tell = Callable[..., None]


def say_nothing(_what: str, connection: int, **_more: object) -> None:
    """Nobody keeps a log."""


def brief_grace() -> AbstractContextManager[object]:
    return trio.CancelScope(shield=True, deadline=trio.current_time() + 5.0)


@dataclass(frozen=True)
class Gateway:
    settings: GatewaySettings
    limits: Limits
    verifier: Verifier
    attach: Attach
    now_ms: Callable[[], int]
    poller: Poller
    timers: Timers
    http: HttpServer
    """Answers what is asked for by HTTP."""
    find_refusal: FindRefusal = lambda _claims: None
    tell: Tell = say_nothing
    """Told of who comes and goes: what happened, the connection's number, and more."""
    grace: Grace = brief_grace
    """Entered where a connection's task is cancelled: the time that it has to close with 1001."""

    @cached_property
    def _numbers(self) -> Iterator[int]:
        return count(1)

    @cached_property
    def admission(self) -> Admission:
        return Admission(self.settings)

    @cached_property
    def proxies(self) -> Networks:
        return [ip_network(network) for network in self.settings.proxies]

    @cached_property
    def _turning_away(self) -> trio.CapacityLimiter:
        return trio.CapacityLimiter(self.settings.max_turning_away)

    def shuts_out(self, socket: trio.abc.Stream) -> bool:
        """Whether this one is to be closed at once, before it costs anything."""
        return self.admission.shuts_out(address_of(socket))

    async def serve_connection(self, socket: trio.abc.Stream) -> None:
        """Returns when the socket is closed, whoever closed it. Cancelling closes it with 1001.

        All that stays for the life of a connection are this frame and those of its `run`.
        """
        connection, number = None, next(self._numbers)
        try:
            try:
                address = address_of(socket)
                slot = self.admission.enter(address, partial(end_stream, transport_of(socket)))
            except AdmissionRefusedError as error:
                self.tell("refused", number, status=error.status, reason=error.sentence, address=address)
                await self._turn_away(socket, error)
                return
            with slot:
                handshake = _Handshake(self, socket, slot, address, partial(self.tell, connection=number))
                connection = await handshake.open()
                if connection is None:
                    return
                async with connection.pumping():
                    try:
                        await handshake.admit(connection)
                        del handshake
                        await connection.run()
                    except trio.Cancelled:
                        await self._close_going_away(connection)
                        raise
                    finally:
                        if connection.ending[0] in PEERS_FAULT:
                            slot.blame()
        finally:
            try:
                if connection is not None:
                    code, reason = connection.ending
                    self.tell("closed", number, code=code, reason=reason)
                    await connection.aclose()
            finally:
                await trio.aclose_forcefully(socket)

    async def _turn_away(self, socket: trio.abc.Stream, error: AdmissionRefusedError) -> None:
        """Nothing of it is understood, and no TLS begun: a word where that costs little."""
        with suppress(trio.WouldBlock):
            if isinstance(socket, TlsStream):
                return
            self._turning_away.acquire_nowait()
            try:
                with trio.move_on_after(self.settings.close_seconds), suppress(*DEAD):
                    await read_head(socket, self.settings.max_head_bytes)
                await refuse(socket, _no_slot(error), self.settings.close_seconds, UNREAD_UNKNOWN_BYTES)
            finally:
                self._turning_away.release()

    async def _close_going_away(self, connection: WebSocketConnection) -> None:
        connection.close(*STOPPING)
        connection.shorten_send_deadline()
        try:
            with self.grace():
                await connection.run()
        finally:
            with trio.move_on_after(CLOSE_FRAME_SECONDS, shield=True):
                await connection.run()


async def read_head(stream: trio.abc.Stream, max_bytes: int) -> None:
    """Drop a request's head as it comes: usual clients understand no answer that comes before they have asked."""
    end = b""
    while max_bytes > 0 and b"\r\n\r\n" not in end:
        data = bytes(await stream.receive_some(RECEIVE_BYTES))
        if not data:
            return
        max_bytes -= len(data)
        end = end[-3:] + data


async def refuse(
    stream: trio.abc.Stream, refusal: UpgradeRefusedError, seconds: float, most: int = UNREAD_BYTES
) -> None:
    """Answer, and give the answer time to arrive: closing a socket with unread bytes would reset it. Of who sends more
    than so many of them that is the end.
    """
    with trio.move_on_after(seconds), suppress(*DEAD):
        await stream.send_all(refused(refusal))
        if isinstance(stream, trio.abc.HalfCloseableStream):
            await stream.send_eof()
        while most > 0 and (data := await stream.receive_some(RECEIVE_BYTES)):
            most -= len(data)


def _no_slot(error: AdmissionRefusedError) -> UpgradeRefusedError:
    return UpgradeRefusedError(error.status, error.sentence, [(b"Retry-After", b"%d" % error.retry_after)])


def _problem(error: AdmissionRefusedError) -> ProblemError:
    code = pb.RATE_LIMITED if error.status == 429 else pb.UNAVAILABLE
    problem = WireError(code, error.sentence, retry_after_ms=1000 * error.retry_after)
    return ProblemError(problem, status=error.status)


class _Handshake:
    """One handshake, from the first byte until the device has its connection."""

    def __init__(
        self,
        gateway: Gateway,
        stream: trio.abc.Stream,
        slot: Slot,
        address: str | None,
        tell: Callable[..., None],
    ) -> None:
        self._gateway = gateway
        self._tell = tell
        self._settings = gateway.settings
        self._stream = stream
        self._fd = stream.socket.fileno() if isinstance(stream, trio.SocketStream) else -1
        self._slot = slot
        self._authenticate_until = trio.current_time() + gateway.settings.handshake_seconds
        self._reader = UpgradeReader(gateway.settings.max_head_bytes)
        self._claims: Claims | None = None
        self._socket_address = self.address = address
        """Of the peer, which may stand behind a proxy."""
        self.is_stopping = False
        """The server stops: no more is asked for here."""
        self._when_stopping: list[Callable[[], None]] = []

    async def open(self) -> WebSocketConnection | None:
        """Opens the WebSocket; None: it did not become one, in time or at all."""
        try:
            request = self._read_at_once()
            if request is None:
                with trio.move_on_at(self._authenticate_until):
                    request = await self._read()
            while isinstance(request, HttpRequest):
                request = await self._serve(request)
            return None if request is None else await self._answer(request)
        except UpgradeRefusedError as refusal:
            self._tell("refused", status=refusal.status, reason=refusal.sentence, address=self.address)
            await refuse(self._stream, refusal, self._settings.close_seconds)
        except DEAD:
            pass
        return None

    async def _serve(self, request: HttpRequest) -> Request | HttpRequest | None:
        """Answers what is asked for by HTTP. Returns the next request; None: there is none, or not in time."""
        http = self._gateway.http
        try:
            if self._gateway.proxies:
                self._find_peer(request.head.headers)
            self._slot.serve_http()
        except AdmissionRefusedError as error:
            self._tell("refused", status=error.status, reason=error.sentence, address=self.address)
            await http.refuse(self._stream, request, self, _problem(error))
            return None
        rest = await self._serve_in_order(request)
        if rest is None:
            return None
        with trio.move_on_after(http.settings.keep_alive_seconds):
            self._reader = UpgradeReader(self._settings.max_head_bytes)
            following = (self._reader.feed(rest) if rest else None) or await self._read()
            self._authenticate_until = trio.current_time() + self._settings.handshake_seconds
            return following
        return None

    async def _serve_in_order(self, request: HttpRequest) -> bytes | None:
        """Answers a request. Cancelling lets it end, within the time that the gateway gives."""
        rest: bytes | None = None
        crash: Exception | None = None
        is_done = trio.Event()
        scope = trio.CancelScope(shield=True)

        async def serve() -> None:
            nonlocal rest, crash
            with scope:
                try:
                    rest = await self._gateway.http.serve(self._stream, request, self)
                except Exception as error:  # noqa: BLE001 - raised again below, in the connection's own task
                    crash = error
            is_done.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            try:
                await is_done.wait()
            except trio.Cancelled:
                self.is_stopping = True
                for call in self._when_stopping:
                    call()
                with self._gateway.grace():
                    await is_done.wait()
                raise
            finally:
                scope.cancel()
        if crash is not None:
            raise crash
        return rest

    def _find_peer(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Finds who asks behind a proxy, by the head of a request. Raises AdmissionRefusedError."""
        self.address = peer_address(self._socket_address, headers, self._gateway.proxies)
        self._slot.move(self.address)

    @property
    def is_admitted(self) -> bool:
        """See `Visitor`, as which `bimip.http` knows this."""
        return self._slot.is_admitted

    def admit_visitor(self) -> None:
        self._slot.admit()

    def refuse_visitor(self, reason: str) -> None:
        self._tell("token refused", reason=reason, address=self.address)

    def connect_device(self, claims: Claims) -> None:
        try:
            self._slot.identify(claims)
        except AdmissionRefusedError as error:
            raise _problem(error) from None

    def when_stopping(self, call: Callable[[], None]) -> None:
        self._when_stopping.append(call)
        if self.is_stopping:
            call()

    def _read_at_once(self) -> Request | HttpRequest | None:
        """Reads the request without waiting: where many come, it is mostly there when the connection's turn comes."""
        if self._fd < 0:
            return None
        try:
            data = os.read(self._fd, RECEIVE_BYTES)
        except BlockingIOError:
            return None
        return self._reader.feed(data) if data else None

    async def _read(self) -> Request | HttpRequest | None:
        request: Request | HttpRequest | None = None
        while request is None:
            data = bytes(await self._stream.receive_some(RECEIVE_BYTES))
            if not data:
                return None
            request = self._reader.feed(data)
        return request

    async def _answer(self, request: Request) -> WebSocketConnection | None:
        self._slot.leave_http()
        if self._gateway.proxies:
            try:
                self._find_peer(request.headers)
            except AdmissionRefusedError as error:
                raise _no_slot(error) from None
        upgrade = judge_upgrade(
            request.headers,
            host=request.host,
            offered=request.offered,
            origins=self._settings.origins,
            names=self._settings.names,
            verifier=self._gateway.verifier,
            find_refusal=self._gateway.find_refusal,
            now_ms=self._gateway.now_ms(),
        )
        if upgrade.claims is not None:
            try:
                self._slot.identify(upgrade.claims)
            except AdmissionRefusedError as error:
                raise _no_slot(error) from None
        self._claims = upgrade.claims
        if not await self._send(accepted(request, upgrade.subprotocol)):
            return None
        tls = self._stream.take_over() if isinstance(self._stream, TlsStream) else None
        return WebSocketConnection(
            transport_of(self._stream),
            self._settings,
            self._gateway.limits,
            self._gateway.poller,
            Timer(self._gateway.timers),
            upgrade.subprotocol,
            request.rest,
            account=self._slot.account,
            admitted=upgrade.claims is not None,
            address=self.address or "",
            tls=tls,
        )

    async def _send(self, answer: bytes) -> bool:
        """Whether all of it left in time: at once, but for a socket that is no plain one."""
        if self._fd >= 0:
            with suppress(BlockingIOError):
                answer = answer[os.write(self._fd, answer) :]
        if answer:
            with trio.move_on_at(self._authenticate_until) as scope:
                await self._stream.send_all(answer)
            return not scope.cancelled_caught
        return True

    async def admit(self, connection: WebSocketConnection) -> None:
        """Give it to its device, or close it. When the peer leaves meanwhile, that ends."""
        crash: Exception | None = None
        if self._claims is not None:
            # What the peer is to be told or asked can wait for as long as this takes; that it leaves is noticed.
            connection.read_on()
            try:
                await self._admit(connection, self._claims)
            except Exception as error:  # noqa: BLE001 - raised again when the peer was told
                crash = error
                await connection.run()
            connection.notify_sendable()
        else:
            # It must run: what comes before Hello may want an answer.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(connection.run)
                try:
                    await self._admit(connection, None)
                    nursery.cancel_scope.cancel()
                except Exception as error:  # noqa: BLE001 - as above
                    crash = error
        if crash is not None:
            raise crash

    async def _admit(self, connection: WebSocketConnection, claims: Claims | None) -> None:
        try:
            with connection.while_open():
                await self._authenticate_and_attach(connection, claims)
        except ConnectionClosedError:
            pass  # the peer left
        except TokenError as error:
            self._tell("token refused", reason=error.reason, address=self.address)
            connection.close(error.code, error.reason)
        except RefusedError as error:
            connection.close(error.code, error.reason)
        except Exception:
            connection.close(*FAILED)
            raise

    async def _authenticate_and_attach(self, connection: WebSocketConnection, claims: Claims | None) -> None:
        if claims is not None:
            await self._gateway.attach(claims, connection, [])
            self._tell_login(claims)
            return
        first = await self._first_frames(connection)
        try:
            token = hello_token(first[0])
        except WireError as error:
            raise RefusedError(Close.HELLO_EXPECTED, error.sentence) from None
        if not token:
            raise TokenError("Show a token: in the Authorization header, or in Hello.")
        claims = self._gateway.verifier.verify(token, self._gateway.now_ms())
        if (refusal := self._gateway.find_refusal(claims)) is not None:
            code, reason = refusal
            raise TokenError(reason, code)
        try:
            self._slot.identify(claims)
        except AdmissionRefusedError as error:
            raise RefusedError(Close.TRY_AGAIN_LATER, error.sentence) from None
        connection.admit(self._slot.account)
        await self._gateway.attach(claims, connection, first)
        self._tell_login(claims)

    def _tell_login(self, claims: Claims) -> None:
        self._tell("login", eid=claims.eid, device=claims.device, address=self.address)

    async def _first_frames(self, connection: WebSocketConnection) -> list[bytes]:
        with trio.move_on_at(self._authenticate_until):
            return await connection.receive()
        raise RefusedError(Close.HELLO_EXPECTED, "No Hello came in time.")
