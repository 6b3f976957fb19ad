"""Waiting until a message has arrived, and until it was read."""

import anyio
import pytest

from bimip.client import Refused
from bimip.client.errors import Stopped
from bimip.client.events import Connected, Sent
from bimip.client.wire.bimip import (
    Body,
    Conversation,
    ErrorCode,
    ErrorMessage,
    Fetch,
    FetchKind,
    ReceiptRun,
    Receipts,
    StateDelta,
    StateItem,
    Turn,
)
from bimip.client.wire.bimip import MessageStatus as Kind
from tests.client.support import TIME, FakeServer, Peer, a_client, both_backends, next_of, page, run

SENT = Sent("m1", 4000, "s00004", 4, "c1", 4, TIME, partition="chat")


def told(member: str, kind: Kind, *, version: int = 0) -> StateItem:
    receipts = Receipts(conversation="c1", member=member, kind=kind, runs=[ReceiptRun(from_=1, to=4, time=TIME)])
    return StateItem(version=version, receipts=receipts)


async def answer(peer: Peer, members: int, *items: StateItem) -> None:
    fetch, ref = await peer.expect(Fetch)
    assert (fetch.kind, fetch.conversation, fetch.offset, fetch.upto) == (FetchKind.RECEIPTS, "c1", 4, 4)
    conversations = [Conversation(id="c1", member_count=members)]
    states = [StateDelta(items=list(items))]
    peer.send(Body(turn=Turn.TURN_FETCH, complete=True, conversations=conversations, states=states, ref=ref), ref)


@both_backends
async def test_it_returns_when_the_other_one_has_it_and_when_they_have_read_it() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        done: list[str] = []

        async def wait() -> None:
            done.append((await client.messages.wait_delivered(SENT)).state)
            done.append((await client.messages.wait_read(SENT)).state)

        tasks.start_soon(wait)
        await answer(peer, 2, told("alice@example.org", Kind.READ))
        await anyio.sleep(0.05)
        assert done == []
        peer.send(page(0, 1, told("bob@example.org", Kind.DELIVERED, version=1)))
        await wait_for(done, 1)
        peer.send(page(1, 2, told("bob@example.org", Kind.PLAYED, version=2)))
        await wait_for(done, 2)

        assert done == ["delivered", "played"]


async def wait_for(done: list[str], count: int) -> None:
    while len(done) < count:  # noqa: ASYNC110 - it has no event
        await anyio.sleep(0.01)


def test_a_group_is_asked_again_since_members_come_and_go() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client, anyio.create_task_group() as tasks:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            tasks.start_soon(client.messages.wait_delivered, SENT)
            await answer(peer, 3, told("bob@example.org", Kind.DELIVERED))
            began = anyio.current_time()
            await answer(peer, 3)
            assert anyio.current_time() - began >= 10
            await answer(peer, 2)  # the third one has left

    run(scenario)


@both_backends
async def test_what_is_not_there_any_more_is_refused_and_a_client_that_stopped_waits_for_nothing() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)

        async def refuse() -> None:
            _, ref = await peer.expect(Fetch)
            peer.send(ErrorMessage(code=ErrorCode.NOT_FOUND, message="no"), ref)
            await answer(peer, 2)
            peer.close(4102, "revoked")

        tasks.start_soon(refuse)
        with pytest.raises(Refused):
            await client.messages.wait_read(SENT)
        with pytest.raises(Stopped):
            await client.messages.wait_read(SENT)


def test_a_cut_is_waited_through() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client, anyio.create_task_group() as tasks:
            peer = await server.accept()
            await peer.greet()

            async def lose_one() -> None:
                await peer.expect(Fetch)
                peer.cut()
                again = await server.accept()
                await again.greet()
                await answer(again, 2, told("bob@example.org", Kind.DELIVERED))

            tasks.start_soon(lose_one)
            assert (await client.messages.wait_delivered(SENT)).delivered_to == ("bob@example.org",)

    run(scenario)
