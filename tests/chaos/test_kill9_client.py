"""`kill -9` of programs that use the SDK, at random moments, and what they showed.

CHAOS_SEED and CHAOS_CLIENT_KILLS run it again, or longer: 200 kills take a minute or more.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random, SystemRandom

import pytest

from bimip.client.blocking import open_client
from bimip.testing import ServerProcess
from tests.chaos.client_program import read
from tests.chaos.server import ROOT
from tests.kit.shown import Shown, wrong

KILLS = int(os.environ.get("CHAOS_CLIENT_KILLS", "20"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
KINDS = ("tries", "accepted", "shown", "again", "reacted")
MOST_LINES = 16
"""That a program notes in a life, which is cut off anywhere behind one."""
PAUSE_SECONDS = 0.02
LIFE_SECONDS = 5
REST_SECONDS = 60
ALICE, BOB = "alice@example.org", "bob@example.org"


@pytest.fixture
def bimip_settings() -> dict[str, str]:
    """They log in far more often than people do."""
    return {
        "BIMIP_LIMITS_USER_LOGINS_PER_SECOND": "1000",
        "BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS": "true",
        "BIMIP_LOGGING_LEVEL": "warning",
    }


class Program:
    """A device in a process, in one life after the other."""

    def __init__(
        self, server: ServerProcess, folder: Path, eid: str, peer: str, random: Random, *, encrypts: bool = False
    ) -> None:
        self.name = eid
        self.kills = 0
        self._random = random
        self._notes = folder / "notes"
        self._errors = folder / "errors"
        self._pid = 0
        self._begun_with = 0
        folder.mkdir()
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.client_program", server.url, server.token(eid), str(folder), peer],
                cwd=ROOT,
                env=os.environ | {"ENCRYPTS": "yes" if encrypts else "no"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def begin(self, what: str = "begin") -> None:
        self._begun_with = len(read(self._notes))
        backend = self._random.choice(["trio", "asyncio"])
        self._pid = self._ask(f"{what} {backend} {self._random.getrandbits(32)}")

    def wait_noted(self, lines: int) -> None:
        """Returns once this life has noted so many lines."""
        deadline = time.monotonic() + LIFE_SECONDS
        while len(read(self._notes)) < self._begun_with + lines and time.monotonic() < deadline:
            time.sleep(0.003)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        code = self._ask("reap")
        self.kills += 1

        assert code == -signal.SIGKILL, self._errors.read_text()

    def noted(self, kind: str) -> list[list[str]]:
        return [line[1:] for line in read(self._notes) if line[0] == kind]

    def ids(self, kind: str) -> list[str]:
        return [line[-1] for line in self.noted(kind)]

    def shown(self) -> list[Shown]:
        return [Shown(int(offset), message_id) for offset, message_id in self.noted("shown")]

    def _ask(self, line: str) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        with self._process:  # closes its pipes
            pass


@contextmanager
def programs(server: ServerProcess, folder: Path, random: Random, *, encrypts: bool = False) -> Iterator[list[Program]]:
    pairs = ((ALICE, BOB), (BOB, ALICE))
    both = [Program(server, folder / eid, eid, peer, random, encrypts=encrypts) for eid, peer in pairs]
    try:
        yield both
        for one in both:
            one.kill()
    finally:
        for one in both:
            one.close()


def wait_all_shown(both: list[Program]) -> None:
    """Returns when nothing that an outbox took is missing, or it does not get better."""
    deadline = time.monotonic() + REST_SECONDS
    alice, bob = both
    while time.monotonic() < deadline:
        if set(alice.ids("accepted")) <= set(bob.ids("shown")) and set(bob.ids("accepted")) <= set(alice.ids("shown")):
            return
        time.sleep(0.05)


def reactions_missing(server: ServerProcess, both: list[Program]) -> list[str]:
    """Returns the reactions that a program's file had taken and that its users' devices are not told of."""
    given = [(one.name, conversation, int(offset)) for one in both for conversation, offset, _ in one.noted("reacted")]
    deadline = time.monotonic() + REST_SECONDS
    with open_client(server.url, token=server.token(ALICE, "checker")) as client:
        while True:
            states = [(one, client.messages.state(*one[1:])) for one in given]
            missing = [str(one) for one, state in states if state is None or one[0] not in state.reactions.get("+", ())]
            if not missing or time.monotonic() > deadline:
                return missing
            client.next_event(wait=0.1)


def kill_often(both: list[Program], random: Random, kills: int = KILLS) -> None:
    """Kills one or the other, and at last both, which write nothing in their last lives."""
    for _ in range(kills):
        killed = random.choice(both)
        killed.wait_noted(random.randrange(MOST_LINES))
        time.sleep(random.uniform(0, PAUSE_SECONDS))
        killed.kill()
        killed.begin()
    for one in both:
        one.kill()
        one.begin("rest")


def lost_or_doubled(both: list[Program]) -> list[str]:
    alice, bob = both
    found = []
    for reader, writer in ((alice, bob), (bob, alice)):
        accepted, tried = {writer.name: writer.ids("accepted")}, {writer.name: writer.ids("tries")}
        found += wrong(reader.name, reader.shown(), accepted=accepted, tried=tried)
    return found


def wait_keys(server: ServerProcess) -> None:
    """Returns when both have keys for each other."""
    deadline = time.monotonic() + REST_SECONDS
    with open_client(server.url, token=server.token("carol@example.org")) as client:
        while len(client.keys.query([(ALICE, ""), (BOB, "")])) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_killed_programs_show_each_message_once_and_in_order_and_lose_nothing(
    bimip_server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, began = Random(SEED), time.monotonic()
    with programs(bimip_server, tmp_path, random) as both:
        for one in both:
            one.begin()
        kill_often(both, random)
        wait_all_shown(both)
        missing = reactions_missing(bimip_server, both)
    found = lost_or_doubled(both)
    counts = {kind: sum(len(one.noted(kind)) for one in both) for kind in KINDS}
    kills = sum(one.kills for one in both)
    with capsys.disabled():
        sys.stdout.write(
            f"\nkill -9 of clients (CHAOS_SEED={SEED}): {kills} kills, {counts}, {time.monotonic() - began:.1f} s\n"
        )

    assert found == []
    assert missing == []
    assert counts["reacted"] > 0
    assert counts["again"] <= kills
    assert counts["accepted"] >= KILLS


def test_killed_programs_that_encrypt_lose_nothing_double_nothing_and_read_everything(
    bimip_server: ServerProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random, began = Random(SEED), time.monotonic()
    with programs(bimip_server, tmp_path, random, encrypts=True) as both:
        for one in both:
            one.begin("rest")
        wait_keys(bimip_server)
        for one in both:
            one.kill()
            one.begin()
        kill_often(both, random, KILLS // 4)
        wait_all_shown(both)
    counts = {kind: sum(len(one.noted(kind)) for one in both) for kind in KINDS}
    kills = sum(one.kills for one in both)
    with capsys.disabled():
        line = f"{kills} kills, {counts}, {time.monotonic() - began:.1f} s"
        sys.stdout.write(f"\nkill -9 of clients that encrypt (CHAOS_SEED={SEED}): {line}\n")

    assert [note for one in both for note in one.noted("unreadable")] == []
    assert lost_or_doubled(both) == []
    assert counts["accepted"] >= KILLS // 4
