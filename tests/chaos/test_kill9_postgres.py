"""`kill -9` of the database under load, and of the server, and a database that hangs: what clients saw of it.

CHAOS_SEED and CHAOS_ROUNDS as in test_kill9.py. The database does not sync its disk here: what is killed are processes.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random, SystemRandom

import pytest
import trio

from bimip.storage.care.check import check
from bimip.storage.postgres.store import PostgresStore
from tests.chaos import device
from tests.chaos.fleet import Fleet, open_fleet
from tests.chaos.server import ServerProcess
from tests.kit.actor import Mood
from tests.kit.checker import explain
from tests.kit.history import Answered
from tests.kit.postgres import Cluster, open_cluster, why_not

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "8"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
LOAD = Mood(writes=True, cuts=True, dawdles=True, pause_seconds=0.03)
ROUND_SECONDS = 120
HABITS = replace(device.HABITS, may_be_refused=True)
WAYS = ("database killed", "database killed", "database hangs", "server killed", "both killed")


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    if why_not():
        pytest.skip(why_not())
    with open_cluster() as made:
        yield made


def serve_on(dsn: str, folder: Path, fault: str = "") -> ServerProcess:
    return ServerProcess(
        folder,
        fault=fault,
        BIMIP_STORE_ENGINE="postgres",
        BIMIP_STORE_DSN=dsn,
        BIMIP_LIMITS_GRACE_SECONDS="0.4",
        BIMIP_GATEWAY_HEARTBEAT_SECONDS="10",
        BIMIP_LOGGING_LEVEL="warning",
    )


async def fail(way: str, cluster: Cluster, server: ServerProcess, random: Random) -> None:
    if way in {"server killed", "both killed"}:
        server.kill()
    if way in {"database killed", "both killed"}:
        cluster.kill()
        await trio.sleep(random.uniform(0, 0.5))
        await trio.to_thread.run_sync(cluster.start)
    if way == "database hangs":
        cluster.signal(signal.SIGSTOP)
        await trio.sleep(random.uniform(0.1, 1.5))
        cluster.signal(signal.SIGCONT)
    if way in {"server killed", "both killed"}:
        await server.start_up()


async def answered(fleet: Fleet, count: int) -> None:
    with trio.fail_after(ROUND_SECONDS):
        await fleet.wait_nth((Answered,), count)


async def test_a_killed_database_loses_doubles_and_reorders_nothing(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, dsn, ways = Random(SEED), cluster.make_database(), Counter[str]()
    server = serve_on(dsn, tmp_path)
    try:
        async with open_fleet(server, SEED, HABITS) as fleet:
            for number in range(1, ROUNDS + 1):
                fleet.behave(LOAD)
                await answered(fleet, random.randint(1, 60))
                way = WAYS[number % len(WAYS)]
                ways[way] += 1
                await fail(way, cluster, server, random)
                await answered(fleet, 1)  # it takes messages again
                if number % 2 == 0 or number == ROUNDS:
                    await fleet.come_to_rest()
                    violations = fleet.violations()

                    assert not violations, f"CHAOS_SEED={SEED}, round {number}: {explain(violations)}"
            counts = fleet.counts()
    finally:
        server.close()
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(ways)} (CHAOS_SEED={SEED}): {counts}, {server.kills} kills of the server\n")

    store = PostgresStore(dsn)
    assert list(check(store)) == []
    assert store.damage.count == 0
    store.close()


async def test_the_checker_finds_what_was_answered_before_its_commit(cluster: Cluster, tmp_path: Path) -> None:
    random, dsn = Random(SEED), cluster.make_database()
    server = serve_on(dsn, tmp_path, "answer before commit")
    try:
        async with open_fleet(server, SEED, HABITS) as fleet:
            for _ in range(20):
                fleet.behave(LOAD)
                await answered(fleet, 20)
                await fail("both killed", cluster, server, random)
                await fleet.come_to_rest()
                if fleet.violations():
                    return
    finally:
        server.close()
    pytest.fail(f"CHAOS_SEED={SEED}: nothing was found")
