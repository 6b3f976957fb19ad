"""Accepts sockets and hands each to a supervised child. Holds nothing but the listening sockets, so that its restart
disturbs no connection.
"""

import errno
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import trio
import trio.abc

from bimip.gateway.settings import GatewaySettings
from bimip.gateway.tls import Certificate
from bimip.gateway.tls_stream import TlsStream, transport_of

Stream = trio.abc.Stream
Serve = Callable[[Stream], Awaitable[None]]
"""Serves a connection and closes it, however it ends."""
OpenListeners = Callable[[str | None, int], Awaitable[Sequence[trio.abc.Listener[Any]]]]


class HandlerNursery(Protocol):
    """A nursery, or a supervisor that takes children as one does."""

    def start_soon(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None: ...


EVERY_ADDRESS = "::"
"""IPv4 and IPv6: where a machine has no IPv6, IPv4 alone."""


async def open_tcp(host: str | None, port: int) -> Sequence[trio.SocketListener]:
    """The port can be opened again at once after its listener was killed: trio sets SO_REUSEADDR. OSError says what to
    set.
    """
    try:
        if host != EVERY_ADDRESS:
            return await trio.open_tcp_listeners(port, host=host)
        ipv4 = await trio.open_tcp_listeners(port, host="0.0.0.0")  # noqa: S104 - that is what was asked for
        port = port or ipv4[0].socket.getsockname()[1]
        try:
            return [*ipv4, *await trio.open_tcp_listeners(port, host=host)]
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise
            return ipv4
    except OSError as error:
        problem = (
            f"the gateway cannot listen on {host}:{port}: {error.strerror or error}; set gateway.port or gateway.host"
        )
        raise OSError(error.errno, problem) from error


class _TlsListener(trio.abc.Listener[Stream]):
    """Accepts TLS as trio.SSLListener does, but each connection begins with the certificate of that moment."""

    def __init__(self, listener: trio.abc.Listener[Any], certificate: Certificate) -> None:
        self._listener = listener
        self._certificate = certificate

    async def accept(self) -> Stream:
        stream = await self._listener.accept()
        return TlsStream(stream, self._certificate.context)

    async def aclose(self) -> None:
        await self._listener.aclose()


class Listener:
    """Made once; `run` is each incarnation. The port that the system chose for port 0 stays."""

    def __init__(
        self,
        settings: GatewaySettings,
        serve: Serve,
        handler_nursery: HandlerNursery,
        *,
        shuts_out: Callable[[Stream], bool] = lambda _stream: False,
        open_listeners: OpenListeners = open_tcp,
    ) -> None:
        self._settings = settings
        self._serve = serve
        self._handler_nursery = handler_nursery
        self._shuts_out = shuts_out
        self._open_listeners = open_listeners
        self.port = settings.port
        self.turned_away = 0
        """Sockets that were closed at once: nobody could be started for them, or their address is shut out."""

    async def run(self, started: Callable[[object], None]) -> None:
        """Listen until cancelled. Passes the port to `started` once connections are accepted."""
        listeners = await self._open_listeners(self._settings.host, self.port)
        self._note_port(listeners)
        if self._settings.tls is not None:
            listeners = [_TlsListener(listener, self._settings.tls) for listener in listeners]
        started(self.port)
        await trio.serve_listeners(self._serve, list(listeners), handler_nursery=self)  # type: ignore[arg-type]

    def start_soon(self, _handler: Callable[..., Awaitable[object]], stream: Stream, *_args: object) -> None:
        """Starts a connection, as `serve_listeners` asks of a nursery. A full or stopping supervisor must not end the
        listener.

        trio's handler would do nothing but close what `serve` closes, with a frame for as long as the connection lives.
        """
        if self._shuts_out(stream):
            self.turned_away += 1
            _drop(stream)
            return
        try:
            self._handler_nursery.start_soon(self._serve, stream)
        except Exception:  # noqa: BLE001 -- whatever it is, it is about this one socket, which nobody else will close
            self.turned_away += 1
            _drop(stream)

    def _note_port(self, listeners: Sequence[trio.abc.Listener[Any]]) -> None:
        first = listeners[0]
        if self.port == 0 and isinstance(first, trio.SocketListener):
            self.port = first.socket.getsockname()[1]


def _drop(stream: Stream) -> None:
    transport = transport_of(stream)
    if isinstance(transport, trio.SocketStream):
        transport.socket.close()
