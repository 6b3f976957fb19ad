"""A server that is drained again and again under devices that write: nobody loses, doubles or reorders anything."""

from random import Random

import trio
from trio.testing import MockClock

from bimip.session.close import Close
from tests.chaos.fault_sweep import BUSY, NAMES
from tests.chaos.virtual import VirtualFleet, open_virtual_world
from tests.kit.checker import explain

DRAINS = 4
SEED = 1


async def test_devices_go_on_where_they_were_when_a_drain_is_over(autojump_clock: MockClock) -> None:
    random = Random(f"drains {SEED}")
    async with open_virtual_world(SEED) as world, trio.open_nursery() as crowd:
        draining, fleet = world.server.draining, VirtualFleet(world.gate, SEED, crowd)
        fleet.launch(NAMES)
        await fleet.come_to_rest()
        fleet.behave(BUSY)
        for number in range(DRAINS):
            await trio.sleep(random.uniform(1, 3))
            draining.begin(random.choice([0, 0.5, 3]))
            if number % 2:
                await draining.wait_drained()
                connected = len(world.server.connections), world.server.users.statistics()["devices"]

                assert connected == (0, 0)
                await trio.sleep(random.uniform(0, 2))
            else:  # taken back in the middle
                await trio.sleep(random.uniform(0, 3))
            draining.cancel()
        await fleet.come_to_rest()
        crowd.cancel_scope.cancel()
    violations = fleet.violations()
    closes = [loss for device in fleet.members for loss in device.losses]

    assert violations == [], explain(violations)
    assert any(f"{Close.GOING_AWAY:d}" in loss for loss in closes), closes
    assert fleet.fates()["acknowledged"] > 20
