"""Paging through logs and conversations: both ways, on whichever connection, while messages come and go."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationId, Millis
from bimip.domain.core.operations import ExpireHistory, ExpireLog
from bimip.domain.core.records import Table
from bimip.names import conversation_number
from bimip.testing.virtual import virtual_millis
from tests.kit.memory_server import Client, World, go_on, open_world, settle
from tests.scenarios.conftest import OpenStore

LOG, HISTORY, BY_SEQ = pb.FetchKind.LOG, pb.FetchKind.HISTORY, pb.FetchKind.BY_SEQ
MANY = 10


async def ask(client: Client, **fields: Any) -> pb.Body:
    client.send(fetch=pb.Fetch(**fields), ref=77)
    (body,) = [body for body in (await client.heard()).bodies if body.ref == 77]
    return body


def joined(found: list[list[bytes]]) -> list[bytes]:
    return [payload for page in found for payload in page]


async def pages(client: Client, **fields: Any) -> list[list[bytes]]:
    """All pages from one end to the other, each by the cursor of the one before."""
    found, body = [], pb.Body()
    while not body.complete:
        body = await ask(client, cursor=body.next_cursor, **fields)
        found.append([one.payload for one in body.messages])
    return found


async def alice_wrote(world: World) -> tuple[Client, Client, str]:
    """Ten messages from alice's phone to bob, each with a `seq`; both devices, and their conversation."""
    alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
    for number in range(1, MANY + 1):
        sent = await alice.post("bob", b"%d" % number, f"m{number}", seq=f"{number}:{number}:phone")
    await bob.heard()
    return alice, bob, sent.conversation


def asked(kind: pb.FetchKind, conversation: str) -> dict[str, Any]:
    return {"kind": kind, "conversation": conversation} if kind == HISTORY else {"kind": kind, "partition": "chat"}


