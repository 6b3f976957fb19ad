"""Runs the WebSocket library's own task, and keeps what goes wrong in there from going anywhere else."""

from collections.abc import Awaitable, Callable

import h11
import trio
from trio_websocket import ConnectionClosed
from wsproto.utilities import ProtocolError

FAULTS = (
    ConnectionClosed,
    ProtocolError,
    h11.ProtocolError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    UnicodeError,
)
"""What a peer, or the death of its socket, can make the library raise. Anything else is a defect: the connection closes
with 1011 and its task crashes, for its supervisor to report."""


class Pump:
    """To `wrap_server_stream` it is a nursery: it gets the library's reader, and tells when that is over."""

    def __init__(self, nursery: trio.Nursery, on_over: Callable[[], None]) -> None:
        self._nursery = nursery
        self._on_over = on_over
        self.ended = trio.Event()
        # A connection that is stopped still has to hear the peer's answer to its farewell.
        self._scope = trio.CancelScope(shield=True)
        self.fault = False
        """It ended with what a peer's error makes the library raise."""
        self.crashed = False

    @property
    def over(self) -> bool:
        return self.ended.is_set()

    def start_soon(self, async_fn: Callable[..., Awaitable[object]], *args: object) -> None:
        self._nursery.start_soon(self._run, async_fn, args)

    def cancel(self) -> None:
        self._scope.cancel()

    async def _run(self, async_fn: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        try:
            with self._scope:
                await async_fn(*args)
        except FAULTS:
            self.fault = True
        except Exception:
            self.crashed = True
            raise
        finally:
            self.ended.set()
            self._on_over()
