"""Two devices of one user, one of them away: three scenarios, and any mix of them, with more."""

from collections.abc import Sequence

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, begin, message, open_world
from tests.scenarios.conftest import OpenStore


def notes(*numbers: int) -> list[pb.Message]:
    """Records of a user for themselves."""
    return [message("alice", b"%d" % number, f"m{number}") for number in numbers]


async def synced(world: World, upto: int) -> tuple[Client, Client]:
    """Phone and laptop, which hold the same `upto` records, all written by the phone."""
    phone, laptop = await world.join("alice", "phone"), await world.join("alice", "laptop")
    phone.send(body=pb.Body(messages=notes(*range(1, upto + 1))))
    await phone.heard()
    laptop.acknowledge(upto)
    await laptop.heard()
    return phone, laptop


def sent(hello: pb.Hello) -> list[tuple[str, int]]:
    return [(result.sent.id, result.sent.user_offset) for result in hello.results if result.sent is not None]


async def test_the_client_was_offline_and_added_new_messages(autojump_clock: MockClock, open_store: OpenStore) -> None:
    """`last_synced` is 7, `last_added` is 9: Hello brings 8 and 9, and the server appends them."""
    async with open_world(open_store=open_store) as world:
        phone, laptop = await synced(world, 7)
        phone.cut()
        phone = await world.join("alice", "phone", at(7), messages=notes(8, 9))

        assert sent(phone.welcome) == [("m8", 8), ("m9", 9)]
        assert (await phone.heard()).messages == []
        assert (await laptop.heard()).payloads == [b"8", b"9"]


async def test_the_client_added_nothing_and_the_server_has_new_messages(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phone, laptop = await synced(world, 7)
        phone.cut()
        for number in (8, 9, 10):
            await laptop.post("alice", b"%d" % number, f"m{number}")
        phone = await world.join("alice", "phone", at(7))

        assert phone.welcome.results == []
        assert (await phone.heard()).payloads == [b"8", b"9", b"10"]


async def test_client_and_server_both_have_new_messages(autojump_clock: MockClock, open_store: OpenStore) -> None:
    """`last_synced` is 2; the client added three, and five came from another device meanwhile."""
    async with open_world(open_store=open_store) as world:
        phone, laptop = await synced(world, 2)
        phone.cut()
        for name in "abcde":
            await laptop.post("alice", name.encode(), name)
        phone = await world.join("alice", "phone", at(2), messages=notes(3, 4, 5))
        on_phone, on_laptop = await phone.heard(), await laptop.heard()

        assert sent(phone.welcome) == [("m3", 8), ("m4", 9), ("m5", 10)]
        assert (on_phone.payloads, on_phone.offsets) == ([b"a", b"b", b"c", b"d", b"e"], [3, 4, 5, 6, 7])
        assert (on_laptop.payloads, on_laptop.offsets) == ([b"3", b"4", b"5"], [8, 9, 10])


async def test_three_devices_that_all_wrote_offline_end_with_the_same_log(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        names = ("phone", "laptop", "tablet")
        await world.register("alice", *names)
        devices = [
            await world.join("alice", name, at(0), messages=[message("alice", f"{name} {n}".encode(), f"m{n}")])
            for n, name in enumerate(names)
        ]
        logs = [whole_log(device, (await device.heard()).messages) for device in devices]

        assert logs[0] == logs[1] == logs[2] == {1: "phone", 2: "laptop", 3: "tablet"}


def whole_log(device: Client, got: Sequence[pb.Message]) -> dict[int, str]:
    """Which device wrote what stands at each offset: from others as entries, its own from the results of Hello."""
    own = {offset: device.device for _, offset in sent(device.welcome)}
    return own | {one.user_offset or 0: (one.from_.connection_resource_id or "") if one.from_ else "" for one in got}


async def test_an_answer_to_hello_that_was_lost_is_asked_for_again(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone, laptop = await synced(world, 2)
        phone.cut()
        lost = world.connect("alice", "phone")
        lost.send(hello=pb.Hello(partitions=[at(2)], messages=notes(3, 4)))
        await laptop.heard()
        lost.cut()
        phone = await world.join("alice", "phone", at(2), messages=notes(3, 4))

        assert sent(phone.welcome) == [("m3", 3), ("m4", 4)]
        assert [result.sent.duplicate for result in phone.welcome.results if result.sent is not None] == [True, True]
        assert (await laptop.heard()).messages == []


async def test_what_exceeds_hello_follows_as_a_batch(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("alice", "phone")
        laptop = await world.join("alice", "laptop", begin(pb.Start.FIRST))
        phone = world.connect("alice", "phone")
        phone.send(hello=pb.Hello(partitions=[at(0)], messages=notes(1, 2)))
        phone.send(body=pb.Body(messages=notes(3, 4)))
        heard = await phone.heard()

        assert heard.frames[0].hello is not None
        assert sent(heard.frames[0].hello) == [("m1", 1), ("m2", 2)]
        assert [(one.id, one.user_offset) for one in heard.sent] == [("m3", 3), ("m4", 4)]
        assert (await laptop.heard()).payloads == [b"1", b"2", b"3", b"4"]
