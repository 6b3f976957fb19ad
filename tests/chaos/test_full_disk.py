"""The real server on a disk that has no room for a while, over real WebSockets.

The disk is full in two ways: a limit on the size of files, which needs no rights and can be set and lifted while the
server runs; and a small tmpfs in a mount namespace of its own, where the system allows one.
"""

import resource
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
import trio
from trio_websocket import WebSocketConnection, open_websocket_url

from bimip.client.wire import bimip as pb
from tests.chaos.server import ServerProcess, token
from tests.kit.codecs import SDK

ROOM = 3 << 20
PATIENCE = 30
FULL = pb.ErrorCode.STORAGE_FULL


class Limited(ServerProcess):
    """Its files may grow to a limit."""

    def take_room(self) -> None:
        size = (self.store() / "data.mdb").stat().st_size
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def give_room(self) -> None:
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    @property
    def pid(self) -> int:
        assert self._running is not None
        return self._running.pid

    def store(self) -> Path:
        return Path(self.settings["BIMIP_STORE_PATH"])


class Confined(Limited):
    """Its store lies on a disk of its own, which ends with the process."""

    def _command(self) -> Sequence[str]:
        script = f'mount -t tmpfs -o size={ROOM} tmpfs "$BIMIP_STORE_PATH" && exec "$@"'
        return ["unshare", "-rm", "sh", "-c", script, "sh", *super()._command()]

    def _load(self) -> subprocess.Popen[bytes]:
        self.store().mkdir(exist_ok=True)
        self.settings["BIMIP_HEALTH_MIN_FREE_DISK_BYTES"] = "0"  # which is more than there is
        return super()._load()

    def ballast(self) -> Path:
        """As the process sees it."""
        return Path(f"/proc/{self.pid}/root{self.store()}/ballast")

    def take_room(self) -> None:
        with suppress(OSError), self.ballast().open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def give_room(self) -> None:
        self.ballast().unlink()


def why_not_confined() -> str:
    tried = subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    return f"no mount namespace here: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.fixture(params=[Limited, Confined])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Limited]:
    if request.param is Confined and (reason := why_not_confined()):
        pytest.skip(reason)
    process: Limited = request.param(tmp_path, BIMIP_LOGGING_LEVEL="error")
    yield process
    process.close()


class Cramped(Limited):
    """Nothing of its files may be written when it starts, until there is room."""

    def _load(self) -> subprocess.Popen[bytes]:
        process = super()._load()
        if self.store().exists():
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        return process


class Device:
    def __init__(self, socket: WebSocketConnection) -> None:
        self._socket = socket
        self.received: list[pb.Message] = []

    async def receive(self) -> pb.MessageScheme:
        frame = await self._socket.get_message()
        assert isinstance(frame, bytes)
        scheme = pb.MessageScheme.parse(frame)
        if scheme.body is not None:
            self.received += scheme.body.messages
        return scheme

    async def send(self, **payload: Any) -> None:
        await self._socket.send_message(SDK.encode(ref=1, **payload))

    async def post(self, name: str, size: int) -> pb.Signal | pb.ErrorMessage:
        """One message to Bob: its SENT, or its error."""
        await self.send(message=pb.Message(id=name, to=pb.Identity(eid="bob"), type=1, payload=bytes(size)))
        while True:
            scheme = await self.receive()
            body = scheme.body or pb.Body()
            answers: list[pb.Signal | pb.ErrorMessage] = [*body.signals, *body.errors]
            answers += [] if scheme.error is None else [scheme.error]
            for answer in answers:
                if answer.id == name:
                    return answer

    async def wait_for(self, name: str) -> None:
        while name not in [message.id for message in self.received]:
            await self.receive()


