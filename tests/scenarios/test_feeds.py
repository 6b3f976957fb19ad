"""A feed as its author and its readers have it: in their inbox, after they were away, changed, and gone again."""

from typing import Any

import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.care.check import check
from bimip.testing.push import MemoryGateway
from tests.kit.memory_server import Client, World, at, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_friends import CHAT, FEED, Action, ask_about, fetched, friends, publish, react, texts
from tests.scenarios.test_inbox import ask as ask_inbox
from tests.scenarios.test_push import SOON, subscribe, told, with_push


async def show(client: Client, **fields: Any) -> pb.Conversation | pb.ErrorMessage:
    client.send(conversation=pb.Conversation(action=pb.ConversationAction.GET, **fields), ref=21)
    heard = await client.heard()
    shown = [frame.conversation for frame in heard.frames if frame.conversation]
    return shown[-1] if shown else heard.errors[-1]


async def test_whose_it_is_is_told_wherever_it_is_shown(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, _, _ = await friends(world)
        sent = await publish(ann, "hello")
        await bob.post("ann", b"hi", "m1")
        for client in (ann, bob):
            rows = {(one.peer, one.feed): one for one in (await ask_inbox(client)).conversations}
            assert set(rows) == {("ann", True), ("bob" if client is ann else "ann", False)}
            feed = rows["ann", True]
            assert (feed.id, feed.last_message and feed.last_message.payload) == (sent.conversation, b"hello")
            assert feed.unread == (0 if client is ann else 1)
            for named in ({"id": sent.conversation}, {"feed": True, "peer": "ann"}):
                shown = await show(client, **named)
                assert isinstance(shown, pb.Conversation)
                assert (shown.id, shown.feed, shown.peer, shown.head) == (sent.conversation, True, "ann", 1)
            client.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation=sent.conversation), ref=5)
            [beside] = [one for body in (await client.heard()).bodies for one in body.conversations]
            assert (beside.feed, beside.peer) == (True, "ann")
        direct = await show(bob, id=(await ask_inbox(bob)).conversations[0].id)
        assert isinstance(direct, pb.Conversation)
        assert (direct.feed, direct.peer) == (False, "")


