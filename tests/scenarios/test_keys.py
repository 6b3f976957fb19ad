"""The key directory through connections: each one-time key is given to one claimer, whoever asks at once."""

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, go_on, open_world
from tests.scenarios.conftest import OpenStore

ACTION = pb.KeysAction


def prekey(number: int) -> pb.PreKey:
    return pb.PreKey(id=number, key=b"%032d" % number, signature=bytes(64))


async def ask(client: Client, keys: pb.Keys) -> pb.Keys:
    client.send(keys=keys, ref=5)
    while True:
        frame = await client.receive()
        if frame.ref == 5:
            assert frame.keys is not None, frame
            return frame.keys


def name_of(one: pb.DeviceKeys) -> str | None:
    return None if one.device is None else one.device.connection_resource_id


def given_of(one: pb.DeviceKeys) -> tuple[str | None, int, bool]:
    return name_of(one), one.claimed.id if one.claimed else 0, one.is_fallback


async def publish(client: Client, first: int, last: int, identity: bytes = b"i" * 32) -> pb.Keys:
    keys = pb.DeviceKeys(identity=identity, signing=b"s" * 32, signature=b"n" * 64, fallback=prekey(1000))
    further = [prekey(number) for number in range(first, last + 1)]
    return await ask(client, pb.Keys(action=ACTION.PUBLISH, keys=keys, one_time=further))


def of(eid: str, device: str | None = None) -> list[pb.Identity]:
    return [pb.Identity(eid=eid, connection_resource_id=device)]


async def test_who_writes_is_given_a_key_of_each_device_once_and_the_directory_outlives_the_server(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    given = []
    async with open_world(open_store=open_store) as world:
        ann, cleo = await world.join("ann", "phone"), await world.join("cleo", "phone")
        bob, tablet = await world.join("bob", "phone"), await world.join("bob", "tablet", go_on())
        assert (await publish(bob, 1, 3)).one_time_left == 3
        await publish(tablet, 1, 2, b"t" * 32)
        given += [await ask(claimer, pb.Keys(action=ACTION.CLAIM, of=of("bob"))) for claimer in (ann, cleo)]
        found = await ask(ann, pb.Keys(action=ACTION.QUERY, of=of("bob", "tablet")))

        assert [one.claimed for one in found.devices] == [None]
        assert found.devices[0].identity == b"t" * 32
        assert found.complete
    async with open_world(open_store=open_store) as world:
        ann, bob = await world.join("ann", "phone", go_on()), await world.join("bob", "phone", go_on())
        count = await ask(bob, pb.Keys())
        assert (count.one_time_left, count.last_id) == (1, 3)
        given += [await ask(ann, pb.Keys(action=ACTION.CLAIM, of=of("bob"))) for _ in range(2)]

        assert [list(map(given_of, claimed.devices)) for claimed in given] == [
            [("phone", 1, False), ("tablet", 1, False)],
            [("phone", 2, False), ("tablet", 2, False)],
            [("phone", 3, False), ("tablet", 1000, True)],
            [("phone", 1000, True), ("tablet", 1000, True)],
        ]
        await ask(bob, pb.Keys(action=ACTION.WITHDRAW))
        left = await ask(ann, pb.Keys(action=ACTION.QUERY, of=of("bob") + of("nobody")))
        assert list(map(name_of, left.devices)) == ["tablet"]
