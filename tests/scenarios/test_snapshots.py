"""A device knows by its chain whether its copy of a log is whole, is told from where it is not, and what to read again
would cost: what PROTOCOL.md says in "Snapshots", through connections.

Here the device's chain is made by the SDK, of what was sent and delivered; the server never told it.
"""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.core.chain import START, digest_of, extended
from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Stamp, UserId
from bimip.domain.core.operations import ExpireLog
from bimip.domain.messages.checkpoints import TakeCheckpoint
from tests.kit.memory_server import Client, World, at, begin, go_on, message, open_world
from tests.scenarios.conftest import OpenStore

MANY = 300


class Copy:
    """A device's copy of its log of `chat`: of each entry what the chain needs, by offset."""

    def __init__(self) -> None:
        self.links: dict[int, tuple[int, bytes]] = {}

    def take(self, bodies: list[pb.Body]) -> None:
        for body in bodies:
            for one in body.messages:
                self.links[one.user_offset or 0] = (one.signal_offset, digest_of(one, body.partition))
            for passed in body.passed:
                self.links[passed.offset] = (passed.signal_offset, passed.digest)

    def sent(self, written: pb.Message, signal: pb.Signal) -> None:
        self.links[signal.user_offset] = (signal.signal_offset, digest_of(written, signal.partition))

    def chain(self, upto: int, chain: bytes = START, after: int = 0) -> bytes:
        for offset in range(after + 1, upto + 1):
            chain = extended(chain, *self.links[offset])
        return chain

    def claim(self, upto: int) -> pb.Snapshot:
        return pb.Snapshot(partition="chat", offset=upto, checksum=self.chain(upto))


async def read_all(client: Client, upto: int) -> Copy:
    copy = Copy()
    while len(copy.links) < upto:
        heard = await client.heard()
        copy.take(heard.bodies)
        assert heard.bodies, "nothing more comes"
        client.acknowledge(max(copy.links))
    return copy


async def bob_has_a_copy(world: World, count: int = MANY) -> Copy:
    """Bob's phone has a whole copy, of messages by carol, and goes."""
    await world.register("bob")
    await world.fill("bob", *range(1, count + 1))
    bob = await world.join("bob", "phone", at(0))
    copy = await read_all(bob, count)
    bob.cut()
    return copy


async def ask(client: Client, **snapshot: Any) -> pb.Snapshot:
    client.send(snapshot=pb.Snapshot(**{"partition": "chat", **snapshot}), ref=9)
    while True:
        scheme = await client.receive()
        if scheme.snapshot is not None:
            assert scheme.ref == 9
            return scheme.snapshot


