from pathlib import Path

import anyio
import pytest

from bimip.client.core.device import Device
from bimip.client.core.inbox import StartAt
from bimip.client.core.kept import KeptMessages
from bimip.client.errors import ConnectFailed, ProtocolViolation
from bimip.client.events import Connected, Identity, Received, SendRefused, Sent, ServerError
from bimip.client.frames import decode, encode
from bimip.client.store import Store
from bimip.client.wire.bimip import (
    Awareness,
    Body,
    ErrorCode,
    ErrorMessage,
    Hello,
    HelloResult,
    Message,
    MessageScheme,
    MessageStatus,
    PingPong,
    PingPongKind,
    Signal,
    Start,
)
from tests.client.support import (
    FakeServer,
    a_client,
    a_message,
    batch,
    both_backends,
    next_of,
    nothing_more,
    page,
    run,
    sent,
    take,
    welcome,
)


@both_backends
async def test_a_new_device_says_where_to_begin_and_learns_who_it_is() -> None:
    server = FakeServer()
    async with a_client(server, start=Start.LAST, last=5) as client:
        assert client.identity is None
        peer = await server.accept()
        hello = await peer.greet(position=95)
        connected = await next_of(client, Connected)

        assert peer.token == "token"
        assert (hello.partitions[0].start, hello.partitions[0].last, hello.epoch) == (Start.LAST, 5, 0)
        assert connected == Connected(7, Identity("alice@example.org", "phone"), {"chat": 100})
        assert client.connected
        assert client.identity == connected.identity


@both_backends
async def test_messages_written_offline_go_with_hello_and_the_rest_follows(tmp_path: Path) -> None:
    server = FakeServer()
    server.refusals = [ConnectFailed("down")] * 3
    async with a_client(server) as client:
        ids = [client.messages.send_nowait("bob@example.org", b"x" * 900) for _ in range(600)]
        peer = await server.accept()
        hello, _ = await peer.expect(Hello)
        arrived = [message.id for message in hello.messages]
        assert len(arrived) == 256
        peer.send(welcome(hello, results=[HelloResult(sent=sent(i, n)) for n, i in enumerate(arrived, 1)]))
        while len(arrived) < 600:
            payload, ref = await peer.receive()
            messages = payload.messages if isinstance(payload, Body) else [payload]
            for message in messages:
                assert isinstance(message, Message)
                arrived.append(message.id)
                peer.send(Body(signals=[sent(message.id, len(arrived))]), ref if not isinstance(payload, Body) else 0)
        answered = await take(client, Sent, 600)

        assert ids == arrived
        assert ids == [answer.id for answer in answered]


@both_backends
async def test_a_message_that_is_too_large_for_the_server_is_refused_here() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        message_id = client.messages.send_nowait("bob@example.org", b"x" * 100_000)
        other = client.messages.send_nowait("bob@example.org", b"hi")
        peer = await server.accept()
        hello = await peer.greet()
        refused = await next_of(client, SendRefused)
        arrived, _ = await peer.expect(Message)

        assert hello.messages == []
        assert (refused.id, refused.code) == (message_id, ErrorCode.TOO_LARGE)
        assert arrived.id == other


@both_backends
async def test_an_own_message_from_the_log_stands_for_a_sent_that_was_cut_off() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        message_id = client.messages.send_nowait("bob@example.org", b"hi")
        await peer.expect(Message)
        own = a_message(1, sender="alice@example.org", device="phone")
        own.id = message_id
        peer.send(Body(partition="chat", after=0, upto=1, messages=[own]))
        answer = await next_of(client, Sent)

        assert (answer.id, answer.user_offset, answer.signal_id, answer.duplicate) == (message_id, 1, "s00001", True)
        assert await nothing_more(client) == []
        assert client.messages.unsent == 0


@both_backends
async def test_a_ping_of_the_server_is_answered() -> None:
    server = FakeServer()
    async with a_client(server):
        peer = await server.accept()
        await peer.greet()
        peer.send(PingPong(id="x", timestamp=5), 9)

        assert await peer.receive() == (PingPong(kind=PingPongKind.PONG, id="x", timestamp=5), 9)


