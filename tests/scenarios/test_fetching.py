"""Fetch: a device asks, and nothing moves by it."""

from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, go_on, open_world
from tests.scenarios.conftest import OpenStore

UNACKNOWLEDGED, LOG, HISTORY = pb.FetchKind.UNACKNOWLEDGED, pb.FetchKind.LOG, pb.FetchKind.HISTORY


def identity(eid: str, device: str | None = None) -> pb.Identity:
    return pb.Identity(eid=eid, connection_resource_id=device)


async def fetch(client: Client, kind: pb.FetchKind = UNACKNOWLEDGED, **fields: Any) -> pb.Body:
    """One Fetch and its answer."""
    given = fields if kind == HISTORY else {"partition": "chat", **fields}
    client.send(fetch=pb.Fetch(kind=kind, **given), ref=77)
    bodies = [body for body in (await client.heard()).bodies if body.ref == 77]
    assert len(bodies) == 1, bodies
    assert bodies[0].turn == pb.Turn.TURN_FETCH
    return bodies[0]


def rows(body: pb.Body) -> list[tuple[int, bytes, bool]]:
    """(offset, payload, acknowledged)."""
    acknowledged = body.acknowledged
    assert len(acknowledged) == len(body.messages)
    return [(m.user_offset or 0, m.payload, a) for m, a in zip(body.messages, acknowledged, strict=True)]


async def passive(world: World, eid: str, device: str) -> Client:
    """A device that is sent nothing by itself: it named no partition of the chats."""
    return await world.join(eid, device, go_on("sync"))


async def test_the_worked_example_of_seed_000(autojump_clock: MockClock, open_store: OpenStore) -> None:
    """How `Fetch`, `next_offset` and acks work together.

    Its offsets count from 0, ours from 1. Its next_offset is shared by all devices; here it belongs to a connection.
    Its `acknowledged` is one flag for each entry; here it is that of the asking device. The entries are addressed to
    devices, and written by a fourth device of the same user: a device's own entries are not owed to it.
    """
    async with open_world(open_store=open_store) as world:
        await world.register("paul@id", "device_1", "device_2", "device_3")
        fourth = await world.join("paul@id", "device_4")
        for number, (device, text) in enumerate(
            [("device_1", "1"), ("device_1", "2"), ("device_2", "1"), ("device_3", "1")]
        ):
            payload = f"Hello from {device} - {text}".encode()
            address = pb.DeviceAddress(identity=identity("paul@id", device))
            await fourth.post("paul@id", payload, f"m{number}", devices=[address])
        device_1 = await passive(world, "paul@id", "device_1")
        device_2 = await passive(world, "paul@id", "device_2")
        asked: dict[str, Any] = {"from_": identity("paul@id"), "limit": 10}

        # Step 1: device 1 fetches from the first offset.
        answer = await fetch(device_1, to=identity("paul@id", "device_1"), offset=1, **asked)

        assert rows(answer) == [(1, b"Hello from device_1 - 1", False), (2, b"Hello from device_1 - 2", False)]
        assert answer.next_offset == 3

        # Step 2: so does device 2, on a connection of its own.
        answer = await fetch(device_2, to=identity("paul@id", "device_2"), offset=1, **asked)

        assert rows(answer) == [(3, b"Hello from device_2 - 1", False)]
        assert answer.next_offset == 4

        # Step 3: device 1 acknowledges its first one. That moves no fetch, and changes nothing for device 2.
        device_1.acknowledge(0, 1)
        device_1.acknowledge(0, 2)
        device_2.acknowledge(0, 3)
        both = await fetch(device_1, LOG, offset=1)
        await device_2.heard()

        assert rows(both) == [(1, b"Hello from device_1 - 1", True), (2, b"Hello from device_1 - 2", True)]

        # Step 4: device 2 goes on. The seed shows it an entry that is addressed to device_3, against the seed's own
        # filter (`to` is device_2): the filter is followed, and nothing is left.
        answer = await fetch(device_2, to=identity("paul@id", "device_2"), **asked)

        assert rows(answer) == []
        assert (answer.next_offset, answer.complete) == (5, True)


async def test_a_device_that_asks_in_another_ones_name_gets_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone", "laptop")
        await world.fill("bob", 1, 2)
        phone = await passive(world, "bob", "phone")
        phone.cut()
        laptop = await passive(world, "bob", "laptop")
        others = [identity("bob", "phone"), identity("carol"), identity("carol", "laptop")]

        assert [rows(await fetch(laptop, LOG, to=other)) for other in others] == [[], [], []]
        own = await fetch(laptop, LOG, to=identity("bob", "laptop"))
        assert [payload for _, payload, _ in rows(own)] == [b"1", b"2"]


