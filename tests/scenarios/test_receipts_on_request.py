"""Who received and read what, as somebody who did not keep it asks: of their own messages, and no others."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, open_world
from tests.scenarios.conftest import OpenStore

MANY = 600
"""Messages: more than two blocks of receipts."""
DELIVERED, READ, PLAYED = "DELIVERED", "READ", "PLAYED"

Told = list[tuple[str, str, list[tuple[int, int]]]]


async def ask(client: Client, **fields: Any) -> pb.Body:
    client.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, **fields), ref=77)
    (body,) = [body for body in (await client.heard()).bodies if body.ref == 77]
    return body


def told(*bodies: pb.Body) -> Told:
    """(member, kind, ranges) of each item."""
    receipts = [item.receipts for body in bodies for state in body.states for item in state.items]
    return [
        (one.member, one.kind.name or "", [(run.from_, run.to) for run in one.runs])
        for one in receipts
        if one is not None
    ]


async def bob_read_some(world: World) -> tuple[Client, Client, str]:
    """Alice wrote many messages and bob two; he received all of hers but the last, and read some."""
    alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
    for start in range(0, MANY, 100):
        batch = [
            pb.Message(id=f"m{number}", to=pb.Identity(eid="bob"), type=1, payload=b"x")
            for number in range(start, start + 100)
        ]
        alice.send(body=pb.Body(messages=batch))
        sent = (await alice.heard()).sent
        bob.acknowledge(sent[-1].user_offset)
        await bob.heard()
    conversation = sent[-1].conversation
    await bob.post("alice", b"y", "b1")
    await bob.post("alice", b"y", "b2")
    bob.read(conversation, 300)
    bob.send(signal=pb.Signal(status=pb.MessageStatus.PLAYED, conversation=conversation, conversation_offset=290))
    alice.acknowledge(MANY + 2)
    alice.read(conversation, MANY + 1)
    await bob.heard()
    await alice.heard()
    return alice, bob, conversation


async def test_a_writer_is_told_of_others_and_a_reader_of_themselves(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, conversation = await bob_read_some(world)
        alices = await ask(alice, conversation=conversation, offset=289, upto=MANY + 2)
        bobs = await ask(bob, conversation=conversation, offset=289)

        assert told(alices) == [
            ("bob", DELIVERED, told(alices)[0][2]),
            ("bob", READ, [(289, 300)]),
            ("bob", PLAYED, [(290, 290)]),
            ("alice", READ, [(MANY + 1, MANY + 1)]),
            ("bob", DELIVERED, told(alices)[4][2]),
        ]
        assert {place for member, kind, runs in told(alices) if kind == DELIVERED for run in runs for place in run} <= {
            *range(289, MANY + 1)
        }
        assert ("alice", READ, [(MANY + 1, MANY + 1)]) in told(bobs)
        assert ("bob", READ, [(289, 300)]) in told(bobs)
        assert [(one.id, one.head, one.member_count) for one in bobs.conversations] == [(conversation, MANY + 2, 2)]
        assert {(state.after, state.upto, state.complete) for state in alices.states} == {(0, 0, False)}


async def test_pages_join(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, _, conversation = await bob_read_some(world)
        whole = await ask(alice, conversation=conversation)
        pages = [await ask(alice, conversation=conversation, limit=2, offset=1)]
        while not pages[-1].complete:
            pages.append(await ask(alice, conversation=conversation, limit=2, cursor=pages[-1].next_cursor))

        assert told(whole) == told(*pages)
        assert whole.complete
        assert max(len(told(page)) for page in pages) == 2


async def test_one_message_is_told_of_alone(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, _, conversation = await bob_read_some(world)
        one = await ask(alice, conversation=conversation, offset=290, upto=290)
        bobs = await ask(alice, conversation=conversation, offset=MANY + 1, upto=MANY + 1)
        beyond = await ask(alice, conversation=conversation, offset=MANY + 9)

        assert told(one) == [(("bob"), kind, [(290, 290)]) for kind in (DELIVERED, READ, PLAYED)]
        assert told(bobs) == [("alice", READ, [(MANY + 1, MANY + 1)])]
        assert (told(beyond), beyond.complete) == ([], True)


@pytest.mark.parametrize("conversation", ["c1", "c99", "alice"])
async def test_who_is_in_no_such_conversation_learns_nothing_of_it(
    autojump_clock: MockClock, conversation: str
) -> None:
    async with open_world() as world:
        await bob_read_some(world)
        mallory = await world.join("mallory", "phone")
        mallory.send(fetch=pb.Fetch(kind=pb.FetchKind.RECEIPTS, conversation=conversation), ref=3)
        heard = await mallory.heard()

        assert [(error.code, error.field, error.ref) for error in heard.errors] == [
            (pb.ErrorCode.NOT_FOUND, "conversation", 3)
        ]