@both_backends
async def test_what_was_read_offline_is_told_with_the_next_connection() -> None:
    server = FakeServer()
    server.refusals = [ConnectFailed("down")] * 3
    async with a_client(server) as client:
        await client.messages.mark_read("c1", 5)
        await client.messages.mark_read("c1", 3)
        await client.messages.mark_read("bob@example.org", 7)
        peer = await server.accept()
        await peer.greet()
        first, _ = await peer.expect(Signal)
        second, ref = await peer.expect(Signal)
        peer.send(ErrorMessage(code=ErrorCode.NOT_FOUND, message="no such conversation"), ref)

        read = {(s.status, s.conversation, s.to.eid if s.to else "", s.upto) for s in (first, second)}
        assert read == {(MessageStatus.READ, "c1", "", 5), (MessageStatus.READ, "", "bob@example.org", 7)}
        assert (await next_of(client, ServerError)).message == "no such conversation"


def test_what_was_read_is_told_again_until_a_heartbeat_has_passed() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            await client.messages.mark_read("c1", 5)
            await peer.expect(Signal)
            peer.cut()
            peer = await server.accept()
            await peer.greet()
            assert (await peer.expect(Signal))[0].upto == 5
            for _ in range(3):
                ping, _ = await peer.expect(PingPong)
                peer.send(PingPong(kind=PingPongKind.PONG, id=ping.id))
            await anyio.sleep(1)
            peer.cut()
            peer = await server.accept()
            await peer.greet()
            await peer.expect(PingPong)

    run(scenario)


@both_backends
async def test_what_was_read_in_another_epoch_is_not_told() -> None:
    """There the place may be another message's, which nobody has read."""
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(epoch=7)
        await next_of(client, Connected)
        await client.messages.mark_read("c1", 5)
        await peer.expect(Signal)
        peer.cut()
        peer = await server.accept()
        await peer.greet(epoch=8)
        await next_of(client, Connected)
        await client.messages.mark_read("c1", 2)

        assert (await peer.expect(Signal))[0].upto == 2


@both_backends
async def test_frames_of_later_versions_are_ignored() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send_bytes(b"\x08\x63")
        peer.send_bytes(bytes(MessageScheme(route=2, awareness=Awareness(id="x"))))
        peer.send(batch(0, 1, 1))

        assert (await next_of(client, Received)).offset == 1


@both_backends
async def test_hello_refuses_one_message_postpones_another_and_forgets_a_third() -> None:
    server = FakeServer()
    server.refusals = [ConnectFailed("down")]
    async with a_client(server) as client:
        ids = [client.messages.send_nowait("bob@example.org", text) for text in (b"1", b"2", b"3", b"4")]
        peer = await server.accept()
        await peer.greet(
            results=[
                HelloResult(error=ErrorMessage(code=ErrorCode.NOT_FOUND, message="nobody")),
                HelloResult(sent=sent(ids[1], 1)),
                HelloResult(error=ErrorMessage(code=ErrorCode.UNAVAILABLE, retry_after_ms=10)),
            ]
        )
        refused = await next_of(client, SendRefused)
        again: list[str] = []
        while len(again) < 2:
            payload, _ = await peer.receive()
            again += [m.id for m in (payload.messages if isinstance(payload, Body) else [payload])]  # type: ignore[union-attr]

        assert (refused.id, refused.code) == (ids[0], ErrorCode.NOT_FOUND)
        assert again == ids[2:]


def test_a_hello_that_breaks_the_protocol_leaves_the_epoch_and_the_state_as_they_were(store: Store) -> None:
    device = Device(store, ["chat"], StartAt(), "agent", lambda: 0.0, KeptMessages(store, lambda: 0, wanted=False))
    device.welcome(welcome(hello_of(device), epoch=7))
    device.receive(encode(page(0, 5, reset=True, complete=True)))
    device.outbox.put(Message(id="m1"))
    with pytest.raises(ProtocolViolation, match="neither sent nor error"):
        device.welcome(welcome(hello_of(device), epoch=8, results=[HelloResult()]))

    assert (hello_of(device).epoch, hello_of(device).state_version) == (7, 5)
    device.welcome(welcome(hello_of(device), epoch=8))
    assert (hello_of(device).epoch, hello_of(device).state_version) == (8, 0)


def hello_of(device: Device) -> Hello:
    hello = decode(device.hello()).payload
    assert isinstance(hello, Hello)
    return hello
