"""A device's first screen is one request: the user's conversations, the newest first, however long their history is."""

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.records import Changes, Table
from tests.kit.memory_server import Client, World, begin, open_world
from tests.scenarios.conftest import OpenStore

INBOX = pb.FetchKind.INBOX


async def ask(client: Client, **fields: Any) -> pb.Body:
    client.send(fetch=pb.Fetch(kind=INBOX, **fields), ref=77)
    (body,) = [body for body in (await client.heard()).bodies if body.ref == 77]
    return body


def row(one: pb.Conversation) -> tuple[str, bytes, int, int]:
    """(peer or title, last message, unread, mentions)."""
    last = one.last_message
    return one.peer or one.title, b"" if last is None else last.payload, one.unread, one.mentions


def mark_read(conversation: str, upto: int) -> pb.Command:
    return pb.Command(kind=pb.CommandKind.MARK_READ, conversation=conversation, conversation_offset=upto)


async def everybody_wrote(world: World) -> tuple[Client, dict[str, Client]]:
    """Bob, cat and dan wrote two messages each to ann, in turn; bob wrote last, and ann answered cat in between."""
    ann = await world.join("ann", "phone")
    others = {eid: await world.join(eid, "phone") for eid in ("bob", "cat", "dan")}
    for number in (1, 2):
        for eid in ("dan", "cat", "bob"):
            await others[eid].post("ann", f"{eid} {number}".encode(), f"m{number}")
        if number == 1:
            await ann.post("cat", b"yes?", "m1")
    await ann.heard()
    return ann, others


