"""The drill: a device that is gone keeps a log from becoming shorter. It is named, evicted, and the log is short."""

from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.operations import Operations
from bimip.session.close import Close
from tests.kit.memory_server import World, at, begin, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_doctor import findings
from tests.scenarios.test_until_acked import DAY, ROUND, log_begins_at, until_acked


async def pins_of(world: World, eid: str) -> Any:
    return await Operations(world.server).describe_pins(eid)


async def test_a_device_that_pins_a_log_is_named_and_evicted_and_the_log_shrinks(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    seldom = until_acked(BIMIP_RETENTION_EVERY_SECONDS="14400", BIMIP_LIMITS_GRACE_SECONDS="3600")
    async with open_world(open_store=open_store, settings=seldom) as world:
        operations = Operations(world.server)
        phone = await world.join("bob", "phone")
        lost = await world.join("bob", "lost", begin(pb.Start.FIRST))
        await world.fill("bob", 1, 2, 3, 4, 5)
        lost.acknowledge(1)
        phone.acknowledge(5)
        await lost.heard()
        lost.cut()
        await lost.heard()
        fresh = findings(world, "bob", "lost")
        await trio.sleep(1.5 * DAY)
        told: Any = operations.diagnose("bob", "lost")
        pinned = await pins_of(world, "bob")
        worst: Any = await operations.describe_pins("")
        foreseen: Any = await operations.foresee_eviction("bob", "lost")
        kept = await log_begins_at(world, "bob", "watch")
        evicted: Any = await operations.evict_device("bob", "lost")
        await trio.sleep(2 * 14400)

        assert fresh == {"device lost": "not_connected"}  # so short a time is nothing
        assert [one["finding"] for one in told["findings"]] == ["not_connected", "pins_log"]
        pin = pinned["logs"]["chat"]["pins"][0]
        assert (pin["device"], pin["connected"], pin["acknowledged"]) == ("lost", False, 1)
        assert (pin["holds"], pin["frees"], pin["is_only"], pin["at_least"]) == (4, 4, False, False)
        assert pin["frees_bytes"] == pin["frees_store_bytes"] > 4  # who wrote them has let go of them
        assert pinned["logs"]["feed"] == {"policy": "history", "days": 0, "first": 1, "head": 0, "pins": []} | {
            "more_pins": 0
        }
        assert worst["pins"][0] == {"eid": "bob", "partition": "chat", **pin}
        assert (foreseen["connected"], foreseen["stale"], foreseen["logs"]["chat"]["frees"]) == (False, False, 4)
        assert evicted["logs"] == foreseen["logs"]
        assert kept == 2  # to foresee it did nothing
        assert await log_begins_at(world, "bob", "tablet") == 6
        assert findings(world, "bob", "phone") == {"device phone": "nothing"}
        assert await operations.evict_device("bob", "lost") is None


async def test_a_device_that_is_connected_is_told_and_comes_again_as_a_new_one(autojump_clock: MockClock) -> None:
    async with open_world(settings=until_acked()) as world:
        phone = await world.join("bob", "phone")
        slow = await world.join("bob", "slow", begin(pb.Start.FIRST))
        await world.fill("bob", 1, 2, 3)
        phone.acknowledge(3)
        await phone.heard()
        told: Any = await Operations(world.server).evict_device("bob", "slow")
        code = await slow.closed()
        await trio.sleep(ROUND)
        again = await world.join("bob", "slow", at(0))

        assert (told["connected"], told["logs"]["chat"]["frees"]) == (True, 3)
        assert code == Close.LOGGED_OUT
        assert [(gap.from_, gap.to, gap.reason) for gap in again.welcome.gaps] == [(1, 3, pb.GapReason.EXPIRED)]
        assert phone.is_connected


async def test_with_the_only_device_nothing_goes(autojump_clock: MockClock) -> None:
    async with open_world(settings=until_acked()) as world:
        await world.join("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        pinned = await pins_of(world, "bob")
        told: Any = await Operations(world.server).evict_device("bob", "phone")
        await trio.sleep(ROUND)

        assert [(pin["frees"], pin["is_only"]) for pin in pinned["logs"]["chat"]["pins"]] == [(3, True)]
        assert (told["logs"]["chat"]["holds"], told["logs"]["chat"]["frees"]) == (3, 0)
        assert await log_begins_at(world, "bob", "watch") == 1


async def test_whoever_is_not_there_pins_nothing_and_is_not_evicted(autojump_clock: MockClock) -> None:
    async with open_world(settings=until_acked()) as world:
        operations = Operations(world.server)
        await world.register("bob")

        assert await operations.describe_pins("nobody") is None
        assert await operations.foresee_eviction("bob", "watch") is None
        assert await operations.evict_device("nobody", "phone") is None
        assert await operations.evict_device("", "phone") is None