async def test_whoever_reads_it_not_is_answered_as_if_there_were_none(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, dave = await friends(world)
        await publish(ann, "hello")
        await ask_about(ann, Action.BLOCK, "carol")
        answers = [
            await show(client, feed=True, peer=peer)
            for client, peer in ((dave, "ann"), (carol, "ann"), (bob, "carol"), (dave, "dave"), (dave, "nobody"))
        ]
        assert {(one.code, one.field, one.message) for one in answers if isinstance(one, pb.ErrorMessage)} == {
            (
                pb.ErrorCode.NOT_FOUND,
                "peer",
                "there is no feed of theirs for you: they let you see none, or never wrote one",
            )
        }
        assert len(answers) == sum(isinstance(one, pb.ErrorMessage) for one in answers)


async def test_who_was_away_has_what_was_written_and_what_became_of_it(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, _, _ = await friends(world)
        first = await publish(ann, "one")
        await bob.heard()
        bob.acknowledge(1, partition="feed")
        await bob.heard()
        version = bob.welcome.state_version
        bob.cut()
        second = await publish(ann, "two")
        third = await publish(ann, "three")
        edit = pb.Command(id="e", kind=pb.CommandKind.EDIT, target=first.signal_offset, payload=b"uno")
        gone = pb.Command(id="d", kind=pb.CommandKind.DELETE_FOR_EVERYONE, target=third.signal_offset)
        ann.send(command=edit, ref=1)
        ann.send(command=gone, ref=2)
        react(ann, second, "+")
        await ann.heard()
        bob = world.connect("bob", "phone")
        await bob.hello(at(0), at(1, partition="feed"), state_version=version)
        heard = await bob.heard()

        assert [(one.payload, one.erased) for one in heard.messages if one.partition == "feed"] == [
            (b"two", False),
            (b"", True),
        ]
        became = {one.conversation_offset: one for one in heard.message_states}
        assert became[1].payload == b"uno"
        assert [one.eid for one in became[2].reactions] == ["ann"]
        assert became[3].deleted
        assert texts(await fetched(bob, first.conversation)) == ["uno", "two", ""]
        bob.read(first.conversation, upto=2)
        bob.send(command=mark_read(first.conversation, 2), ref=3)
        await bob.heard()
        [row] = (await ask_inbox(bob)).conversations
        assert (row.unread, row.read_upto) == (1, 2)
        tablet = world.connect("ann", "tablet")
        await tablet.hello(CHAT, FEED)
        seen = await tablet.heard()
        assert texts(seen) == ["uno", "two", ""]
        assert {(run.member, run.kind.name, run.last) for run in seen.receipts if run.member == "bob"} >= {
            ("bob", "READ", 2)
        }
        assert not [*check(world.server.store)]


def mark_read(conversation: str, upto: int) -> pb.Command:
    return pb.Command(id=f"r{upto}", kind=pb.CommandKind.MARK_READ, conversation=conversation, conversation_offset=upto)


async def test_what_stands_in_it_disappears_for_all(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, _, _ = await friends(world)
        sent = await publish(ann, "for a while", ttl_ms=10_000)
        await bob.heard()
        await trio.sleep(11)
        assert [one.deleted for one in (await bob.heard()).message_states] == [True]
        assert texts(await fetched(bob, sent.conversation)) == texts(await fetched(ann, sent.conversation)) == [""]
        assert not [*check(world.server.store)]


async def test_what_a_reader_does_in_it_its_author_sees_and_no_other_reader(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, carol, _ = await friends(world)
        sent = await publish(ann, "hello")
        await bob.heard()
        clients = (ann, bob, carol)
        seen: dict[str, set[tuple[str, str]]] = {}
        for who in clients:
            for one in clients:
                await one.heard()
            doing = pb.Awareness(status=pb.AwarenessStatus.TYPING, conversation=sent.conversation)
            who.send(awareness=doing, ref=30)
            for one in clients:
                told = [said for body in (await one.heard()).bodies for said in body.awareness]
                seen.setdefault(who.eid, set()).update(
                    (one.eid, said.from_.eid)
                    for said in told
                    if said.from_ and said.status == pb.AwarenessStatus.TYPING
                )

        assert seen == {
            "ann": {("bob", "ann"), ("carol", "ann")},
            "bob": {("ann", "bob")},
            "carol": {("ann", "carol")},
        }
        await ask_about(ann, Action.REMOVE, "bob")
        await bob.heard()
        ann.send(awareness=pb.Awareness(status=pb.AwarenessStatus.RECORDING, conversation=sent.conversation), ref=31)
        assert not [said for body in (await bob.heard()).bodies for said in body.awareness]


async def away(world: World, client: Client) -> None:
    await subscribe(client)
    client.cut()
    await trio.sleep(SOON)


async def test_friends_who_are_away_are_told_where_the_partition_is_pushed(autojump_clock: MockClock) -> None:
    gateway = MemoryGateway()
    settings = with_push(PARTITIONS="chat,feed", CONTENT="sender")
    async with open_world(settings=settings, gateway=gateway) as world:
        ann, bob, carol, _ = await friends(world)
        await away(world, bob)
        await away(world, carol)
        sent = await publish(ann, "hello")
        await trio.sleep(SOON)
        pushed = gateway.take()

        assert [(one["conversation"], one["sender"], one["feed"]) for one in pushed] == [
            (sent.conversation, "ann", True)
        ] * 2
        await ask_about(ann, Action.REMOVE, "carol")
        await publish(ann, "two")
        await trio.sleep(SOON)
        assert told(gateway) == [("message", 2)]
