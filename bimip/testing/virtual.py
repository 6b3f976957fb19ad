"""The whole server in one thread and virtual time, as app.py puts it together: the one place where tests say what the
machine is to it.

`MemoryServer` (`memory.py`) is this for who builds on BIMIP; here is what the project's own tests take apart.
"""

import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from random import Random
from typing import Any

import trio
import trio._core._run as trio_run
from trio.testing import MemoryReceiveStream, MemorySendStream, memory_stream_pair

from bimip.app import open_server
from bimip.config import Settings, load_settings
from bimip.domain.core.ids import Millis
from bimip.environment import Surroundings
from bimip.gateway.listener import OpenListeners
from bimip.journal.worker import InlineWorker, Worker
from bimip.parts import Parts
from bimip.push.posting import Poster
from bimip.storage.interface import Store
from bimip.testing.push import MemoryGateway
from bimip.testing.tokens import KEY, OPERATOR, issue_token

BEGIN = 1_700_000_000_000
"""The wall clock when the virtual one shows 0, in ms."""
HOUR_SECONDS = 3600


@contextmanager
def seeded_scheduler(seed: int) -> Iterator[None]:
    """Draws from a seed the order in which trio runs the tasks of one step, so that a run can be had again."""
    runner: Any = trio_run
    before = runner._ALLOW_DETERMINISTIC_SCHEDULING, runner._r
    runner._ALLOW_DETERMINISTIC_SCHEDULING, runner._r = True, Random(seed)
    try:
        yield
    finally:
        runner._ALLOW_DETERMINISTIC_SCHEDULING, runner._r = before


def virtual_millis() -> Millis:
    return Millis(BEGIN + int(trio.current_time() * 1000))


def token(eid: str, device: str, *, seconds: int = 3600, jti: str = "") -> str:
    """Makes a real token, good from now on, as virtual time has it."""
    return issue_token(eid, device, seconds=seconds, now_ms=virtual_millis(), jti=jti)


def settings_for_tests(**environment: str) -> Settings:
    given = {
        "BIMIP_TOKENS_ALGORITHM": "HS256",
        "BIMIP_TOKENS_KEY": KEY,
        "BIMIP_TOKENS_LEEWAY_SECONDS": "0",
        "BIMIP_STORE_ENGINE": "memory",
        "BIMIP_CONSOLE_OPERATOR_TOKEN": OPERATOR,
    }
    return load_settings(None, given | environment)


class Port:
    """A port without a network. It outlives the listeners, as the system's queue of a port does."""

    def __init__(self, real: Callable[..., Any] | None = None) -> None:
        """Makes a port. `real`: what opens real sockets, which are closed again: that can be killed too."""
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](10_000)
        self._real = real

    async def open(self, host: str | None, _port: int) -> Sequence[trio.abc.Listener[Any]]:
        """Returns what a part of the server listens on."""
        if self._real is None:
            await trio.lowlevel.checkpoint()
        else:
            for listener in await self._real(host, 0):
                listener.socket.close()
        return [_PortListener(self._receive)]

    def connect(self) -> trio.abc.HalfCloseableStream:
        ours, theirs = memory_stream_pair()
        self._send.send_nowait(theirs)
        return ours

    def connect_by_socket(self, *, buffer_bytes: int = 0) -> trio.SocketStream:
        """Connects by a pair of sockets: what one end writes the other can read at once, so that virtual time holds."""
        ours, theirs = (trio.socket.from_stdlib_socket(one) for one in socket.socketpair())
        if buffer_bytes:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        self._send.send_nowait(trio.SocketStream(theirs))
        return trio.SocketStream(ours)


def cut(stream: trio.abc.HalfCloseableStream) -> None:
    """Ends a stream of `Port.connect` at both ends, without a turn of the scheduler: what is under way is lost."""
    assert isinstance(stream, trio.StapledStream)
    for half in (stream.send_stream, stream.receive_stream):
        assert isinstance(half, MemorySendStream | MemoryReceiveStream)
        half.close()


class _PortListener(trio.abc.Listener[trio.abc.Stream]):
    def __init__(self, connecting: trio.MemoryReceiveChannel[trio.abc.Stream]) -> None:
        self._connecting = connecting

    async def accept(self) -> trio.abc.Stream:
        return await self._connecting.receive()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_virtual_server(
    open_store: Callable[[], Store],
    *,
    settings: Settings | None = None,
    seed: int = 0,
    open_worker: Callable[[], Worker] = InlineWorker,
    wall_clock: Callable[[], Millis] = virtual_millis,
    monotonic: Callable[[], float] = trio.current_time,
    listen: OpenListeners | None = None,
    listen_console: OpenListeners | None = None,
    gateway: Poster | None = None,
) -> AsyncIterator[Parts]:
    """Runs the server. Where nothing listens nobody ever connects, and what is pushed goes nowhere else."""
    poster = gateway or MemoryGateway()
    surroundings = Surroundings(
        open_store=lambda _settings: open_store(),
        open_worker=open_worker,
        wall_clock=wall_clock,
        monotonic=monotonic,
        random=Random(seed),
        open_listeners=listen or Port().open,
        open_console=listen_console or Port().open,
        open_poster=lambda _settings: poster,
        loop_watch_seconds=HOUR_SECONDS,  # days pass in virtual time, in which nobody is late
    )
    async with open_server(settings or settings_for_tests(), surroundings) as server:
        yield server
