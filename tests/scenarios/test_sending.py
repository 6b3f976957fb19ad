"""A message is accepted once, however often it is sent, and refused with a reason (I5, I10)."""

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.operations import Operations
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import at, begin, go_on, message, open_world
from tests.scenarios.conftest import OpenStore


async def test_the_same_id_and_content_get_the_first_answer_again(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        first = await alice.post("bob", b"hi", "m1", timestamp=1)
        second = await alice.post("bob", b"hi", "m1", timestamp=2)
        second_but_for_duplicate = pb.Signal.parse(bytes(second))
        second_but_for_duplicate.duplicate = False

        assert second.duplicate
        assert second_but_for_duplicate == first
        assert (await bob.heard()).payloads == [b"hi"]


async def test_the_same_id_twice_in_one_batch_is_accepted_once(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        alice.send(body=pb.Body(messages=[message("bob", b"hi", "m1"), message("bob", b"hi", "m1")]))
        heard = await alice.heard()

        assert [(one.user_offset, one.duplicate) for one in heard.sent] == [(1, False), (1, True)]
        assert (await bob.heard()).payloads == [b"hi"]


async def test_an_id_is_known_after_a_restart(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        first = await alice.post("bob", b"hi", "m1")
    async with open_world(open_store=open_store) as world:
        alice = await world.join("alice", "phone")
        again = await alice.post("bob", b"hi", "m1")
        new = await alice.post("bob", b"hi", "m2")

        assert (again.duplicate, again.signal_offset) == (True, first.signal_offset)
        assert new.signal_offset > first.signal_offset
        assert (new.user_offset, new.conversation_offset) == (2, 2)


@pytest.mark.parametrize(
    "other",
    [
        message("bob", b"other", "m1"),
        message("carol", b"hi", "m1"),
        message("bob", b"hi", "m1", encrypted="eA=="),
        message("bob", b"hi", "m1", encryption_type="none"),
        message("bob", b"hi", "m1", partition="sync"),
        pb.Message(id="m1", to=pb.Identity(eid="bob"), type=7, payload=b"hi"),
    ],
)
async def test_the_same_id_with_other_content_is_a_conflict(autojump_clock: MockClock, other: pb.Message) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        await world.register("carol")
        alice = await world.join("alice", "phone")
        await alice.post("bob", b"hi", "m1")
        alice.send(message=other, ref=8)
        heard = await alice.heard()

        assert [(error.code, error.id, error.ref) for error in heard.errors] == [(pb.ErrorCode.CONFLICT, "m1", 8)]
        assert (await bob.heard()).payloads == [b"hi"]


async def test_each_device_has_ids_of_its_own(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice, laptop = await world.join("alice", "phone"), await world.join("alice", "laptop")
        await alice.post("bob", b"from the phone", "m1")
        await laptop.post("bob", b"from the laptop", "m1")

        assert (await bob.heard()).payloads == [b"from the phone", b"from the laptop"]


async def test_a_message_without_an_id_is_given_one(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        alice.write("bob", b"1")
        alice.write("bob", b"1")
        sent = (await alice.heard()).sent
        got = (await bob.heard()).messages

        assert len({one.id for one in sent} - {""}) == 2
        assert [one.id for one in got] == [one.id for one in sent]


async def test_an_unknown_recipient_is_refused(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice = await world.join("alice", "phone")
        alice.write("nobody", b"hi", "m1")
        [error] = (await alice.heard()).errors

        assert (error.code, error.field, error.id) == (pb.ErrorCode.NOT_FOUND, "to.eid", "m1")
        assert "'nobody'" in error.message


async def test_or_accepted_where_the_server_is_configured_so(autojump_clock: MockClock, open_store: OpenStore) -> None:
    settings = settings_for_tests(BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS="true")
    async with open_world(settings=settings, open_store=open_store) as world:
        alice = await world.join("alice", "phone")
        await alice.post("newcomer", b"welcome", "m1")
        newcomer = await world.join("newcomer", "phone")

        assert (await newcomer.heard()).payloads == [b"welcome"]


async def test_a_user_whom_an_operator_created_is_written_to_before_they_come(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        alice = await world.join("alice", "phone")
        operations = Operations(world.server)
        created = [await operations.create_user(eid) for eid in ("bob", "bob", "", "b" * 256)]
        await alice.post("bob", b"welcome", "m1")
        bob = await world.join("bob", "phone")

        assert created == [
            {"eid": "bob", "user": 2, "created": True},
            {"eid": "bob", "user": 2, "created": False},
            None,
            None,
        ]
        assert (await bob.heard()).payloads == [b"welcome"]


async def test_an_unknown_partition_is_refused_and_the_known_ones_are_named(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        alice.write("bob", b"hi", "m1", partition="pigeons")
        [error] = (await alice.heard()).errors

        assert (error.code, error.field) == (pb.ErrorCode.NOT_FOUND, "partition")
        assert "chat, feed, notification, sync" in error.message


async def test_a_message_goes_to_the_partition_that_its_kind_implies(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        alice.send(message=pb.Message(id="1", to=pb.Identity(eid="bob"), type=0))
        alice.send(message=pb.Message(id="2", to=pb.Identity(eid="bob"), type=2))
        alice.send(message=pb.Message(id="3", type=1, scope="friend"))

        assert [one.partition for one in (await alice.heard()).sent] == ["chat", "notification", "feed"]


async def test_a_message_to_oneself_is_one_entry(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        laptop = await world.join("alice", "laptop")
        phone = await world.join("alice", "phone")
        first = await phone.post("alice", b"a note", "m1")
        second = await phone.post("alice", b"another", "m2")
        heard = await laptop.heard()

        assert (first.user_offset, second.user_offset) == (1, 2)
        assert heard.offsets == [1, 2]
        assert heard.payloads == [b"a note", b"another"]


async def test_nobody_writes_in_another_ones_name(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        alice.write("bob", b"send money", "m1", from_=pb.Identity(eid="carol"))
        heard = await alice.heard()

        assert [(error.code, error.field) for error in heard.errors] == [(pb.ErrorCode.FORBIDDEN, "from.eid")]
        assert (await bob.heard()).messages == []


async def test_the_device_in_from_is_the_one_that_wrote_whatever_it_says(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        await alice.post("bob", b"hi", "m1", from_=pb.Identity(eid="alice", connection_resource_id="watch", node="n"))
        [got] = (await bob.heard()).messages

        assert got.from_ == pb.Identity(eid="alice", connection_resource_id="phone")


async def test_what_only_the_server_says_is_ignored_from_clients(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        claimed = {
            "signal_id": "mine",
            "status": 3,
            "signal_offset": 1,
            "user_offset": 77,
            "conversation": "c99",
            "conversation_offset": 9,
            "server_time": 5,
            "expires_at": 6,
            "erased": True,
        }
        sent = await alice.post("bob", b"hi", "m1", **claimed)
        [got] = (await bob.heard()).messages

        assert (got.signal_id, got.signal_offset, got.status) == (sent.signal_id, sent.signal_offset, 1)
        assert (got.user_offset, got.conversation, got.conversation_offset) == (1, sent.conversation, 1)
        assert (got.server_time, got.expires_at, got.erased) == (sent.timestamp, 0, False)


async def test_both_sides_see_a_conversation_in_one_order(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        bob, bob_laptop = await world.join("bob", "phone"), await world.join("bob", "laptop")
        alice, alice_laptop = await world.join("alice", "phone"), await world.join("alice", "laptop")
        for number in range(20):
            alice.write("bob", b"a%d" % number, f"m{number}")
            bob.write("alice", b"b%d" % number, f"m{number}")
        seen = [
            [(one.conversation_offset, one.payload) for one in (await laptop.heard()).messages]
            for laptop in (bob_laptop, alice_laptop)
        ]

        assert [place for place, _ in seen[0]] == list(range(1, 41))
        assert seen[0] == seen[1]


async def test_a_message_that_is_too_large_costs_its_sender_one_answer(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        alice.write("bob", bytes(70_000), "m1")
        alice.write("bob", b"small", "m2")
        heard = await alice.heard()

        assert [(error.code, error.id) for error in heard.errors] == [(pb.ErrorCode.TOO_LARGE, "m1")]
        assert [one.id for one in heard.sent] == ["m2"]


def for_device(eid: str, device: str, payload: bytes | None = None) -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=device), payload=payload)


async def test_only_the_addressed_devices_get_a_message_each_with_its_own_payload(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        bob = [await world.join("bob", device) for device in ("phone", "laptop", "tablet")]
        sibling = await world.join("alice", "laptop")
        alice = await world.join("alice", "phone")
        addresses = [for_device("bob", "phone", b"for the phone"), for_device("bob", "laptop")]
        await alice.post("bob", b"for all", "m1", devices=addresses)
        await alice.post("bob", b"to everybody", "m2")
        heard = [await client.heard() for client in (*bob, sibling)]

        assert [one.payloads for one in heard] == [
            [b"for the phone", b"to everybody"],
            [b"for all", b"to everybody"],
            [b"to everybody"],
            [b"to everybody"],
        ]
        assert [one.ranges[-1][1] for one in heard] == [2, 2, 2, 2]
        assert all(not message.devices for one in heard for message in one.messages)


async def test_an_addressed_payload_is_kept_for_a_device_that_returns(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone", "laptop")
        alice = await world.join("alice", "phone")
        addresses = [for_device("bob", "phone", b"for the phone"), for_device("alice", "phone", b"for myself")]
        await alice.post("bob", b"for all", "m1", devices=addresses)
    async with open_world(open_store=open_store) as world:
        phone = await world.join("bob", "phone", at(0))
        laptop = await world.join("bob", "laptop", at(0))
        alice = await world.join("alice", "phone", at(0))

        assert (await phone.heard()).payloads == [b"for the phone"]
        passed_over = await laptop.heard()
        assert (passed_over.ranges, passed_over.payloads) == ([(0, 1)], [])
        assert (await alice.heard()).payloads == [b"for all"]


async def test_a_user_of_whom_no_device_is_addressed_has_no_entry(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("alice", "laptop")
        bob = await world.join("bob", "phone", begin(pb.Start.FIRST))
        alice = await world.join("alice", "phone")
        await alice.post("bob", b"for my laptop", "m1", devices=[for_device("alice", "laptop")])
        await alice.post("bob", b"for bob", "m2")
        heard = await bob.heard()

        assert [(one.user_offset, one.conversation_offset) for one in heard.messages] == [(1, 2)]


@pytest.mark.parametrize(
    ("address", "code"),
    [
        (for_device("alice", "toaster"), pb.ErrorCode.NOT_FOUND),
        (for_device("carol", "phone"), pb.ErrorCode.INVALID),
        (for_device("nobody", "phone"), pb.ErrorCode.INVALID),
        (for_device("bob", ""), pb.ErrorCode.INVALID),
    ],
)
async def test_an_address_that_nobody_has_is_refused(
    autojump_clock: MockClock, address: pb.DeviceAddress, code: pb.ErrorCode
) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        await world.register("carol")
        alice = await world.join("alice", "phone")
        alice.write("bob", b"hi", "m1", devices=[for_device("bob", "phone"), address])

        assert (await alice.heard()).codes == [code]
        assert (await bob.heard()).messages == []


async def test_which_devices_somebody_has_is_not_told_to_who_addresses_them(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """Neither by the answer, nor by what the message weighs, nor by what others get."""
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        for number, name in enumerate(("phone", "toaster")):
            address = for_device("bob", name, b"secret")
            alice.write("bob", b"hi", f"m{number}", devices=[address])
        answers = await alice.heard()
        bob.send(signal=pb.Signal(status=pb.MessageStatus.READ, to=pb.Identity(eid="alice"), upto=2))
        told = await alice.heard()
        heard = await bob.heard()

        assert answers.errors == []
        assert [(one.id, one.user_offset, one.conversation_offset) for one in answers.sent] == [
            ("m0", 1, 1),
            ("m1", 2, 2),
        ]
        assert heard.payloads == [b"secret"]
        assert heard.ranges[-1][1] == 2
        assert {last for _, _, _, last in told.receipts} == {1}  # what no device got was not read


async def test_an_addressed_entry_is_redelivered_with_its_own_payload(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_LIMITS_GRACE_SECONDS="0.1")) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        await alice.post("bob", b"for all", "m1", devices=[for_device("bob", "phone", b"for the phone")])
        await trio.sleep(0.1)

        assert (await bob.heard()).payloads[:2] == [b"for the phone"] * 2


async def test_messages_that_arrive_together_are_one_operation_whatever_frames_they_come_in(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        carol, bob = await world.join("carol", "phone"), await world.join("bob", "phone")
        before = world.server.journal_statistics.operations
        for number in range(4):
            carol.send(message=message("bob", b"%d" % number, f"m{number}"), ref=number)
        heard = await carol.heard()

        assert [(one.id, one.ref) for one in heard.sent] == [("m0", 0), ("m1", 1), ("m2", 2), ("m3", 3)]
        assert (await bob.heard()).payloads == [b"0", b"1", b"2", b"3"]
        assert world.server.journal_statistics.operations == before + 1


async def test_each_of_them_is_answered_for_itself_and_in_order(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        carol, bob = await world.join("carol", "phone"), await world.join("bob", "phone")
        await carol.post("bob", b"known", "m1")
        await bob.heard()
        sent = [
            message("bob", b"0", "m0"),
            message("bob", b"known", "m1"),
            message("bob", b"other", "m1"),
            message("nobody", b"3", "m3"),
            message("bob", b"4", "m4"),
            message("bob", b"5", "m5", partition="pigeons"),
            message("carol", b"6", "m6"),
        ]
        for ref, one in enumerate(sent, 10):
            carol.send(message=one, ref=ref)
        carol.send(ping_pong=pb.PingPong(id="last"), ref=99)
        heard = await carol.heard()

        assert [(one.id, one.ref, one.duplicate) for one in heard.sent] == [
            ("m0", 10, False),
            ("m1", 11, True),
            ("m4", 14, False),
            ("m6", 16, False),
        ]
        assert sorted((error.ref, error.code) for error in heard.errors) == [
            (12, pb.ErrorCode.CONFLICT),
            (13, pb.ErrorCode.NOT_FOUND),
            (15, pb.ErrorCode.NOT_FOUND),
        ]
        assert [frame.ping_pong.id for frame in heard.frames if frame.ping_pong is not None] == ["last"]
        assert (await bob.heard()).payloads == [b"0", b"4"]


async def test_a_fetch_sees_what_was_written_before_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        carol = await world.join("carol", "phone")
        carol.send(message=message("bob", b"1", "m1"))
        carol.send(fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="chat"), ref=5)
        carol.send(message=message("bob", b"2", "m2"))
        heard = await carol.heard()

        (answer,) = [body for body in heard.bodies if body.ref == 5]
        assert [one.payload for one in answer.messages][:1] == [b"1"]
        assert [one.id for one in heard.sent] == ["m1", "m2"]


async def test_commands_in_a_batch_cost_its_messages_nothing(autojump_clock: MockClock) -> None:
    """Each is answered for itself, like everything in a batch."""
    async with open_world() as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        commands = [pb.Command(id="k1", kind=pb.CommandKind.EDIT), pb.Command(id="k2")]
        alice.send(body=pb.Body(messages=[message("bob", b"hi", "m1")], commands=commands), ref=5)
        heard = await alice.heard()

        assert [signal.id for signal in heard.sent] == ["m1"]
        assert [(error.code, error.id, error.ref) for error in heard.errors] == [
            (pb.ErrorCode.INVALID, "k1", 5),
            (pb.ErrorCode.UNSUPPORTED, "k2", 5),
        ]
        assert (await bob.heard()).payloads == [b"hi"]


@pytest.mark.parametrize(
    "batch",
    [
        pb.Body(),
        pb.Body(gaps=[pb.Gap(partition="chat", to=9)]),
        pb.Body(states=[pb.StateDelta(upto=9)]),
        pb.Body(errors=[pb.ErrorMessage(code=pb.ErrorCode.INVALID)]),
        pb.Body(partition="chat", after=3, upto=9),
    ],
)
async def test_a_batch_without_parts_is_answered_by_one(autojump_clock: MockClock, batch: pb.Body) -> None:
    """What only a server says in it is ignored."""
    async with open_world() as world:
        alice = await world.join("alice", "phone")
        await alice.heard()
        alice.send(body=batch, ref=5)
        heard = await alice.heard()

        assert [(frame.ref, frame.body) for frame in heard.frames] == [(5, pb.Body(ref=5))]


async def test_a_message_tells_the_partition_that_its_type_implies(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob = await world.join("bob", "phone", go_on(), go_on("notification"))
        alice = await world.join("alice", "phone")
        sent = await alice.post("bob", b"chat", "m1")
        alice.send(message=pb.Message(id="m2", to=pb.Identity(eid="bob"), type=2, payload=b"notice"))
        await alice.heard()
        await bob.heard()
        bob.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=sent.conversation, offset=1), ref=2)
        told = {(one.payload, one.partition) for one in (await bob.heard()).messages}

        assert told == {(b"chat", "chat"), (b"notice", "notification")}