@asynccontextmanager
async def connect(server: ServerProcess, eid: str, device: str = "phone") -> AsyncIterator[Device]:
    url = f"ws://127.0.0.1:{server.port}/"
    headers = [(b"Authorization", f"Bearer {token(eid, device)}".encode())]
    async with open_websocket_url(url, subprotocols=["bimip.v1"], extra_headers=headers) as socket:
        opened = Device(socket)
        await opened.send(hello=pb.Hello(partitions=[pb.Position(partition="chat", start=pb.Start.FIRST)]))
        assert (await opened.receive()).hello is not None
        yield opened


async def readiness(server: ServerProcess) -> tuple[int, str]:
    def ask() -> tuple[int, str]:
        with closing(HTTPConnection("127.0.0.1", int(server.settings["BIMIP_CONSOLE_PORT"]), timeout=10)) as connection:
            connection.request("GET", "/readyz", headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    return await trio.to_thread.run_sync(ask)


async def test_a_full_disk_refuses_serves_and_recovers(server: Limited, capsys: pytest.CaptureFixture[str]) -> None:
    sent: list[str] = []
    refused: list[str] = []
    await server.start_up()
    with trio.fail_after(PATIENCE):
        async with connect(server, "bob", "laptop"):
            pass  # which is known from then on: a device that is new has to be written down
        async with connect(server, "bob") as bob, connect(server, "ann") as ann:
            for number in range(20):
                assert isinstance(await ann.post(f"before {number}", 8000), pb.Signal)
                sent.append(f"before {number}")
            assert (await readiness(server))[0] == 200
            server.take_room()
            while len(refused) < 10:
                answer = await ann.post(name := f"during {len(sent)} {len(refused)}", 8000)
                if isinstance(answer, pb.Signal):
                    sent.append(name)
                else:
                    assert (answer.code, answer.retry_after_ms > 0) == (FULL, True), answer
                    refused.append(name)
            code, reasons = await readiness(server)

            assert code == 503
            assert "nothing was stored" in reasons
            await bob.wait_for(sent[-1])
            async with connect(server, "bob", "laptop") as reader:  # the reads of one who comes meanwhile
                await reader.wait_for(sent[-1])
            server.give_room()
            for name in refused[:5]:
                assert isinstance(await ann.post(name, 8000), pb.Signal)
            assert (await readiness(server))[0] == 200

    sent += refused[:5]
    if not isinstance(server, Confined):  # whose disk is gone with it
        server.kill()
        await server.start_up()
    with trio.fail_after(PATIENCE):
        async with connect(server, "bob") as bob:
            await bob.wait_for(sent[-1])

    with capsys.disabled():
        sys.stdout.write(
            f"\n    full disk ({type(server).__name__}): {len(sent)} sent, {len(refused)} refused, 0 lost\n"
        )
    assert sent == [message.id for message in bob.received]


@pytest.mark.parametrize("ending", ["stopped", "killed"])
async def test_a_start_on_a_full_disk_serves_what_is_there_and_heals(tmp_path: Path, ending: str) -> None:
    server = Cramped(tmp_path, BIMIP_LOGGING_LEVEL="error")
    try:
        await server.start_up()
        with trio.fail_after(PATIENCE):
            async with connect(server, "bob") as bob, connect(server, "ann") as ann:
                assert isinstance(await ann.post("before", 10), pb.Signal)
                await bob.wait_for("before")
        await server.terminate()
        await server.start_up()
        if ending == "killed":
            server.kill()
            await server.start_up()
        with trio.fail_after(PATIENCE):
            async with connect(server, "bob") as bob, connect(server, "ann") as ann:
                await bob.wait_for("before")
                refused = await ann.post("during", 10)
                unready = await readiness(server)
                server.give_room()
                while (await readiness(server))[0] != 200:  # noqa: ASYNC110 - of another process
                    await trio.sleep(0.1)
                sent = await ann.post("after", 10)
                await bob.wait_for("after")
    finally:
        server.close()

    assert isinstance(refused, pb.ErrorMessage)
    assert refused.code == FULL
    assert unready[0] == 503
    assert "no room" in unready[1]
    assert isinstance(sent, pb.Signal)
    assert [message.id for message in bob.received] == ["before", "after"]
