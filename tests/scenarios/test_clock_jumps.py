"""The machine's wall clock jumps: nobody's message, token or entry is the worse for that."""

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Millis
from bimip.domain.keeping.timekeeping import DAY, HOUR
from bimip.operations import Operations
from bimip.session.tokens import TokenError
from bimip.storage.interface import Store
from bimip.storage.memory import MemoryStore
from bimip.testing.virtual import settings_for_tests, token, virtual_millis
from tests.kit.memory_server import World, begin, open_world

OpenStore = Callable[[], Store]

SETTINGS = settings_for_tests(
    BIMIP_RETENTION_EVERY_SECONDS="1", BIMIP_RETENTION_HISTORY_DAYS="chat=20,notification=20,feed=20,sync=20"
)
JUMPS = [40 * DAY, -40 * DAY, 36_500 * DAY, -19_000 * DAY]
ROUND_SECONDS = 10
"""Of retention, with its pauses."""


class WallClock:
    def __init__(self) -> None:
        self.off = 0

    def __call__(self) -> Millis:
        return Millis(virtual_millis() + self.off)


async def write_and_revoke(world: World) -> None:
    await world.register("bob")
    ann = await world.join("ann", "phone", begin(pb.Start.HEAD))
    await ann.post("bob", b"chat", "m1")
    await ann.post("bob", b"note", "n1", partition="notification")
    text = token("ann", "tablet", seconds=20 * DAY // 1000, jti="ann/tablet")
    ann.send(token_authority=pb.TokenAuthority(action=pb.TokenAuthorityAction.REVOKE, token=text), ref=5)
    await ann.heard()
    ann.cut()


async def check_all_is_known(world: World, name: str) -> None:
    """What was written is there and known, the revoked token refused, and a new message of the present."""
    await trio.sleep(ROUND_SECONDS)
    world.server.services.verify(token("ann", "phone"))
    with pytest.raises(TokenError):
        world.server.services.verify(token("ann", "phone", seconds=-1))
    assert await world.connect("ann", "tablet").closed() == 4102
    ann = await world.join("ann", "phone", begin(pb.Start.HEAD))
    assert (await ann.post("bob", b"chat", "m1")).duplicate
    sent = await ann.post("bob", b"new", name)
    assert abs(sent.timestamp - virtual_millis()) < HOUR
    ann.cut()
    bob = await world.join("bob", "phone", begin(pb.Start.FIRST), begin(pb.Start.FIRST, partition="notification"))
    assert abs(bob.welcome.server_time - virtual_millis()) < HOUR
    heard = await bob.heard()
    assert {b"chat", b"note"} <= set(heard.payloads)
    assert not bob.welcome.gaps
    bob.cut()


@pytest.mark.parametrize("jump", JUMPS)
async def test_while_the_server_runs(autojump_clock: MockClock, jump: int) -> None:
    clock = WallClock()
    async with open_world(settings=SETTINGS, wall_clock=clock) as world:
        await write_and_revoke(world)
        clock.off = jump
        await check_all_is_known(world, "m2")
        during = world.server.readiness()
        clock.off = 0
        await check_all_is_known(world, "m3")

        assert [("clock" in reason) for reason in during] == [True]
        assert world.server.readiness() == []


@pytest.mark.parametrize("jump", JUMPS)
async def test_while_the_server_is_stopped(autojump_clock: MockClock, open_store: OpenStore, jump: int) -> None:
    clock = WallClock()
    store = open_store()
    for number, off in enumerate((0, jump, jump, 0)):
        clock.off = off
        store.reopen()
        async with open_world(settings=SETTINGS, store=store, wall_clock=clock) as world:
            if number == 0:
                await write_and_revoke(world)
            await check_all_is_known(world, f"new {number}")

            assert bool(world.server.readiness()) is bool(off)


async def test_an_operator_takes_it_over_and_what_is_there_stays(autojump_clock: MockClock) -> None:
    clock = WallClock()
    store = MemoryStore()
    async with open_world(settings=SETTINGS, store=store, wall_clock=clock) as world:
        await write_and_revoke(world)
        clock.off = 40 * DAY
        await trio.sleep(ROUND_SECONDS)
        ann = await world.join("ann", "phone", begin(pb.Start.HEAD))
        await ann.post("bob", b"held", "m2")

        assert await Operations(world.server).accept_clock()
        assert world.server.readiness() == []

        later = await ann.post("bob", b"later", "m3")
        await trio.sleep(ROUND_SECONDS)

        assert later.timestamp - virtual_millis() == pytest.approx(40 * DAY, abs=HOUR)
        assert (await ann.post("bob", b"held", "m2")).duplicate
        ann.cut()
    store.reopen()
    async with open_world(settings=SETTINGS, store=store, wall_clock=clock) as world:
        assert world.server.readiness() == []
        await trio.sleep(ROUND_SECONDS)
        bob = await world.join("bob", "phone", begin(pb.Start.FIRST), begin(pb.Start.FIRST, partition="notification"))

        assert sorted((await bob.heard()).payloads) == [b"chat", b"held", b"later", b"note"]


async def test_stamps_that_ran_ahead_are_lived_with(autojump_clock: MockClock) -> None:
    """After an operator took a wrong clock over, and then the right one."""
    clock = WallClock()
    store = MemoryStore()
    stamps: list[int] = []
    for off in (40 * DAY, 0, 0):
        clock.off = off
        store.reopen()
        async with open_world(settings=SETTINGS, store=store, wall_clock=clock) as world:
            if world.server.readiness():
                await Operations(world.server).accept_clock()
            await world.register("bob")
            ann = await world.join("ann", "phone", begin(pb.Start.HEAD))
            for number in range(3):
                sent = await ann.post("bob", b"!", f"{len(stamps)}")
                stamps.append(sent.signal_offset)

                assert abs(sent.timestamp - virtual_millis() - off) < HOUR, number
            ann.cut()

            assert world.server.readiness() == []

    assert stamps == sorted(set(stamps))
