"""Older copies of the store are put back under load: backups of the running process and copies of its files, by the
command and by hand, while devices are ahead, behind, and offline with what they wrote.

CHAOS_SEED and CHAOS_RESTORES run it again, or longer.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom

import pytest
import trio

from bimip.client.wire import bimip as pb
from bimip.storage.care.backup import DATA
from tests.chaos.fleet import LATE, Fleet, open_fleet
from tests.chaos.server import ROOT, ServerProcess
from tests.kit.actor import Mood
from tests.kit.checker import explain
from tests.kit.history import Answered, PutBack

ROUNDS = int(os.environ.get("CHAOS_RESTORES", "8"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
ROUND_SECONDS = 60
LOAD = Mood(writes=True, cuts=True, dawdles=True, pause_seconds=0.03)
SETTINGS = {
    "BIMIP_LIMITS_GRACE_SECONDS": "0.4",
    "BIMIP_GATEWAY_HEARTBEAT_SECONDS": "10",
    "BIMIP_LOGGING_LEVEL": "warning",
}


class Copies:
    """Copies of a server's store, each with how many events had happened when it was made."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.made: list[tuple[int, Path]] = []
        self._server = server
        self._store = folder / "store"
        self._folder = folder

    def back_up(self, events: int) -> None:
        """Of the server as it runs. Nothing happens to devices meanwhile: they wait for this."""
        target = self._folder / f"backup {len(self.made)}"
        self._command("backup", target)
        self.made.append((events, target))

    def copy(self, events: int) -> None:
        """The files of one that does not run."""
        target = self._folder / f"copy {len(self.made)}"
        shutil.copytree(self._store, target)
        self.made.append((events, target))

    def put_back(self, copy: Path, random: Random) -> None:
        """In one of the ways that there are."""
        if copy.name.startswith("backup") and random.random() < 0.6:  # a store that was one has its manifest still
            self._command("restore", copy)
        elif random.random() < 0.5:
            shutil.copyfile(copy / DATA, self._store / DATA)
        else:
            self.put_whole(copy)

    def put_whole(self, copy: Path) -> None:
        shutil.rmtree(self._store)
        shutil.copytree(copy, self._store)

    def _command(self, word: str, folder: Path) -> None:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("BIMIP_")}
        command = [sys.executable, "-m", "bimip", "store", word, str(folder)]
        settings = environment | self._server.settings
        done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path, **SETTINGS)
    yield process
    process.close()


async def load(fleet: Fleet, random: Random) -> None:
    fleet.behave(LOAD)
    with trio.fail_after(ROUND_SECONDS):
        await fleet.wait_nth((Answered,), random.randint(20, 200))


async def end(server: ServerProcess, fleet: Fleet) -> None:
    """Kill the server; what it had sent arrives."""
    server.kill()
    await fleet.wait_all("the end of its connection", lambda device: "" if device.waits else "an end")


async def one_round(server: ServerProcess, fleet: Fleet, copies: Copies, random: Random) -> None:
    """Load, and a copy while it goes on; more of it, and the copy or an older one is put back."""
    server.load_ahead(2)
    await load(fleet, random)
    if random.random() < 0.6:
        copies.back_up(len(fleet.history))
    else:
        await end(server, fleet)
        copies.copy(len(fleet.history))
        await server.start_up()
    if random.random() < 0.8:
        await load(fleet, random)
    await end(server, fleet)
    events, copy = copies.made[-1] if random.random() < 0.7 else random.choice(copies.made)
    copies.put_back(copy, random)
    fleet.history.append(PutBack(events))
    await server.start_up()
    if random.random() < 0.7:  # what takes the places of the lost comes before who had those
        await load(fleet, random)


async def test_what_was_acknowledged_before_a_copy_is_there_after_it_was_put_back(
    server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, began = Random(SEED), time.monotonic()
    copies = Copies(server, tmp_path)
    async with open_fleet(server, SEED) as fleet:
        for number in range(1, ROUNDS + 1):
            await one_round(server, fleet, copies, random)
            if number == ROUNDS // 2:
                fleet.launch([LATE], start=pb.Start.START_UNSPECIFIED)
            await fleet.come_to_rest()
            violations = fleet.violations()

            assert not violations, f"CHAOS_SEED={SEED}, round {number}: {explain(violations)}"
    counts = {"restores": ROUNDS, "kills": server.kills, **fleet.counts(), "seconds": round(time.monotonic() - began)}
    with capsys.disabled():
        line = ", ".join(f"{name} {count}" for name, count in counts.items())
        sys.stdout.write(f"\nrestores (CHAOS_SEED={SEED}): {line}\n")

    complaints = [line for line in server.complaints() if "put_back" not in line and "another epoch" not in line]
    assert complaints == []
    assert fleet.counts()["told another epoch"] >= ROUNDS