async def test_fetching_moves_no_position_and_no_floor(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        phone = await world.join("bob", "phone", at(0))
        await phone.heard()
        answer = await fetch(phone, offset=1)
        phone.cut()
        again = await world.join("bob", "phone", go_on())

        assert [payload for _, payload, _ in rows(answer)] == [b"1", b"2", b"3"]
        assert again.welcome.logs[0].floor == 0


async def test_each_fetch_goes_on_where_the_last_one_of_this_connection_ended(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone", "laptop")
        await world.fill("bob", *range(1, 6))
        phone, laptop = await passive(world, "bob", "phone"), await passive(world, "bob", "laptop")
        pages = [await fetch(phone, LOG, limit=2) for _ in range(3)]
        other = await fetch(laptop, LOG, limit=2)

        assert [[offset for offset, *_ in rows(page)] for page in pages] == [[1, 2], [3, 4], [5]]
        assert [(page.next_offset, page.complete) for page in pages] == [(3, False), (5, False), (6, True)]
        assert [offset for offset, *_ in rows(other)] == [1, 2]


async def test_backwards_from_the_head_or_from_an_offset(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 6))
        phone = await passive(world, "bob", "phone")
        from_head = await fetch(phone, LOG, backwards=True, limit=2)
        onwards = await fetch(phone, LOG, backwards=True, limit=2)
        rest = await fetch(phone, LOG, backwards=True, limit=2)
        nothing = await fetch(phone, LOG, backwards=True, limit=2)
        from_three = await fetch(phone, LOG, backwards=True, offset=3)
        from_far_beyond = await fetch(phone, LOG, backwards=True, offset=2**64 - 1, limit=1)
        below_the_first = await fetch(phone, LOG, backwards=True, offset=0)

        assert [offset for offset, *_ in rows(from_head)] == [5, 4]
        assert [offset for offset, *_ in rows(onwards)] == [3, 2]
        assert [offset for offset, *_ in rows(rest)] == [1]
        assert [offset for offset, *_ in rows(from_three)] == [3, 2, 1]
        assert [offset for offset, *_ in rows(from_far_beyond)] == [5]
        assert (rows(nothing), rows(below_the_first)) == ([], [])
        pages = (from_head, onwards, rest, nothing, from_three, below_the_first)
        assert [(page.next_offset, page.complete) for page in pages] == [
            (3, False),
            (1, False),
            (0, True),
            (0, True),
            (0, True),
            (0, True),
        ]


async def test_only_what_a_user_or_one_of_their_devices_wrote(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        for eid, device in (("alice", "phone"), ("alice", "laptop"), ("carol", "phone")):
            client = await world.join(eid, device, go_on())
            await client.post("bob", f"{eid}'s {device}".encode(), "m")
        phone = await passive(world, "bob", "phone")

        def payloads(body: pb.Body) -> list[bytes]:
            return [payload for _, payload, _ in rows(body)]

        assert payloads(await fetch(phone, LOG, from_=identity("alice"), offset=1)) == [
            b"alice's phone",
            b"alice's laptop",
        ]
        assert payloads(await fetch(phone, LOG, from_=identity("alice", "laptop"), offset=1)) == [b"alice's laptop"]
        assert payloads(await fetch(phone, LOG, from_=identity("nobody"), offset=1)) == []
        assert payloads(await fetch(phone, LOG, from_=identity("alice", "watch"), offset=1)) == []


async def test_what_one_sender_is_asked_for_hides_nothing_of_another(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        alice = await world.join("alice", "phone")
        await world.fill("bob", 1)
        await alice.post("bob", b"2", "m2")
        phone = await passive(world, "bob", "phone")
        of_alice = await fetch(phone, LOG, from_=identity("alice"))
        of_nobody = await fetch(phone, LOG, to=identity("carol"))
        of_all = await fetch(phone, LOG)
        backwards = await fetch(phone, LOG, backwards=True)

        assert [offset for offset, *_ in rows(of_alice)] == [2]
        assert rows(of_nobody) == []
        assert [offset for offset, *_ in rows(of_all)] == [1, 2]
        assert [offset for offset, *_ in rows(backwards)] == [2, 1]


async def test_the_next_unacknowledged_batch_waits_for_the_acks_of_the_last(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 6))
        phone = await passive(world, "bob", "phone")
        await fetch(phone, limit=2)
        phone.send(fetch=pb.Fetch(partition="chat", limit=2), ref=2)
        phone.acknowledge(1)
        early = await phone.heard()
        phone.acknowledge(2)
        [answer] = (await phone.heard()).bodies

        assert early.bodies == []
        assert (answer.ref, rows(answer)) == (2, [(3, b"3", False), (4, b"4", False)])


async def test_an_ack_that_lets_the_next_batch_go_is_decided_first(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        phone = await passive(world, "bob", "phone")
        await fetch(phone, limit=2)
        phone.send(fetch=pb.Fetch(partition="chat", offset=1), ref=2)
        await phone.heard()
        phone.acknowledge(2)
        [answer] = (await phone.heard()).bodies

        assert rows(answer) == [(3, b"3", False)]


async def test_or_it_waits_for_the_grace_period(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        phone = await passive(world, "bob", "phone")
        await fetch(phone, limit=2)
        phone.send(fetch=pb.Fetch(partition="chat", offset=1, limit=2), ref=2)
        await trio.sleep(28)
        early = await phone.heard()
        await trio.sleep(4)
        [answer] = (await phone.heard()).bodies

        assert early.bodies == []
        assert rows(answer) == [(1, b"1", False), (2, b"2", False)]


async def test_a_fetch_answers_behind_all_that_the_device_did_before(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", 1, 2, 3)
        phone = await passive(world, "bob", "phone")
        phone.acknowledge(2)
        answer = await fetch(phone)

        assert rows(answer) == [(3, b"3", False)]


async def test_the_log_shows_own_entries_and_what_was_addressed_to_this_device(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone", "laptop")
        carol = await world.join("carol", "phone")
        phone = await passive(world, "bob", "phone")
        await phone.post("carol", b"own", "own")
        to_phone = pb.DeviceAddress(identity=identity("bob", "phone"), payload=b"for the phone")
        to_laptop = pb.DeviceAddress(identity=identity("bob", "laptop"), payload=b"for the laptop")
        await carol.post("bob", b"for all", "a", devices=[to_phone, to_laptop])
        await carol.post("bob", b"for all", "b", devices=[to_laptop])
        log = await fetch(phone, LOG)
        unacknowledged = await fetch(phone, UNACKNOWLEDGED)

        assert rows(log) == [(1, b"own", False), (2, b"for the phone", False)]
        assert rows(unacknowledged) == [(2, b"for the phone", False)]


async def test_history_is_a_conversations_by_its_own_offsets(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")
        alice = await world.join("alice", "phone")
        sent = await alice.post("bob", b"1", "m1")
        await bob.post("alice", b"2", "m1")
        await world.fill("bob", 3)
        await alice.post("bob", b"3", "m2")
        laptop = await world.join("bob", "laptop", go_on())
        page = await fetch(laptop, HISTORY, conversation=sent.conversation, limit=2)
        rest = await fetch(laptop, HISTORY, conversation=sent.conversation, limit=2)
        newest = await fetch(laptop, HISTORY, conversation=sent.conversation, backwards=True, limit=1)

        assert [(one.conversation_offset, one.payload, one.user_offset) for one in page.messages] == [
            (1, b"1", 0),
            (2, b"2", 0),
        ]
        assert (page.next_offset, page.complete) == (3, False)
        assert [one.payload for one in rest.messages] == [b"3"]
        assert rest.complete
        assert [one.payload for one in newest.messages] == [b"3"]


async def test_conversations_and_partitions_that_are_not_there(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        phone = await world.join("bob", "phone")
        asked = [
            pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation="c1"),  # in which nobody is
            pb.Fetch(kind=LOG, partition="pigeons"),
            pb.Fetch(kind=LOG),
        ]
        for ref, one in enumerate(asked, 1):
            phone.send(fetch=one, ref=ref)
        heard = await phone.heard()

        assert sorted((error.ref, error.code) for error in heard.errors) == [
            (1, pb.ErrorCode.NOT_FOUND),
            (2, pb.ErrorCode.NOT_FOUND),
            (3, pb.ErrorCode.INVALID),
        ]


async def test_an_answer_never_holds_more_than_the_server_allows(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob", "phone")
        await world.fill("bob", *range(1, 301))
        phone = await passive(world, "bob", "phone")
        first = await fetch(phone, LOG, limit=1000)
        second = await fetch(phone, LOG)
        unlimited = await fetch(phone, LOG, offset=1)

        assert [len(first.messages), len(second.messages)] == [256, 44]
        assert len(unlimited.messages) == 100
        assert phone.welcome.limits is not None
        assert phone.welcome.limits.max_fetch == 256
