"""Three users with two devices each write, are cut, and have their processes killed under them, at random.

At the end every device holds its user's whole log, each entry once; every message is in both logs; and all devices of
a user hold the same receipts. A failing seed fails again.
"""

from collections import Counter
from random import Random

import pytest
import trio
from trio.testing import MockClock

from bimip.storage.memory import MemoryStore
from bimip.supervision import NoSuchProcess
from bimip.testing.virtual import seeded_scheduler, settings_for_tests
from tests.kit.memory_server import World, open_world
from tests.kit.reference_client import ReferenceClient

USERS = ("alice", "bob", "carol")
PATHS = (
    "journal",
    "retention",
    "users",
    *(f"users/{eid}" for eid in USERS),
    *(f"users/{eid}/phone{part}" for eid in USERS for part in ("", "/reader", "/fetcher", "/fetcher")),
)


async def disturb(world: World, keepers: list[ReferenceClient], random: Random, seconds: float) -> None:
    end = trio.current_time() + seconds
    while trio.current_time() < end:
        await trio.sleep(random.choice([0, 0, 0.01, 0.5, 2]))
        keeper = random.choice(keepers)
        match random.choice(["write"] * 12 + ["ack"] * 3 + ["cut", "kill"]):
            case "write":
                for _ in range(random.choice([1, 1, 5, 30])):
                    keeper.write(random.choice(USERS))
            case "ack":
                keeper.acknowledge()
            case "cut":
                keeper.cut()
            case "kill":
                try:
                    await world.kill(random.choice(PATHS))
                except NoSuchProcess:
                    continue
                await trio.sleep(2)  # not more often than supervisors forgive


async def history(seed: int) -> list[ReferenceClient]:
    random = Random(seed)
    store = MemoryStore()
    settings = settings_for_tests(BIMIP_LIMITS_WINDOW_ENTRIES="16", BIMIP_LIMITS_GRACE_SECONDS="3")
    keepers = [ReferenceClient(eid, device, random) for eid in USERS for device in ("phone", "laptop")]
    async with open_world(store=store, settings=settings) as world:
        for keeper in keepers:
            await world.register(keeper.eid, keeper.device)
    for phase in range(3):
        store.reopen()
        async with open_world(store=store, settings=settings, seed=seed) as world, trio.open_nursery() as nursery:
            for keeper in keepers:
                nursery.start_soon(keeper.live, world)
            await disturb(world, keepers, random, 30)
            for _ in range(80 if phase == 2 else 0):
                await trio.sleep(1)
                for keeper in keepers:
                    keeper.acknowledge()
            nursery.cancel_scope.cancel()
    return keepers


@pytest.mark.parametrize("seed", range(8))
def test_every_device_ends_with_everything_once(seed: int) -> None:
    with seeded_scheduler(seed):
        keepers = trio.run(history, seed, clock=MockClock(autojump_threshold=0))
    by_user = {eid: [keeper for keeper in keepers if keeper.eid == eid] for eid in USERS}
    logs = {eid: devices[0].log for eid, devices in by_user.items()}
    written = [(f"{keeper.eid}/{keeper.device}", keeper.payload(n)) for keeper in keepers for n in keeper.written]

    assert all(not keeper.outbox for keeper in keepers)
    for keeper in keepers:
        assert keeper.log == logs[keeper.eid]
        assert sorted(keeper.log) == list(range(1, len(keeper.log) + 1))
        assert keeper.receipts == by_user[keeper.eid][0].receipts
    for eid in USERS:
        own = Counter(entry for entry in logs[eid].values() if entry[0].startswith(f"{eid}/"))
        assert own == Counter(entry for entry in written if entry[0].startswith(f"{eid}/"))