async def test_who_has_a_whole_copy_is_told_so_and_sent_only_what_follows(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        copy = await bob_has_a_copy(world)
    async with open_world(open_store=open_store) as world:
        await world.fill("bob", 900)
        bob = await world.join("bob", "phone", at(MANY), snapshots=[copy.claim(MANY)])

        assert bob.welcome.snapshots == [pb.Snapshot(partition="chat", offset=MANY, matches=True)]
        assert bob.welcome.logs[0].chain == copy.chain(MANY)
        assert (await bob.heard()).payloads == [b"900"]


@pytest.mark.parametrize("damaged", [1, 129, 200, MANY])
async def test_who_has_a_damaged_copy_is_told_the_newest_place_that_matches(
    autojump_clock: MockClock, damaged: int
) -> None:
    async with open_world() as world:
        copy = await bob_has_a_copy(world)
        stamp, _ = copy.links[damaged]
        copy.links[damaged] = (stamp, b"damaged!")
        places = [MANY, 256, 192, 128, 64]
        bob = await world.join("bob", "phone", at(MANY), snapshots=[copy.claim(place) for place in places])
        whole = max((place for place in places if place < damaged), default=0)

        assert bob.welcome.snapshots == [pb.Snapshot(partition="chat", offset=whole)]
        assert bob.welcome.logs[0].position == MANY  # which is its word, and wins

        bob.send(fetch=pb.Fetch(kind=pb.FetchKind.LOG, partition="chat", offset=damaged, limit=1), ref=3)
        copy.take((await bob.heard()).bodies)

        assert (await ask(bob, offset=MANY, checksum=copy.chain(MANY))).matches


async def test_a_lost_and_an_invented_message_are_found_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        copy = await bob_has_a_copy(world, 10)
        bob = await world.join("bob", "phone", at(10))
        copy.links[7] = copy.links[8]

        assert not (await ask(bob, offset=10, checksum=copy.chain(10))).matches
        assert not (await ask(bob, offset=7, checksum=copy.chain(7))).matches
        assert (await ask(bob, offset=6, checksum=copy.chain(6))).matches


async def test_own_messages_and_those_for_other_devices_are_in_the_chain(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("bob", "phone", "laptop")
        await world.register("carol")
        phone = await world.join("bob", "phone", at(0))
        laptop = await world.join("bob", "laptop", at(0))
        carol = await world.join("carol", "phone", at(0))
        copies = {"phone": Copy(), "laptop": Copy(), "carol": Copy()}

        def addressed(eid: str, device: str, payload: bytes | None) -> pb.DeviceAddress:
            return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=device), payload=payload)

        written = [
            ("phone", phone, message("carol", b"to carol", "a")),
            ("carol", carol, message("bob", b"", "b", devices=[addressed("bob", "phone", b"you alone")])),
            ("carol", carol, message("bob", b"", "c", devices=[addressed("bob", "laptop", b"!")])),
            ("phone", phone, message("carol", b"", "d", devices=[addressed("bob", "laptop", b"to myself")])),
            ("carol", carol, message("bob", b"to all", "e", encryption_type="AES256", encrypted="eA==")),
        ]
        for name, client, one in written:
            client.send(message=one, ref=4)
            (signal,) = (heard := await client.heard()).sent
            copies[name].sent(one, signal)
            copies[name].take(heard.bodies)
        for name, client in (("phone", phone), ("laptop", laptop), ("carol", carol)):
            copies[name].take((await client.heard()).bodies)

        for name, client, upto in (("phone", phone, 5), ("laptop", laptop, 5), ("carol", carol, 4)):
            assert (await ask(client, offset=upto, checksum=copies[name].chain(upto))).matches, name


