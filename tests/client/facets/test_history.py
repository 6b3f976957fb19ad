import anyio

from bimip.client.events import Connected, Received
from bimip.client.wire.bimip import Body, Fetch, Identity, Message, OffsetRange, Signal, Turn
from tests.client.support import FakeServer, a_client, batch, both_backends, next_of, take


@both_backends
async def test_fetched_messages_may_be_acknowledged_and_then_are_no_events() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        await next_of(client, Connected)
        client.acknowledge("chat", [2, 3])
        ack, _ = await peer.expect(Signal)
        peer.send(batch(0, 4, 1, 2, 3, 4))

        assert [OffsetRange(from_=2, to=3)] == ack.offsets
        assert [event.offset for event in await take(client, Received, 2)] == [1, 4]


def by(eid: str, device: str, offset: int) -> Message:
    author = Identity(eid=eid, connection_resource_id=device)
    return Message(from_=author, user_offset=offset, signal_id=f"{offset:013}")


@both_backends
async def test_heads_are_asked_for_until_there_are_enough_and_the_first_of_each_counts() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            pages = [
                [by("bob", "phone", 9)],
                [by("bob", "phone", 4), by("carol", "phone", 3)],
                [by("dave", "phone", 1)],
            ]
            for page in pages:
                fetch, ref = await peer.expect(Fetch)
                complete = page is pages[2]
                peer.send(Body(turn=Turn.TURN_FETCH, messages=page, next_cursor=b"on", complete=complete), ref)
            fetch, ref = await peer.expect(Fetch)
            both = [by("bob", "phone", 9), by("bob", "laptop", 5)]
            peer.send(Body(turn=Turn.TURN_FETCH, messages=both, complete=True), ref)
            assert fetch.from_ == Identity(eid="bob")

        tasks.start_soon(serve)

        assert [one.user_offset for one in await client.history.heads(limit=2)] == [9, 3]
        assert [one.user_offset for one in await client.history.heads()] == [1]
        assert [one.user_offset for one in await client.history.heads(sender="bob")] == [9, 5]


@both_backends
async def test_a_history_is_asked_for_until_there_is_as_much_as_is_wanted() -> None:
    server = FakeServer()
    pages = [([9, 8], False), ([], False), ([7], True), ([9, 8], False), ([7, 6], False)]
    asked: list[tuple[int | None, int, bytes]] = []
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            for page, complete in pages:
                fetch, ref = await peer.expect(Fetch)
                asked.append((fetch.offset, fetch.limit, fetch.cursor))
                messages = [Message(conversation_offset=place) for place in page]
                peer.send(Body(turn=Turn.TURN_FETCH, messages=messages, next_cursor=b"on", complete=complete), ref)

        tasks.start_soon(serve)
        whole = await client.history.conversation("c1", before=10, limit=5)
        some = await client.history.conversation("c1", before=10, limit=4)

        assert [one.conversation_offset for one in whole] == [7, 8, 9]
        assert [one.conversation_offset for one in some] == [6, 7, 8, 9]
        assert asked == [(9, 5, b""), (None, 3, b"on"), (None, 3, b"on"), (9, 4, b""), (None, 2, b"on")]
