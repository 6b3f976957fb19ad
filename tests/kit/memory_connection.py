"""A connection without a network: the server's end implements `bimip.users.connection.Connection`, the other is a
`Peer`.

The peer's end takes frames into a buffer of `room` frames; when that is full the connection is busy, as a socket is
whose peer does not read.
"""

from collections import deque

import trio

from bimip.users.connection import ConnectionClosedError, Take


class MemoryConnection:
    address = account = "192.0.2.7"
    round_trip_seconds: float | None = None

    def __init__(self, peer: "Peer") -> None:
        self._peer = peer
        self._arrived: deque[bytes] = deque()
        self._unfinished: bytes | None = None
        self._changed = trio.Condition()
        self.closed: tuple[int, str] | None = None
        self._closing: tuple[int, str] | None = None
        self._gone = trio.Event()
        self._wake = trio.Event()

    @property
    def sendable(self) -> bool:
        return self._unfinished is None

    async def receive(self) -> list[bytes]:
        while not self._arrived:
            if self.closed is not None:
                raise ConnectionClosedError(*self.closed)
            await self._wait()
        await trio.lowlevel.checkpoint()
        frames = list(self._arrived)
        self._arrived.clear()
        return frames

    async def hand_to(self, take: Take) -> None:
        while take(await self.receive(), trio.current_time()):
            pass

    def send_nowait(self, frame: bytes) -> bool:
        if self.closed is not None:
            return True
        if self._unfinished is not None:
            return False
        self._unfinished = frame
        self.pump()
        return True

    async def wait_sendable(self) -> None:
        while self._unfinished is not None:
            if self.closed is not None:
                raise ConnectionClosedError(*self.closed)
            await self._wait()
        await trio.lowlevel.checkpoint()

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = (int(code), reason)
            self.pump()

    async def wait_closed(self) -> None:
        await self._gone.wait()

    def pump(self) -> None:
        """Move what can be moved to the peer."""
        if self._unfinished is not None and self._peer.has_room():
            self._peer.deliver(self._unfinished)
            self._unfinished = None
        if self._closing is not None and self._unfinished is None:
            self.cut(*self._closing)
        self._ring()

    def cut(self, code: int = 1006, reason: str = "cut") -> None:
        """The end, from whichever side. What was not delivered is lost."""
        if self.closed is None:
            self.closed = (int(code), reason)
            self._unfinished = None
            self._gone.set()
            self._peer.ended()
        self._ring()

    def arrive(self, frame: bytes) -> None:
        if self.closed is None and self._closing is None:
            self._arrived.append(frame)
            self._ring()

    def _ring(self) -> None:
        self._wake.set()
        self._wake = trio.Event()

    async def _wait(self) -> None:
        await self._wake.wait()


class Peer:
    """The client's end: frames in and out."""

    def __init__(self, *, room: int = 1_000_000) -> None:
        self.connection = MemoryConnection(self)
        self._room = room
        self._frames: deque[bytes] = deque()
        self._wake = trio.Event()

    def has_room(self) -> bool:
        return len(self._frames) < self._room

    def deliver(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._ring()

    def ended(self) -> None:
        self._ring()

    def send(self, frame: bytes) -> None:
        self.connection.arrive(frame)

    async def receive(self) -> bytes:
        """The next frame. Raises ConnectionClosedError once all were taken and the connection is gone."""
        await trio.lowlevel.checkpoint()
        while not self._frames:
            if self.connection.closed is not None:
                raise ConnectionClosedError(*self.connection.closed)
            await self._wake.wait()
        frame = self._frames.popleft()
        self.connection.pump()
        return frame

    def waiting(self) -> list[bytes]:
        """Frames that have arrived and were not taken."""
        frames = list(self._frames)
        self._frames.clear()
        self.connection.pump()
        return frames

    def cut(self) -> None:
        self.connection.cut()

    def _ring(self) -> None:
        self._wake.set()
        self._wake = trio.Event()