@pytest.mark.parametrize("kind", [LOG, HISTORY, BY_SEQ], ids=lambda kind: kind.name)
@pytest.mark.parametrize("backwards", [False, True], ids=["oldest first", "newest first"])
async def test_pages_join_in_either_direction(
    autojump_clock: MockClock, open_store: OpenStore, kind: pb.FetchKind, backwards: Any
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, _, conversation = await alice_wrote(world)
        found = await pages(alice, limit=4, backwards=backwards, **asked(kind, conversation))

        expected = [b"%d" % number for number in range(1, MANY + 1)]
        assert joined(found) == (expected[::-1] if backwards else expected)
        assert [len(page) for page in found if page] == [4, 4, 2]


@pytest.mark.parametrize("kind", [LOG, HISTORY, BY_SEQ], ids=lambda kind: kind.name)
async def test_a_cursor_holds_on_another_connection_and_after_a_restart(
    autojump_clock: MockClock, open_store: OpenStore, kind: pb.FetchKind
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, _, conversation = await alice_wrote(world)
        first = await ask(alice, limit=3, backwards=True, **asked(kind, conversation))
    async with open_world(open_store=open_store) as world:
        alice = await world.join("alice", "phone", go_on())
        second = await ask(alice, limit=3, backwards=True, cursor=first.next_cursor, **asked(kind, conversation))

        assert [one.payload for one in (*first.messages, *second.messages)] == [b"10", b"9", b"8", b"7", b"6", b"5"]


async def test_a_cursor_stays_where_it_is_while_messages_arrive(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world)
        backwards = await ask(bob, limit=3, backwards=True, **asked(HISTORY, conversation))
        onwards = await ask(bob, limit=MANY, **asked(HISTORY, conversation))
        await alice.post("bob", b"new", "new")
        older = await ask(bob, limit=3, backwards=True, cursor=backwards.next_cursor, **asked(HISTORY, conversation))
        newer = await ask(bob, cursor=onwards.next_cursor, **asked(HISTORY, conversation))

        assert [one.payload for one in older.messages] == [b"7", b"6", b"5"]
        assert (onwards.complete, [one.payload for one in newer.messages]) == (True, [b"new"])


async def test_a_cursor_whose_place_has_expired_goes_on_with_what_is_kept(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, _, conversation = await alice_wrote(world)
        queries = {kind: asked(kind, conversation) for kind in (LOG, HISTORY, BY_SEQ)}
        up = {kind: (await ask(alice, limit=2, **query)).next_cursor for kind, query in queries.items()}
        down = {
            kind: (await ask(alice, limit=2, backwards=True, **query)).next_cursor for kind, query in queries.items()
        }
        before = earliest_stamp(Millis(virtual_millis() + 1000))
        with world.server.store.snapshot() as view:
            users = [view.get(Table.USERS, (eid,)).number for eid in ("alice", "bob")]
        for user in users:
            world.server.queue.submit(ExpireLog(user, "chat", before))
        world.server.queue.submit(ExpireHistory(ConversationId(conversation_number(conversation) or 0), before))
        await settle()
        await alice.post("bob", b"new", "new", seq="99:99:phone")
        for kind, query in queries.items():
            onwards = await ask(alice, cursor=up[kind], **query)
            backwards = await ask(alice, cursor=down[kind], backwards=True, **query)

            assert ([one.payload for one in onwards.messages], onwards.complete) == ([b"new"], True)
            assert ([one.payload for one in backwards.messages], backwards.complete) == ([], True)


async def test_what_an_origin_device_wrote_is_paged_in_ones_log_and_in_a_conversation(
    autojump_clock: MockClock,
) -> None:
    async with open_world() as world:
        alice, bob, conversation = await alice_wrote(world)
        laptop = await world.join("alice", "laptop", go_on())
        for number in range(1, 4):
            await laptop.post("bob", b"l%d" % number, f"m{number}")
            await bob.post("alice", b"b%d" % number, f"m{number}")
        origin = {"from_": pb.Identity(eid="alice", connection_resource_id="laptop")}
        for asker in (alice, bob):
            for kind in (LOG, HISTORY):
                found = await pages(asker, limit=2, backwards=True, **origin, **asked(kind, conversation))

                assert joined(found) == [b"l3", b"l2", b"l1"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"cursor": b"made up"}, "cursor"),
        ({"cursor": b"\x01\x00\x05", "backwards": True}, "cursor"),
        ({"cursor": b"\x01\x00\x05", "offset": 5}, "cursor"),
        ({"cursor": b"\x01\x00" + b"\x05" * 100}, "cursor"),
    ],
)
async def test_a_cursor_that_is_none_is_refused(autojump_clock: MockClock, fields: dict[str, Any], field: str) -> None:
    async with open_world() as world:
        alice, _, _ = await alice_wrote(world)
        alice.send(fetch=pb.Fetch(kind=LOG, partition="chat", **fields), ref=5)
        [error] = (await alice.heard()).errors

        assert (error.code, error.field, error.ref) == (pb.ErrorCode.INVALID, field, 5)


async def test_each_message_comes_with_who_received_and_read_it(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    """Its writer is told of the others, its reader of their own reading; and of these messages alone."""
    async with open_world(open_store=open_store) as world:
        alice, bob, conversation = await alice_wrote(world)
        bob.acknowledge(8)
        bob.read(conversation, 6)
        await bob.heard()
        await alice.heard()

        def told(body: pb.Body) -> list[tuple[str, str, list[tuple[int, int]]]]:
            receipts = [item.receipts for state in body.states for item in state.items if item.receipts is not None]
            return [(one.member, one.kind.name or "", [(run.from_, run.to) for run in one.runs]) for one in receipts]

        page = await ask(alice, limit=4, offset=5, **asked(HISTORY, conversation))
        tablet = await world.join("alice", "tablet", go_on())
        log = await ask(tablet, limit=2, offset=8, **asked(LOG, conversation))
        bobs = await ask(bob, limit=4, offset=5, **asked(HISTORY, conversation))

        assert told(page) == [("bob", "DELIVERED", [(5, 8)]), ("bob", "READ", [(5, 6)])]
        assert {(state.after, state.upto, state.reset, state.complete) for state in page.states} == {
            (0, 0, False, False)
        }
        assert told(log) == [("bob", "DELIVERED", [(8, 8)])]
        assert told(bobs) == [("bob", "READ", [(5, 6)])]
