"""Fetching and acknowledging are separate; what is acknowledged is kept."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.operations import Operations
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, at, begin, go_on, message, open_world, ranges
from tests.scenarios.conftest import OpenStore

DELIVERED = pb.MessageStatus.DELIVERED


async def floor_of(world: World, eid: str = "bob", device: str = "probe") -> int:
    """What the server has committed, as the next Hello of the device tells it."""
    client = await world.join(eid, device, go_on())
    return client.welcome.logs[0].floor


async def bob_with(world: World, count: int) -> Client:
    await world.register("bob", "phone")
    await world.fill("bob", *range(1, count + 1))
    return await world.join("bob", "phone", at(0))


@pytest.mark.parametrize(
    ("ack", "floor"),
    [
        (pb.Signal(user_offset=1), 1),
        (pb.Signal(user_offset=2), 0),
        (pb.Signal(upto=4), 4),
        (pb.Signal(offsets=ranges((1, 2), (4, 4))), 2),
        (pb.Signal(upto=1, offsets=ranges((2, 3)), user_offset=4), 4),
        (pb.Signal(offsets=ranges((2, 4)), user_offset=1), 4),
    ],
)
async def test_one_several_or_all_up_to_an_offset_are_acknowledged(
    autojump_clock: MockClock, open_store: OpenStore, ack: pb.Signal, floor: int
) -> None:
    async with open_world(open_store=open_store) as world:
        phone = await bob_with(world, 5)
        ack.status, ack.partition = DELIVERED, "chat"
        phone.send(signal=ack)

        assert (await phone.heard()).errors == []
        assert await floor_of(world, device="phone") == floor


async def test_the_floor_moves_when_the_gap_above_it_closes(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        phone = await bob_with(world, 5)
        for offset, _ in ((3, 0), (2, 0), (5, 0), (1, 3)):
            phone.acknowledge(0, offset)
            await phone.heard()

        assert await floor_of(world, device="phone") == 3


async def test_what_was_acknowledged_survives_a_restart(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        phone = await bob_with(world, 5)
        phone.acknowledge(2, 4)
        await phone.heard()
        epoch = phone.welcome.epoch
    async with open_world(open_store=open_store) as world:
        phone = await world.join("bob", "phone", go_on())
        floor = phone.welcome.logs[0].floor
        phone.acknowledge(0, 3)
        await phone.heard()

        assert (phone.welcome.epoch, floor) == (epoch, 2)
        assert await floor_of(world, device="phone") == 4


@pytest.mark.parametrize(
    "ack", [pb.Signal(upto=6), pb.Signal(user_offset=6), pb.Signal(upto=2, offsets=ranges((5, 9)))]
)
async def test_an_ack_beyond_the_head_is_an_error_and_moves_nothing(autojump_clock: MockClock, ack: pb.Signal) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 5)
        ack.status, ack.partition = DELIVERED, "chat"
        phone.send(signal=ack, ref=9)
        heard = await phone.heard()

        assert [(error.code, error.ref) for error in heard.errors] == [(pb.ErrorCode.OFFSET_BEYOND_HEAD, 9)]
        assert await floor_of(world, device="phone") == 0


async def test_an_ack_of_what_was_not_sent_is_the_devices_word(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        phone = await world.join("bob", "phone", go_on("sync"))
        phone.acknowledge(3)
        carol = await world.join("carol", "phone", go_on())

        assert (await phone.heard()).errors == []
        assert (await carol.heard()).receipts == [("bob", DELIVERED, 1, 3)]
        assert await floor_of(world, device="phone") == 3


async def test_an_ack_more_than_a_window_above_the_floor_gives_its_receipt_and_is_not_kept(
    autojump_clock: MockClock,
) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_WINDOW_ENTRIES="4")
    async with open_world(settings=settings) as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 11))
        phone = await world.join("bob", "phone", at(0))
        phone.acknowledge(0, 3, 4, 5, 6)
        phone.acknowledge(0, 9)
        carol = await world.join("carol", "phone", go_on())
        receipts = (await carol.heard()).receipts
        phone.acknowledge(2)
        await phone.heard()

        assert receipts == [("bob", DELIVERED, 3, 6), ("bob", DELIVERED, 9, 9)]
        assert await floor_of(world, device="phone") == 6
        again = await world.join("bob", "phone", at(6))
        assert (await again.heard()).payloads == [b"7", b"8", b"9", b"10"]


async def test_the_floor_passes_over_own_entries_and_those_for_other_devices(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone", "laptop")
        await world.register("carol")
        await world.fill("bob", 1)
        phone = await world.join("bob", "phone", go_on())
        await phone.post("carol", b"own", "own")
        carol = await world.join("carol", "phone", go_on())
        laptop = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="laptop"))
        await carol.post("bob", b"for the laptop", "l", devices=[laptop])
        await world.fill("bob", 4)
        phone.acknowledge(1)
        await phone.heard()

        assert await floor_of(world, device="phone") == 3


async def test_a_long_ack_is_decided_in_slices_and_moves_the_floor_to_its_end(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 2501))
        phone = await world.join("bob", "phone", at(0))
        carol = await world.join("carol", "phone", go_on())
        await carol.heard()
        phone.acknowledge(2500)
        receipts = (await carol.heard()).receipts
        delivered = [offset for run in receipts for offset in range(run.first, run.last + 1)]

        assert sorted(delivered) == list(range(1, 2501))
        assert await floor_of(world, device="phone") == 2500


async def test_at_most_a_window_is_in_flight_and_each_ack_lets_more_follow(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 601))
        phone = await world.join("bob", "phone", at(0))
        first = await phone.heard()
        phone.acknowledge(0, 256)
        second = await phone.heard()
        phone.acknowledge(256)
        third = await phone.heard()

        assert first.offsets == list(range(1, 257))
        assert second.offsets == [257]
        assert third.offsets == list(range(258, 513))


async def test_the_window_is_bounded_in_bytes_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        carol = await world.join("carol", "phone")
        for number in range(20):
            carol.write("bob", bytes(65_000), f"m{number}")
            await carol.heard()
        phone = await world.join("bob", "phone", at(0))
        first = await phone.heard()
        phone.acknowledge(4)
        second = await phone.heard()

        assert first.offsets == list(range(1, 17))
        assert second.offsets == list(range(17, 21))


async def test_a_partition_whose_window_is_full_does_not_hold_up_another(autojump_clock: MockClock) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_WINDOW_ENTRIES="2")
    async with open_world(settings=settings) as world:
        await world.register("bob", "phone")
        phone = await world.join("bob", "phone", at(0), at(0, partition="sync"))
        await world.fill("bob", 1, 2, 3)
        await world.fill("bob", 11, partition="sync")

        assert sorted((await phone.heard()).payloads) == [b"1", b"11", b"2"]


async def test_what_stays_unacknowledged_for_30_seconds_is_sent_again_and_marked(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 3)
        await phone.heard()
        phone.acknowledge(0, 1, 3)
        await trio.sleep(29)
        early = await phone.heard()
        await trio.sleep(2)
        late = await phone.heard()

        assert early.messages == []
        assert [(body.turn, body.after, body.upto) for body in late.bodies] == [(pb.Turn.REDELIVERED, 0, 0)]
        assert late.offsets == [2]


async def test_every_ack_begins_the_grace_period_anew(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 10)
        await phone.heard()
        for offset in range(1, 10):
            await trio.sleep(25)
            phone.acknowledge(offset)

        assert (await phone.heard()).messages == []
        await trio.sleep(31)
        assert (await phone.heard()).offsets == [10]


async def test_after_three_rounds_without_an_ack_the_connection_closes_and_the_log_keeps_the_entries(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 2)
        began = trio.current_time()
        code = await phone.closed()
        took = trio.current_time() - began
        turns = [body.turn for body in (await phone.heard()).bodies if body.messages]
        again = await world.join("bob", "phone", go_on())

        assert code == 4000
        assert took == pytest.approx(120, abs=1)
        assert turns == [pb.Turn.IN_TURN] + [pb.Turn.REDELIVERED] * 3
        assert (await again.heard()).payloads == [b"1", b"2"]


async def test_an_ack_forgives_all_rounds_before_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 2)
        await trio.sleep(100)
        phone.acknowledge(1)
        await trio.sleep(100)

        assert phone.is_connected


async def test_a_redelivery_of_many_entries_fits_into_frames(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        carol = await world.join("carol", "phone")
        for number in range(8):
            carol.write("bob", bytes(30_000), f"m{number}")
            await carol.heard()
        phone = await world.join("bob", "phone", at(0))
        await phone.heard()
        await trio.sleep(30)
        heard = await phone.heard()

        assert heard.offsets == list(range(1, 9))
        assert len(heard.bodies) == 4


async def test_a_device_that_acknowledges_in_time_is_left_in_peace(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 3)
        await phone.heard()
        phone.acknowledge(3)
        await trio.sleep(1000)

        assert (await phone.heard()).frames == []
        assert phone.is_connected


async def test_an_ack_may_arrive_before_hello_is_answered(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        phone = world.connect("bob", "phone")
        phone.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        phone.acknowledge(2)
        await phone.heard()
        phone.acknowledge(3)
        await trio.sleep(200)

        assert phone.is_connected
        assert await floor_of(world, device="phone") == 3


async def test_an_ack_in_a_partition_that_does_not_exist_is_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        phone.acknowledge(1, partition="pigeons")

        assert (await phone.heard()).codes == [pb.ErrorCode.NOT_FOUND]


async def test_signals_and_messages_in_one_batch_succeed_or_fail_each_on_its_own(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 3)
        good = pb.Signal(status=DELIVERED, partition="chat", upto=2)
        bad = pb.Signal(status=DELIVERED, partition="chat", upto=99, ref=5)
        messages = [message("carol", b"1", "m1"), message("nobody", b"2", "m2"), message("carol", b"3", "m3")]
        await phone.heard()
        phone.send(body=pb.Body(messages=messages, signals=[good, bad]), ref=4)
        heard = await phone.heard()

        assert [(one.id, one.ref) for one in heard.sent] == [("m1", 4), ("m3", 4)]
        assert sorted((error.code, error.id, error.ref) for error in heard.errors) == [
            (pb.ErrorCode.NOT_FOUND, "m2", 4),
            (pb.ErrorCode.OFFSET_BEYOND_HEAD, "", 5),
        ]
        await trio.sleep(0.03)  # what was written does not wait for what was acknowledged
        assert await floor_of(world, device="phone") == 2


async def test_a_device_that_starts_without_cursor_holds_nothing_back(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2)
        laptop = await world.join("bob", "laptop", begin(pb.Start.HEAD))

        assert laptop.welcome.logs[0].floor == 2
        assert laptop.welcome.gaps == []


async def test_acks_that_follow_fast_are_one_operation(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 9)
        await phone.heard()
        before = world.server.journal_statistics.operations
        for upto in (1, 2, 5, 3, 9):
            phone.acknowledge(upto)
        await trio.sleep(0.03)

        assert world.server.journal_statistics.operations == before + 1
        assert await floor_of(world, device="phone") == 9


async def test_an_ack_that_says_which_it_is_or_names_ranges_is_one_of_its_own(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await bob_with(world, 9)
        await phone.heard()
        before = world.server.journal_statistics.operations
        phone.acknowledge(1)
        phone.send(signal=pb.Signal(status=DELIVERED, partition="chat", upto=2), ref=7)
        phone.acknowledge(3, 5, 6)
        phone.acknowledge(4)
        await trio.sleep(0.03)

        assert world.server.journal_statistics.operations == before + 4
        assert await floor_of(world, device="phone") == 6


async def test_an_ack_is_decided_in_time_however_much_is_written(autojump_clock: MockClock) -> None:
    """Messages overtake it, and it is not overtaken for ever."""
    async with open_world() as world:
        phone = await bob_with(world, 1)
        await phone.heard()
        phone.acknowledge(1)
        for number in range(25):
            await trio.sleep(0.001)
            phone.write("carol", b"again", f"w{number}")
        described: Any = await Operations(world.server).describe_user("bob")

        assert described["devices"]["phone"]["committed"]["chat"]["floor"] >= 1
