"""The two tasks of a connection that is no socket, such as one in memory: all its bytes come and go through them.

A socket is read by the poller and written to without waiting, over TLS too. Such a stream can only be awaited: one task
waits for bytes, the other for the peer to take them. Both are shielded: half a frame cannot be taken back, and the
peer's close frame is wanted too. They end with the connection.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import trio
import trio.abc

from bimip.supervision import Notify

RECEIVE_BYTES = 64 << 10
DEAD = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class Pumped(Protocol):
    """The connection, as its pumps see it."""

    @property
    def is_aborted(self) -> bool: ...

    @property
    def unsent(self) -> bytes | memoryview: ...

    async def wait_wanted(self) -> bool:
        """Waits until bytes are wanted. False: none will be."""

    def on_data(self, data: bytes) -> None:
        """Bytes came; none: the stream has ended."""

    def on_all_sent(self) -> None:
        """All that was unsent has left."""

    def on_broken(self) -> None:
        """Nothing can be sent any more."""

    def abort(self) -> None: ...


class Pumps:
    __slots__ = ("_all_sent", "_receiving", "_sending", "_stream", "_to_send")

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._receiving = self._sending = trio.CancelScope()
        self._to_send = Notify()
        self._all_sent = Notify()

    @asynccontextmanager
    async def open(self, connection: Pumped) -> AsyncIterator[None]:
        """Runs both tasks; leaving closes the socket."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.receive, connection)
            nursery.start_soon(self.send, connection)
            try:
                yield
            finally:
                connection.abort()

    async def receive(self, connection: Pumped) -> None:
        """Reads from the stream as long as something is wanted. Ends with the stream, or with the socket."""
        with trio.CancelScope(shield=True) as self._receiving:
            while await connection.wait_wanted():
                try:
                    data = bytes(await self._stream.receive_some(RECEIVE_BYTES))
                except DEAD:
                    data = b""
                connection.on_data(data)

    async def send(self, connection: Pumped) -> None:
        """Sends frames over the stream. Ends with the socket."""
        with trio.CancelScope(shield=True) as self._sending:
            try:
                while not connection.is_aborted:
                    if connection.unsent:
                        await self._stream.send_all(connection.unsent)
                        connection.on_all_sent()
                        self._all_sent.notify()
                    await self._to_send
            except DEAD:
                connection.on_broken()

    def send_soon(self) -> None:
        """Something is unsent."""
        self._to_send.notify()

    async def wait_sent(self) -> None:
        """Waits until what was unsent has left, or cannot."""
        await self._all_sent

    def stop_sending(self) -> None:
        self._all_sent.notify()
        self._sending.cancel()

    def stop(self) -> None:
        self._sending.cancel()
        self._receiving.cancel()
