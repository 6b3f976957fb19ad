"""The proxy of `bimip.conformance` in a thread of its own, so that clients under any event loop connect through it: it
cuts connections at random frames and bytes, takes writes apart, and holds frames up, until it is told to be calm.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import trio

from bimip.conformance.proxy import NONE, Faults, Plan, Proxy, open_proxy

MOST_FRAMES = 14
MOST_BYTES = 4000


class CutProxy:
    def __init__(self, port: int, seed: int) -> None:
        self.is_calm = False
        self.is_closed = False
        """Nobody comes through: every connection ends before its first byte."""
        self._server_port = port
        self._random = Random(seed)
        self._ready = threading.Event()
        self._proxy: Proxy | None = None
        self._trio: trio.lowlevel.TrioToken | None = None
        self._stop = trio.Event()

    @property
    def url(self) -> str:
        assert self._proxy is not None
        return f"ws://127.0.0.1:{self._proxy.port}"

    @property
    def connections(self) -> int:
        assert self._proxy is not None
        return self._proxy.connections

    def cut_all(self) -> None:
        assert self._trio is not None
        assert self._proxy is not None
        self._trio.run_sync_soon(self._proxy.cut_all)

    def run(self) -> None:
        trio.run(self._serve)

    async def _serve(self) -> None:
        async with open_proxy("127.0.0.1", self._server_port, self._plan) as self._proxy:
            self._trio = trio.lowlevel.current_trio_token()
            self._ready.set()
            await self._stop.wait()

    def wait_ready(self) -> None:
        assert self._ready.wait(30)

    def stop(self) -> None:
        assert self._trio is not None
        self._trio.run_sync_soon(self._stop.set)

    def _plan(self, _number: int) -> Plan:
        if self.is_closed:
            return Plan(up=Faults(cut_after_bytes=0))
        if self.is_calm:
            return Plan()
        return Plan(self._faults(), self._faults())

    def _faults(self) -> Faults:
        random = self._random
        kind = random.randrange(4)
        if kind == 0:
            return NONE
        if kind == 1:
            return Faults(cut_after_bytes=random.randrange(MOST_BYTES), split=random.choice([0, 1, 7]))
        return Faults(cut_after_frames=random.randrange(MOST_FRAMES), delay=random.choice([0, 0, 0.005]))


@contextmanager
def open_cut_proxy(port: int, seed: int) -> Iterator[CutProxy]:
    proxy = CutProxy(port, seed)
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        proxy.wait_ready()
        yield proxy
    finally:
        proxy.stop()
        thread.join()
