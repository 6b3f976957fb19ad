"""An actor over a real socket, with the SDK's codec: it connects again and again, and waits where an app would."""

import socket
import struct
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from random import Random

import trio
from trio_websocket import ConnectionClosed, HandshakeError, WebSocketConnection, wrap_client_stream

from tests.kit.actor import FIRST, Actor, Habits, Link
from tests.kit.codecs import SDK, Message
from tests.kit.history import Closed, Event, Name

ANSWER_SECONDS = 30
TOLD = 256
"""How many held offsets a Hello names at most."""
HABITS = Habits(agent="chaos", frames=(4, 101), acks=(0.3, 0.45, 0.65, 0.65), linger_seconds=0.1)
OURS = (
    OSError,
    HandshakeError,
    ConnectionClosed,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)
"""What the death of a socket looks like, at whatever moment."""


class _Reader:
    """Runs the library's reader: where that ends before the handshake does, the library would wait for ever."""

    def __init__(self, nursery: trio.Nursery, opening: trio.CancelScope) -> None:
        self._nursery = nursery
        self._opening = opening

    def start_soon(self, reader: Callable[[], Awaitable[object]]) -> None:
        self._nursery.start_soon(self._run, reader)

    async def _run(self, reader: Callable[[], Awaitable[object]]) -> None:
        try:
            await reader()
        finally:
            self._opening.cancel()


class SocketLink(Link):
    """One connection: its task sends what is in a channel, so that nothing waits that only says something."""

    def __init__(self, websocket: WebSocketConnection, nursery: trio.Nursery) -> None:
        super().__init__()
        self.websocket = websocket
        self.scope = nursery.cancel_scope
        self.barriers: dict[int, trio.Event] = {}
        self._nursery = nursery
        self._pause = 0.0
        self._outgoing, to_send = trio.open_memory_channel[bytes](10_000)
        nursery.start_soon(self._send_all, to_send)

    async def _send_all(self, frames: trio.MemoryReceiveChannel[bytes]) -> None:
        with suppress(ConnectionClosed):
            async for frame in frames:
                await self.websocket.send_message(frame)

    async def receive(self) -> bytes:
        pause, self._pause = self._pause, 0.0
        if pause:
            await trio.sleep(pause)
        frame = await self.websocket.get_message()
        assert isinstance(frame, bytes)
        return frame

    def send(self, frame: bytes) -> None:
        with suppress(trio.BrokenResourceError, trio.WouldBlock):
            self._outgoing.send_nowait(frame)

    def cut(self) -> None:
        super().cut()
        self.scope.cancel()

    def linger(self, seconds: float) -> None:
        self._pause = seconds

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        self._nursery.start_soon(self._call_after, seconds, call)

    @staticmethod
    async def _call_after(seconds: float, call: Callable[[], None]) -> None:
        await trio.sleep(seconds)
        call()


class Device(Actor):
    link: SocketLink | None

    def __init__(
        self,
        name: Name,
        *,
        token: str,
        port: int,
        random: Random,
        record: Callable[[Event], None],
        directory: Sequence[Name],
        partitions: Sequence[str],
        start: int = FIRST,
        habits: Habits = HABITS,
    ) -> None:
        super().__init__(
            name,
            SDK,
            habits=habits,
            random=random,
            record=record,
            directory=directory,
            partitions=partitions,
            told=TOLD,
            start=start,
        )
        self.waits = True
        """Without a connection, for a server to connect to."""
        self.is_retired = False
        """Its user is erased: it does not come back."""
        self._token = token
        self._port = port

    def ask_for_barrier(self) -> trio.Event:
        """Acknowledge all there is; the event is set when that is on disk."""
        assert self.link is not None
        self.acknowledge_all()
        ref = self._next_ref()
        done = self.link.barriers[ref] = trio.Event()
        kind = SDK.messages.FetchKind.LOG
        fetch = SDK.messages.Fetch(kind=kind, partition=self._partitions[0], limit=1, backwards=True)
        self._post(self.link, ref, fetch=fetch)
        return done

    def _take_body(self, link: Link, body: Message) -> None:
        super()._take_body(link, body)
        assert isinstance(link, SocketLink)
        if body.ref in link.barriers:
            link.barriers[body.ref].set()

    def _is_unknown(self, code: str) -> bool:
        """A disk that fails, or a database, says of this try alone that nothing was stored: an earlier one may have
        been.
        """
        return super()._is_unknown(code) or (self._habits.may_be_refused and code == "UNAVAILABLE")

    async def live(self, up: Callable[[], trio.Event]) -> None:
        """Connect again and again; `up` tells when there is a server to connect to."""
        while not self.is_retired:
            self.waits = True
            await up().wait()
            self.waits = False
            with suppress(OSError):
                stream = await trio.open_tcp_stream("127.0.0.1", self._port)
                await self._connect(stream)
            await trio.sleep(self._random.uniform(0.001, 0.03))

    async def _connect(self, stream: trio.SocketStream) -> None:
        code = 1006
        try:
            async with trio.open_nursery() as nursery:
                link = await self._open(nursery, stream)
                code = await self._converse(link, nursery)
                nursery.cancel_scope.cancel()
        except* OURS:
            pass
        finally:
            self.link = None
            if self._random.random() < 0.5:  # as the network sees an app that was killed: an end, or a reset
                with suppress(OSError):
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()
            self._record(Closed(self.name, code))

    async def _open(self, nursery: trio.Nursery, stream: trio.SocketStream) -> SocketLink:
        opening = trio.CancelScope(deadline=trio.current_time() + ANSWER_SECONDS)
        with opening:
            websocket = await wrap_client_stream(
                _Reader(nursery, opening),  # type: ignore[arg-type]  # of a nursery it uses start_soon alone
                stream,
                "127.0.0.1",
                "/",
                subprotocols=["bimip.v1"],
                extra_headers=[(b"Authorization", f"Bearer {self._token}".encode())],
            )
        if opening.cancelled_caught:
            raise trio.BrokenResourceError("no opening handshake")
        return SocketLink(websocket, nursery)

    async def _converse(self, link: SocketLink, nursery: trio.Nursery) -> int:
        """Hello, then read until the end; returns the close code."""
        try:
            self.say_hello(link)
            with trio.fail_after(ANSWER_SECONDS):
                self.receive(link, await link.receive())
            nursery.start_soon(self._write_on)
            while True:
                self.receive(link, await link.receive())
        except ConnectionClosed as closed:
            return 1006 if closed.reason is None else int(closed.reason.code)

    async def _write_on(self) -> None:
        while not self.is_retired:
            await trio.sleep(self.pause_seconds())
            self.write()
