import anyio
import pytest

from bimip.client import FeedInfo, InvalidArgument, Refused
from bimip.client.events import Connected, PostReceived, Received
from bimip.client.wire.bimip import (
    Body,
    Conversation,
    ConversationAction,
    ErrorCode,
    ErrorMessage,
    Fetch,
    FetchKind,
    Identity,
    Member,
    Message,
)
from tests.client.support import FakeServer, a_client, a_message, both_backends, next_of, sent


@both_backends
async def test_what_is_written_for_friends_names_nobody() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        seen: list[Message] = []

        async def serve() -> None:
            for offset in (1, 2):
                said, _ = await peer.expect(Message)
                seen.append(said)
                peer.send(Body(signals=[sent(said.id, offset)]))

        tasks.start_soon(serve)
        answer = await client.feeds.publish(b"hello", id="p1", ttl=10)
        await client.feeds.publish(b"again", type=2, mentions=["bob"])

        assert answer.id == "p1"
        assert [(one.to, one.scope, one.payload) for one in seen] == [
            (None, "friend", b"hello"),
            (None, "friend", b"again"),
        ]
        assert (seen[0].ttl_ms, seen[1].type, seen[1].mentions) == (10_000, 2, ["bob"])
        assert client.messages.unsent == 0


@both_backends
async def test_what_cannot_be_is_refused_at_once() -> None:
    async with a_client(FakeServer()) as client:
        for fields in ({"ttl": 0.5}, {"foo": 1}, {"payload": 5}):
            with pytest.raises(InvalidArgument):
                client.feeds.publish_nowait(**({"payload": b""} | fields))
        assert client.messages.unsent == 0


@both_backends
async def test_a_post_is_an_event_of_its_own_and_a_message_like_others() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        post = a_message(1, "hello")
        post.scope, post.from_ = "friend", Identity(eid="bob")
        peer.send(Body(partition="chat", after=0, upto=2, messages=[post, a_message(2)]))
        first, second = await next_of(client, Received), await next_of(client, Received)

        assert isinstance(first, PostReceived)
        assert (first.author, first.own, first.message.payload) == ("bob", False, b"hello")
        assert not isinstance(second, PostReceived)
        assert PostReceived(Message(scope="friend"), "feed", 1).author == ""


@both_backends
async def test_a_feed_is_asked_for_by_whose_it_is() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        asked: list[Conversation] = []

        async def serve() -> None:
            for eid in ("ann", "bob", "carol", "ann"):
                request, ref = await peer.expect(Conversation)
                asked.append(request)
                answer = Conversation(id="c7", peer=request.peer, feed=True, head=9, history_from=3)
                answer.members = [Member(eid=eid)]
                answer.complete = eid != "ann" or len(asked) == 4
                peer.send(answer, ref)
            fetch, ref = await peer.expect(Fetch)
            assert (fetch.kind, fetch.conversation, fetch.offset) == (FetchKind.HISTORY, "c7", 8)
            messages = [Message(signal_id=one, user_offset=0) for one in ("two", "one")]
            peer.send(Body(messages=messages, complete=True, ref=ref))

        tasks.start_soon(serve)
        assert await client.feeds.fetch("ann") == FeedInfo("c7", "ann", 9, 3, ("bob",))
        mine = await client.feeds.fetch()
        told = await client.feeds.history("ann", before=9)

        identity = client.identity
        assert identity
        assert mine.author == identity.eid
        assert [(one.action, one.feed, one.peer, one.id, one.after) for one in asked] == [
            (ConversationAction.GET, True, "ann", "", ""),
            (ConversationAction.GET, True, "ann", "", "ann"),
            (ConversationAction.GET, True, identity.eid, "", ""),
            (ConversationAction.GET, True, "ann", "", ""),
        ]
        assert [one.signal_id for one in told] == ["one", "two"]


@both_backends
async def test_a_feed_that_is_not_there_is_raised() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(Conversation)
            error = ErrorMessage(code=ErrorCode.NOT_FOUND, message="no", field="peer", ref=ref)
            peer.send(Body(errors=[error]))

        tasks.start_soon(serve)
        with pytest.raises(Refused, match="NOT_FOUND"):
            await client.feeds.fetch("dave")
        with pytest.raises(InvalidArgument):
            await client.feeds.fetch(7)  # type: ignore[arg-type]
