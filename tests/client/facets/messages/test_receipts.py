"""What a program is told of who received its messages, from its copy and from the server."""

import anyio
import pytest

from bimip.client import DeliveryState
from bimip.client.errors import InvalidArgument
from bimip.client.events import Connected
from bimip.client.facets.messages.receipts import delivery_state_of
from bimip.client.wire.bimip import (
    Body,
    Conversation,
    Fetch,
    FetchKind,
    MessageStatus,
    ReceiptRun,
    Receipts,
    StateDelta,
    StateItem,
    Turn,
)
from tests.client.support import FakeServer, a_client, both_backends, next_of, until

ALL = {"delivered": 1, "read": 2, "played": 3}


@pytest.mark.parametrize(
    ("times", "others", "state"),
    [
        ({}, 1, "sent"),
        ({"b": {"delivered": 1}}, 1, "delivered"),
        ({"b": {"delivered": 1, "read": 2}}, 1, "read"),
        ({"b": ALL}, 1, "played"),
        ({"b": ALL}, 2, "sent"),
        ({"b": ALL, "c": {"delivered": 1}}, 2, "delivered"),
        ({"b": ALL, "c": {"delivered": 1, "read": 1}}, 2, "read"),
        ({}, 0, "sent"),
    ],
)
def test_a_message_is_as_far_as_the_last_of_its_readers(
    times: dict[str, dict[str, int]], others: int, state: str
) -> None:
    assert delivery_state_of(times, others).state == state


@both_backends
async def test_what_the_copy_lacks_is_asked_for_and_then_kept() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await until(lambda: client.connected)

        async def serve() -> None:
            fetch, ref = await peer.expect(Fetch)
            assert (fetch.kind, fetch.conversation, fetch.offset, fetch.upto) == (FetchKind.RECEIPTS, "c1", 4, 4)
            receipts = Receipts(
                conversation="c1", member="bob", kind=MessageStatus.READ, runs=[ReceiptRun(from_=4, to=4, time=9)]
            )
            items = StateDelta(items=[StateItem(receipts=receipts)])
            about = Conversation(id="c1", head=4, member_count=2)
            peer.send(Body(turn=Turn.TURN_FETCH, states=[items], conversations=[about], complete=True, ref=ref), ref)

        tasks.start_soon(serve)
        asked = await client.messages.delivery_state("c1", 4)
        known = await client.messages.delivery_state("c1", 4)

        times = {"bob": {"delivered": 9, "read": 9}}
        assert asked == known == DeliveryState("read", ("bob",), ("bob",), (), times)


@both_backends
async def test_reads_of_many_conversations_are_one_frame_and_said_again_after_a_cut() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        await client.messages.mark_read_many({"c1": 5, "bob@example.org": 7})
        body, _ = await peer.expect(Body)

        assert [(one.status, one.conversation, one.to and one.to.eid, one.upto) for one in body.signals] == [
            (MessageStatus.READ, "c1", None, 5),
            (MessageStatus.READ, "", "bob@example.org", 7),
        ]
        await client.messages.mark_read_many({"c1": 4})  # nothing new
        with pytest.raises(InvalidArgument):
            await client.messages.mark_read_many({"c2": 1, "c3": 0})
        peer.cut()
        peer = await server.accept()
        await peer.greet()
        again = [(await peer.receive()).payload for _ in range(2)]

        assert sorted(getattr(one, "upto", 0) for one in again) == [5, 7]
