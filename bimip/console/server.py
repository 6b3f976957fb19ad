"""The listener, and a connection for each socket: Hypercorn speaks HTTP, trio accepts.

`hypercorn.trio.serve` would do, but for three things. It ends whole when one connection's task raises; it sends in a
shielded scope without a limit, so that a client that stops reading would keep the console from ever stopping; and it
makes its own sockets. So its connections (`TCPServer`) run here under trio's listeners: each contained, each send
and each wait for a request bounded.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog
import trio
import trio.abc
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.logging import Logger
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState
from starlette.types import ASGIApp

SEND_SECONDS = 3.0
READ_SECONDS = 30

_log = structlog.get_logger("bimip.console")

Listen = Callable[[], Awaitable[Sequence[trio.abc.Listener[Any]]]]
Started = Callable[[object], None]


def make_console(application: ASGIApp, listen: Listen) -> Callable[[Started], Awaitable[None]]:
    """The console as a function to supervise: it tells `started` its port, and serves until it is cancelled."""

    async def console(started: Started) -> None:
        listeners = await listen()
        app = ASGIWrapper(application)  # type: ignore[arg-type] # two spellings of the same ASGI types
        config, context = _config(), WorkerContext(None)

        async def serve(stream: trio.SocketStream) -> None:
            await _serve_connection(app, config, context, stream)

        started(port_of(listeners[0]))
        await trio.serve_listeners(serve, list(listeners))

    return console


async def open_loopback(host: str, port: int) -> Sequence[trio.SocketListener]:
    """Listeners on a loopback address that the settings have checked; port 0 takes a free one. OSError says which."""
    try:
        return await trio.open_tcp_listeners(port, host=host)
    except OSError as error:
        problem = f"the console cannot listen on {host}:{port}: {error.strerror or error}; set console.port to another"
        raise OSError(error.errno, problem) from error


def port_of(listener: trio.abc.Listener[Any]) -> int:
    """0 for what listens on no port, as in a simulation."""
    if not isinstance(listener, trio.SocketListener):
        return 0
    port = listener.socket.getsockname()[1]
    assert isinstance(port, int)
    return port


async def _serve_connection(app: AppWrapper, config: Config, context: WorkerContext, stream: trio.SocketStream) -> None:
    """Whatever a peer sends, and however it goes: it ends here."""
    try:
        await TCPServer(app, config, context, ConnectionState({}), BoundedStream(stream))  # type: ignore[arg-type] # all that it uses of a stream
    except Exception:  # noqa: BLE001 - the one place where a connection's failure ends; it is logged whole
        _log.exception("a connection failed")


class BoundedStream:
    """A stream as Hypercorn uses one, with a limit on sending: it shields its sends from cancellation. And with one on
    waiting, in place of Hypercorn's own, which counts also while an answer is being sent.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._sent_at = trio.current_time()
        self.socket = stream.socket
        self.send_eof = stream.send_eof
        self.aclose = stream.aclose

    async def send_all(self, data: bytes) -> None:
        with trio.move_on_after(SEND_SECONDS) as scope:
            await self._stream.send_all(data)
        if scope.cancelled_caught:
            raise trio.BrokenResourceError("the peer does not read")
        self._sent_at = trio.current_time()

    async def receive_some(self, max_bytes: int) -> bytes:
        """Reads for so long as a request may take to come. Whoever is being answered has nothing to say: what was sent
        lately counts, else a long answer (a stream, an export) would be cut in the middle.
        """
        began = trio.current_time()
        while (until := max(began, self._sent_at) + READ_SECONDS) > trio.current_time():
            with trio.move_on_at(until):
                return bytes(await self._stream.receive_some(max_bytes))
        raise trio.BrokenResourceError("the peer says nothing")


class StructuredLogger(Logger):
    """Hypercorn's words in our log."""

    def __init__(self, config: Config) -> None:
        # Nothing of the base: it opens handlers of its own.
        self.access_log_format = config.access_log_format
        self.access_logger = None
        self.error_logger = None

    async def exception(self, message: str, *args: object, **_kwargs: object) -> None:
        _log.exception(message % args if args else message)

    async def critical(self, message: str, *args: object, **_kwargs: object) -> None:
        _log.error(message % args if args else message)

    error = warning = critical


def _config() -> Config:
    config = Config()
    config.logger_class = StructuredLogger
    config.include_server_header = False
    config.read_timeout = None
    return config
