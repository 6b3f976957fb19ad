"""An operator asks what became of a message, and is told where it is on each device, and which rule kept it away."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import DamagedRecordError, Reader
from bimip.operations import Operations
from bimip.reading import message_life
from bimip.reading.message_life import Life
from bimip.testing.push import MemoryGateway
from tests.kit.memory_server import Client, World, at, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_contacts import Action as Roster
from tests.scenarios.test_friends import ask_about, friends, publish
from tests.scenarios.test_groups import Action, ask, trip
from tests.scenarios.test_push import subscribe, with_push


def explained(world: World, name: object, eid: str = "", device: str = "") -> tuple[Any, dict[str, Any]]:
    """What all have alike of a message, and the recipients by name."""
    slices = Operations(world.server).explain_message(str(name), eid, device)
    assert slices is not None
    message, *recipients = [line for some in slices for line in some]
    assert {one["kind"] for one in recipients} == {"recipient"}
    return message, {str(one["eid"]): one for one in recipients}


def standings(recipient: Any) -> dict[str, str]:
    return {one["device"]: one["standing"] for one in recipient["devices"]}


async def test_where_it_is_on_each_device(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice, laptop = await world.join("alice", "phone"), await world.join("alice", "laptop")
        phone, away = await world.join("bob", "phone"), await world.join("bob", "away")
        world.connect("bob", "watch").send(hello=pb.Hello(partitions=[at(0, partition="notification")]), ref=1)
        silent = await world.join("bob", "silent")
        away.cut()
        await alice.post("bob", b"before", "m0")
        sent = await alice.post("bob", b"hello", "m1")
        await phone.heard()
        phone.acknowledge(1, 2)
        phone.read(sent.conversation, upto=2)
        await phone.heard()
        await silent.heard()
        await laptop.heard()
        message, found = explained(world, sent.signal_id)

        assert (message["from"], message["device"], message["id"]) == ("alice", "phone", "m1")
        assert (message["accepted"], message["partition"], message["content"]) == (sent.timestamp, "chat", "kept")
        assert (message["conversation"], message["conversation_offset"]) == (sent.conversation, 2)
        assert list(found) == ["alice", "bob"]
        assert (found["alice"]["author"], found["bob"]["author"]) == (True, False)
        assert standings(found["alice"]) == {"phone": "wrote", "laptop": "sent"}
        assert standings(found["bob"]) == {
            "phone": "acknowledged",
            "silent": "sent",
            "away": "not_connected",
            "watch": "not_asked_for",
        }
        assert (found["bob"]["held"], found["bob"]["offset"]) == ("in_log", 2)
        assert set(found["bob"]["receipts"]) == {"delivered", "read"}
        assert not found["bob"]["receipts_private"]
        assert found["alice"]["receipts"] == {}
        assert explained(world, sent.signal_offset) == explained(world, sent.signal_id.lower()) == (message, found)
        assert explained(world, "m1", "alice") == explained(world, "m1", "alice", "phone") == (message, found)


async def test_a_device_that_acknowledges_nothing_is_behind(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        most = world.server.settings.limits.window_entries
        for number in range(most + 10):
            last = await alice.post("bob", b"x", f"m{number}")
        await bob.receive()
        _, found = explained(world, last.signal_id)
        [device] = found["bob"]["devices"]

        assert device["standing"] == "behind"
        assert f"9 entries of the log stand before it, and it has {most} messages that it has not" in device["because"]


@pytest.mark.parametrize("blocked_first", [True, False])
async def test_who_had_blocked_who_wrote_it_has_it_not(
    blocked_first: bool,  # noqa: FBT001 - of the table above
    autojump_clock: MockClock,
    open_store: OpenStore,
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        await alice.post("bob", b"x", "m0")
        if blocked_first:
            await ask_about(bob, Roster.BLOCK, "alice")
        sent = await alice.post("bob", b"y", "m1")
        if not blocked_first:
            await ask_about(bob, Roster.BLOCK, "alice")
        _, found = explained(world, sent.signal_id)

        assert found["bob"]["held"] == ("blocked" if blocked_first else "in_log")
        assert standings(found["bob"]) == {"phone": "not_in_log" if blocked_first else "sent"}


async def test_in_a_group_it_is_told_who_came_later_who_had_left_and_who_is_only_named(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        (ann, *_), group = await trip(world, "ann", "bob", "carol")
        for eid in ("dave", "eve"):
            joined = await world.join(eid, "phone")
        await ask_about(joined, Roster.BLOCK, "ann")
        await ask(ann, Action.REMOVE_MEMBER, group, "bob")
        await ask(ann, Action.INVITE, group, "eve")
        sent = await ann.post(group, b"x", "m1")
        await ask(ann, Action.INVITE, group, "dave")
        message, found = explained(world, sent.signal_id)

        assert message["conversation"] == group
        assert {eid: one["held"] for eid, one in found.items()} == {
            "ann": "in_log",
            "bob": "left",
            "carol": "in_log",
            "dave": "joined_later",
            "eve": "named",
        }


async def test_of_a_feed_its_readers_then_are_told(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, _ = await friends(world)
        first = await publish(ann, "one")
        await ask_about(ann, Roster.BLOCK, "carol")
        second = await publish(ann, "two")
        held = [
            {eid: one["held"] for eid, one in explained(world, sent.signal_id)[1].items()} for sent in (first, second)
        ]
        await bob.heard()
        await carol.heard()

        assert held[0] == {"ann": "in_log", "bob": "in_log", "carol": "in_log"}
        assert held[1]["bob"] == "in_log"
        assert held[1]["carol"] in {"left", "no_contact"}


async def test_what_was_edited_deleted_hidden_and_addressed_is_told(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        await world.join("bob", "laptop")
        edited, deleted = await alice.post("bob", b"x", "m1"), await alice.post("bob", b"y", "m2")
        alone = await alice.post("bob", b"z", "m3", devices=[pb.DeviceAddress(pb.Identity("bob", "laptop"))])
        await trio.sleep(1)
        await command(alice, pb.CommandKind.EDIT, edited, payload=b"z")
        await command(alice, pb.CommandKind.DELETE_FOR_EVERYONE, deleted)
        await command(bob, pb.CommandKind.DELETE_FOR_ME, edited)
        one, two, three = (explained(world, sent.signal_id) for sent in (edited, deleted, alone))

        assert one[0]["edited"] > one[0]["accepted"]
        assert (one[0]["content"], one[0]["deleted"]) == ("kept", None)
        assert (one[1]["bob"]["hidden"], one[1]["alice"]["hidden"]) == (True, False)
        assert (two[0]["content"], two[0]["edited"]) == ("deleted", None)
        assert two[0]["deleted"] > two[0]["accepted"]
        assert three[0]["addressed"]
        assert standings(three[1]["bob"]) == {"phone": "not_addressed", "laptop": "sent"}


async def command(client: Client, kind: pb.CommandKind, sent: pb.Signal, **fields: Any) -> None:
    client.send(command=pb.Command(id=f"{kind}{sent.id}", kind=kind, target=sent.signal_offset, **fields), ref=9)
    assert not (await client.heard()).errors


async def test_of_what_disappeared_it_is_told_that_it_did(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice = await world.join("alice", "phone")
        await world.join("bob", "phone")
        sent = await alice.post("bob", b"x", "m1", ttl_ms=1000)
        await trio.sleep(5)
        message, found = explained(world, sent.signal_id)

        assert (message["content"], found["bob"]["held"]) == ("deleted", "in_log")
        assert message["expires"] == sent.timestamp + 1000


async def test_a_push_that_is_not_decided_yet_is_told(autojump_clock: MockClock) -> None:
    async with open_world(settings=with_push(), gateway=MemoryGateway()) as world:
        alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
        await subscribe(bob)
        bob.cut()
        sent = await alice.post("bob", b"x", "m1")
        _, found = explained(world, sent.signal_id)
        await trio.sleep(60)
        _, later = explained(world, sent.signal_id)

        assert len(found["bob"]["pushes_waiting"]) == 1
        assert later["bob"]["pushes_waiting"] == []


async def test_what_cannot_be_read_is_said_of_whom_it_concerns(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_view: Reader, _life: Life, user: UserId) -> tuple[dict[str, Millis], bool]:
        if user != 1:
            raise DamagedRecordError
        return {}, False

    async with open_world() as world:
        alice, _ = await world.join("alice", "phone"), await world.join("bob", "phone")
        sent = await alice.post("bob", b"x", "m1")
        monkeypatch.setattr(message_life, "_receipts", damaged)
        _, found = explained(world, sent.signal_id)

        assert (found["alice"]["held"], found["bob"]["held"]) == ("in_log", "damaged")


@pytest.mark.parametrize(("name", "eid"), [("06AFVTVTG0000", ""), ("m1", "nobody"), ("m2", "alice"), ("7", "")])
async def test_there_is_none_of_another_name(name: str, eid: str, autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, _ = await world.join("alice", "phone"), await world.join("bob", "phone")
        await alice.post("bob", b"x", "m1")

        assert Operations(world.server).explain_message(name, eid, "") is None
        assert Operations(world.server).explain_message("m1", "alice", "laptop") is None
        with pytest.raises(ValueError, match=r"."):
            Operations(world.server).explain_message("hello", "", "")
