"""A proxy between clients and a server that cuts, delays, splits, swallows and duplicates what goes through it.

It reads the frames of WebSocket (RFC 6455, 5.2) in the bytes of each direction and leaves them as they are: a unit is
the HTTP head with which a connection opens, or one whole frame. TCP never gives the same bytes twice, so what is
duplicated is a whole message of WebSocket, and never a part of one. It speaks no TLS.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final, NamedTuple

import trio

_HEAD_END: Final = b"\r\n\r\n"
_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults that befall the bytes of one direction of a connection.

    cut_after_bytes     the connection ends when so many bytes went through, also within a frame
    cut_after_frames    or so many frames, the HTTP head not counted
    silent_after_bytes  what is behind so many bytes is swallowed, and the connection stays
    delay               seconds for which each unit is held, one behind the other
    split               at most so many bytes are written in one go; 0: as they come
    duplicate           numbers, from 0, of the messages of WebSocket that are sent twice
    """

    cut_after_bytes: int | None = None
    cut_after_frames: int | None = None
    silent_after_bytes: int | None = None
    delay: float = 0.0
    split: int = 0
    duplicate: frozenset[int] = frozenset()


NONE: Final = Faults()


class Plan(NamedTuple):
    """The faults of one connection, by direction."""

    up: Faults = NONE  # from the client to the server
    down: Faults = NONE  # from the server to the client


def drawn_cut(random: Random, most_bytes: int) -> Plan:
    """Draws a plan that cuts one direction somewhere in its first bytes."""
    cut = Faults(cut_after_bytes=random.randrange(most_bytes))
    return Plan(up=cut) if random.random() < 0.5 else Plan(down=cut)


class Unit(NamedTuple):
    """A piece that is not taken apart but by a cut or a split."""

    data: bytes
    is_frame: bool
    ends_message: bool = False
    """The last frame of a message; a ping, a pong and a close are none."""


class UnitReader:
    """Reads the units in the bytes of one direction."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._is_open = False  # the HTTP head went through

    def feed(self, data: bytes | bytearray) -> Iterator[Unit]:
        self._buffer += data
        while (unit := self._next()) is not None:
            yield unit

    def rest(self) -> bytes:
        """Returns what came of a unit that is not whole."""
        return bytes(self._buffer)

    def _next(self) -> Unit | None:
        if not self._is_open:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return None
            self._is_open = True
            return Unit(self._take(end + len(_HEAD_END)), is_frame=False)
        length = _length_of_frame(self._buffer)
        if length is None or len(self._buffer) < length:
            return None
        first = self._buffer[0]
        return Unit(self._take(length), is_frame=True, ends_message=bool(first & 0x80) and first & 0x0F < 8)

    def _take(self, length: int) -> bytes:
        taken = bytes(self._buffer[:length])
        del self._buffer[:length]
        return taken


def _length_of_frame(data: bytearray) -> int | None:
    """Returns the length of the frame with which the bytes begin; None: not enough of it is there."""
    if len(data) < 2:
        return None
    mask = 4 if data[1] & 0x80 else 0
    length = data[1] & 0x7F
    if length < 126:
        return 2 + mask + length
    extended = 2 if length == 126 else 8
    if len(data) < 2 + extended:
        return None
    return 2 + extended + mask + int.from_bytes(data[2 : 2 + extended], "big")


class Proxy:
    """Carries connections to a server. `plan` gives the faults of each, by its number from 0."""

    def __init__(
        self, dial: Callable[[], Awaitable[trio.abc.Stream]], plan: Callable[[int], Plan] = lambda _: Plan()
    ) -> None:
        self.plan = plan
        self.port = 0
        self.connections = 0
        """How many there were."""
        self._dial = dial
        self._scopes: set[trio.CancelScope] = set()

    async def handle(self, client: trio.abc.Stream) -> None:
        """Carries one connection until either side ends it, or a fault does. Cancelling it cuts both sides."""
        number = self.connections
        self.connections += 1
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                server = await self._dial()
                await relay(client, server, self.plan(number))
            except OSError:  # nobody listens there: so it is for the client
                pass
            finally:
                self._scopes.discard(scope)
                await trio.aclose_forcefully(client)

    def cut_all(self) -> None:
        """Cuts every connection that there is."""
        for scope in list(self._scopes):
            scope.cancel()


@asynccontextmanager
async def open_proxy(
    host: str, port: int, plan: Callable[[int], Plan] = lambda _: Plan(), *, listen_port: int = 0
) -> AsyncIterator[Proxy]:
    """Opens a proxy to a server, at `Proxy.port` of 127.0.0.1. Leaving it cuts what goes through."""

    async def dial() -> trio.abc.Stream:
        return await trio.open_tcp_stream(host, port)

    proxy = Proxy(dial, plan)
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, host="127.0.0.1", handler_nursery=nursery)
        [listener] = await nursery.start(serve, proxy.handle, listen_port)
        proxy.port = listener.socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()


async def relay(client: trio.abc.Stream, server: trio.abc.Stream, plan: Plan) -> None:
    """Carries bytes both ways until either side ends, or a fault does; then both streams are closed."""
    async with client, server, trio.open_nursery() as nursery:
        nursery.start_soon(_carry, client, server, plan.up, nursery.cancel_scope)
        nursery.start_soon(_carry, server, client, plan.down, nursery.cancel_scope)


async def _carry(source: trio.abc.Stream, target: trio.abc.Stream, faults: Faults, scope: trio.CancelScope) -> None:
    """Carries one direction to its end, and then ends the other."""
    reader, writer = UnitReader(), _Writer(target, faults)
    try:
        while data := await source.receive_some(_CHUNK):
            for unit in reader.feed(data):
                if not await writer.write(unit):
                    return
        if rest := reader.rest():
            await writer.write(Unit(rest, is_frame=False))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    finally:
        scope.cancel()


class _Writer:
    """Writes the units of one direction, with its faults."""

    def __init__(self, target: trio.abc.Stream, faults: Faults) -> None:
        self._target = target
        self._faults = faults
        self._bytes = self._frames = self._messages = 0
        self._message: list[bytes] = []  # the frames of one that is not whole

    async def write(self, unit: Unit) -> bool:
        """Writes a unit. Returns whether the connection goes on."""
        faults = self._faults
        if faults.delay:
            await trio.sleep(faults.delay)
        if not await self._put(unit.data):
            return False
        if not unit.is_frame:
            return True
        self._frames += 1
        if unit.data[0] & 0x0F < 8:
            self._message.append(unit.data)
        if unit.ends_message:
            whole, self._message = self._message, []
            self._messages += 1
            if self._messages - 1 in faults.duplicate and not await self._put(b"".join(whole)):
                return False
        return faults.cut_after_frames is None or self._frames < faults.cut_after_frames

    async def _put(self, data: bytes) -> bool:
        faults = self._faults
        for piece in _pieces(data, faults.split):
            if faults.silent_after_bytes is not None:
                loud = piece[: max(0, faults.silent_after_bytes - self._bytes)]
            else:
                loud = piece
            if faults.cut_after_bytes is not None:
                loud = loud[: max(0, faults.cut_after_bytes - self._bytes)]
            if loud:
                await self._target.send_all(loud)
            self._bytes += len(piece)
            if faults.cut_after_bytes is not None and self._bytes >= faults.cut_after_bytes:
                return False
        return True


def _pieces(data: bytes, split: int) -> Iterator[bytes]:
    size = split or len(data) or 1
    return (data[at : at + size] for at in range(0, len(data), size))