async def test_a_device_that_begins_later_goes_on_with_the_chain_that_it_is_told(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await bob_has_a_copy(world, 40)
        kept = pb.Snapshot(partition="chat")
        laptop = await world.join("bob", "laptop", begin(pb.Start.LAST, last=5), snapshots=[kept])
        copy = Copy()
        copy.take((await laptop.heard()).bodies)

        assert (laptop.welcome.logs[0].position, laptop.welcome.snapshots) == (35, [])
        chain = copy.chain(40, laptop.welcome.logs[0].chain, after=35)
        assert (await ask(laptop, offset=40, checksum=chain)).matches


async def test_a_checkpoint_brings_back_a_copy_that_knows_nothing_but_its_id(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        copy = await bob_has_a_copy(world, 20)
        await world.server.queue.execute(TakeCheckpoint(UserId(1), "chat"))
        await world.fill("bob", 900)
        laptop = await world.join("bob", "laptop", go_on())
        taken = await ask(laptop)

        assert (taken.id, taken.offset, taken.checksum) == ("chat:20", 20, copy.chain(20))
    async with open_world(open_store=open_store) as world:
        tablet = await world.join("bob", "tablet", go_on(), snapshot_id=taken.id, snapshot_checksum=taken.checksum)

        assert tablet.welcome.snapshots == [pb.Snapshot(partition="chat", offset=20, matches=True)]
        assert tablet.welcome.logs[0].position == 20
        assert (await tablet.heard()).payloads == [b"900"]


async def test_a_checkpoint_with_another_chain_moves_nothing_and_a_position_wins(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        copy = await bob_has_a_copy(world, 20)
        await world.server.queue.execute(TakeCheckpoint(UserId(1), "chat"))
        tablet = await world.join("bob", "tablet", at(3), snapshot_id="chat:20", snapshot_checksum=copy.chain(20))

        assert tablet.welcome.logs[0].position == 3
        assert tablet.welcome.snapshots == [pb.Snapshot(partition="chat", offset=20, matches=True)]

        other = await world.join("bob", "other", go_on(), snapshot_id="chat:20", snapshot_checksum=bytes(16))

        assert other.welcome.snapshots == [pb.Snapshot(partition="chat")]
        assert other.welcome.logs[0].position == 20  # as any further device


async def test_the_answer_says_what_going_on_costs_and_what_beginning_anew(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        copy = await bob_has_a_copy(world)
        bob = await world.join("bob", "phone", at(MANY))
        answer = await ask(bob, offset=10, checksum=copy.chain(10))
        delta, whole = answer.delta, answer.whole
        assert delta is not None
        assert whole is not None

        assert (delta.entries, whole.entries) == (MANY - 10, 256)
        assert 80 * delta.entries < delta.bytes < 120 * delta.entries
        assert 80 * whole.entries < whole.bytes < 120 * whole.entries
        assert (delta.states, whole.states) == (0, 1)  # the device itself

        again = await world.join("bob", "phone", begin(pb.Start.LAST, last=whole.entries))

        assert again.welcome.logs[0].position == MANY - 256


async def test_what_has_expired_is_neither_matched_nor_diverged(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        copy = await bob_has_a_copy(world, 200)
        before = Stamp(copy.links[150][0])
        await world.server.queue.execute(ExpireLog(UserId(1), "chat", before))
        bob = await world.join("bob", "phone", at(200), snapshots=[copy.claim(100)])

        assert bob.welcome.snapshots == [pb.Snapshot(partition="chat", unknown=True)]
        assert (await ask(bob, offset=200, checksum=copy.chain(200))).matches
        assert (await ask(bob, offset=100)).unknown


BAD: dict[str, tuple[dict[str, Any], pb.ErrorCode, str]] = {
    "another id": ({"id": "nowhere"}, pb.ErrorCode.INVALID, "id"),
    "a checkpoint that is not kept": ({"id": "chat:3"}, pb.ErrorCode.NOT_FOUND, "id"),
    "two places": ({"id": "chat:3", "offset": 4}, pb.ErrorCode.INVALID, "id"),
    "no partition": ({"partition": ""}, pb.ErrorCode.INVALID, "partition"),
    "another partition": ({"partition": "nowhere"}, pb.ErrorCode.NOT_FOUND, "partition"),
    "an offset that was never given": ({"offset": 21}, pb.ErrorCode.OFFSET_BEYOND_HEAD, "offset"),
    "a chain of no length": ({"offset": 3, "checksum": b"short"}, pb.ErrorCode.INVALID, "checksum"),
    "a chain of no place": ({"checksum": bytes(16)}, pb.ErrorCode.INVALID, "offset"),
}


@pytest.mark.parametrize("name", BAD)
async def test_what_may_not_be_asked(autojump_clock: MockClock, name: str) -> None:
    fields, code, field = BAD[name]
    async with open_world() as world:
        await bob_has_a_copy(world, 20)
        bob = await world.join("bob", "phone", at(20))
        bob.send(snapshot=pb.Snapshot(**{"partition": "chat" if "id" not in fields else "", **fields}), ref=8)
        (error,) = (await bob.heard()).errors

        assert (error.code, error.field, error.ref) == (code, field, 8)


BAD_HELLO: dict[str, dict[str, Any]] = {
    "an id without a chain": {"snapshot_id": "chat:3"},
    "a chain without an id": {"snapshot_checksum": bytes(16)},
    "another id": {"snapshot_id": "chat", "snapshot_checksum": bytes(16)},
    "a chain of no length": {"snapshots": [pb.Snapshot(partition="chat", offset=1, checksum=b"short")]},
    "a chain of no place": {"snapshots": [pb.Snapshot(partition="chat", checksum=bytes(16))]},
    "a place without a chain": {"snapshots": [pb.Snapshot(partition="chat", offset=1)]},
    "no partition": {"snapshots": [pb.Snapshot()]},
    "too many": {"snapshots": [pb.Snapshot(partition="chat")] * 129},
}


@pytest.mark.parametrize("name", BAD_HELLO)
async def test_what_no_hello_may_say(autojump_clock: MockClock, name: str) -> None:
    async with open_world() as world:
        await world.register("bob")
        bob = world.connect("bob", "phone")
        bob.send(hello=pb.Hello(partitions=[at(0)], **BAD_HELLO[name]), ref=1)
        answer = await bob.receive()
        assert answer.body is not None
        (error,) = answer.body.errors

        assert error.field.startswith("snapshot")
        assert await bob.closed() == 4106
