"""A device whose file was damaged is told so when it connects, and reads again what is not whole: the SDK against the
whole server. A file that is whole is never read again, whatever the device sent, received, skipped or was cut off from.
"""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client import Client, Start
from bimip.client.core.copies import KEPT, STEP
from bimip.client.events import Connected, GapFound, LogDiverged, ReadAgain, Received
from bimip.client.wire.bimip import DeviceAddress, Identity
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.operations import ExpireLog
from tests.kit.memory_server import World, open_world, settle
from tests.scenarios.test_client_keeps_its_word import Network

MANY = 300


async def events_of(client: Client) -> list[Any]:
    """Takes all events that there are, once nothing is under way."""
    found: list[Any] = []
    inbox = client._device.inbox
    for _ in range(20):
        await settle()
        while (event := inbox.take_next()) is not None:
            found.append(event)
            client._device.changed.notify_all()
    return found


async def sit_down(network: Network, path: Path, **options: Any) -> list[Any]:
    """Bob's phone connects, takes all that there is, and goes."""
    async with network.device("bob", "phone", path=path, **options) as bob:
        await bob.wait_connected()
        return await events_of(bob)


def spoil(path: Path, sql: str) -> None:
    database = sqlite3.connect(path)
    assert database.execute(sql).rowcount == 1
    database.commit()
    database.close()


def kept(path: Path, table: str) -> int:
    database = sqlite3.connect(path)
    (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    database.close()
    return int(count)


def again(events: list[Any]) -> list[int]:
    return [event.offset for event in events if isinstance(event, ReadAgain)]


def diverged(events: list[Any]) -> list[LogDiverged]:
    return [event for event in events if isinstance(event, LogDiverged)]


async def bob_has(world: World, path: Path, count: int = MANY) -> Network:
    await world.register("bob", "phone")
    await world.fill("bob", *range(1, count + 1))
    network = Network(world)
    await sit_down(network, path)
    return network


DAMAGES = {
    "a flipped bit": ("UPDATE links SET link = x'00112233445566778899aabbccddeeff' WHERE offset = 200", 129),
    "a lost entry": ("DELETE FROM links WHERE offset = 200", 129),
    "the newest": ("DELETE FROM links WHERE offset = 300", 257),
    "the oldest": ("UPDATE links SET link = x'00112233445566778899aabbccddeeff' WHERE offset = 1", 1),
    "a link of no length": ("UPDATE links SET link = x'00' WHERE offset = 130", 129),
    "a chain": ("UPDATE chains SET chain = x'00112233445566778899aabbccddeeff' WHERE offset = 0", 1),
}


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_row_is_found_and_its_stretch_read_again(
    autojump_clock: MockClock, tmp_path: Path, name: str
) -> None:
    sql, first = DAMAGES[name]
    path = tmp_path / "phone.db"
    async with open_world() as world:
        network = await bob_has(world, path)
        spoil(path, sql)
        events = await sit_down(network, path)

        assert diverged(events) == [LogDiverged("chat", first, MANY)]
        assert again(events) == list(range(first, MANY + 1))
        assert not [event for event in events if isinstance(event, Received)]
        payloads = {event.offset: event.message.payload for event in events if isinstance(event, ReadAgain)}
        assert payloads[MANY] == b"%d" % MANY

        await world.fill("bob", 900)
        events = await sit_down(network, path)

        assert diverged(events) == []
        assert [event.message.payload for event in events if isinstance(event, Received)] == [b"900"]


async def test_what_was_not_read_again_before_a_cut_is_read_after_it(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    async with open_world() as world:
        network = await bob_has(world, path)
        spoil(path, "DELETE FROM links WHERE offset = 5")
        async with network.device("bob", "phone", path=path) as bob:
            await bob.wait_connected()
            network.cut("bob", "phone")
        assert kept(path, "stretches") == 1
        events = await sit_down(network, path)

        assert again(events) == list(range(1, MANY + 1))
        assert kept(path, "stretches") == 0


async def test_a_program_may_ask_for_a_stretch(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    async with open_world() as world:
        network = await bob_has(world, path, 20)
        async with network.device("bob", "phone", path=path) as bob:
            await bob.wait_connected()
            bob.history.read_again(7, 9)

            assert again(await events_of(bob)) == [7, 8, 9]


async def test_a_program_is_told_what_is_cheaper(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    async with open_world() as world:
        network = await bob_has(world, path, 20)
        async with network.device("bob", "phone", path=path) as bob:
            await bob.wait_connected()
            answer = await bob.history.snapshot(offset=5)
            assert answer.delta is not None
            assert answer.whole is not None

            assert (answer.delta.entries, answer.whole.entries) == (15, 20)
            assert answer.delta.bytes < answer.whole.bytes


async def test_a_whole_file_is_never_read_again(autojump_clock: MockClock, tmp_path: Path) -> None:
    """Own messages, messages for other devices, an expired beginning, many entries, cuts."""
    path = tmp_path / "phone.db"
    to_laptop = DeviceAddress(identity=Identity(eid="bob", connection_resource_id="laptop"), payload=b"!")
    found: list[Any] = []
    async with open_world() as world:
        await world.register("bob", "phone", "laptop")
        await world.register("carol")
        network = Network(world)
        for turn in range(6):
            async with network.device("bob", "phone", path=path) as bob:
                await bob.wait_connected()
                for number in range(7):
                    bob.messages.send_nowait("carol", b"%d" % number)
                    bob.messages.send_nowait("carol", b"", devices=[to_laptop])
                    if number == 3 and turn % 2:
                        network.cut("bob", "phone")
                found += await events_of(bob)
            await world.fill("bob", *range(1000 * turn, 1000 * turn + 40))
        before = earliest_stamp(Millis(world.server.timekeeper.now()))
        await world.fill("bob", *range(9000, 9050))
        await world.server.queue.execute(ExpireLog(UserId(1), "chat", before))
        for _ in range(3):
            found += await sit_down(network, path)

    assert len([event for event in found if isinstance(event, Connected)]) >= 9
    assert [event for event in found if isinstance(event, GapFound)]
    assert (diverged(found), again(found)) == ([], [])
    assert kept(path, "chains") > 0


async def test_the_file_keeps_a_bounded_part(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    count = STEP * (KEPT + 3) + 5
    async with open_world() as world:
        network = await bob_has(world, path, count)

        assert kept(path, "chains") <= KEPT + 1
        assert kept(path, "links") <= STEP * (KEPT + 1)
        spoil(path, f"DELETE FROM links WHERE offset = {count - STEP}")
        events = await sit_down(network, path)

        assert diverged(events) == [LogDiverged("chat", STEP * (KEPT + 2) + 1, count)]


async def test_a_device_that_began_in_the_middle_has_a_chain_too(autojump_clock: MockClock, tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 51))
        network = Network(world)
        await sit_down(network, path, start=Start.LAST, last=20)
        assert diverged(await sit_down(network, path)) == []
        spoil(path, "DELETE FROM links WHERE offset = 40")

        assert diverged(await sit_down(network, path)) == [LogDiverged("chat", 31, 50)]
