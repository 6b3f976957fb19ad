"""`kill -9` of a server whose devices' keys many claim at once: no one-time key is ever given twice, also not one that
its device publishes again because nobody answered it.

CHAOS_SEED and CHAOS_ROUNDS run it again, or longer.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random, SystemRandom
from threading import Thread

import pytest

from bimip.wire import bimip_pb2 as pb
from tests.chaos.process_driver import KEY, Phone
from tests.chaos.server import ServerProcess

ROUNDS = max(4, int(os.environ.get("CHAOS_ROUNDS", "30")) // 7)
SEED = int(os.environ.get("CHAOS_SEED", "0")) or SystemRandom().getrandbits(32)
CLAIMERS = 6
OWNERS = ("phone", "tablet")
FALLBACK = 1 << 40

Given = tuple[str, int, bytes]
"""A device, and the id and the bytes of a key."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(
        tmp_path, BIMIP_TOKENS_KEY=KEY, BIMIP_GATEWAY_HEARTBEAT_SECONDS="600", BIMIP_LOGGING_LEVEL="warning"
    )
    yield process
    process.close()


def prekey(number: int, chance: Random) -> pb.PreKey:
    return pb.PreKey(id=number, key=chance.randbytes(32), signature=bytes(64))


class Owner:
    """Says again what it is not sure to have published, as a client does."""

    def __init__(self, name: str, chance: Random) -> None:
        self.name = name
        self.keys: list[pb.PreKey] = []
        self._chance = chance
        self._identity = chance.randbytes(32)

    def publish(self, port: int) -> None:
        """Publishes some more, and what it published last once more."""
        with Phone.connect(port, "bob", self.name) as phone:
            phone.say(pb.Keys(), ref=1)
            left = answer(phone).one_time_left
            further = range(len(self.keys) + 1, len(self.keys) + 1 + min(30, 100 - left))
            self.keys += [prekey(number, self._chance) for number in further]
            asked = self.keys[-60:]
            keys = pb.DeviceKeys(
                identity=self._identity, signing=bytes(32), signature=bytes(64), fallback=prekey(FALLBACK, self._chance)
            )
            phone.say(pb.Keys(action=pb.Keys.PUBLISH, keys=keys, one_time=asked), ref=1)
            answer(phone)


def answer(phone: Phone) -> pb.Keys:
    while True:
        scheme = phone.hear()
        if scheme.HasField("keys"):
            return scheme.keys
        assert not scheme.body.errors, scheme.body.errors


def claim(phone: Phone, given: list[Given]) -> None:
    """Claims, with many claims under way, until the server is gone."""
    try:
        with phone:
            for _ in range(4):
                phone.say(pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="bob")]), ref=1)
            while True:
                told = answer(phone).devices
                given += [(one.device.connection_resource_id, one.claimed.id, one.claimed.key) for one in told]
                phone.say(pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="bob")]), ref=1)
    except (OSError, EOFError, AssertionError):
        pass


async def test_no_one_time_key_is_given_twice_whoever_claims_and_whenever_the_server_is_killed(
    server: ServerProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = Random(SEED)
    owners = [Owner(name, chance) for name in OWNERS]
    given: list[Given] = []
    server.load_ahead(2)
    await server.start_up()
    for number in range(ROUNDS):
        server.load_ahead(1)
        for owner in owners:
            owner.publish(server.port)
        # Others in each round: who claims much is given fallback keys.
        phones = [Phone.connect(server.port, f"u{number}-{one}") for one in range(CLAIMERS)]
        claimers = [Thread(target=claim, args=(phone, given), daemon=True) for phone in phones]
        for thread in claimers:
            thread.start()
        before, more = len(given), chance.randint(0, 40)
        while len(given) < before + more and any(thread.is_alive() for thread in claimers):
            claimers[0].join(0.002)
        server.kill()
        for thread in claimers:
            thread.join()
        await server.start_up()
    await server.terminate()
    once = [one for one in given if one[1] != FALLBACK]
    with capsys.disabled():
        sys.stdout.write(
            f"\nkill -9 while keys are claimed (CHAOS_SEED={SEED}): {server.kills} kills, {len(once)} one-time keys\n"
        )

    assert len(once) > ROUNDS
    assert len(set(once)) == len(once), f"CHAOS_SEED={SEED}: a one-time key was given twice"
    published = {(owner.name, key.id, key.key) for owner in owners for key in owner.keys}
    assert set(once) <= published
