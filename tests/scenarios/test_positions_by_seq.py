"""A device that keeps no offsets says in Hello the `seq` of what it had last: `timestamp:localSeq:device`."""

from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, at, begin, message, open_world, ranges
from tests.scenarios.conftest import OpenStore

HOUR = 3600


def behind(seq: str, *held: tuple[int, int], partition: str = "chat") -> pb.Position:
    return pb.Position(partition=partition, seq=seq, held=ranges(*held))


async def phone_wrote(world: World, *times: int) -> Client:
    """Alice's phone writes notes to herself, each at its time; its laptop exists and has none of them."""
    await world.register("alice", "laptop")
    phone = await world.join("alice", "phone")
    for time in times:
        await note(phone, time)
    return phone


async def note(device: Client, time: int) -> pb.Signal:
    name = device.device
    return await device.post("alice", b"%s %d" % (name.encode(), time), f"{name}{time}", seq=f"{time}:1:{name}")


def place(client: Client) -> tuple[int, int, int]:
    [log] = client.welcome.logs
    return log.position, log.floor, log.head


async def test_it_gets_all_that_lies_behind_the_entry_with_that_seq(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await phone_wrote(world, 100, 200, 300)
        laptop = await world.join("alice", "laptop", behind("200:1:phone"))

        assert place(laptop) == (2, 2, 3)  # which is an acknowledgement, as an offset is
        assert (await laptop.heard()).payloads == [b"phone 300"]


async def test_the_place_is_that_of_the_log_whatever_the_clocks_say(autojump_clock: MockClock) -> None:
    """What was written offline, earlier, stands where it was accepted: it is not skipped for its time."""
    async with open_world() as world:
        phone = await phone_wrote(world, 100, 200)
        tablet = await world.join("alice", "tablet", begin(pb.Start.HEAD))
        await note(tablet, 50)
        await note(phone, 300)
        laptop = await world.join("alice", "laptop", behind("200:1:phone"))

        assert (await laptop.heard()).payloads == [b"tablet 50", b"phone 300"]


async def test_devices_that_wrote_in_the_same_millisecond_are_told_apart(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await phone_wrote(world, 100)
        tablet = await world.join("alice", "tablet", begin(pb.Start.HEAD))
        await note(tablet, 100)
        await note(phone, 200)
        of_phone = await world.join("alice", "laptop", behind("100:1:phone"))

        assert (await of_phone.heard()).payloads == [b"tablet 100", b"phone 200"]

        of_tablet = await world.join("alice", "laptop", behind("100:1:tablet"))

        assert (await of_tablet.heard()).payloads == [b"phone 200"]


async def test_of_a_seq_that_was_given_twice_the_first_one_counts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await phone_wrote(world, 100)
        await phone.post("alice", b"between", "b")
        await phone.post("alice", b"again", "a", seq="100:1:phone")
        laptop = await world.join("alice", "laptop", behind("100:1:phone"))

        assert (await laptop.heard()).payloads == [b"between", b"again"]


async def test_a_seq_that_nothing_has_skips_nothing(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        await phone_wrote(world, 100, 200)
        laptop = await world.join("alice", "laptop", behind("150:1:phone"))

        assert place(laptop) == (0, 0, 2)
        assert (await laptop.heard()).payloads == [b"phone 100", b"phone 200"]


async def test_the_seq_of_another_user_s_message_is_none_of_ones_own(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await phone_wrote(world, 100)
        bob = await world.join("bob", "phone")
        await bob.post("alice", b"from bob", "b1", seq="200:1:phone")
        laptop = await world.join("alice", "laptop", behind("200:1:phone"))

        assert (await laptop.heard()).payloads == [b"phone 100", b"from bob"]


async def test_what_it_holds_beyond_is_not_sent_and_its_own_neither(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await phone_wrote(world, 100)
        laptop = await world.join("alice", "laptop", at(1))
        own = await note(laptop, 150)
        await note(phone, 200)
        laptop = await world.join("alice", "laptop", behind("100:1:phone", (1, 1), (own.user_offset, own.user_offset)))

        assert (await laptop.heard()).payloads == [b"phone 200"]


async def test_with_what_it_wrote_offline(autojump_clock: MockClock, open_store: OpenStore) -> None:
    """The frame of seed 003: `['hello', {seq, messages}]`."""
    async with open_world(open_store=open_store) as world:
        await phone_wrote(world, 100, 200, 300)
        written = [message("alice", b"mine", "m1", seq="250:1:laptop")]
        laptop = await world.join("alice", "laptop", behind("100:1:phone"), messages=written)

        assert [result.sent and result.sent.user_offset for result in laptop.welcome.results] == [4]
        assert (await laptop.heard()).payloads == [b"phone 200", b"phone 300"]


async def test_one_that_expired_is_told_as_a_gap_from_the_beginning(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    settings = settings_for_tests(BIMIP_RETENTION_HISTORY_DAYS="chat=1")
    async with open_world(open_store=open_store, settings=settings) as world:
        phone = await phone_wrote(world, 100, 200)
        phone.cut()
        await trio.sleep(20 * HOUR)
        phone = await world.join("alice", "phone", at(2))
        await note(phone, 300)
        phone.cut()
        await trio.sleep(8 * HOUR)
        laptop = await world.join("alice", "laptop", behind("100:1:phone"))
        [gap] = laptop.welcome.gaps

        assert (gap.from_, gap.to, gap.reason) == (1, 2, pb.GapReason.EXPIRED)
        assert (await laptop.heard()).payloads == [b"phone 300"]


async def test_in_another_epoch_it_goes_on_from_its_floor_at_most(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await phone_wrote(world, 100, 200, 300)
        laptop = await world.join("alice", "laptop", at(1))
        epoch = laptop.welcome.epoch
        laptop = await world.join("alice", "laptop", behind("300:1:phone"), epoch=epoch - 1)

        assert laptop.welcome.epoch != epoch - 1
        assert place(laptop) == (1, 1, 3)
        assert (await laptop.heard()).payloads == [b"phone 200", b"phone 300"]


async def refusal(world: World, *positions: pb.Position) -> tuple[str, str]:
    laptop = world.connect("alice", "laptop")
    laptop.send(hello=pb.Hello(partitions=list(positions)))
    [error] = (await laptop.heard()).errors
    return error.code.name, error.field


async def test_what_may_not_be_said_of_it_is_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await phone_wrote(world, 100)
        wrong: list[dict[str, Any]] = [
            {"seq": "100"},
            {"seq": "100:1:"},
            {"seq": "100:4294967296:phone"},
            {"seq": "1" * 19 + ":1:phone"},
            {"seq": "100:1:phone", "offset": 1},
        ]
        for fields in wrong:
            assert await refusal(world, pb.Position(partition="chat", **fields)) == ("INVALID", "partitions.seq")
        with_start = pb.Position(partition="chat", seq="100:1:phone", start=pb.Start.HEAD)

        assert await refusal(world, with_start) == ("INVALID", "partitions.start")
        assert await refusal(world, behind("1:1:" + "d" * 65)) == ("TOO_LARGE", "partitions.seq")
