import anyio
import pytest

from bimip.client.events import Connected, Disconnected
from bimip.client.wire.bimip import PingPong, PingPongKind
from bimip.session.close import Close
from tests.client.support import FakeServer, a_client, batch, both_backends, next_of, run


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Close.TRY_AGAIN_LATER, "again, in words"),
        (Close.TRY_AGAIN_LATER, "again in 5x seconds"),
        (Close.GOING_AWAY, "the server stops; please connect again"),
        (Close.INTERNAL_ERROR, "Try again in 60 seconds."),
    ],
)
def test_only_what_the_page_says_is_a_named_wait(code: Close, reason: str) -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            peer.close(code, reason)
            lost = await next_of(client, Disconnected)

            assert lost.retry_in is not None
            assert lost.retry_in < 1

    run(scenario)


@both_backends
async def test_the_first_frame_must_be_a_hello() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        peer.send(batch(0, 1, 1))
        assert (await peer.wait_closed()).code == Close.PROTOCOL_ERROR
        await (await server.accept()).greet()

        assert "no Hello" in (await next_of(client, Disconnected)).reason
        await next_of(client, Connected)


@both_backends
async def test_a_frame_that_cannot_be_decoded_ends_the_connection_only() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        peer.send_bytes(b"\x52\x7fgarbage")
        await (await server.accept()).greet()

        assert "cannot be decoded" in (await next_of(client, Disconnected)).reason


def test_a_silent_server_is_left_after_two_heartbeats() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            begun = anyio.current_time()
            closed = await peer.wait_closed()

            assert closed.code == Close.SILENT
            assert 60 <= anyio.current_time() - begun < 91
            await (await server.accept()).greet()
            assert (await next_of(client, Disconnected)).will_retry

    run(scenario)


def test_a_server_that_answers_heartbeats_is_kept() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server):
            peer = await server.accept()
            await peer.greet()
            for beat in range(1, 20):
                ping, _ = await peer.expect(PingPong)
                assert (ping.kind, ping.id) == (PingPongKind.PING, str(beat))
                peer.send(PingPong(kind=PingPongKind.PONG, id=ping.id))

            assert server.attempts == 1
            assert anyio.current_time() > 500

    run(scenario)


def test_a_message_that_is_never_answered_ends_the_connection() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            message_id = client.messages.send_nowait("bob@example.org", b"hi")
            await peer.wait_closed()
            peer = await server.accept()
            hello = await peer.greet()

            assert [message_id] == [message.id for message in hello.messages]
            assert "not answered within 5" in (await next_of(client, Disconnected)).reason

    run(scenario)
