"""Devices of one user give each other what one of them lacks, over real data channels and beside a real server.

BIMIP_GOSSIP_ENTRIES asks for another number of entries than 1,200.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from bimip.client import Client, InvalidArgument, Start, open_client
from bimip.client.core.giving import slices
from bimip.client.events import PeerSignalled, Received
from bimip.client.frames import decode
from bimip.client.gossip.rtc import Channel, RtcLoop
from bimip.client.transport import Connection, websocket
from bimip.client.wire.bimip import Body
from bimip.testing import ServerProcess

ENTRIES = int(os.environ.get("BIMIP_GOSSIP_ENTRIES", "1200"))
TOGETHER = 200
BOB = "bob@example.org"
SECONDS = 120


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    if not anyio.run(_comes_about):
        pytest.skip("no network interface here over which WebRTC comes about")
    checkpoints = {"BIMIP_RETENTION_EVERY_SECONDS": "0.1", "BIMIP_RETENTION_CHECKPOINT_ENTRIES": "50"}
    with ServerProcess(tmp_path_factory.mktemp("server"), **checkpoints) as running:
        yield running


async def _comes_about() -> bool:
    loop = RtcLoop()
    one, other = Channel(loop), Channel(loop)
    try:
        await one.accept(await other.answer(await one.offer()))
        with anyio.move_on_after(5) as waiting:
            await one.wait_open()
        return not waiting.cancelled_caught
    finally:
        await one.aclose()
        await other.aclose()
        loop.close()


class Counted:
    """Counts the entries of logs that a server sends over the connections that it makes."""

    def __init__(self) -> None:
        self.entries = 0

    async def connect(self, url: str, token: str) -> Connection:
        connection = await websocket(timeout=10)(url, token)
        receive = connection.receive

        async def receive_and_count() -> bytes:
            frame = await receive()
            payload = decode(frame).payload
            self.entries += len(payload.messages) if isinstance(payload, Body) else 0
            return frame

        vars(connection)["receive"] = receive_and_count
        return connection


class World:
    """A user with two devices, one of which has what others wrote while the other one was away."""

    def __init__(self, server: ServerProcess, folder: Path, user: str) -> None:
        self.counted = Counted()
        self._server = server
        self._folder = folder
        self._user = f"{user}@example.org"

    def device(self, name: str, **options: Any) -> AbstractAsyncContextManager[Client]:
        return open_client(
            self._server.url,
            token=self._server.token(self._user, name),
            path=self._folder / f"{name}.db",
            keep_messages=True,
            start=Start.FIRST,
            **({"gossip": True} | options),
        )

    async def fill(self, phone: Client, entries: int = ENTRIES) -> None:
        """The laptop was there once; then others write, and the phone takes it."""
        async with self.device("laptop") as laptop:
            await laptop.wait_connected()
        texts: list[bytes] = []
        token = self._server.token(BOB)
        async with open_client(self._server.url, token=token, partitions=()) as bob, anyio.create_task_group() as tasks:
            tasks.start_soon(take, phone, entries, texts)
            for first in range(0, entries, TOGETHER):
                batch = [(self._user, b"%d" % number) for number in range(first, first + TOGETHER)]
                await bob.messages.send_many(batch)
        assert texts == wanted(entries)


async def take(client: Client, count: int, texts: list[bytes]) -> None:
    """Takes so many messages, and says that it is done with the last one."""
    while len(texts) < count:
        event = await anext(client)
        if isinstance(event, Received):
            texts.append(event.message.payload)
    client._device.inbox.finish()


async def keep_taking(client: Client) -> None:
    async for _ in client:
        pass


def wanted(entries: int = ENTRIES) -> list[bytes]:
    return [b"%d" % number for number in range(entries)]


async def returns(world: World, entries: int = ENTRIES) -> Client:
    """The laptop comes back, and has everything once and in order."""
    texts: list[bytes] = []
    async with world.device("laptop", connect=world.counted.connect) as laptop:
        with anyio.fail_after(SECONDS):
            await take(laptop, entries, texts)
            sent = await laptop.messages.send(BOB, b"here again")
            while not laptop.connected or laptop._device.is_catching_up:
                with anyio.move_on_after(0.05):
                    await anext(laptop)
        assert texts == wanted(entries)
        assert sent.signal_id
    return laptop


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_the_server_sends_nothing_of_what_a_sibling_has(server: ServerProcess, tmp_path: Path, backend: str) -> None:
    async def scenario() -> None:
        world = World(server, tmp_path, f"ann-{backend}")
        async with world.device("phone") as phone, anyio.create_task_group() as tasks:
            await world.fill(phone)
            tasks.start_soon(keep_taking, phone)
            laptop = await returns(world)
            assert laptop.gossip is not None
            assert phone.gossip is not None
            assert (laptop.gossip.taken, phone.gossip.given, world.counted.entries) == (ENTRIES, ENTRIES, 0)
            tasks.cancel_scope.cancel()
        async with world.device("laptop", connect=world.counted.connect) as laptop:
            await laptop.wait_connected()
            with anyio.move_on_after(0.5):
                await keep_taking(laptop)
        assert world.counted.entries == 0  # its position was committed

    anyio.run(scenario, backend=backend)


def test_one_that_lies_is_dropped_and_the_server_has_the_rest(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Body] = []

    def lying(*given: Any) -> Iterator[Body]:
        for number, body in enumerate(slices(*given)):
            made.append(body)
            if number == 1:
                body.messages[3].payload = b"a lie"
            yield body

    monkeypatch.setattr("bimip.client.gossip.gossip.slices", lying)
    monkeypatch.setattr("bimip.client.gossip.gossip.MOST_ENTRIES", 1)  # the server is asked at each of them

    async def scenario() -> None:
        world = World(server, tmp_path, "liar")
        async with world.device("phone") as phone, anyio.create_task_group() as tasks:
            await world.fill(phone)
            tasks.start_soon(keep_taking, phone)
            laptop = await returns(world)
            assert laptop.gossip is not None
            first = made[0].upto
            assert (laptop.gossip.dropped, laptop.gossip.taken, world.counted.entries) == (1, first, ENTRIES - first)
            tasks.cancel_scope.cancel()

    anyio.run(scenario)


def test_one_that_goes_in_the_middle_costs_nothing(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        world = World(server, tmp_path, "gone")
        async with world.device("phone") as phone, anyio.create_task_group() as tasks:
            await world.fill(phone)
            tasks.start_soon(keep_taking, phone)
            send, count = Channel.send, list[bytes]()

            async def send_one(channel: Channel, data: bytes) -> None:
                count.append(data)
                if len(count) > 1:
                    await channel.aclose()
                await send(channel, data)

            monkeypatch.setattr(Channel, "send", send_one)
            laptop = await returns(world)
            assert laptop.gossip is not None
            assert laptop.gossip.taken + world.counted.entries == ENTRIES
            assert world.counted.entries > 0
            tasks.cancel_scope.cancel()

    anyio.run(scenario)


NO_HELLO = ("", "[]", "{}", '{"epoch": "EPOCH", "after": [1]}', '{"epoch": "EPOCH", "after": {"chat": "x"}}')
NO_SESSION = (b"", b"[]", b'{"type": "offer"}', b'{"type": "offer", "sdp": "v=0"}', b'{"type": "other", "sdp": ""}')


@pytest.mark.parametrize("offer", NO_SESSION)
def test_a_sibling_that_says_nothing_sensible_costs_nothing(
    server: ServerProcess, tmp_path: Path, offer: bytes
) -> None:
    entries = 600

    async def say(sibling: Client) -> None:
        async for event in sibling:
            if isinstance(event, PeerSignalled):
                await sibling.devices.signal("offer", event.device, offer, id=event.id)

    async def scenario() -> None:
        world = World(server, tmp_path, f"odd-{NO_SESSION.index(offer)}")
        async with world.device("phone", gossip=False) as phone, anyio.create_task_group() as tasks:
            await world.fill(phone, entries)
            tasks.start_soon(say, phone)
            laptop = await returns(world, entries)
            assert laptop.gossip is not None
            assert (laptop.gossip.taken, world.counted.entries) == (0, entries)
            tasks.cancel_scope.cancel()

    anyio.run(scenario)


def test_a_hello_that_is_none_is_not_answered_and_costs_nothing(server: ServerProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World(server, tmp_path, "hello")
        async with world.device("phone") as phone, world.device("laptop", gossip=False) as laptop:
            await phone.wait_connected()
            await laptop.wait_connected()
            for hello in NO_HELLO:
                said = hello.replace("EPOCH", str(laptop._device.inbox.epoch)).encode()
                assert await laptop.devices.signal("hello", "phone", said, id="gossip:1") == 1
            await phone.ping()
            with anyio.move_on_after(0.2):
                await keep_taking(phone)
            assert phone.connected

    anyio.run(scenario)


def test_a_little_or_nobody_there_is_the_servers(server: ServerProcess, tmp_path: Path) -> None:
    async def scenario() -> None:
        few = 400
        world = World(server, tmp_path, "few")
        async with world.device("phone") as phone:
            await world.fill(phone, few)
        laptop = await returns(world, few)
        assert laptop.gossip is not None
        assert (laptop.gossip.taken, world.counted.entries) == (0, few)

    anyio.run(scenario)


async def test_it_gives_what_is_kept_and_so_must_keep() -> None:
    with pytest.raises(InvalidArgument, match="keep_messages"):
        async with open_client("ws://server", token="token", gossip=True):
            pass
