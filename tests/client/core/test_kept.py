"""Messages that the file keeps: each once, as it is now, and no longer than it may be seen."""

from pathlib import Path

import pytest

from bimip.client import Client, InvalidArgument
from bimip.client.core.kept import KeptMessage
from bimip.client.events import Connected, MessageChanged, Received
from bimip.client.facets import history
from bimip.client.wire.bimip import Body, Identity, Message, MessageState, StateItem, Turn
from bimip.domain.core.clock import earliest_stamp, signal_id
from bimip.domain.core.ids import Millis, Stamp
from tests.client.support import (
    TIME,
    FakeServer,
    Peer,
    a_client,
    a_message,
    both_backends,
    next_of,
    page,
    run,
    sent,
    take,
    until,
)


def entry(offset: int, text: str = "", **fields: object) -> Message:
    message = a_message(offset, text)
    message.signal_id = signal_id(Stamp(message.signal_offset))
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def give(peer: Peer, *messages: Message) -> None:
    first, last = messages[0].user_offset or 0, messages[-1].user_offset or 0
    peer.send(Body(partition="chat", after=first - 1, upto=last, messages=list(messages)))


def texts(found: list[KeptMessage]) -> list[str]:
    return [one.payload.decode() for one in found]


async def take_all(client: Client, count: int) -> None:
    """Takes so many, and says that the last one is done."""
    await take(client, Received, count)
    client._device.inbox.finish()


@both_backends
async def test_what_was_taken_and_what_was_sent_is_there_without_a_connection(tmp_path: Path) -> None:
    server, path = FakeServer(), tmp_path / "phone.db"
    async with a_client(server, path=path, keep_messages=True) as client:
        peer = await server.accept()
        await peer.greet()
        give(peer, entry(1, "one"), entry(2, "Two"), entry(3, "three"))
        await take_all(client, 3)
        client.messages.send_nowait("bob@example.org", b"mine", id="m1")
        _, ref = await peer.expect_behind_acks(Message)
        answer = sent("m1", 4)
        answer.signal_id = signal_id(Stamp(4000))
        peer.send(answer, ref)
        await until(lambda: client.messages.unsent == 0)
        give(peer, entry(5, "not taken"))
        await until(client._device.inbox.is_busy)
    async with a_client(FakeServer(), path=path, keep_messages=True) as client:
        assert texts(client.history.kept("c1")) == ["one", "Two", "three", "mine"]
        assert texts(client.history.kept("c1", before=3, limit=1)) == ["Two"]
        assert client.history.kept("c2") == []
        [mine] = client.history.kept("c1", limit=1)
        assert mine.message.from_ is not None
        assert (mine.message.from_.eid, mine.message.conversation_offset, mine.offset) == ("alice@example.org", 4, 4)
        assert texts(client.history.search("T")) == ["three", "Two"]
        assert texts(client.history.search("t", before=signal_id(Stamp(3000)))) == ["Two"]
        assert texts(client.history.search("t", limit=1)) == ["three"]
        with pytest.raises(InvalidArgument):
            client.history.kept("c1", limit=0)


@both_backends
async def test_the_newest_of_each_conversation_is_there_without_a_connection() -> None:
    server = FakeServer()
    async with a_client(server, keep_messages=True) as client:
        peer = await server.accept()
        await peer.greet()
        given = [entry(1, "one"), entry(2, "two", conversation="c2"), entry(3, "three"), entry(4, "four", erased=True)]
        give(peer, *given)
        await take_all(client, 4)

        assert texts(client.history.kept_heads()) == ["four", "two"]
        assert texts(client.history.kept_heads(limit=1)) == ["four"]
        with pytest.raises(InvalidArgument):
            client.history.kept_heads(0)


@both_backends
async def test_it_is_as_it_was_edited_and_gone_where_it_was_deleted() -> None:
    server = FakeServer()
    async with a_client(server, keep_messages=True) as client:
        peer = await server.accept()
        await peer.greet()
        give(peer, entry(1, "one"), entry(2, "two"), entry(3, "three"))
        await take_all(client, 3)

        def state(version: int, offset: int, **fields: object) -> StateItem:
            told = MessageState(conversation="c1", conversation_offset=offset, signal_offset=offset * 1000)
            for name, value in fields.items():
                setattr(told, name, value)
            return StateItem(version=version, message=told)

        items = [state(1, 1, stamp=9, payload=b"ONE!"), state(2, 2, deleted=True), state(3, 3, hidden=True)]
        peer.send(page(0, 4, *items, state(4, 4, deleted=True)))
        await take(client, MessageChanged, 4)
        give(peer, entry(4, "deleted before it came"), entry(5, "five"))
        await take_all(client, 2)

        assert texts(client.history.kept("c1")) == ["ONE!", "five"]
        assert texts(client.history.search("one!")) == ["ONE!"]
        assert client.history.search("two") == []


