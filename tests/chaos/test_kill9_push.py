"""`kill -9` of a server that pushes to a gateway which is a process too, and fails, hangs and is killed as well: what
was acknowledged is pushed in the end, and what comes twice is known by its id.

CHAOS_SEED and CHAOS_ROUNDS run it again, or longer.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom
from typing import NamedTuple

import pytest
import trio

from bimip.testing import free_port
from bimip.wire import bimip_pb2 as pb
from tests.chaos.process_driver import KEY, Phone
from tests.chaos.push_gateway import LOSES_ITS_ANSWER, TAKEN
from tests.chaos.server import ROOT, ServerProcess

ROUNDS = max(4, int(os.environ.get("CHAOS_ROUNDS", "30")) // 7)
SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
WRITTEN = 6
"""In a round, to each."""
USERS = ("bob", "carol", "dave", "erin")
AT_ONCE = 4
"""Requests under way, as `push.max_sends_per_host` has it by default."""
ASKED_SECONDS = 2.0
"""For which a round waits until the gateway was asked."""
PATIENCE = 60.0

Place = tuple[str, int]
"""Whose message, and where it stands in their conversation with alice."""


class Asked(NamedTuple):
    """A line of the gateway's."""

    id: str
    token: str
    place: int
    answer: int

    @property
    def about(self) -> Place:
        return self.token, self.place


class GatewayProcess:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._file = folder / "pushed.jsonl"
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0

    def start(self) -> None:
        self._starts += 1
        words = [str(self.port), str(self._file), str(SEED + self._starts)]
        self._process = subprocess.Popen([sys.executable, "-m", "tests.chaos.push_gateway", *words], cwd=ROOT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def get_well(self) -> None:
        self._file.with_suffix(".well").touch()

    def asked(self) -> list[Asked]:
        lines = self._file.read_text().split("\n")[:-1] if self._file.exists() else []
        return [Asked(**json.loads(line)) for line in lines]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    process = GatewayProcess(tmp_path)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def server(tmp_path: Path, gateway: GatewayProcess) -> Iterator[ServerProcess]:
    url = f"http://127.0.0.1:{gateway.port}/"
    process = ServerProcess(
        tmp_path,
        BIMIP_TOKENS_KEY=KEY,
        BIMIP_GATEWAY_HEARTBEAT_SECONDS="600",
        BIMIP_LOGGING_LEVEL="warning",
        BIMIP_PUSH_GATEWAYS=json.dumps({"own": {"url": url, "secret": "a secret of the gateway"}}),
        BIMIP_PUSH_DELAY_SECONDS="0",
        BIMIP_PUSH_BURST="1000",
        BIMIP_PUSH_TIMEOUT_SECONDS="0.3",
        BIMIP_PUSH_RETRY_SECONDS="1",
    )
    yield process
    process.close()


def subscribe(server: ServerProcess) -> None:
    for eid in USERS:
        with Phone.connect(server.port, eid) as phone:
            phone.say(pb.PushNotification(id="p", platform="own", token=eid), ref=1)
            while not phone.hear().HasField("push_notification"):
                pass


def write_some(alice: Phone, count: int, name: str) -> set[Place]:
    """Writes, and returns what was acknowledged."""
    whose = {f"{eid} {name} {number}": eid for number in range(count) for eid in USERS}
    for message_id, eid in whose.items():
        alice.write(eid, b"hello", message_id)
    places: set[Place] = set()
    while len(places) < len(whose):
        body = alice.hear().body
        assert not body.errors, body.errors
        places |= {(whose[one.id], one.conversation_offset) for one in body.signals if one.status == pb.SENT}
    return places


async def wait_asked(gateway: GatewayProcess, count: int) -> None:
    """Returns at about the n-th request from now: some are under way by then."""
    before = len(gateway.asked())
    with trio.move_on_after(ASKED_SECONDS):
        while len(gateway.asked()) < before + count:  # noqa: ASYNC110 - it is another process that asks
            await trio.sleep(0.005)


async def wait_pushed(gateway: GatewayProcess, places: set[Place]) -> None:
    left = places
    deadline = time.monotonic() + PATIENCE
    while left := left - {one.about for one in gateway.asked() if one.answer == TAKEN}:
        assert time.monotonic() < deadline, f"CHAOS_SEED={SEED}: acknowledged, and never pushed: {sorted(left)}"
        await trio.sleep(0.05)


async def test_what_was_acknowledged_is_pushed_whoever_is_killed_and_what_comes_twice_has_one_id(
    server: ServerProcess, gateway: GatewayProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    random = Random(SEED)
    acknowledged: set[Place] = set()
    server.load_ahead(2)
    await server.start_up()
    subscribe(server)
    for number in range(ROUNDS):
        server.load_ahead(1)
        with Phone.connect(server.port, "alice") as alice:
            acknowledged |= write_some(alice, random.randint(1, WRITTEN), str(number))
            await wait_asked(gateway, random.randint(0, 20))
            server.kill()
        if number == ROUNDS // 2:
            gateway.kill()
            gateway.start()
        await server.start_up()
    gateway.get_well()
    await wait_pushed(gateway, acknowledged)
    asked = gateway.asked()
    code = await server.terminate()
    told = Counter(one.id for one in asked if one.answer == TAKEN)
    again = sum(told.values()) - len(told)
    with capsys.disabled():
        line = f"{len(acknowledged)} messages, {len(asked)} requests, {again} came twice"
        sys.stdout.write(f"\nkill -9 while it pushes (CHAOS_SEED={SEED}): {server.kills} kills, {line}\n")

    assert len({(one.id, one.about) for one in asked}) == len({one.id for one in asked}), "one id of two messages"
    assert len({one.id for one in asked}) == len({one.about for one in asked}), "two ids of one message"
    for eid in USERS:
        order = [one.place for one in asked if one.token == eid and one.answer in {TAKEN, LOSES_ITS_ANSWER}]
        assert list(dict.fromkeys(order)) == sorted(set(order)), "out of order"
    assert again <= AT_ONCE * server.kills, "what was taken and noted came again"
    assert code == 0
    assert server.complaints() == []
