"""A block: nothing of whom it is about arrives, and they are told what they would be told of somebody who is away."""

from typing import Any

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, go_on, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_contacts import Action, ask
from tests.scenarios.test_groups import trip

Kind = pb.CommandKind


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
