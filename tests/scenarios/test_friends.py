"""What a user writes for their friends: it reaches all whom they let see them, and none of these learns of another."""

from itertools import count
from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.care.check import check
from bimip.testing.virtual import settings_for_tests
from tests.kit.memory_server import Client, World, open_world
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_contacts import ask

Action = pb.ContactAction
FEED = pb.Position(partition="feed", start=pb.Start.FIRST)
CHAT = pb.Position(partition="chat", start=pb.Start.FIRST)


IDS = count(1)


async def ask_about(client: Client, action: pb.ContactAction, eid: str, **fields: Any) -> pb.Contact:
    return await ask(client, action, eid, id=f"contact {next(IDS)}", **fields)


async def befriend(asking: Client, asked: Client) -> None:
    await ask_about(asking, Action.REQUEST, asked.eid, mutual=True)
    await ask_about(asked, Action.ACCEPT, asking.eid, mutual=True)


async def phone(world: World, eid: str) -> Client:
    found = world.connect(eid, "phone")
    await found.hello(CHAT, FEED)
    await found.heard()
    return found


async def friends(world: World) -> tuple[Client, Client, Client, Client]:
    """Ann, whose friends are Bob and Carol, and Dave, who is nobody's."""
    ann, bob, carol, dave = [await phone(world, eid) for eid in ("ann", "bob", "carol", "dave")]
    await befriend(ann, bob)
    await befriend(ann, carol)
    for one in (ann, bob, carol, dave):
        await one.heard()
    return ann, bob, carol, dave


async def publish(client: Client, text: str, **fields: Any) -> pb.Signal:
    """Writes for the user's friends, and awaits SENT."""
    client.send(message=pb.Message(id=text, payload=text.encode(), scope="friend", **fields), ref=7)
    while True:
        body = (await client.receive()).body or pb.Body()
        assert not body.errors, body.errors
        for signal in body.signals:
            if signal.id == text:
                return signal


async def refused(client: Client, **fields: Any) -> pb.ErrorMessage:
    client.send(**fields, ref=9)
    return (await client.heard()).errors[-1]


async def fetched(client: Client, conversation: str) -> Received:
    client.send(fetch=pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation), ref=11)
    return await client.heard()


def texts(heard: Received) -> list[str]:
    """Each once: after a crash what was not acknowledged comes again."""
    return [*dict.fromkeys(message.payload.decode() for message in heard.messages)]


