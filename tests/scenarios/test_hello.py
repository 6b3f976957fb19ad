"""Where a device says it stands is where it stands: Hello's position wins."""

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import at, begin, go_on, message, open_world
from tests.scenarios.conftest import OpenStore


async def test_a_device_that_acknowledged_12_but_not_11_gets_both_again(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", *range(1, 13))
        phone = await world.join("bob", "phone", at(0))
        phone.acknowledge(10, 12)
        await phone.heard()
        phone.cut()

        phone = await world.join("bob", "phone", at(10))
        heard = await phone.heard()

        assert (phone.welcome.logs[0].position, phone.welcome.logs[0].floor) == (10, 10)
        assert heard.ranges == [(10, 12)]
        assert heard.payloads == [b"11", b"12"]


async def test_a_device_that_holds_12_and_returns_with_10_gets_11_alone(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", *range(1, 13))
        phone = await world.join("bob", "phone", at(0))
        phone.acknowledge(10, 12)
        await phone.heard()
        phone.cut()

        phone = await world.join("bob", "phone", at(10, (12, 12)))
        heard = await phone.heard()

        assert heard.ranges == [(10, 12)]
        assert heard.payloads == [b"11"]


async def test_a_device_that_says_hello_late_gets_what_is_there(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """By then its fetcher had looked, and there was nothing that it could send."""
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        phone = world.connect("bob", "phone")
        await trio.sleep(1)
        await phone.hello(at(0))
        heard = await phone.heard()

        assert heard.payloads == [b"1", b"2"]


async def test_a_phone_whose_sent_was_cut_off_gets_its_own_entry_and_may_send_it_again(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        phone = await world.join("alice", "phone")
        first = await phone.post("bob", b"first", "m1")
        phone.cut()

        phone = await world.join("alice", "phone", at(0))
        heard = await phone.heard()
        again = await phone.post("bob", b"first", "m1")

        assert [(one.id, one.user_offset) for one in heard.messages] == [("m1", 1)]
        assert again.duplicate
        assert (again.user_offset, again.signal_offset, again.conversation_offset) == (
            first.user_offset,
            first.signal_offset,
            first.conversation_offset,
        )


async def test_a_phone_whose_sent_arrived_is_not_sent_its_own_entry(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.register("alice")
        await world.fill("alice", 1)
        phone = await world.join("alice", "phone", at(0))
        sent = await phone.post("bob", b"mine", "m1")
        phone.cut()

        phone = await world.join("alice", "phone", at(0, (2, 2)))
        heard = await phone.heard()

        assert sent.user_offset == 2
        assert heard.payloads == [b"1"]
        assert heard.ranges == [(0, 2)]


async def test_a_client_that_comes_back_with_an_empty_store_gets_everything_also_its_own(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    for empty in (begin(pb.Start.FIRST), at(0)):
        async with open_world(open_store=open_store) as world:
            await world.register("bob")
            phone = await world.join("alice", "phone", go_on())
            number = phone.welcome.logs[0].head
            await phone.post("bob", b"mine", f"m{number}")
            await world.fill("alice", number + 1)
            phone.acknowledge(number + 2)
            await phone.heard()
            phone.cut()

            phone = await world.join("alice", "phone", empty)
            heard = await phone.heard()

            assert phone.welcome.logs[0].floor == number + 2
            assert heard.offsets == list(range(1, number + 3))
            assert b"mine" in heard.payloads


async def test_in_another_epoch_delivery_goes_on_from_the_lower_of_position_and_floor(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3, 4, 5)
        phone = await world.join("bob", "phone", at(0))
        phone.acknowledge(3)
        await phone.heard()
        phone.cut()

        ahead = await world.join("bob", "phone", at(90, (92, 95)), epoch=12345, state_version=7)
        heard = await ahead.heard()
        ahead.cut()
        behind = await world.join("bob", "phone", at(1), epoch=12345)

        assert ahead.welcome.epoch not in {0, 12345}
        assert ahead.welcome.logs[0].position == 3
        assert heard.payloads == [b"4", b"5"]
        assert (heard.states[0].reset, heard.states[-1].complete) == (True, True)
        assert behind.welcome.logs[0].position == 1


async def test_a_device_that_the_store_lost_and_that_keeps_no_position_gets_all_that_is_kept(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """It went by the server's floor, which is gone: at the head it would be one more new device, and miss what came."""
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2)
        lost = await world.join("bob", "tablet", go_on(), epoch=12345)

        assert lost.welcome.logs[0].position == 0
        assert (await lost.heard()).payloads == [b"1", b"2"]


async def test_in_another_epoch_held_offsets_mean_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3)
        held = go_on()
        held.held = at(0, (2, 2)).held
        phone = await world.join("bob", "phone", held, epoch=12345)

        assert (await phone.heard()).payloads == [b"1", b"2", b"3"]


async def test_start_at_the_head_where_a_cursor_exists_is_a_skip_without_receipts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3, 4, 5)
        phone = await world.join("bob", "phone", begin(pb.Start.HEAD))
        carol = await world.join("carol", "phone", at(5))

        [gap] = phone.welcome.gaps
        assert (gap.partition, gap.from_, gap.to, gap.reason) == ("chat", 1, 5, pb.GapReason.SKIPPED)
        assert (phone.welcome.logs[0].floor, phone.welcome.logs[0].position) == (5, 5)
        assert (await phone.heard()).messages == []
        assert (await carol.heard()).receipts == []


async def test_start_with_the_last_two(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3, 4, 5)
        laptop = await world.join("bob", "laptop", begin(pb.Start.LAST, last=2))
        heard = await laptop.heard()

        assert heard.payloads == [b"4", b"5"]
        assert heard.ranges == [(3, 5)]
        assert laptop.welcome.gaps == []


async def test_a_device_that_is_ahead_of_the_server_is_greeted_as_one_of_another_epoch(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        held = go_on()
        held.held = at(0, (100, 200)).held
        epoch = (await world.join("bob", "phone", at(0))).welcome.epoch
        for position, version in ((at(3), 0), (at(1, (3, 3)), 0), (held, 0), (at(1), 1000)):
            phone = await world.join("bob", "phone", position, epoch=epoch, state_version=version)
            heard = await phone.heard()
            told = phone.welcome.epoch

            assert told not in {0, epoch}
            assert heard.payloads == [b"1", b"2"]
            assert (heard.states[0].reset, heard.states[-1].complete) == (True, True)

            phone = await world.join("bob", "phone", at(0), epoch=told)

            assert phone.welcome.epoch == told


async def test_one_partition_that_is_ahead_is_enough(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        epoch = (await world.join("bob", "phone", at(0))).welcome.epoch
        phone = await world.join("bob", "phone", at(2), at(1, partition="feed"), epoch=epoch)

        assert phone.welcome.epoch != epoch
        assert [(log.partition, log.position) for log in phone.welcome.logs] == [("chat", 0), ("feed", 0)]


async def test_what_is_written_after_a_device_was_ahead_reaches_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2)
        phone = await world.join("bob", "phone", at(5), epoch=0)
        await phone.heard()
        await world.fill("bob", 3)

        assert (await phone.heard()).payloads == [b"3"]


async def test_a_new_device_starts_at_the_head_and_fetches_history_backwards(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3, 4, 5)
        laptop = await world.join("bob", "laptop", go_on())
        before = await laptop.heard()
        fetch = pb.Fetch(kind=pb.FetchKind.LOG, partition="chat", backwards=True, limit=2)
        pages = []
        for ref in (1, 2, 3):
            laptop.send(fetch=fetch, ref=ref)
            pages += (await laptop.heard()).bodies

        log = laptop.welcome.logs[0]
        assert (log.first, log.head, log.floor, log.position) == (1, 5, 5, 5)
        assert before.messages == []
        assert [[one.payload for one in page.messages] for page in pages] == [[b"5", b"4"], [b"3", b"2"], [b"1"]]
        assert [page.complete for page in pages] == [False, False, True]
        assert {page.turn for page in pages} == {pb.Turn.TURN_FETCH}


async def test_a_partition_that_is_not_named_is_not_sent(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone", begin(pb.Start.FIRST, partition="sync"))
        await world.fill("bob", 1, 2)
        heard = await phone.heard()

        assert heard.messages == []
        assert [log.partition for log in phone.welcome.logs] == ["sync"]


async def test_partitions_are_logs_of_their_own(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        chat, sync = begin(pb.Start.FIRST), begin(pb.Start.FIRST, partition="sync")
        phone = await world.join("bob", "phone", chat, sync)
        carol = await world.join("carol", "phone")
        first = await carol.post("bob", b"a message", "m1")
        second = await carol.post("bob", b"a record", "m2", partition="sync")
        bodies = [body for body in (await phone.heard()).bodies if body.messages]

        assert (first.user_offset, second.user_offset) == (1, 1)
        assert (first.conversation_offset, second.conversation_offset) == (1, 2)
        assert [(body.partition, body.after, body.upto) for body in bodies] == [("chat", 0, 1), ("sync", 0, 1)]


async def test_acks_of_one_partition_move_nothing_in_another(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        both = begin(pb.Start.FIRST), begin(pb.Start.FIRST, partition="sync")
        phone = await world.join("bob", "phone", *both)
        carol = await world.join("carol", "phone")
        await carol.post("bob", b"a message", "m1")
        await carol.post("bob", b"a record", "m2", partition="sync")
        phone.acknowledge(1, partition="sync")
        await phone.heard()
        phone.cut()
        phone = await world.join("bob", "phone", go_on(), go_on("sync"))

        assert [(log.partition, log.floor) for log in phone.welcome.logs] == [("chat", 0), ("sync", 1)]


async def test_messages_written_offline_are_each_decided_and_answered_in_order(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")
        phone = await world.join("alice", "phone")
        first = await phone.post("bob", b"1", "m1")
        phone.cut()

        written = [
            message("bob", b"2", "m2"),
            message("bob", b"1", "m1"),
            message("nobody", b"3", "m3"),
            message("bob", b"other", "m1"),
            message("", b"5", "m5"),
            message("bob", b"6", "m6"),
        ]
        phone = await world.join("alice", "phone", at(0, (1, 1)), messages=written)
        results = phone.welcome.results
        got = await bob.heard()

        assert [(r.sent.id, r.sent.user_offset, r.sent.duplicate) for r in results if r.sent is not None] == [
            ("m2", 2, False),
            ("m1", first.user_offset, True),
            ("m6", 3, False),
        ]
        assert [(i, r.error.id, r.error.code) for i, r in enumerate(results) if r.error is not None] == [
            (2, "m3", pb.ErrorCode.NOT_FOUND),
            (3, "m1", pb.ErrorCode.CONFLICT),
            (4, "m5", pb.ErrorCode.INVALID),
        ]
        assert got.payloads == [b"1", b"2", b"6"]


async def test_what_was_written_offline_and_is_answered_is_no_entry_besides(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        phone = await world.join("alice", "phone", messages=[message("bob", b"1", "m1")])

        assert phone.welcome.results[0].sent is not None
        assert (await phone.heard()).payloads == []


async def test_the_answer_to_hello_is_the_first_frame_whatever_else_was_asked(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3)
        phone = world.connect("bob", "phone")
        phone.send(hello=pb.Hello(partitions=[at(0)]), ref=1)
        phone.send(hello=pb.Hello(), ref=2)
        phone.send(ping_pong=pb.PingPong(id="now"), ref=3)
        phone.write("carol", b"hi", "m1")
        phone.send(fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="chat"), ref=4)
        heard = await phone.heard()

        assert heard.frames[0].hello is not None
        assert heard.codes == [pb.ErrorCode.OUT_OF_ORDER]
        assert [body.after for body in heard.bodies if body.turn == pb.Turn.IN_TURN and body.messages] == [0]


async def test_a_device_says_at_hello_what_it_took_and_never_moves_its_floor_back(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        await world.fill("bob", 1, 2, 3, 4, 5)
        carol = await world.join("carol", "phone", at(5))
        (await world.join("bob", "phone", at(4))).cut()
        receipts = (await carol.heard()).receipts
        lower = await world.join("bob", "phone", at(2))

        assert lower.welcome.logs[0].floor == 4
        assert (await lower.heard()).payloads == [b"3", b"4", b"5"]
        assert receipts == [("bob", pb.MessageStatus.DELIVERED, 1, 4)]


async def test_two_positions_of_one_partition_are_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = world.connect("bob", "phone")
        phone.send(hello=pb.Hello(partitions=[at(0), at(0)]), ref=1)

        assert (await phone.heard()).codes == [pb.ErrorCode.INVALID]
        assert await phone.closed() == 4106


async def test_of_a_hello_that_names_no_partition_of_the_server_nothing_is_taken_up(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """What it says of its other partitions is not, or they would go ahead, and nobody be told what was skipped; nor is
    what it wrote, or that would have no answer.
    """
    async with open_world(open_store=open_store) as world:
        alice = await world.join("alice", "phone")
        await world.register("bob")
        await world.fill("bob", 1, 2)
        phone = await world.join("bob", "phone", at(0))
        await phone.heard()
        phone.cut()

        wrong = world.connect("bob", "phone")
        positions = [begin(pb.Start.HEAD), begin(pb.Start.HEAD, partition="secrets")]
        wrong.send(hello=pb.Hello(partitions=positions, messages=[message("alice", b"lost", "m1")]), ref=5)
        (refused,) = (await wrong.heard()).frames
        phone = await world.join("bob", "phone", go_on())

        assert refused.error is not None
        assert (refused.error.code, refused.error.field) == (pb.ErrorCode.NOT_FOUND, "partitions.partition")
        assert await wrong.closed() == 4106
        assert phone.welcome.logs == [pb.LogState(partition="chat", first=1, head=2, floor=0, position=0)]
        assert (await phone.heard()).payloads == [b"1", b"2"]
        assert (await alice.heard()).messages == []
