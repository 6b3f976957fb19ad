"""Who received, read and played what: only ever forward, and told to all of the sender's devices."""

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.testing.virtual import BEGIN
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world, ranges
from tests.kit.received import ReceiptRun
from tests.scenarios.conftest import OpenStore

DELIVERED, READ, PLAYED = pb.MessageStatus.DELIVERED, pb.MessageStatus.READ, pb.MessageStatus.PLAYED

LONG = 2_500
"""Entries: more than one slice of an acknowledgement."""


async def alice_wrote(world: World, count: int = 1) -> tuple[Client, Client, str]:
    """Alice's phone and bob's phone, after messages from her to him; and their conversation."""
    bob = await world.join("bob", "phone")
    alice = await world.join("alice", "phone")
    for number in range(1, count + 1):
        sent = await alice.post("bob", b"%d" % number, f"m{number}")
    await alice.heard()
    await bob.heard()
    return alice, bob, sent.conversation


async def test_the_first_ack_by_any_device_makes_a_message_delivered(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, _ = await alice_wrote(world)
        laptop = await world.join("bob", "laptop")
        laptop.acknowledge(1)
        first = await alice.heard()
        bob.acknowledge(1)
        second = await alice.heard()

        assert first.receipts == [("bob", DELIVERED, 1, 1)]
        assert second.receipts == []


async def test_read_implies_delivered_and_played_implies_read(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, conversation = await alice_wrote(world, 3)
        bob.read(conversation, 1)
        read = await alice.heard()
        played = pb.Signal(status=PLAYED, conversation=conversation, conversation_offset=2)
        bob.send(signal=played)
        heard = await alice.heard()

        assert sorted(read.receipts) == [("bob", DELIVERED, 1, 1), ("bob", READ, 1, 1)]
        assert sorted(heard.receipts) == [("bob", DELIVERED, 2, 2), ("bob", READ, 2, 2), ("bob", PLAYED, 2, 2)]


async def test_nothing_moves_back_and_the_earliest_time_wins(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world, 2)
        bob.read(conversation, 2)
        await alice.heard()
        read_at = trio.current_time()
        await trio.sleep(60)
        bob.acknowledge(2)
        bob.read(conversation, 1)
        later = await alice.heard()
        laptop = await world.join("alice", "laptop")
        runs = [
            (item.receipts.kind, run.from_, run.to, run.time)
            for state in (await laptop.heard()).states
            for item in state.items
            if item.receipts is not None
            for run in item.receipts.runs
        ]

        assert later.receipts == []
        assert [(kind, first, last) for kind, first, last, _ in sorted(runs)] == [(DELIVERED, 1, 2), (READ, 1, 2)]
        assert all(time <= BEGIN + read_at * 1000 for *_, time in runs)


async def test_all_of_the_senders_devices_learn_of_it_also_one_that_connects_later(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, _ = await alice_wrote(world)
        tablet = await world.join("alice", "tablet")
        await tablet.heard()
        bob.acknowledge(1)
        live = (await alice.heard()).receipts, (await tablet.heard()).receipts
        later = await world.join("alice", "laptop")
        caught_up = await later.heard()

        assert live == ([("bob", DELIVERED, 1, 1)], [("bob", DELIVERED, 1, 1)])
        assert later.welcome.state_version == 4  # three devices, and one receipt
        assert caught_up.receipts == [("bob", DELIVERED, 1, 1)]
        assert [(s.after, s.upto, s.reset, s.complete) for s in caught_up.states] == [(0, 4, True, True)]


async def test_a_device_that_tells_its_version_gets_what_changed_since(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, conversation = await alice_wrote(world, 2)
        bob.acknowledge(1)
        version = (await alice.heard()).states[-1].upto
        alice.cut()
        bob.read(conversation, 1)
        await bob.heard()
        alice = await world.join("alice", "phone", go_on(), state_version=version)
        heard = await alice.heard()
        alice.cut()
        unchanged = await world.join("alice", "phone", go_on(), state_version=heard.states[-1].upto)

        assert [(s.after, s.upto, s.reset, s.complete) for s in heard.states] == [(version, version + 1, False, False)]
        assert heard.receipts == [("bob", READ, 1, 1)]
        assert (await unchanged.heard()).states == []


async def test_ones_own_reading_is_told_to_ones_other_devices(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, bob, conversation = await alice_wrote(world)
        laptop = await world.join("bob", "laptop")
        await laptop.heard()
        bob.read(conversation, 1)

        assert (await laptop.heard()).receipts == [("bob", READ, 1, 1)]


async def test_nobody_receives_or_reads_what_they_wrote_themselves(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world)
        laptop = await world.join("alice", "laptop")
        await laptop.heard()
        laptop.acknowledge(1)
        laptop.read(conversation, 1)
        note = await alice.post("alice", b"a note to myself", "note")
        laptop.acknowledge(2)
        laptop.read(note.conversation, 1)

        assert (await laptop.heard()).receipts == []
        assert (await alice.heard()).receipts == []
        assert (await bob.heard()).receipts == []


async def test_starting_somewhere_gives_no_receipts(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        await world.join("bob", "phone", begin(pb.Start.HEAD))
        await world.join("bob", "laptop", begin(pb.Start.LAST, last=1))
        carol = await world.join("carol", "phone", go_on())

        assert (await carol.heard()).receipts == []


async def test_receipts_name_a_conversation_by_its_other_member_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, _ = await alice_wrote(world, 2)
        by_peer = pb.Signal(status=READ, to=pb.Identity(eid="alice"), offsets=ranges((2, 2)))
        bob.send(signal=by_peer)

        assert sorted((await alice.heard()).receipts) == [("bob", DELIVERED, 2, 2), ("bob", READ, 2, 2)]


async def test_a_conversation_of_others_is_answered_like_one_that_does_not_exist(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world)
        eve = await world.join("eve", "phone")
        answers = []
        for name in (conversation, "c999", "nonsense", "c0"):
            eve.read(name, 1)
            eve.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=name))
            heard = await eve.heard()
            answers.append(sorted((error.code, error.message.replace(name, "?")) for error in heard.errors))

        assert answers[0] == answers[1]
        assert [[code for code, _ in answer] for answer in answers] == [[pb.ErrorCode.NOT_FOUND] * 2] * 4
        assert (await alice.heard()).frames == (await bob.heard()).frames == []


async def test_of_several_conversations_each_is_told_to_its_own_members(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, _ = await alice_wrote(world)
        carol = await world.join("carol", "phone")
        await carol.post("bob", b"psst", "c1")
        await bob.heard()
        bob.acknowledge(2)

        assert (await alice.heard()).receipts == [("bob", DELIVERED, 1, 1)]
        assert (await carol.heard()).receipts == [("bob", DELIVERED, 1, 1)]


async def test_a_receipt_beyond_the_conversations_end_is_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world)
        bob.read(conversation, 2)

        assert (await bob.heard()).codes == [pb.ErrorCode.OFFSET_BEYOND_HEAD]
        assert (await alice.heard()).receipts == []


async def test_no_receipt_claims_what_was_addressed_to_nobody_of_that_user(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world)
        await world.register("alice", "laptop")
        laptop = pb.DeviceAddress(identity=pb.Identity(eid="alice", connection_resource_id="laptop"))
        await alice.post("bob", b"only for my laptop", "m2", devices=[laptop])
        bob.read(conversation, 2)

        assert sorted((await alice.heard()).receipts) == [("bob", DELIVERED, 1, 1), ("bob", READ, 1, 1)]


async def test_a_long_conversation_has_its_receipts_in_blocks(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, _ = await alice_wrote(world, 300)
        bob.acknowledge(300)
        heard = await alice.heard()
        late = await world.join("alice", "laptop")

        assert heard.receipts == [("bob", DELIVERED, 1, 256), ("bob", DELIVERED, 257, 300)]
        assert (await late.heard()).receipts == heard.receipts


async def test_a_state_of_many_pages_joins_and_ends(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("alice")
        expected = await many_receipts(world, 70)
        laptop = await world.join("alice", "laptop", go_on())
        heard = await laptop.heard()
        states = heard.states

        assert len(states) == 2
        assert [(s.reset, s.complete) for s in states] == [(True, False), (False, True)]
        assert (states[0].after, states[0].upto, states[1].upto) == (0, states[1].after, laptop.welcome.state_version)
        assert sorted(heard.receipts) == sorted(expected)


async def test_what_changed_again_is_told_whole_to_a_device_that_catches_up(autojump_clock: MockClock) -> None:
    """Live, only what is new of a block is told: a device that has not had the rest of it needs the block."""
    async with open_world() as world:
        await world.register("alice")
        expected = await many_receipts(world, 70)
        peer = await world.join("peer 0", "phone", at(1))
        alice = await world.join("alice", "phone", go_on())
        await alice.post("peer 0", b"again", "again")
        peer.acknowledge(2)
        await peer.heard()
        laptop = await world.join("alice", "laptop", go_on())
        heard = await laptop.heard()

        assert {(run.member, run.kind, run.first) for run in heard.receipts} == {
            *((run.member, run.kind, run.first) for run in expected),
            ("peer 0", DELIVERED, 2),
        }


async def many_receipts(world: World, peers: int) -> list[ReceiptRun]:
    """Alice wrote to many, all of whom received and read it: two changes of her state for each."""
    await world.join("alice", "tablet", go_on())
    alice = await world.join("alice", "phone", go_on())
    for number in range(peers):
        peer = await world.join(f"peer {number}", "phone")
        sent = await alice.post(f"peer {number}", b"hi", f"m{number}")
        peer.read(sent.conversation, 1)
        await peer.heard()
        peer.cut()
    alice.cut()
    return [ReceiptRun(f"peer {n}", kind, 1, 1) for n in range(peers) for kind in (DELIVERED, READ)]


async def test_what_was_sent_may_be_read_before_it_is_acknowledged_and_what_was_not_is_passed_over(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """Messages 2 and 3 never came to a device of bob's: one was for a device that never connected again, the other lies
    in a partition that nobody asked for.
    """
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "tablet")
        alice, bob, conversation = await alice_wrote(world)
        tablet = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="tablet"))
        await alice.post("bob", b"2", "m2", devices=[tablet])
        await alice.post("bob", b"3", "m3", partition="feed")
        await alice.post("bob", b"4", "m4")
        await bob.heard()
        bob.read(conversation, 4)
        read = await alice.heard()
        played = pb.Signal(status=PLAYED, conversation=conversation, offsets=ranges((2, 3)))
        bob.send(signal=played)
        heard = await alice.heard()

        assert sorted(read.receipts) == sorted(
            ("bob", kind, place, place) for kind in (DELIVERED, READ) for place in (1, 4)
        )
        assert heard.receipts == []
        assert (await bob.heard()).errors == []


async def test_what_a_sibling_acknowledged_may_be_read_and_what_was_fetched(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world, 3)
        bob.acknowledge(1)
        laptop = await world.join("bob", "laptop", begin(pb.Start.HEAD))
        await alice.heard()
        laptop.read(conversation, 3)
        one = await alice.heard()
        laptop.send(
            fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation, offset=3, limit=1, backwards=True)
        )
        await laptop.heard()
        laptop.read(conversation, 3)
        another = await alice.heard()

        assert one.receipts == [("bob", READ, 1, 1)]
        assert sorted(another.receipts) == [("bob", DELIVERED, 3, 3), ("bob", READ, 3, 3)]


async def test_a_read_behind_a_long_acknowledgement_finds_all_of_it_acknowledged(autojump_clock: MockClock) -> None:
    """Which is decided in slices; meanwhile others go on."""
    async with open_world() as world:
        await world.register("bob")
        await world.fill("bob", *range(1, LONG + 1))
        carol = await world.join("carol", "phone", at(LONG))
        bob = await world.join("bob", "phone", at(0))
        bob.acknowledge(LONG)
        bob.send(signal=pb.Signal(status=READ, to=pb.Identity(eid="carol"), offsets=ranges((LONG - 9, LONG))))
        told = (await carol.heard()).receipts

        assert sum(run.last - run.first + 1 for run in told if run.kind == READ) == 10


async def test_many_acks_and_receipts_of_one_batch_are_one_item_each_for_who_wrote_the_messages(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        for number in range(20):
            sent = await ann.post("bob", b"%d" % number, f"m{number}")
        await bob.heard()
        await ann.heard()
        acks = [pb.Signal(status=DELIVERED, partition="chat", upto=upto) for upto in range(1, 21)]
        reads = [pb.Signal(status=READ, conversation=sent.conversation, upto=upto) for upto in range(1, 21)]
        played = [
            pb.Signal(status=PLAYED, conversation=sent.conversation, conversation_offset=place) for place in (3, 9, 4)
        ]
        bob.send(body=pb.Body(signals=acks))
        delivered = await ann.heard()
        bob.send(body=pb.Body(signals=[*reads, *played]))
        read = await ann.heard()

        assert [len(state.items) for state in delivered.states] == [1]
        assert sorted(delivered.receipts + read.receipts) == [
            ReceiptRun("bob", DELIVERED, 1, 20),
            ReceiptRun("bob", READ, 1, 20),
            ReceiptRun("bob", PLAYED, 3, 4),
            ReceiptRun("bob", PLAYED, 9, 9),
        ]
        assert sum(len(state.items) for state in read.states) == 2


async def test_who_played_a_message_has_read_it_and_who_read_it_has_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
        sent = await ann.post("bob", b"a song", "m1")
        await bob.heard()
        bob.send(signal=pb.Signal(status=PLAYED, conversation=sent.conversation, conversation_offset=1))

        assert sorted((await ann.heard()).receipts) == [
            ReceiptRun("bob", kind, 1, 1) for kind in (DELIVERED, READ, PLAYED)
        ]