async def test_a_new_device_is_told_everything_in_one_answer(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        await everybody_wrote(world)
        tablet = await world.join("ann", "tablet", begin(pb.Start.HEAD))
        body = await ask(tablet)

        assert [row(one) for one in body.conversations] == [
            ("bob", b"bob 2", 2, 0),
            ("cat", b"cat 2", 2, 0),
            ("dan", b"dan 2", 2, 0),
        ]
        assert [(one.head, one.member_count, one.read_upto) for one in body.conversations] == [
            (2, 2, 0),
            (3, 2, 0),
            (2, 2, 0),
        ]
        assert body.complete
        assert all(one.last_activity for one in body.conversations)


async def test_what_happens_in_a_conversation_brings_it_on_top(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        await ann.post("dan", b"hello", "m2")
        after_own = await ask(ann)
        await others["cat"].post("ann", b"cat 3", "m3")
        after_cats = await ask(ann)

        assert [one.peer for one in after_own.conversations] == ["dan", "bob", "cat"]
        assert [one.peer for one in after_cats.conversations] == ["cat", "dan", "bob"]


async def test_unread_is_what_others_wrote_behind_the_marker(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        cats = next(one for one in (await ask(ann)).conversations if one.peer == "cat")
        ann.send(command=mark_read(cats.id, 1))
        await ann.heard()
        read_one = next(one for one in (await ask(ann)).conversations if one.peer == "cat")
        ann.send(command=mark_read(cats.id, 3))
        await ann.heard()
        read_all = next(one for one in (await ask(ann)).conversations if one.peer == "cat")
        of_cat = await ask(others["cat"])

        assert (read_one.unread, read_one.read_upto) == (1, 1)
        assert (read_all.unread, read_all.read_upto) == (0, 3)
        assert [row(one) for one in of_cat.conversations] == [("ann", b"cat 2", 1, 0)]


async def test_mentions_are_counted_until_they_are_read(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        sent = await others["cat"].post("ann", b"@ann!", "m3", mentions=["ann", "cat", "nobody"])
        await others["bob"].post("ann", b"@cat!", "m3", mentions=["cat"])
        before = {one.peer: one.mentions for one in (await ask(ann)).conversations}
        ann.send(command=mark_read(sent.conversation, sent.conversation_offset))
        await ann.heard()
        after = {one.peer: one.mentions for one in (await ask(ann)).conversations}

        assert before == {"bob": 0, "cat": 1, "dan": 0}
        assert after == {"bob": 0, "cat": 0, "dan": 0}
        assert [one.mentions for one in (await ask(others["cat"])).conversations] == [0]


async def test_pages_join_while_things_happen(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        first = await ask(ann, limit=1)
        await others["dan"].post("ann", b"dan 3", "m3")  # rises above the first page
        second = await ask(ann, limit=1, cursor=first.next_cursor)
        third = await ask(ann, limit=5, cursor=second.next_cursor)

        assert [[one.peer for one in page.conversations] for page in (first, second, third)] == [["bob"], ["cat"], []]
        assert [page.complete for page in (first, second, third)] == [False, False, True]
        assert [one.peer for one in (await ask(ann)).conversations] == ["dan", "bob", "cat"]


async def test_last_messages_come_with_who_has_them(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        sent = await ann.post("dan", b"hello", "m2")
        await others["dan"].heard()
        others["dan"].acknowledge(3)
        await others["dan"].heard()
        await ann.heard()
        body = await ask(ann)

        receipts = [item.receipts for state in body.states for item in state.items if item.receipts is not None]
        assert [(one.conversation, one.member, one.kind.name) for one in receipts] == [
            (sent.conversation, "dan", "DELIVERED")
        ]


async def test_a_group_is_in_the_inboxes_of_its_members(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        ann, others = await everybody_wrote(world)
        members = [pb.Member(eid=eid) for eid in ("bob", "cat")]
        ann.send(
            conversation=pb.Conversation(
                action=pb.ConversationAction.CREATE, title="Club", members=members, request_id="r1"
            ),
            ref=5,
        )
        await ann.heard()
        (club,) = [one for one in (await ask(others["bob"])).conversations if one.title]
        await others["cat"].post(club.id, b"hi all", "m9", mentions=["bob"])
        of_bob, of_dan = await ask(others["bob"]), await ask(others["dan"])

        assert [row(one)[:2] for one in of_bob.conversations] == [("Club", b"hi all"), ("ann", b"bob 2")]
        assert (of_bob.conversations[0].mentions, of_bob.conversations[0].member_count) == (1, 3)
        assert [one.title for one in of_dan.conversations] == [""]


async def club(world: World, *eids: str) -> tuple[dict[str, Client], str]:
    """Phones of the members of a group, and its id; the first one is its owner."""
    phones = {eid: await world.join(eid, "phone") for eid in eids}
    create = conversation(pb.ConversationAction.CREATE, "", *eids[1:], title="Club")
    phones[eids[0]].send(conversation=create, ref=5)
    for phone in phones.values():
        await phone.heard()
    ((found,),) = [(await ask(phones[eids[0]])).conversations]
    return phones, found.id


def conversation(action: pb.ConversationAction, group: str, *members: str, **fields: Any) -> pb.Conversation:
    return pb.Conversation(action=action, id=group, members=[pb.Member(eid=eid) for eid in members], **fields)


async def mentioned(client: Client) -> list[int]:
    """How many messages mention the user, in each of their conversations."""
    return [one.mentions for one in (await ask(client)).conversations]


async def test_of_a_group_each_member_is_told_how_often_they_are_mentioned(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await world.register("dan")
        phones, group = await club(world, "ann", "bob", "cat")
        await phones["ann"].post(group, b"@bob @cat @dan", "m1", mentions=["bob", "cat", "dan", "ann"])
        await phones["cat"].post(group, b"@bob", "m1", mentions=["bob"])
        heard = await phones["bob"].heard()

        assert [one.mentions for one in heard.messages] == [["bob", "cat", "dan", "ann"], ["bob"]]
        assert {eid: await mentioned(phone) for eid, phone in phones.items()} == {"ann": [0], "bob": [2], "cat": [1]}
        phones["bob"].send(command=mark_read(group, heard.messages[0].conversation_offset))
        await phones["bob"].heard()
        assert await mentioned(phones["bob"]) == [1]
    async with open_world(open_store=open_store) as world:
        assert await mentioned(await world.join("bob", "tablet", begin(pb.Start.HEAD))) == [1]


async def test_who_comes_back_to_a_group_is_not_mentioned_where_they_were_not_yet_back(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        phones, group = await club(world, "ann", "bob")
        await phones["ann"].post(group, b"@bob", "m1", mentions=["bob"])
        phones["bob"].send(conversation=conversation(pb.ConversationAction.LEAVE, group), ref=5)
        await phones["bob"].heard()
        await phones["ann"].post(group, b"@bob?", "m2", mentions=["bob"])
        phones["ann"].send(conversation=conversation(pb.ConversationAction.INVITE, group, "bob"), ref=5)
        await phones["ann"].heard()

        assert await mentioned(phones["bob"]) == [0]
        await phones["ann"].post(group, b"@bob!", "m3", mentions=["bob"])
        assert await mentioned(phones["bob"]) == [1]


@pytest.mark.parametrize("to", ["bob", "c1"])
async def test_what_is_deleted_or_has_disappeared_mentions_nobody(autojump_clock: MockClock, to: str) -> None:
    async with open_world() as world:
        phones, _ = await club(world, "ann", "bob")
        deleted = await phones["ann"].post(to, b"@bob", "m1", mentions=["bob"])
        await phones["ann"].post(to, b"@bob", "m2", mentions=["bob"], ttl_ms=5000)
        await phones["ann"].post(to, b"@bob", "m3", mentions=["bob"])
        before = await mentioned(phones["bob"])
        delete = pb.Command(kind=pb.CommandKind.DELETE_FOR_EVERYONE, target=deleted.signal_offset)
        phones["ann"].send(command=delete, ref=5)
        await phones["ann"].heard()
        after = await mentioned(phones["bob"])
        await trio.sleep(60)
        later = await mentioned(phones["bob"])

        assert (before[0], after[0], later[0]) == (3, 2, 1)


async def test_who_left_a_group_does_not_see_it_any_more(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        create = pb.Conversation(
            action=pb.ConversationAction.CREATE, title="Club", members=[pb.Member(eid="bob")], request_id="r1"
        )
        ann.send(conversation=create, ref=5)
        await ann.heard()
        (club,) = [one for one in (await ask(others["bob"])).conversations if one.title]
        leave = pb.Conversation(action=pb.ConversationAction.LEAVE, id=club.id, request_id="r2")
        others["bob"].send(conversation=leave, ref=6)
        await others["bob"].heard()

        assert [one.peer for one in (await ask(others["bob"])).conversations] == ["ann"]


async def test_a_store_that_is_older_than_inboxes_is_gone_through_once(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        await everybody_wrote(world)
    store = open_store()
    with store.snapshot() as view:
        tables = (Table.INBOXES, Table.RECENT, Table.RISEN)
        puts: dict[Table, dict[Any, Any]] = {
            table: {key: None for key, _ in view.scan(table, (), table.schema.end, limit=100)} for table in tables
        }
    store.begin()
    store.apply(Changes(puts))
    store.commit()
    store.close()
    async with open_world(open_store=open_store) as world:
        ann = await world.join("ann", "phone")
        cat = await world.join("cat", "phone")
        await cat.post("ann", b"cat 3", "m3")
        body = await ask(ann)

        assert [row(one)[:2] for one in body.conversations] == [
            ("cat", b"cat 3"),
            ("bob", b"bob 2"),
            ("dan", b"dan 2"),
        ]


async def test_a_message_for_another_device_is_not_the_last_one_here(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        ann, others = await everybody_wrote(world)
        laptop = await world.join("ann", "laptop", begin(pb.Start.HEAD))
        await laptop.heard()
        address = pb.DeviceAddress(identity=pb.Identity(eid="ann", connection_resource_id="laptop"))
        await others["bob"].post("ann", b"for the laptop", "m3", devices=[address])
        on_phone, on_laptop = await ask(ann), await ask(laptop)

        assert row(on_phone.conversations[0])[:2] == ("bob", b"bob 2")
        assert row(on_laptop.conversations[0])[:2] == ("bob", b"for the laptop")


@pytest.mark.parametrize("cursor", [b"\x06\x00", b"\x06\x00\x01\x01", b"\x06\x01\x01", b"made up"])
async def test_a_cursor_that_is_none_is_refused(autojump_clock: MockClock, cursor: bytes) -> None:
    async with open_world() as world:
        ann, _ = await everybody_wrote(world)
        ann.send(fetch=pb.Fetch(kind=INBOX, cursor=cursor), ref=5)
        [error] = (await ann.heard()).errors

        assert (error.code, error.field, error.ref) == (pb.ErrorCode.INVALID, "cursor", 5)
