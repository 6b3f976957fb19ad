"""The whole server in memory, in the thread and under the clock of a test that runs on trio: with `MockClock` its days
pass in no time, and nothing of it depends on how busy the machine is.
"""

import random as random_module
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import jwt
import trio
from anyio.abc import ByteStream

from bimip.client import Client, open_client
from bimip.client.errors import ConnectFailed
from bimip.client.transport import Connection, WebSocket
from bimip.domain.core.ids import Millis
from bimip.parts import Parts
from bimip.storage.memory import MemoryStore
from bimip.testing.push import MemoryGateway
from bimip.testing.tokens import issue_token
from bimip.testing.virtual import Port, cut, open_virtual_server, settings_for_tests, virtual_millis

MEMORY_URL = "ws://memory"
_DAY_SECONDS = 86_400


class MemoryServer:
    """A server without a network or a disk. Made by `open_memory_server`.

    What it keeps outlives `restart` and `kill`; nothing outlives the block in which it runs.
    """

    url = MEMORY_URL

    def __init__(self, nursery: trio.Nursery, seed: int, settings: dict[str, str]) -> None:
        self.pushed = MemoryGateway()
        """Takes what is pushed to devices that are not connected, and what webhooks are told."""
        self.parts: Parts | None = None
        """The insides of the server, which change with every version; None while none runs."""
        self._nursery = nursery
        self._seed = seed
        self._settings = settings
        self._store = MemoryStore()
        self._port = Port()
        self._streams: dict[trio.abc.HalfCloseableStream, tuple[str, str]] = {}
        self._end = trio.Event()
        self._ended = trio.Event()
        self._scope = trio.CancelScope()

    def now(self) -> Millis:
        """Tells the wall clock of the server, in milliseconds."""
        return virtual_millis()

    def token(self, eid: str, device: str = "phone", *, seconds: int = _DAY_SECONDS) -> str:
        """Makes a token that this server takes, good from now on."""
        return issue_token(eid, device, seconds=seconds, now_ms=virtual_millis())

    async def connect(self, _url: str, token: str) -> Connection:
        """Connects as a device: the `connect=` of `open_client`. Raises ConnectFailed."""
        await trio.lowlevel.checkpoint()
        if self.parts is None:
            raise ConnectFailed("no server runs")
        stream = self._port.connect()
        self._streams[stream] = _whose(token)
        socket = WebSocket(_Stream(stream, self._streams))
        try:
            await socket.shake_hands("memory", "/", token)
        except BaseException:
            self._cut(stream)
            raise
        return socket

    def client(self, eid: str, device: str = "phone", **options: Any) -> AbstractAsyncContextManager[Client]:
        """Opens a device by the SDK, with the options of `open_client`, its clock and a seed of its own."""
        given: dict[str, Any] = {
            "token": lambda: self.token(eid, device),
            "connect": self.connect,
            "now": self.now,
            "random": random_module.Random(f"{self._seed} {eid} {device}"),
        }
        return open_client(self.url, **(given | options))

    def cut(self, eid: str = "", device: str = "") -> None:
        """Cuts connections without a goodbye, as a network does: all, a user's, or a device's."""
        for stream, (owner, name) in [*self._streams.items()]:
            if eid in {"", owner} and device in {"", name}:
                self._cut(stream)

    def _cut(self, stream: trio.abc.HalfCloseableStream) -> None:
        cut(stream)
        self._streams.pop(stream, None)

    async def start(self) -> None:
        """Starts the server again, after `stop` or `kill`."""
        if self.parts is not None:
            raise RuntimeError("there is a server that runs: stop or kill it first")
        self._end, self._ended, self._scope = trio.Event(), trio.Event(), trio.CancelScope()
        await self._nursery.start(self._run)

    async def stop(self) -> None:
        """Stops the server in order, as SIGTERM does: devices are told, and connect again once there is one."""
        self._end.set()
        await self._ended.wait()

    async def kill(self) -> None:
        """Ends the server without a goodbye: nobody hears another word of it, and what is on its disk stays."""
        self.cut()
        self._scope.cancel()
        await self._ended.wait()

    async def restart(self) -> None:
        """Stops the server and starts the next one."""
        await self.stop()
        await self.start()

    def _opened_store(self) -> MemoryStore:
        self._store.reopen()
        return self._store

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        serving = open_virtual_server(
            self._opened_store,
            settings=settings_for_tests(**self._settings),
            seed=self._seed,
            listen=self._port.open,
            gateway=self.pushed,
        )
        try:
            with self._scope:
                async with serving as self.parts:
                    task_status.started()
                    await self._end.wait()
        finally:
            self.parts = None
            self.cut()
            self._ended.set()


@asynccontextmanager
async def open_memory_server(*, seed: int = 0, **settings: str) -> AsyncIterator[MemoryServer]:
    """Runs a server while the block runs. `settings` by their names in the environment; `seed` draws its chances."""
    async with trio.open_nursery() as nursery:
        server = MemoryServer(nursery, seed, settings)
        await server.start()
        try:
            yield server
        finally:
            if server.parts is not None:
                with trio.CancelScope(shield=True):
                    await server.kill()
        nursery.cancel_scope.cancel()


class _Stream(ByteStream):
    """A stream in memory, as the SDK's transport has streams. It is in `known` as long as it is open."""

    def __init__(
        self, stream: trio.abc.HalfCloseableStream, known: dict[trio.abc.HalfCloseableStream, tuple[str, str]]
    ) -> None:
        self._stream = stream
        self._known = known

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        try:
            data = bytes(await self._stream.receive_some(max_bytes))
        except trio.ClosedResourceError as error:
            raise anyio.ClosedResourceError from error
        except trio.BrokenResourceError as error:
            raise anyio.BrokenResourceError from error
        if not data:
            raise anyio.EndOfStream
        return data

    async def send(self, item: bytes) -> None:
        try:
            await self._stream.send_all(item)
        except trio.ClosedResourceError as error:
            raise anyio.ClosedResourceError from error
        except trio.BrokenResourceError as error:
            raise anyio.BrokenResourceError from error

    async def send_eof(self) -> None:
        await self._stream.send_eof()

    async def aclose(self) -> None:
        self._known.pop(self._stream, None)
        await self._stream.aclose()


def _whose(token: str) -> tuple[str, str]:
    """Reads the user and the device that a token names, whatever it is worth."""
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return "", ""
    return str(claims.get("sub", "")), str(claims.get("did", ""))
