"""A message that its sender gave a time disappears when that has passed: for everybody, wherever it was going to be."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Millis
from bimip.storage.care.check import check
from bimip.testing.virtual import settings_for_tests, virtual_millis
from tests.kit.memory_server import at, begin, go_on, open_world
from tests.scenarios.conftest import OpenStore

DAY = 86_400
SECRET = b"burn after reading"


def tombstones(heard: Any) -> list[tuple[int, bool]]:
    """The messages of which state says that they are gone: their places, and whether they are deleted."""
    items = [item.message for state in heard.states for item in state.items if item.message is not None]
    return [(one.conversation_offset, one.deleted) for one in items]


async def fetched(client: Any, conversation: str) -> list[pb.Message]:
    client.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation, offset=1), ref=3)
    bodies = [body for body in (await client.heard()).bodies if body.turn == pb.Turn.TURN_FETCH]
    return [message for body in bodies for message in body.messages]


async def test_it_is_seen_until_its_time_has_passed_and_then_by_nobody(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        sent = await alice.post("bob", SECRET, "m1", ttl_ms=10_000)
        [message] = (await bob.heard()).messages
        await trio.sleep(9)
        early = tombstones(await bob.heard())
        await trio.sleep(1.5)

        assert (message.payload, message.expires_at) == (SECRET, sent.timestamp + 10_000)
        assert early == []
        assert tombstones(await bob.heard()) == tombstones(await alice.heard()) == [(1, True)]
        [gone] = await fetched(bob, sent.conversation)
        assert (gone.payload, gone.erased, gone.expires_at) == (b"", True, sent.timestamp + 10_000)
        again = await alice.post("bob", SECRET, "m1", ttl_ms=10_000)
        assert (again.duplicate, again.signal_id) == (True, sent.signal_id)
    store = open_store()
    assert list(check(store)) == []
    store.close()


async def test_who_was_away_gets_it_erased(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone")
        await bob.heard()
        version = bob.welcome.state_version
        bob.cut()
        alice = await world.join("alice", "phone")
        await alice.post("bob", SECRET, "m1", ttl_ms=5_000)
        await trio.sleep(6)
    async with open_world(open_store=open_store) as world:
        bob = await world.join("bob", "phone", at(0), state_version=version)
        heard = await bob.heard()
        laptop = await world.join("bob", "laptop", begin(pb.Start.FIRST))

        assert [(one.payload, one.erased) for one in heard.messages] == [(b"", True)]
        assert [(one.payload, one.erased) for one in (await laptop.heard()).messages] == [(b"", True)]


async def test_what_is_due_while_no_server_runs_goes_when_one_does(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """A stop of some minutes counts at once; one that is longer is believed after an hour."""
    async with open_world(open_store=open_store) as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        sent = await alice.post("bob", SECRET, "m1", ttl_ms=60_000)
        await trio.sleep(50)
    async with open_world(open_store=open_store) as world:
        await trio.sleep(11)
        bob = await world.join("bob", "phone", at(0))

        assert [one.payload for one in (await bob.heard()).messages] == [b""]
        assert [one.erased for one in await fetched(bob, sent.conversation)] == [True]


async def test_in_a_group_it_goes_for_all_members(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        await world.register("carol")
        alice = await world.join("alice", "phone")
        create = pb.Conversation(
            action=pb.ConversationAction.CREATE,
            request_id="g",
            title="us",
            members=[pb.Member(eid="bob"), pb.Member(eid="carol")],
        )
        alice.send(conversation=create, ref=4)
        [answer] = [frame.conversation for frame in (await alice.heard()).frames if frame.conversation is not None]
        carol = await world.join("carol", "phone", go_on())
        await alice.post(answer.id, SECRET, "m1", ttl_ms=3_000)
        assert SECRET in (await carol.heard()).payloads
        await trio.sleep(4)

        assert tombstones(await carol.heard()) == [(2, True)]
        bob = await world.join("bob", "phone", go_on())
        assert SECRET not in (await bob.heard()).payloads


async def test_what_is_addressed_to_a_device_goes_too(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        device = pb.DeviceAddress(
            identity=pb.Identity(eid="bob", connection_resource_id="phone"), payload=b"for the phone"
        )
        await alice.post("bob", b"", "m1", ttl_ms=3_000, devices=[device])
        await trio.sleep(4)
        bob = await world.join("bob", "phone", at(0))

        heard = await bob.heard()
        assert [(message.id, message.erased, message.payload) for message in heard.messages] == [("m1", True, b"")]
        assert heard.ranges == [(0, 1)]


async def test_it_is_free_for_its_sender_then(autojump_clock: MockClock) -> None:
    async with open_world(settings=settings_for_tests(BIMIP_LIMITS_MAX_STORED_BYTES_PER_USER="6000")) as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        await alice.post("bob", bytes(4000), "m1", ttl_ms=3_000)
        alice.write("bob", bytes(4000), "m2")
        full = (await alice.heard()).codes
        await trio.sleep(4)
        await alice.heard()
        await alice.post("bob", bytes(4000), "m3")

        assert full == [pb.ErrorCode.STORAGE_FULL]


async def test_a_clock_that_jumps_erases_nothing(autojump_clock: MockClock) -> None:
    jumped = 0

    def wall_clock() -> Millis:
        return Millis(virtual_millis() + jumped)

    async with open_world(wall_clock=wall_clock) as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        sent = await alice.post("bob", SECRET, "m1", ttl_ms=3_600_000)
        await bob.heard()
        bob.acknowledge(1)
        jumped = 30 * DAY * 1000
        await trio.sleep(1800)
        [message] = await fetched(bob, sent.conversation)
        await trio.sleep(1900)
        [gone] = await fetched(bob, sent.conversation)

        assert (message.payload, gone.payload) == (SECRET, b"")


@pytest.mark.parametrize(
    ("ttl", "settings"),
    [(1, {}), (999, {}), (DAY * 1000 + 1, {"BIMIP_RETENTION_HISTORY_DAYS": "chat=1"}), (2**64 - 1, {})],
)
async def test_a_time_that_cannot_be_is_refused(autojump_clock: MockClock, ttl: int, settings: dict[str, str]) -> None:
    async with open_world(settings=settings_for_tests(**settings)) as world:
        await world.register("bob")
        alice = await world.join("alice", "phone")
        alice.write("bob", SECRET, "m1", ttl_ms=ttl)

        assert [(error.code, error.field) for error in (await alice.heard()).errors] == [
            (pb.ErrorCode.INVALID, "ttl_ms")
        ]


async def test_many_at_once_go_at_once_and_messages_without_a_time_stay(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        messages = [
            pb.Message(id=f"m{n}", to=pb.Identity(eid="bob"), type=1, payload=b"%d" % n, ttl_ms=5_000 * (n % 2))
            for n in range(60)
        ]
        alice.send(body=pb.Body(messages=messages))
        await bob.heard()
        await trio.sleep(6)
        heard = await bob.heard()
        last = await alice.post("bob", b"", "last")
        kept = [one.payload for one in await fetched(bob, last.conversation)]

        assert sorted(tombstones(heard)) == [(n + 1, True) for n in range(60) if n % 2]
        assert kept == [b"%d" % n if n % 2 == 0 else b"" for n in range(60)] + [b""]


async def test_whoever_is_killed_it_goes(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, alice = await world.join("bob", "phone"), await world.join("alice", "phone")
        sent = await alice.post("bob", SECRET, "m1", ttl_ms=5_000)
        await bob.heard()
        for path in ("retention", "journal", "timers", "users/alice"):
            await trio.sleep(1)
            await world.kill(path)
        await trio.sleep(4)

        assert [one.payload for one in await fetched(bob, sent.conversation)] == [b""]
