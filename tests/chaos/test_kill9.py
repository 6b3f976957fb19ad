"""`kill -9` of the real process under load, again and again, and what its clients saw.

CHAOS_SEED and CHAOS_ROUNDS run it again, or longer. The seed draws what devices do and when the server is killed; the
machine's own timing is not in it, so a seed that failed may need a few tries.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random, SystemRandom

import pytest
import trio

from bimip.client.wire import bimip as pb
from bimip.storage.care.backup import back_up
from bimip.storage.care.check import check
from bimip.storage.lmdb.store import LmdbStore
from tests.chaos.fleet import BACK_ENDS, LATE, Fleet, open_fleet
from tests.chaos.server import ServerProcess
from tests.kit.actor import Mood
from tests.kit.checker import explain
from tests.kit.history import Acked, Answered, Batch, Closed, Event, Knocked, Name, Opened, Wrote

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "30"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
CHECK_EVERY = 6
ROUND_SECONDS = 60
KILLS_WHILE_ERASING = 8
KILLED_AT_START = 0.2
"""How often it does not even come up, until the next try."""
LOAD = Mood(writes=True, cuts=True, dawdles=True, pause_seconds=0.03)
SETTINGS = {
    "BIMIP_LIMITS_GRACE_SECONDS": "0.4",
    "BIMIP_GATEWAY_HEARTBEAT_SECONDS": "10",
    "BIMIP_LOGGING_LEVEL": "warning",
}
MOMENTS: list[tuple[type[Event], ...]] = [(Knocked,), (Wrote,), (Answered,), (Batch,), (Acked,), (Opened,), (Closed,)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path, **SETTINGS)
    yield process
    process.close()


async def load_until_killed(server: ServerProcess, fleet: Fleet, random: Random) -> None:
    """Kill after a random time, or at the very moment of a random event."""
    server.load_ahead(2)
    fleet.behave(LOAD)
    with trio.fail_after(ROUND_SECONDS):
        if random.random() < 0.5:
            await trio.sleep(random.uniform(0.05, 0.8))
        else:
            kinds = random.choice(MOMENTS)
            count = random.randint(1, 8 if kinds[0] in {Knocked, Opened, Closed} else 150)
            with trio.move_on_after(0.8):
                await fleet.wait_nth(kinds, count)
    server.kill()


def report(capsys: pytest.CaptureFixture[str], title: str, server: ServerProcess, fleet: Fleet, began: float) -> None:
    counts = {
        "kills": server.kills,
        "connections": fleet.connections(),
        **fleet.fates(),
        **fleet.counts(),
        "seconds": round(time.monotonic() - began, 1),
    }
    with capsys.disabled():
        line = ", ".join(f"{name} {count}" for name, count in counts.items())
        sys.stdout.write(f"\n{title} (CHAOS_SEED={SEED}): {line}\n")


@pytest.mark.filterwarnings("ignore:Async generator 'httpx._content.ByteStream:ResourceWarning")
async def test_a_killed_server_loses_doubles_and_reorders_nothing(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    random, began = Random(SEED), time.monotonic()
    async with open_fleet(server, SEED) as fleet:
        fleet.launch_posters(BACK_ENDS)
        for number in range(1, ROUNDS + 1):
            await load_until_killed(server, fleet, random)
            if random.random() < KILLED_AT_START:
                await server.start_and_kill(random.uniform(0, 0.2))
            await server.start_up()
            if number == ROUNDS // 2:
                fleet.launch([LATE], start=pb.Start.START_UNSPECIFIED)
            if number % CHECK_EVERY == 0 or number == ROUNDS:
                await fleet.come_to_rest()
                violations = fleet.violations()

                assert not violations, f"CHAOS_SEED={SEED}, round {number}: {explain(violations)}"
        counts = fleet.counts()
    report(capsys, "kill -9", server, fleet, began)

    assert server.complaints() == []
    assert counts["posted"] > 0
    assert counts["posted again"] > 0


async def test_a_user_who_is_being_erased_when_the_server_is_killed_is_erased_by_the_next_one(
    server: ServerProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    random, began = Random(SEED), time.monotonic()
    erased = "carol@example.org"
    async with open_fleet(server, SEED) as fleet:
        server.load_ahead(KILLS_WHILE_ERASING + 1)
        fleet.behave(LOAD)
        with trio.fail_after(ROUND_SECONDS):
            await fleet.wait_nth((Answered,), 300)
        # Whoever fetches is shown what stood there when it was read, perhaps after they are told that it is deleted.
        fleet.behave(Mood(writes=True, cuts=True, pause_seconds=0.03))
        fleet.retire(erased)
        await server.ask_console("POST", "/debug/user/erase", eid=erased)
        kills, is_erased = 0, False
        while kills < KILLS_WHILE_ERASING and not is_erased:  # the first time at once: it has begun
            await trio.sleep(random.uniform(0.0, 0.1) if kills else 0.0)
            server.kill()
            await server.start_up()
            kills += 1
            is_erased = not await erasing(server, erased)
        with trio.fail_after(ROUND_SECONDS):
            await wait_erased(server, erased)
        await fleet.come_to_rest()
        violations = fleet.violations()
        code = await server.terminate()

        assert not violations, f"CHAOS_SEED={SEED}: {explain(violations)}"
        assert code == 0
    report(capsys, "kill -9 while a user is erased", server, fleet, began)
    back_up(tmp_path / "store", tmp_path / "copy", made="now", progress=lambda _done, _total: None)
    content = (tmp_path / "copy" / "data.mdb").read_bytes().replace(f"group of {erased}".encode(), b"")

    assert erased.encode() not in content
    assert server.complaints() == []
    store = LmdbStore(tmp_path / "copy")
    assert list(check(store)) == []
    store.close()


async def erasing(server: ServerProcess, eid: str) -> bool:
    """Whether a user is there still, or being erased: an operator says it again, since the answer may be lost."""
    await server.ask_console("POST", "/debug/user/erase", eid=eid)
    left = await server.ask_console("GET", "/debug/user/erasing")
    return left is None or bool(left["erasing"])


async def wait_erased(server: ServerProcess, eid: str) -> None:
    for _ in range(10_000):
        if not await erasing(server, eid):
            return
        await trio.sleep(0.05)


async def test_the_checker_sees_an_answer_before_its_commit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ServerProcess(tmp_path, fault="answer before commit", **SETTINGS)
    kinds: set[str] = set()
    try:
        async with open_fleet(server, SEED) as fleet:
            while "lost" not in kinds and server.kills < 5:
                server.load_ahead(1)
                fleet.behave(LOAD)
                with trio.fail_after(ROUND_SECONDS):
                    await fleet.wait_nth((Answered,), 20)
                server.kill()
                await server.start_up()
                await fleet.come_to_rest()
                kinds = {violation.kind for violation in fleet.violations()}
    finally:
        server.close()

    assert "lost" in kinds, kinds


async def test_sigterm_under_load_says_goodbye_to_everybody_and_loses_nothing(server: ServerProcess) -> None:
    server.settings["BIMIP_LIMITS_GRACE_SECONDS"] = "10"  # a busy machine is slow, and 4000 not the point
    async with open_fleet(server, SEED) as fleet:
        for _ in range(3):
            server.load_ahead(1)
            fleet.behave(Mood(writes=True, pause_seconds=0.01))
            with trio.fail_after(ROUND_SECONDS):
                await fleet.wait_nth((Answered,), 300)
            before = len(fleet.history)
            code = await server.terminate()
            await fleet.wait_all("the end of its connection", lambda device: "an end" if device.link else "")
            goodbyes = closed_from(fleet.history, before)
            await server.start_up()
            await fleet.come_to_rest()

            assert code == 0, server.tail()
            assert set(goodbyes) == {1001}
            assert len(goodbyes) > len(fleet.devices) / 2  # one may just have been between two connections
            assert fleet.violations() == []

    assert server.complaints() == []


def closed_from(history: Sequence[Event], begin: int) -> list[int]:
    """The close codes of connections that had been opened: who was still knocking may have heard nothing."""
    is_open: set[Name] = set()
    codes: list[int] = []
    for number, event in enumerate(history):
        if isinstance(event, Opened):
            is_open.add(event.device)
        elif isinstance(event, Closed) and event.device in is_open:
            is_open.remove(event.device)
            if number >= begin:
                codes.append(event.code)
    return codes
