"""What a few bytes ask for is looked for in slices, in between others, and charged."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.reading import pages
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, go_on, open_world

ENTRIES = 300


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A counter of the entries that were looked at, in the order of time."""
    count = [0]
    look: Any = pages.Found.look

    def counting(self: pages.Found, row: pages.FetchedEntry | None) -> None:
        count[0] += 1
        look(self, row)

    monkeypatch.setattr(pages.Found, "look", counting)
    return count


async def with_a_log(world: World) -> Client:
    """Alice's phone wrote all of her log, with seqs; it is sent nothing by itself."""
    await world.register("bob")
    phone = await world.join("alice", "phone", go_on("sync"))
    for number in range(ENTRIES):
        phone.write("bob", b"x", f"m{number}", seq=f"1:{number}:phone")
    assert len((await phone.heard()).sent) == ENTRIES
    return phone


ASKED = {
    "a log, of somebody who wrote nothing": pb.Fetch(
        kind=pb.FetchKind.LOG, from_=pb.Identity(eid="bob"), offset=1, partition="chat"
    ),
    "backwards": pb.Fetch(
        kind=pb.FetchKind.LOG, from_=pb.Identity(eid="bob"), offset=ENTRIES, backwards=True, partition="chat"
    ),
    "what is not owed": pb.Fetch(kind=pb.FetchKind.UNACKNOWLEDGED, offset=1, partition="chat"),
    "a history": pb.Fetch(
        kind=pb.FetchKind.HISTORY, from_=pb.Identity(eid="bob"), conversation="c1", offset=1, partition="chat"
    ),
    "by seq": pb.Fetch(kind=pb.FetchKind.BY_SEQ, from_=pb.Identity(eid="bob"), offset=0, partition="chat"),
}


@pytest.mark.parametrize("fetch", ASKED.values(), ids=ASKED)
async def test_others_have_their_turn_between_two_slices(
    autojump_clock: MockClock, looked: list[int], fetch: pb.Fetch
) -> None:
    async with open_world() as world:
        phone = await with_a_log(world)
        bob = await world.join("bob", "phone", go_on())
        await bob.heard()
        looked[0] = 0
        for ref in range(2, 66):
            phone.send(fetch=fetch, ref=ref)
        bob.send(ping_pong=pb.PingPong(id="still there"), ref=9)
        pong = await bob.receive()
        before_the_pong = looked[0]
        heard = await phone.heard_slowly()

        assert pong.ping_pong is not None
        assert before_the_pong <= 4 * pages.SLICE
        assert sorted(body.ref for body in heard.bodies) == list(range(2, 66))
        assert looked[0] == 64 * ENTRIES


async def test_what_is_looked_at_is_charged(autojump_clock: MockClock, looked: list[int]) -> None:
    """A device that is over its rate is answered later, and others are not."""
    limited = settings_for_tests(BIMIP_LIMITS_DEVICE_REQUESTS_PER_SECOND="1000", BIMIP_LIMITS_RATE_BURST_SECONDS="0.5")
    async with open_world(settings=limited) as world:
        phone = await with_a_log(world)
        looked[0] = 0
        for ref in range(2, 34):
            phone.send(fetch=ASKED["a log, of somebody who wrote nothing"], ref=ref)
        early = (await phone.heard()).bodies
        at_once = looked[0]
        await trio.sleep(60)
        late = (await phone.heard()).bodies

        assert at_once < 32 * ENTRIES / 2
        assert sorted(body.ref for body in (*early, *late)) == list(range(2, 34))
