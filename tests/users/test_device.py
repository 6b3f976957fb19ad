"""What is told and stored nowhere goes to a device when there is room: of what is about the same the last, once."""

from trio.testing import MockClock

from bimip.users.device import MAX_EPHEMERAL, Device
from bimip.wire import bimip_pb2 as wire
from bimip.wire.frames import awareness_part
from tests.kit.memory_server import Client, World, open_world
from tests.kit.received import Received

TYPING, PAUSED = wire.TYPING, wire.PAUSED


def device_of(world: World, client: Client) -> Device:
    found = world.server.users.connected(client.eid)[client.device]
    assert isinstance(found, Device)
    return found


def tell(device: Device, eid: str, *statuses: wire.AwarenessStatus) -> None:
    for status in statuses:
        told = wire.Awareness(status=status, conversation="c1")
        getattr(told, "from").eid = eid
        device.tell(eid, awareness_part(told))


async def heard_of(client: Client) -> list[tuple[str, int]]:
    """What it is told of others."""
    heard = await client.heard()
    return [(eid, status) for eid, status in told(heard) if eid != client.eid]


def told(heard: Received) -> list[tuple[str, int]]:
    return [
        (item.from_.eid if item.from_ else "", int(item.status)) for body in heard.bodies for item in body.awareness
    ]


async def test_what_is_told_goes_at_once_and_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        tell(device_of(world, bob), "ann", TYPING)
        world.server.services.pending_sends.flush(0.0)

        assert await heard_of(bob) == [("ann", TYPING)]
        assert await heard_of(bob) == []


async def test_of_what_is_about_the_same_the_last_counts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        tell(device_of(world, bob), "ann", TYPING, PAUSED)
        tell(device_of(world, bob), "carol", TYPING)
        tell(device_of(world, bob), "ann", TYPING)
        world.server.services.pending_sends.flush(0.0)

        assert await heard_of(bob) == [("carol", TYPING), ("ann", TYPING)]


async def test_before_hello_it_waits(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = world.connect("bob", "phone")
        await bob.heard()
        tell(device_of(world, bob), "ann", TYPING)
        world.server.services.pending_sends.flush(0.0)
        assert await heard_of(bob) == []
        await bob.hello()

        assert await heard_of(bob) == [("ann", TYPING)]


async def test_a_device_that_takes_nothing_keeps_the_newest(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        device = device_of(world, bob)
        for number in range(MAX_EPHEMERAL + 50):
            tell(device, f"u{number}", TYPING)
        assert device.ephemeral is not None
        assert len(device.ephemeral) == MAX_EPHEMERAL
        assert next(iter(device.ephemeral)) == "u50"


async def test_much_comes_in_several_frames_with_messages_between_them_or_not(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        device = device_of(world, bob)
        names = [f"{number:03}{'x' * 190}" for number in range(900)]
        for name in names:
            tell(device, name, TYPING)
        await ann.post("bob", b"hello", "m1")
        heard = await bob.heard()

        assert [eid for eid, _ in told(heard) if eid != "bob"] == names
        assert heard.payloads == [b"hello"]
        assert len([body for body in heard.bodies if body.awareness]) > 1
