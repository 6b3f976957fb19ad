"""A block: nothing of whom it is about arrives, and they are told what they would be told of somebody who is away."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.storage.care.check import check
from bimip.testing.virtual import virtual_millis
from tests.kit.memory_server import Client, World, go_on, open_world
from tests.kit.received import Received
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_contacts import Action, ask
from tests.scenarios.test_groups import ask as ask_group
from tests.scenarios.test_groups import trip

Kind = pb.CommandKind
Group = pb.ConversationAction


def command(kind: pb.CommandKind, target: int, **fields: Any) -> dict[str, Any]:
    return {"command": pb.Command(id=f"{kind.name} {target}", kind=kind, target=target, **fields)}


def fetch(kind: pb.FetchKind, **fields: Any) -> dict[str, Any]:
    return {"fetch": pb.Fetch(kind=kind, **fields)}


async def correspond(world: World) -> tuple[Client, Client, pb.Signal, pb.Message]:
    """Ann and bob are each other's contacts, and have written to each other; bob has read nothing yet."""
    ann, bob = await world.join("ann", "phone"), await world.join("bob", "phone")
    laptop = await world.join("ann", "laptop")
    anns = await ann.post("bob", b"before", "before")
    await bob.post("ann", b"from bob", "b1")
    [bobs] = (await ann.heard()).messages
    ann.acknowledge(2)
    await ask(ann, Action.REQUEST, "bob", id="r1", mutual=True)
    await ask(bob, Action.ACCEPT, "ann", id="a1")
    for client in (ann, bob, laptop):
        await client.heard()
    return ann, bob, anns, bobs


