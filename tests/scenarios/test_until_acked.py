"""A partition that is kept until acknowledged: what all live devices have goes, and its room is used again."""

from pathlib import Path

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.config import Settings
from bimip.storage.care.check import check
from bimip.storage.lmdb.store import LmdbStore
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.scenarios.conftest import OpenStore

DAY = 86_400
ROUND = 60 * 1.5
"""Seconds in which retention has looked at everything."""


def until_acked(**environment: str) -> Settings:
    given = {"BIMIP_RETENTION_POLICIES": "chat=until-acked", "BIMIP_RETENTION_OFFLINE_DAYS": "2"}
    return settings_for_tests(**given | environment)


async def log_begins_at(world: World, eid: str, device: str) -> int:
    """As a Hello tells."""
    client = await world.join(eid, device, go_on())
    [log] = client.welcome.logs
    client.cut()
    return log.first


async def test_what_all_devices_acknowledged_goes_and_the_slowest_decides(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store, settings=until_acked()) as world:
        phone = await world.join("bob", "phone")
        laptop = await world.join("bob", "laptop", begin(pb.Start.FIRST))
        await world.fill("bob", 1, 2, 3, 4, 5)
        phone.acknowledge(5)
        laptop.acknowledge(2)
        await phone.heard()
        await trio.sleep(ROUND)
        between = await log_begins_at(world, "bob", "watch")
        laptop.acknowledge(5)
        await trio.sleep(ROUND)

        assert between == 3
        assert await log_begins_at(world, "bob", "watch") == 6
    async with open_world(open_store=open_store, settings=until_acked()) as world:
        assert await log_begins_at(world, "bob", "watch") == 6


async def test_who_was_away_for_longer_than_the_offline_period_is_told_what_is_gone(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    settings = until_acked(BIMIP_RETENTION_EVERY_SECONDS="3600")
    async with open_world(open_store=open_store, settings=settings) as world:
        phone = await world.join("bob", "phone")
        laptop = await world.join("bob", "laptop", begin(pb.Start.FIRST))
        await laptop.heard()
        laptop.cut()
        await world.fill("bob", 1, 2, 3)
        phone.acknowledge(3)
        await trio.sleep(1.9 * DAY)
        early = await world.join("bob", "laptop", at(0))
        kept = (await early.heard()).payloads
        early.cut()
        await trio.sleep(2.2 * DAY)  # what a restart may be late by included
        late = await world.join("bob", "laptop", at(0))

        assert kept == [b"1", b"2", b"3"]  # it was live, and held them back
        assert [(gap.from_, gap.to, gap.reason) for gap in late.welcome.gaps] == [(1, 3, pb.GapReason.EXPIRED)]
        assert (await late.heard()).payloads == []


async def test_who_stays_connected_holds_back_what_it_did_not_acknowledge(autojump_clock: MockClock) -> None:
    settings = until_acked(BIMIP_LIMITS_GRACE_SECONDS="86400", BIMIP_LIMITS_REDELIVERY_ROUNDS="100")
    async with open_world(settings=settings) as world:
        phone = await world.join("bob", "phone")
        slow = await world.join("bob", "laptop", begin(pb.Start.FIRST))
        await world.fill("bob", 1, 2, 3)
        phone.acknowledge(3)
        await trio.sleep(5 * DAY)

        assert slow.is_connected
        assert await log_begins_at(world, "bob", "watch") == 1


async def test_history_begins_behind_what_is_gone_from_every_log(autojump_clock: MockClock) -> None:
    async with open_world(settings=until_acked()) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        for number in range(4):
            sent = await alice.post("bob", b"%d" % number, f"m{number}")
        await bob.heard()
        bob.acknowledge(3)
        await trio.sleep(2 * ROUND)
        bob = await world.join("bob", "phone", at(4))
        await bob.heard()
        fetch = pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=sent.conversation, offset=1)
        bob.send(fetch=fetch, ref=3)

        assert (await bob.heard()).payloads == [b"3"]


PAYLOAD = bytes(2000)
MESSAGES = 150


async def write_some(alice: Client, bob: Client, batch: int) -> None:
    for number in range(MESSAGES):
        alice.write("bob", PAYLOAD, f"{batch}/{number}")
        if number % 32 == 31:
            await alice.heard()
            await bob.heard()
    await alice.heard()
    await bob.heard()
    bob.acknowledge((batch + 1) * MESSAGES)
    await bob.heard()


async def test_ten_times_what_is_kept_is_written_and_the_file_stays_within_twice_its_size(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    store, sizes = LmdbStore(tmp_path / "store", map_bytes=256 << 20), []
    settings = until_acked(BIMIP_LIMITS_WINDOW_ENTRIES="512")
    async with open_world(store=store, settings=settings) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        for batch in range(12):
            await write_some(alice, bob, batch)
            await trio.sleep(ROUND)
            sizes.append(sum(file.stat().st_size for file in (tmp_path / "store").glob("*.mdb")))
    again = LmdbStore(tmp_path / "store", map_bytes=256 << 20)

    assert list(check(again)) == []
    again.close()
    assert sizes[0] > MESSAGES * len(PAYLOAD)
    assert sizes[-1] <= 2 * sizes[1], sizes


async def test_by_time_it_is_used_again_as_well(autojump_clock: MockClock, tmp_path: Path) -> None:
    store, sizes = LmdbStore(tmp_path / "store", map_bytes=256 << 20), []
    settings = settings_for_tests(
        BIMIP_RETENTION_HISTORY_DAYS="chat=1,notification=1,feed=1,sync=1",
        BIMIP_RETENTION_OFFLINE_DAYS="1",
        BIMIP_RETENTION_DEDUP_DAYS="1",
        BIMIP_RETENTION_EVERY_SECONDS="14400",
        BIMIP_LIMITS_WINDOW_ENTRIES="512",
    )
    async with open_world(store=store, settings=settings) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        for day in range(12):
            await write_some(alice, bob, day)
            await trio.sleep(DAY)
            sizes.append(sum(file.stat().st_size for file in (tmp_path / "store").glob("*.mdb")))
    again = LmdbStore(tmp_path / "store", map_bytes=256 << 20)

    assert list(check(again)) == []
    again.close()
    assert sizes[-1] <= 2 * sizes[1], sizes  # after two days there are two days' messages