async def test_it_reaches_whom_its_author_lets_see_them_and_nobody_else(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, dave = await friends(world)
        tablet = world.connect("ann", "tablet")
        await tablet.hello(CHAT, FEED)
        sent = await publish(ann, "hello")

        assert (sent.partition, sent.conversation_offset) == ("feed", 1)
        for reader in (bob, carol, tablet):
            [message] = (await reader.heard()).messages
            assert (message.from_ and message.from_.eid, message.scope, message.to) == ("ann", "friend", None)
            assert (message.payload, message.partition, message.conversation) == (b"hello", "feed", sent.conversation)
        assert not (await dave.heard()).messages
        assert not [*check(world.server.store)]


async def test_it_is_for_those_who_are_friends_when_it_is_written(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, dave = await friends(world)
        first = await publish(ann, "one")
        await befriend(ann, dave)
        await ask_about(bob, Action.REMOVE, "ann")
        await publish(ann, "two")

        assert "two" not in texts(await bob.heard())
        assert texts(await carol.heard()) == ["one", "two"]
        assert texts(await dave.heard()) == ["two"]
        assert texts(await fetched(dave, first.conversation)) == ["two"]
        assert [error.code for error in (await fetched(bob, first.conversation)).errors] == [pb.ErrorCode.NOT_FOUND]
        assert texts(await fetched(ann, first.conversation)) == ["one", "two"]
        assert not [*check(world.server.store)]


async def test_whoever_is_removed_reads_nothing_from_then_on_also_before_the_next_message(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, _ = await friends(world)
        sent = await publish(ann, "one")
        await ask_about(ann, Action.REMOVE, "bob")
        assert [error.code for error in (await fetched(bob, sent.conversation)).errors] == [pb.ErrorCode.NOT_FOUND]
        assert texts(await fetched(carol, sent.conversation)) == ["one"]
        await befriend(ann, bob)
        await publish(ann, "two")

        assert {*texts(await fetched(bob, sent.conversation))} == {"one", "two"}
        assert not [*check(world.server.store)]


@pytest.mark.parametrize("blocker", ["ann", "bob"])
async def test_it_reaches_nobody_of_whom_one_has_blocked_the_other(
    autojump_clock: MockClock, open_store: OpenStore, blocker: str
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, _ = await friends(world)
        sent = await publish(ann, "one")
        await bob.heard()
        blocks, other = (ann, "bob") if blocker == "ann" else (bob, "ann")
        await ask_about(blocks, Action.BLOCK, other)
        await publish(ann, "two")
        assert "two" not in texts(await bob.heard())
        await ask_about(blocks, Action.UNBLOCK, other)
        await publish(ann, "three")

        heard = texts(await bob.heard())
        assert heard[-1] == "three"
        assert "two" not in heard
        assert texts(await fetched(bob, sent.conversation)) == ["three"]
        assert texts(await carol.heard()) == ["one", "two", "three"]
        assert not [*check(world.server.store)]


async def test_its_reader_learns_of_nobody_but_its_author(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, _ = await friends(world)
        sent = await publish(ann, "one")
        for reader in (bob, carol):
            await reader.heard()
            reader.acknowledge(1, partition="feed")
            reader.read(sent.conversation, upto=1)
        react(carol, sent, "+")
        await carol.heard()
        told = (await ann.heard()).states
        items = [item for state in told for item in state.items]
        assert {item.receipts.member for item in items if item.receipts} == {"bob", "carol"}
        assert [one.eid for item in items if item.message for one in item.message.reactions] == ["carol"]
        for client, members in ((bob, ["ann", "bob"]), (ann, ["ann", "bob", "carol"])):
            await client.heard()
            client.send(conversation=pb.Conversation(action=pb.ConversationAction.GET, id=sent.conversation), ref=4)
            [shown] = [frame.conversation for frame in (await client.heard()).frames if frame.conversation]
            assert sorted(member.eid for member in shown.members) == members
            assert (shown.member_count, shown.title) == (len(members), "")
        react(bob, sent, "!")
        heard = await bob.heard()
        assert "carol" not in str(heard.frames)
        state = await whole_state(world, "bob")
        assert "carol" not in str(state.frames)


async def whole_state(world: World, eid: str) -> Received:
    """All that a device of a user is told that knows nothing yet."""
    fresh = world.connect(eid, "fresh")
    await fresh.hello(CHAT, FEED)
    return await fresh.heard()


def react(client: Client, sent: pb.Signal, emoji: str) -> None:
    said = pb.Command(id=f"{client.eid}{emoji}", kind=pb.CommandKind.REACT, target=sent.signal_offset, emoji=emoji)
    client.send(command=said, ref=5)


async def test_its_author_alone_writes_changes_and_takes_back(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, _ = await friends(world)
        sent = await publish(ann, "one")
        await bob.heard()
        await carol.heard()
        for client in (ann, bob):
            error = await refused(client, message=pb.Message(id="x", to=pb.Identity(eid=sent.conversation)))
            assert (error.code, error.field) == (pb.ErrorCode.FORBIDDEN, "to.eid")
        edit = pb.Command(id="e", kind=pb.CommandKind.EDIT, target=sent.signal_offset, payload=b"uno")
        assert (await refused(bob, command=edit)).code == pb.ErrorCode.FORBIDDEN
        for action in (pb.ConversationAction.RENAME, pb.ConversationAction.LEAVE, pb.ConversationAction.INVITE):
            asked = pb.Conversation(
                action=action, id=sent.conversation, title="t", members=[pb.Member(eid="dave")], request_id="r"
            )
            for client in (ann, bob):
                assert (await refused(client, conversation=asked)).code == pb.ErrorCode.INVALID
        await ask_about(ann, Action.REMOVE, "carol")
        ann.send(command=edit, ref=3)
        await ann.heard()

        [item] = [item for state in (await bob.heard()).states for item in state.items if item.message]
        assert item.message
        assert item.message.payload == b"uno"
        assert not [item for state in (await carol.heard()).states for item in state.items if item.message]
        assert not [*check(world.server.store)]


async def test_it_is_for_nobody_by_name(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, _, _, _ = await friends(world)
        device = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="phone"))
        for fields, field in (
            ({"to": pb.Identity(eid="bob")}, "to.eid"),
            ({"to": pb.Identity(eid="c1")}, "to.eid"),
            ({"devices": [device]}, "devices"),
        ):
            error = await refused(ann, message=pb.Message(id="x", scope="friend", **fields))
            assert (error.code, error.field) == (pb.ErrorCode.INVALID, field)
        mine = await publish(ann, "x", to=pb.Identity(eid="ann"))
        assert (mine.partition, mine.duplicate) == ("feed", False)
        assert (await publish(ann, "x")).duplicate


async def test_who_lets_nobody_see_them_writes_for_themselves(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        dave = await phone(world, "dave")
        sent = await publish(dave, "alone")
        assert texts(await fetched(dave, sent.conversation)) == ["alone"]
        assert not [*check(world.server.store)]


async def test_more_friends_than_a_group_has_members_are_refused_whoever_of_them_blocks(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    settings = settings_for_tests(BIMIP_LIMITS_MAX_GROUP_MEMBERS="3")
    async with open_world(open_store=open_store, settings=settings) as world:
        ann, _, _, dave = await friends(world)
        await publish(ann, "one")
        await befriend(ann, dave)
        await ask_about(dave, Action.BLOCK, "ann")
        await ann.heard()
        error = await refused(ann, message=pb.Message(id="two", scope="friend"))
        assert (error.code, error.field) == (pb.ErrorCode.CONFLICT, "scope")
        await ask_about(ann, Action.REMOVE, "dave")
        assert (await publish(ann, "two")).conversation_offset == 2


async def test_receipts_that_are_asked_for_say_no_more(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, _, _ = await friends(world)
        sent = await publish(ann, "one")
        await bob.heard()
        bob.acknowledge(1, partition="feed")
        await ann.heard()
        bob.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation=sent.conversation), ref=12)

        assert "carol" not in str((await bob.heard()).frames)