def test_what_disappears_leaves_the_file() -> None:
    async def scenario() -> None:
        now = [TIME]
        server = FakeServer()
        async with a_client(server, keep_messages=True, now=lambda: now[0]) as client:
            peer = await server.accept()
            await peer.greet()
            give(peer, entry(1, "for good"), entry(2, "for a second", ttl_ms=1000), entry(3, "for two", ttl_ms=2000))
            await take_all(client, 3)
            now[0] += 999
            assert texts(client.history.kept("c1")) == ["for good", "for a second", "for two"]
            now[0] += 1
            assert texts(client.history.search("for")) == ["for two", "for good"]
            now[0] += 1000
            client._device.heartbeat()
            rows = client._device.store.execute("SELECT text FROM messages").fetchall()
            assert rows == [("for good",)]

    run(scenario)


@both_backends
async def test_what_is_encrypted_or_no_text_is_kept_and_not_searched() -> None:
    server = FakeServer()
    async with a_client(server, keep_messages=True) as client:
        peer = await server.accept()
        await peer.greet()
        give(peer, entry(1, "secret", encryption_type="AES256"), entry(2, payload=b"\xffsecret"), entry(3, "secret"))
        await take_all(client, 3)

        assert [one.message.user_offset for one in client.history.kept("c1")] == [1, 2, 3]
        assert [one.message.user_offset for one in client.history.search("secret")] == [3]


@both_backends
async def test_a_client_keeps_nothing_unless_it_is_told_to() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        give(peer, entry(1, "one"))
        await take_all(client, 1)

        assert client.history.kept("c1") == []


@both_backends
async def test_one_that_comes_again_in_another_epoch_is_there_once() -> None:
    server = FakeServer()
    async with a_client(server, keep_messages=True) as client:
        peer = await server.accept()
        await peer.greet()
        give(peer, entry(1, "one"))
        await take_all(client, 1)
        peer.cut()
        peer = await server.accept()
        await peer.greet(epoch=8, position=0)
        again = entry(1, "one")
        peer.send(Body(partition="chat", after=0, upto=1, messages=[again]))
        peer.send(Body(partition="chat", turn=Turn.REDELIVERED, messages=[again]))
        give(peer, entry(2, "two"))
        await take_all(client, 1)

        assert texts(client.history.kept("c1")) == ["one", "two"]


@both_backends
async def test_an_own_message_whose_sent_was_cut_off_is_kept_as_the_log_has_it() -> None:
    server = FakeServer()
    async with a_client(server, keep_messages=True) as client:
        peer = await server.accept()
        await peer.greet()
        client.messages.send_nowait("bob@example.org", b"mine", id="m1")
        await peer.expect_behind_acks(Message)
        peer.cut()
        peer = await server.accept()
        await peer.greet(position=0)
        own = entry(1, "mine", id="m1")
        own.from_ = Identity(eid="alice@example.org", connection_resource_id="phone")
        give(peer, own)
        await until(lambda: client.messages.unsent == 0)

        assert texts(client.history.kept("c1")) == ["mine"]


@both_backends
async def test_what_is_forgotten_leaves_the_file_and_no_link_stays_that_nobody_needs() -> None:
    server = FakeServer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(history, "FORGOTTEN_TOGETHER", 2)
        await forget_by_and_by(server)


async def forget_by_and_by(server: FakeServer) -> None:
    async with a_client(server, keep_messages=True) as client:
        store, peer = client._device.store, await server.accept()
        await peer.greet()
        messages = [entry(n, f"text {n}", conversation="c2" if n % 2 else "c1") for n in range(1, 8)]
        for message in messages:
            message.signal_offset = earliest_stamp(Millis(TIME + (message.user_offset or 0)))
            message.signal_id = signal_id(Stamp(message.signal_offset))
        give(peer, *messages)
        await take_all(client, 7)
        store.set_chain("chat", 6, bytes(32))

        assert await client.history.forget("c2", before=TIME + 5) == 2
        assert texts(client.history.kept("c2")) == ["text 5", "text 7"]
        assert [at for at, _ in store.links("chat", 0, 7)] == [2, 3, 4, 5, 6, 7]  # the second message is kept
        assert await client.history.forget(before=TIME + 6) == 3
        assert texts(client.history.search("text")) == ["text 7", "text 6"]
        assert [at for at, _ in store.links("chat", 0, 7)] == [6, 7]
        assert await client.history.forget() == 2
        assert await client.history.forget() == 0
        assert [at for at, _ in store.links("chat", 0, 7)] == [7]  # behind the oldest chain they are needed
        for wrong in ({"before": -1}, {"before": 2**63}, {"conversation": 5}):
            with pytest.raises(InvalidArgument):
                await client.history.forget(**wrong)  # type: ignore[arg-type]