async def test_what_was_written_meanwhile_does_not_come_and_is_nowhere_to_be_read(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, anns, bobs = await correspond(world)
        bob.acknowledge(2)
        await ask(bob, Action.BLOCK, "ann", id="b1")
        hidden = await ann.post("bob", b"hidden", "m1", reply_to=bobs.signal_id, mentions=["bob"])
        await ann.post(anns.conversation, b"hidden too", "m2")
        await ask(bob, Action.UNBLOCK, "ann", id="u1")
        await ann.post("bob", b"open", "m3", reply_to=bobs.signal_id)

        assert (await bob.heard()).payloads == [b"open"]
        assert await read(bob, fetch(pb.FetchKind.HISTORY, conversation=anns.conversation)) == [
            b"before",
            b"from bob",
            b"open",
        ]
        backwards = fetch(pb.FetchKind.HISTORY, conversation=anns.conversation, backwards=True, limit=2)
        assert await read(bob, backwards) == [b"open", b"from bob"]
        thread = fetch(pb.FetchKind.THREAD, conversation=anns.conversation, reply_to=bobs.signal_id)
        assert await read(bob, thread) == [b"open"]
        assert await read(ann, thread) == [b"hidden", b"open"]
        bob.send(fetch=pb.Fetch(kind=pb.FetchKind.INBOX), ref=5)
        [inbox] = [one for body in (await bob.heard()).bodies for one in body.conversations]
        assert (inbox.unread, inbox.mentions) == (2, 0)
        bob.send(**command(Kind.REACT, hidden.signal_offset, emoji="+"), ref=5)
        [error] = (await bob.heard()).errors
        assert (error.code, error.field) == (pb.ErrorCode.NOT_FOUND, "target")
        later = await world.join("bob", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        assert (await later.heard()).payloads == [b"before", b"from bob", b"open"]


async def read(client: Client, asked: dict[str, Any]) -> list[bytes]:
    client.send(**asked, ref=5)
    return [
        message.payload
        for body in (await client.heard()).bodies
        if body.turn == pb.Turn.TURN_FETCH
        for message in body.messages
    ]


async def test_an_edit_of_who_is_blocked_shows_nobody_the_new_content_but_who_made_it(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, anns, _ = await correspond(world)
        bob.cut()
        tablet = await world.join("bob", "tablet", go_on())
        await ask(tablet, Action.BLOCK, "ann", id="b1")
        ann.send(**command(Kind.EDIT, anns.signal_offset, payload=b"slipped in"), ref=5)
        assert (await ann.heard()).errors == []
        bob = await world.join("bob", "phone", pb.Position(partition="chat", offset=0))
        heard = await bob.heard()

        assert [(one.payload, one.erased) for one in heard.messages if one.id == "before"] == [(b"", True)]
        assert [one for one in heard.message_states if one.payload] == []


async def test_in_a_group_in_common_messages_go_on_and_who_is_blocked_learns_of_no_receipt(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        [ann, bob, carol], group = await trip(world, "ann", "bob", "carol")
        await ask(bob, Action.BLOCK, "ann", id="b1")
        await ann.post(group, b"ann's", "m1")
        await carol.post(group, b"carol's", "m2")
        assert (await bob.heard()).payloads == [b"ann's", b"carol's"]

        bob.acknowledge(3)
        bob.read(group, 3)
        told = {client.eid: (await client.heard()).receipts for client in (ann, bob, carol)}
        assert [(one.first, one.last) for one in told["ann"] if one.member == "bob"] == []
        assert {(one.kind, one.first, one.last) for one in told["carol"] if one.member == "bob"} == {
            (pb.MessageStatus.DELIVERED, 3, 3),
            (pb.MessageStatus.READ, 3, 3),
        }
        await ask(bob, Action.UNBLOCK, "ann", id="u1")
        bob.read(group, 3)
        for client in (ann, await world.join("ann", "tablet")):
            assert [one for one in (await client.heard()).receipts if one.kind == pb.MessageStatus.READ] == []


async def test_who_blocks_somebody_does_not_write_to_them(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, anns, _ = await correspond(world)
        await ask(bob, Action.BLOCK, "ann", id="b1")
        for to in ("ann", anns.conversation):
            bob.write(to, b"hello", f"to {to}")
            [error] = (await bob.heard()).errors

            assert (error.code, error.field) == (pb.ErrorCode.FORBIDDEN, "to.eid")
        assert (await ann.heard()).messages == []


async def group_of_ann(world: World, *, by: str) -> tuple[dict[str, Client], str]:
    """Ann, whom bob has blocked, has a group in which carol is an admin, and has added him: when she created it, or
    later.
    """
    phones = {eid: await world.join(eid, "phone") for eid in ("ann", "bob", "carol")}
    await ask(phones["bob"], Action.BLOCK, "ann", id="b1")
    named = ["carol", "bob"] if by == "CREATE" else ["carol"]
    made = await ask_group(phones["ann"], Group.CREATE, "", *named, title="trip", request_id="g1")
    if by == "INVITE":
        await ask_group(phones["ann"], Group.INVITE, made.id, "bob", request_id="g2")
    await ask_group(phones["ann"], Group.SET_ROLE, made.id, "carol", role="admin", request_id="g3")
    return phones, made.id


async def members_shown(client: Client, group: str) -> list[tuple[str, str, int]]:
    shown = await ask_group(client, Group.GET, group)
    assert shown.member_count == len(shown.members)
    return sorted((one.eid, one.role, one.history_from) for one in shown.members)


@pytest.mark.parametrize("by", ["CREATE", "INVITE"])
async def test_who_is_blocked_adds_nobody_to_a_group_and_does_not_learn_it(
    autojump_clock: MockClock, open_store: OpenStore, by: str
) -> None:
    async with open_world(open_store=open_store) as world:
        phones, group = await group_of_ann(world, by=by)
        ann, bob, carol = phones.values()
        place = 1 if by == "CREATE" else 2
        for client in (ann, carol):
            told = await client.heard()
            assert [one.group_event.members for one in told.messages if one.group_event and "bob" in str(one)] in (
                [["carol", "bob"]],
                [["bob"]],
                [],  # who did it is answered in place of that
            )
            assert [(eid, role) for eid, role, _ in await members_shown(client, group)] == [
                ("ann", "owner"),
                ("bob", "member"),
                ("carol", "admin"),
            ]
            assert (await members_shown(client, group))[1][2] == place
        sent = await ann.post(group, b"to all", "m1")
        addressed = pb.DeviceAddress(identity=pb.Identity(eid="bob", connection_resource_id="phone"), payload=b"x")
        carol.send(message=pb.Message(id="m2", to=pb.Identity(eid=group), devices=[addressed]), ref=6)
        heard = await carol.heard()
        assert (heard.codes, [one.id for one in heard.sent]) == ([], ["m2"])
        carol.send(conversation=pb.Conversation(action=Group.INVITE, id=group, members=[pb.Member(eid="bob")]), ref=6)
        assert [one.code for one in (await carol.heard()).errors] == [pb.ErrorCode.CONFLICT]

        assert "trip" not in str((await bob.heard()).frames)
        later = await world.join("bob", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        told = await later.heard()
        assert not told.messages
        assert not [item for state in told.states for item in state.items if item.group]
        for client in (bob, later):
            client.send(conversation=pb.Conversation(action=Group.GET, id=group), ref=6)
            client.send(message=pb.Message(id="m3", to=pb.Identity(eid=group), payload=b"?"), ref=7)
            assert (await client.heard()).codes == [pb.ErrorCode.NOT_FOUND] * 2
        ann.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation=group), ref=8)
        [beside] = [one for body in (await ann.heard()).bodies for one in body.conversations]
        assert beside.member_count == 3
        ann.send(fetch=pb.Fetch(kind=pb.FetchKind.INBOX), ref=8)
        [row] = [one for body in (await ann.heard()).bodies for one in body.conversations]
        assert (row.id, row.member_count) == (group, 3)
        assert sent.conversation == group
        assert not [*check(world.server.store)]


async def test_who_is_only_named_is_removed_and_added_by_somebody_else(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        phones, group = await group_of_ann(world, by="INVITE")
        ann, bob, carol = phones.values()
        await ask_group(ann, Group.SET_ROLE, group, "bob", role="admin", request_id="g4")
        assert [one[1] for one in await members_shown(carol, group)] == ["owner", "admin", "admin"]
        await ask(bob, Action.UNBLOCK, "ann", id="u1")
        await ann.post(group, b"one", "m1")
        assert not (await bob.heard()).messages
        await ask_group(ann, Group.REMOVE_MEMBER, group, "bob", request_id="g5")
        assert not (await bob.heard()).messages
        await ask_group(carol, Group.INVITE, group, "bob", request_id="g6")
        await ann.post(group, b"two", "m2")

        told = await bob.heard()
        assert [one.payload for one in told.messages if not one.group_event] == [b"two"]
        assert [one.group.role for state in told.states for one in state.items if one.group] == ["member"]
        assert await read(bob, fetch(pb.FetchKind.HISTORY, conversation=group)) == [b"", b"two"]
        assert not [*check(world.server.store)]


async def test_who_is_only_named_may_be_the_last_one(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        phones, group = await group_of_ann(world, by="INVITE")
        ann, bob, carol = phones.values()
        await ask_group(carol, Group.LEAVE, group, request_id="g7")
        await ask_group(ann, Group.LEAVE, group, request_id="g8")

        assert not (await bob.heard()).messages
        assert not [*check(world.server.store)]


def reactions(heard: Received) -> list[tuple[str, str, bool]]:
    return [(one.eid, one.emoji, one.removed) for state in heard.message_states for one in state.reactions]


def reaction(kind: pb.CommandKind, target: int, emoji: str) -> dict[str, Any]:
    return {"command": pb.Command(id=f"{kind.name} {target} {emoji}", kind=kind, target=target, emoji=emoji)}


async def test_a_reaction_of_who_is_blocked_is_told_neither_then_nor_when_that_is_lifted(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, anns, bobs = await correspond(world)
        ann.send(**reaction(Kind.REACT, bobs.signal_offset, "before"), ref=5)
        assert reactions(await bob.heard()) == [("ann", "before", False)]
        await ask(bob, Action.BLOCK, "ann", id="b1")
        for target in (bobs, anns):
            ann.send(**reaction(Kind.REACT, target.signal_offset, "meanwhile"), ref=5)
            assert ("ann", "meanwhile", False) in reactions(await ann.heard())
        await ask(bob, Action.UNBLOCK, "ann", id="u1")
        ann.send(**reaction(Kind.UNREACT, bobs.signal_offset, "meanwhile"), ref=5)
        ann.send(**reaction(Kind.REACT, anns.signal_offset, "after"), ref=5)
        assert (await ann.heard()).errors == []

        assert reactions(await bob.heard()) == [("ann", "after", False)]
        later = await world.join("bob", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        assert sorted(reactions(await later.heard())) == [("ann", "after", False), ("ann", "before", False)]
        bob.send(**fetch(pb.FetchKind.HISTORY, conversation=anns.conversation), ref=6)
        assert sorted(reactions(await bob.heard())) == [("ann", "after", False), ("ann", "before", False)]
        own = await world.join("ann", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        assert sorted(reactions(await own.heard())) == [
            ("ann", "after", False),
            ("ann", "before", False),
            ("ann", "meanwhile", False),
            ("ann", "meanwhile", True),
        ]
        assert not [*check(world.server.store)]


async def test_what_who_is_blocked_takes_back_is_taken_back_for_all(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """A reaction of before, and a message: to devices that have it, that come meanwhile, and that come later."""
    async with open_world(open_store=open_store) as world:
        ann, bob, anns, bobs = await correspond(world)
        other = await ann.post("bob", b"other", "m9")
        for emoji in ("stays", "again", "before"):
            ann.send(**reaction(Kind.REACT, bobs.signal_offset, emoji), ref=5)
        ann.send(**reaction(Kind.REACT, anns.signal_offset, "edited"), ref=5)
        assert len(reactions(await bob.heard())) == 4
        await ask(bob, Action.BLOCK, "ann", id="b1")
        ann.send(command=pb.Command(id="e", kind=Kind.EDIT, target=anns.signal_offset, payload=b"new"), ref=5)
        ann.send(command=pb.Command(id="r", kind=Kind.REACT, target=bobs.signal_offset, emoji="again"), ref=5)
        await ann.heard()
        await bob.heard()
        for target, emoji in ((bobs, "before"), (bobs, "never"), (anns, "edited")):
            ann.send(**reaction(Kind.UNREACT, target.signal_offset, emoji), ref=5)
        ended = {(emoji, removed) for _, emoji, removed in reactions(await bob.heard()) if removed}
        assert ended == {("before", True)}
        tablet = await world.join("bob", "tablet", pb.Position(partition="chat", start=pb.Start.FIRST))
        known = {(emoji, removed) for _, emoji, removed in reactions(await tablet.heard())}
        assert known == {("again", False), ("stays", False), ("before", True)}
        await ask(bob, Action.UNBLOCK, "ann", id="u1")
        assert reactions(await bob.heard()) == []
        later = await world.join("bob", "watch", pb.Position(partition="chat", start=pb.Start.FIRST))
        assert {(emoji, removed) for _, emoji, removed in reactions(await later.heard())} == known
        await ask(bob, Action.BLOCK, "ann", id="b2")
        ann.send(command=pb.Command(id="d", kind=Kind.DELETE_FOR_EVERYONE, target=other.signal_offset), ref=5)
        assert {one.deleted for one in (await bob.heard()).message_states} == {True}
        assert not [*check(world.server.store)]


async def looks(client: Client, eid: str) -> tuple[str, int]:
    """How somebody is to who asks, and when they were last there."""
    client.send(awareness=pb.Awareness(to=pb.Identity(eid=eid)), ref=9)
    told = [frame.awareness for frame in (await client.heard()).frames if frame.awareness][-1]
    return told.status.name or "", told.last_seen


async def test_who_is_blocked_sees_when_they_were_last_there_stand_still(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, *_ = await correspond(world)
        bob.acknowledge(2)
        assert (await looks(ann, "bob"))[0] == "ONLINE"
        await trio.sleep(1000)
        before = virtual_millis()
        await ask(bob, Action.BLOCK, "ann", id="b1")
        live = [one for body in (await ann.heard()).bodies for one in body.awareness]
        await trio.sleep(1000)
        await ask(bob, Action.BLOCK, "ann", id="b2")
        await ask(bob, Action.NAME, "ann", id="n1", name="her")
        seen = await looks(ann, "bob")

        assert {(one.status.name, one.last_seen) for one in live} == {seen}
        assert seen[0] == "OFFLINE"
        assert 0 <= seen[1] - before < 1000
        bob.send(settings=pb.Settings(show_last_seen=False))
        await bob.heard()
        assert await looks(ann, "bob") == ("OFFLINE", 0)
        assert await looks(bob, "ann") == ("OFFLINE", 0)
        await ask(bob, Action.UNBLOCK, "ann", id="u1")
        assert (await looks(ann, "bob"))[0] == "ONLINE"
        assert not [*check(world.server.store)]


async def test_who_was_shown_nothing_is_shown_nothing_by_a_block(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        ann, bob, *_ = await correspond(world)
        carol = await world.join("carol", "phone")
        for client, eid in ((bob, "ann"), (bob, "carol"), (ann, "bob")):
            await ask(client, Action.BLOCK, eid, id=f"block {eid}")

        assert await looks(carol, "bob") == ("OFFLINE", 0)
        assert await looks(ann, "bob") == ("OFFLINE", 0)
