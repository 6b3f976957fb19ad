"""One socket, from its first byte to its last: opening handshake, authentication, and then the connection's life.

Runs as a supervised child of its own. Whatever a peer does ends here; only defects of this server leave as exceptions,
after the peer was told with 1011.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass

import trio
import trio.abc
from trio_websocket import WebSocketConnection as LibraryConnection
from trio_websocket import WebSocketRequest, wrap_server_stream

from bimip.domain.identity import Claims
from bimip.gateway.authentication import TokenError, Verifier
from bimip.gateway.connection import FAILED, WebSocketConnection
from bimip.gateway.handshake import Opening, RefusedOpeningError, judge_opening
from bimip.gateway.pump import FAULTS, Pump
from bimip.gateway.settings import GatewaySettings
from bimip.gateway.stream import GuardedStream
from bimip.gateway.wire import hello_token
from bimip.session.close import Close
from bimip.users.connection import Connection, ConnectionClosedError, RefusedError
from bimip.wire.errors import WireError

RECEIVE_BYTES = 16 << 10
STOPPING = (Close.GOING_AWAY, "the server stops; please connect again")
LAST_WORDS_SECONDS = 0.1  # to put a close frame into the system's buffer, also for a task that was killed

Grace = Callable[[], AbstractContextManager[object]]

Attach = Callable[[Claims, Connection, list[bytes]], Awaitable[object]]
"""Give an authenticated connection to its device, with the frames that were received already: `Hello` first, or none.
Returns when the device runs. Raises RefusedError. Cancelled where the peer leaves in the meantime."""


def brief_grace() -> AbstractContextManager[object]:
    return trio.CancelScope(shield=True, deadline=trio.current_time() + 5.0)


@dataclass(frozen=True, slots=True)
class Gateway:
    settings: GatewaySettings
    verifier: Verifier
    attach: Attach
    now_ms: Callable[[], int]
    grace: Grace = brief_grace
    """Entered where a connection's task is cancelled: the time that it has to say goodbye."""

    async def serve_connection(self, socket: trio.abc.Stream) -> None:
        """Returns when the socket is closed, whoever closed it. Cancelling closes it with 1001."""
        await _Serving(self, socket).run()


class _Serving:
    def __init__(self, gateway: Gateway, socket: trio.abc.Stream) -> None:
        self._gateway = gateway
        self._settings = gateway.settings
        self._stream = GuardedStream(
            socket,
            send_seconds=gateway.settings.send_seconds,
            max_opening_bytes=gateway.settings.max_opening_bytes,
            on_change=self._changed,
        )
        self._authenticate_until = trio.current_time() + gateway.settings.handshake_seconds
        self._opening_scope = trio.CancelScope(deadline=self._authenticate_until)
        self._connection: WebSocketConnection | None = None

    async def run(self) -> None:
        try:
            async with trio.open_nursery() as nursery:
                pump = Pump(nursery, self._changed)
                try:
                    await self._run(nursery, pump)
                finally:
                    pump.cancel()
        finally:
            await self._stream.aclose_socket(reset=False)

    async def _run(self, nursery: trio.Nursery, pump: Pump) -> None:
        opened = await self._open(pump)
        if opened is not None:
            await self._live(nursery, pump, *opened)
        elif self._stream.answered_opening:
            await self._see_off(pump)

    def _changed(self) -> None:
        if self._connection is None:
            self._opening_scope.cancel()
        else:
            self._connection.wake_up()

    async def _open(self, pump: Pump) -> tuple[LibraryConnection, Opening] | None:
        with self._opening_scope:
            request = await wrap_server_stream(
                pump,  # type: ignore[arg-type]  # of a nursery it uses start_soon alone
                self._stream,
                max_message_size=self._settings.max_frame_bytes,
                receive_buffer_size=RECEIVE_BYTES,
            )
            with suppress(*FAULTS):
                return await self._answer(request)
        return None

    async def _answer(self, request: WebSocketRequest) -> tuple[LibraryConnection, Opening] | None:
        try:
            opening = self._judge(request)
        except RefusedOpeningError as refusal:
            await self._refuse(request, refusal)
            return None
        return await request.accept(subprotocol=opening.subprotocol), opening

    async def _see_off(self, pump: Pump) -> None:
        """The refusal has left; give it time to arrive."""
        await self._stream.aclose()
        pump.cancel()
        with trio.move_on_after(self._settings.close_seconds):
            await pump.ended.wait()
            await self._stream.discard_all()

    def _judge(self, request: WebSocketRequest) -> Opening:
        return judge_opening(
            request.headers,
            host=request._event.host,  # noqa: SLF001 -- the library keeps this one header to itself
            offered=request.proposed_subprotocols,
            origins=self._settings.origins,
            verifier=self._gateway.verifier,
            now_ms=self._gateway.now_ms(),
        )

    async def _refuse(self, request: WebSocketRequest, refusal: RefusedOpeningError) -> None:
        headers = [(b"Connection", b"close"), (b"Content-Type", b"text/plain; charset=utf-8"), *refusal.headers]
        await request.reject(refusal.status, extra_headers=headers, body=f"{refusal.sentence}\n".encode())

    async def _live(self, nursery: trio.Nursery, pump: Pump, websocket: LibraryConnection, opening: Opening) -> None:
        self._connection = connection = WebSocketConnection(websocket, self._stream, pump, self._settings)
        nursery.start_soon(connection.run)
        try:
            await self._admit(connection, opening)
            await connection.wait_closed()
        except trio.Cancelled:
            connection.close(*(FAILED if pump.crashed else STOPPING))
            connection.hurry()
            with self._gateway.grace():
                await connection.wait_closed()
            raise
        except Exception:
            connection.close(*FAILED)
            connection.hurry()
            await connection.wait_closed()
            raise
        finally:
            with trio.move_on_after(LAST_WORDS_SECONDS, shield=True):
                await connection.wait_farewell()
            connection.cut()

    async def _admit(self, connection: WebSocketConnection, opening: Opening) -> None:
        try:
            with connection.while_open():
                await self._authenticate_and_attach(connection, opening)
        except ConnectionClosedError:
            pass  # the peer left
        except (TokenError, RefusedError) as error:
            connection.close(error.code, error.reason)

    async def _authenticate_and_attach(self, connection: WebSocketConnection, opening: Opening) -> None:
        if opening.claims is not None:
            await self._gateway.attach(opening.claims, connection, [])
            return
        first = await self._first_frames(connection)
        try:
            token = hello_token(first[0])
        except WireError as error:
            raise RefusedError(Close.HELLO_EXPECTED, error.sentence) from None
        if not token:
            raise TokenError("Show a token: in the Authorization header, or in Hello.")
        claims = self._gateway.verifier.verify(token, self._gateway.now_ms())
        await self._gateway.attach(claims, connection, first)

    async def _first_frames(self, connection: WebSocketConnection) -> list[bytes]:
        with trio.move_on_at(self._authenticate_until):
            return await connection.receive()
        raise RefusedError(Close.HELLO_EXPECTED, "No Hello came in time.")
