"""Answers to a message are a thread: both ways, a page at a time, for whoever is in the conversation."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationId, Millis
from bimip.domain.core.operations import ExpireHistory
from bimip.names import conversation_number
from bimip.testing.virtual import virtual_millis
from tests.kit.memory_server import Client, World, open_world, settle
from tests.scenarios.conftest import OpenStore

THREAD = pb.FetchKind.THREAD


async def ask(client: Client, **fields: Any) -> pb.Body:
    client.send(fetch=pb.Fetch(kind=THREAD, **fields), ref=77)
    (body,) = [body for body in (await client.heard()).bodies if body.ref == 77]
    return body


def payloads(*bodies: pb.Body) -> list[bytes]:
    return [one.payload for body in bodies for one in body.messages]


async def a_talk(world: World) -> tuple[Client, Client, pb.Signal]:
    """Alice asks twice; both answer her first question, in turn with other messages; and one answers an answer."""
    alice, bob = await world.join("alice", "phone"), await world.join("bob", "phone")
    question = await alice.post("bob", b"Where?", "q1")
    await alice.post("bob", b"When?", "q2")
    for number in range(1, 4):
        await bob.post("alice", b"b%d" % number, f"b{number}", reply_to=question.signal_id)
        await bob.post("alice", b"-", f"x{number}")
        answer = await alice.post("bob", b"a%d" % number, f"a{number}", reply_to=question.signal_id)
    await bob.post("alice", b"to a3", "b9", reply_to=answer.signal_id)
    await bob.post("alice", b"to nothing", "b10", reply_to="7ZZZZZZZZZZZZ")
    await bob.post("alice", b"to a name", "b11", reply_to="my own name")
    return alice, bob, question


ANSWERS = [b"b1", b"a1", b"b2", b"a2", b"b3", b"a3"]


async def test_the_answers_to_a_message_and_no_others(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        alice, bob, question = await a_talk(world)
        asked = {"conversation": question.conversation, "reply_to": question.signal_id}
        onwards, backwards = await ask(alice, **asked), await ask(bob, backwards=True, **asked)

        assert payloads(onwards) == ANSWERS
        assert payloads(backwards) == ANSWERS[::-1]
        assert onwards.complete
        assert backwards.complete
        assert {one.reply_to for one in onwards.messages} == {question.signal_id}


@pytest.mark.parametrize("backwards", [False, True])
async def test_pages_join(autojump_clock: MockClock, backwards: Any) -> None:
    async with open_world() as world:
        alice, _, question = await a_talk(world)
        asked = {"conversation": question.conversation, "reply_to": question.signal_id, "backwards": backwards}
        pages = [await ask(alice, limit=4, **asked)]
        while not pages[-1].complete:
            pages.append(await ask(alice, limit=4, cursor=pages[-1].next_cursor, **asked))
        begun = await ask(alice, offset=6, **asked)

        assert payloads(*pages) == (ANSWERS[::-1] if backwards else ANSWERS)
        assert payloads(begun) == ([b"b2", b"a1", b"b1"] if backwards else ANSWERS[2:])


async def test_what_answers_nothing_older_is_in_no_thread(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, _, question = await a_talk(world)
        body = await ask(alice, conversation=question.conversation, reply_to="7ZZZZZZZZZZZZ")

        assert (payloads(body), body.complete) == ([], True)


async def test_answers_that_expired_are_not_in_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        alice, bob, question = await a_talk(world)
        before = earliest_stamp(Millis(virtual_millis() + 1000))
        world.server.queue.submit(
            ExpireHistory(ConversationId(conversation_number(question.conversation) or 0), before)
        )
        await settle()
        await bob.post("alice", b"late", "late", reply_to=question.signal_id)
        asked = {"conversation": question.conversation, "reply_to": question.signal_id}

        assert payloads(await ask(alice, **asked)) == [b"late"]
        assert payloads(await ask(alice, backwards=True, **asked)) == [b"late"]


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"conversation": "c1"}, pb.ErrorCode.INVALID, "reply_to"),
        ({"conversation": "c1", "reply_to": "my own name"}, pb.ErrorCode.INVALID, "reply_to"),
        ({"conversation": "c1", "reply_to": "ZZZZZZZZZZZZZ"}, pb.ErrorCode.INVALID, "reply_to"),
        ({"reply_to": "65WZSBAB00000"}, pb.ErrorCode.INVALID, "conversation"),
        ({"conversation": "c99", "reply_to": "65WZSBAB00000"}, pb.ErrorCode.NOT_FOUND, "conversation"),
    ],
)
async def test_what_may_not_be_asked(
    autojump_clock: MockClock, fields: dict[str, Any], code: pb.ErrorCode, field: str
) -> None:
    async with open_world() as world:
        alice, _, _ = await a_talk(world)
        alice.send(fetch=pb.Fetch(kind=THREAD, **fields), ref=5)
        [error] = (await alice.heard()).errors

        assert (error.code, error.field, error.ref) == (code, field, 5)


async def test_who_is_not_in_the_conversation_learns_nothing_of_it(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        _, _, question = await a_talk(world)
        mallory = await world.join("mallory", "phone")
        for conversation in (question.conversation, "c99"):
            fetch = pb.Fetch(kind=THREAD, conversation=conversation, reply_to=question.signal_id)
            mallory.send(fetch=fetch, ref=5)
            [error] = (await mallory.heard()).errors

            assert (error.code, error.field) == (pb.ErrorCode.NOT_FOUND, "conversation")
