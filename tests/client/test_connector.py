import anyio
import pytest

from bimip.client import Backoff, open_client
from bimip.client.errors import (
    ConnectFailed,
    InvalidArgument,
    NotConnected,
    ProtocolViolation,
    Refused,
    Stopped,
    TimedOut,
)
from bimip.client.events import Connected, Disconnected
from bimip.client.transport import websocket
from bimip.client.wire.bimip import (
    Body,
    ErrorCode,
    ErrorMessage,
    Fetch,
    Hello,
    PingPong,
    PingPongKind,
    TokenAuthority,
    Turn,
)
from bimip.session.close import Close
from tests.client.support import FakeServer, a_client, a_message, both_backends, next_of, nothing_more, run


@both_backends
async def test_a_close_code_that_asks_for_action_stops_the_client_with_a_clear_error() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:

        async def send() -> None:
            with pytest.raises(Stopped):
                await client.messages.send("bob@example.org", b"hi", id="m1")

        tasks.start_soon(send)
        peer = await server.accept()
        await peer.expect(Hello)
        peer.send(ErrorMessage(code=ErrorCode.UNAUTHENTICATED, message="The token has expired: get a new one."))
        peer.close(Close.UNAUTHENTICATED, "unauthenticated")
        lost = await next_of(client, Disconnected)
        with pytest.raises(Stopped, match="4100 The token has expired") as stopped:
            await next_of(client, Connected)

        assert lost == Disconnected(Close.UNAUTHENTICATED, "The token has expired: get a new one.", will_retry=False)
        assert stopped.value.code == Close.UNAUTHENTICATED
        assert client.messages.unsent == 1
        with pytest.raises(Stopped):
            await client.wait_connected()
        with pytest.raises(Stopped):
            await client.ping()
        with pytest.raises(Stopped):
            await client.messages.send("bob@example.org", b"hi")


@both_backends
async def test_an_expired_token_is_replaced_where_a_function_makes_tokens() -> None:
    server = FakeServer()
    tokens = ["old", "new", "new"]
    async with a_client(server, token=lambda: tokens.pop(0)) as client:
        peer = await server.accept()
        await peer.greet()
        peer.close(Close.TOKEN_EXPIRED)
        second = await server.accept()
        await second.greet()
        lost = await next_of(client, Disconnected)

        assert (peer.token, second.token) == ("old", "new")
        assert lost.will_retry


@both_backends
async def test_a_refused_handshake_stops_and_an_overloaded_server_is_tried_again() -> None:
    server = FakeServer()
    server.refusals = [ConnectFailed("busy", status=503), ConnectFailed("who?", status=401, code=4100)]
    async with a_client(server) as client:
        with pytest.raises(Stopped, match="4100 who"):
            await next_of(client, Connected)

        assert server.attempts == 2


@both_backends
async def test_an_answer_without_a_close_code_is_a_proxys_and_the_client_comes_again() -> None:
    for status in (400, 401, 403, 404, 407, 421, 451, 500, 502, 503, 504):
        server = FakeServer()
        server.refusals = [ConnectFailed("<h1>proxy</h1>", status=status)]
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            lost = await next_of(client, Disconnected)

            assert (lost.code, lost.will_retry) == (status, True)


def test_a_wait_that_the_server_names_is_kept_and_the_event_says_when_the_next_attempt_is() -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.refusals = [ConnectFailed("busy", status=503, retry_after=90)]
        async with a_client(server) as client:
            lost = await next_of(client, Disconnected)
            begun = anyio.current_time()
            peer = await server.accept()

            assert (lost.code, lost.will_retry) == (503, True)
            assert lost.retry_in is not None
            assert 90 < lost.retry_in < 91
            assert anyio.current_time() - begun == pytest.approx(lost.retry_in, abs=0.01)

            await peer.greet()
            await next_of(client, Connected)
            peer.close(Close.TRY_AGAIN_LATER, "This user has 2 devices connected. Try again in 60 seconds.")
            lost = await next_of(client, Disconnected)
            begun = anyio.current_time()
            await server.accept()

            assert lost.retry_in is not None
            assert 60 < anyio.current_time() - begun < 61

    run(scenario)


def test_a_server_that_drains_is_left_alone_for_as_long_as_it_says() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            peer.close(Close.GOING_AWAY, "the server stops; please connect again in 17 seconds")
            lost = await next_of(client, Disconnected)
            begun = anyio.current_time()
            await server.accept()

            assert lost.will_retry
            assert 17 < anyio.current_time() - begun < 18

    run(scenario)


@both_backends
async def test_how_long_a_server_that_drains_is_left_alone_is_told() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        peer.close(Close.GOING_AWAY, "the server stops; please connect again in 17 seconds")
        lost = await next_of(client, Disconnected)

        assert lost.retry_in is not None
        assert 17 < lost.retry_in < 18


def test_attempts_that_fail_in_a_row_are_one_event_with_the_last_ones_reason() -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.refusals = [ConnectFailed(reason) for reason in ("no name", "no route", "nobody there")]
        async with a_client(server, backoff=Backoff(base=1, longest=4)) as client:
            await server.accept()
            events = await nothing_more(client)

            assert [event.reason for event in events if isinstance(event, Disconnected)] == ["nobody there"]

    run(scenario)


def test_what_should_reconnect_is_logged_under_one_name_and_without_the_token(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.refusals = [ConnectFailed("nobody there"), ConnectFailed("nobody there")]
        async with a_client(server, token="s3cr3t") as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            peer.close(Close.REPLACED, "another connection of this device")
            with pytest.raises(Stopped):
                await nothing_more(client)

    with caplog.at_level("DEBUG", "bimip.client"):
        run(scenario)

    told = [(record.levelname, record.getMessage().partition(";")[0]) for record in caplog.records]
    assert told == [
        ("INFO", "no connection: 1006 nobody there"),
        ("DEBUG", "no connection: 1006 nobody there"),
        ("INFO", "connected to ws://server as alice@example.org/phone"),
        ("WARNING", "it does not connect again: 4103 another connection of this device"),
    ]
    assert {record.name for record in caplog.records} == {"bimip.client"}
    assert "s3cr3t" not in caplog.text


def test_a_function_that_makes_no_token_stops_the_client() -> None:
    async def scenario() -> None:
        async with a_client(FakeServer(), token=lambda: None) as client:
            with pytest.raises(InvalidArgument, match="token is text"):
                await client.wait_connected()

    run(scenario)


@both_backends
async def test_an_address_that_is_none_stops_the_client() -> None:
    async with open_client("http://server/", token="token", connect=websocket()) as client:
        with pytest.raises(Stopped, match="begins with ws://"):
            await next_of(client, Connected)


def test_waits_grow_between_attempts_and_shrink_after_a_steady_connection() -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.refusals = [ConnectFailed("down")] * 12
        begun = anyio.current_time()
        async with a_client(server, backoff=Backoff(base=1, longest=60)) as client:
            peer = await server.accept()
            waited = anyio.current_time() - begun
            await peer.greet()
            assert (await next_of(client, Disconnected)).reason == "down"
            await next_of(client, Connected)
            await anyio.sleep(20)
            peer.close(Close.GOING_AWAY)
            begun = anyio.current_time()
            await server.accept()

            assert 60 < waited < 12 * 60
            assert anyio.current_time() - begun <= 1

    run(scenario)


@both_backends
async def test_requests_are_answered_by_ref() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet(position=0)

        async def serve() -> None:
            fetch, ref = await peer.expect(Fetch)
            assert (fetch.partition, fetch.offset, fetch.limit, fetch.from_ and fetch.from_.eid) == (
                "chat",
                3,
                2,
                "bob",
            )
            peer.send(
                Body(
                    partition="chat",
                    turn=Turn.TURN_FETCH,
                    messages=[a_message(3), a_message(4)],
                    acknowledged=[True, False],
                    next_offset=5,
                    complete=True,
                    ref=ref,
                )
            )
            fetch, ref = await peer.expect(Fetch)
            assert (fetch.conversation, fetch.offset, fetch.backwards) == ("c1", 9, True)
            rows = [a_message(offset) for offset in (9, 8)]
            peer.send(Body(turn=Turn.TURN_FETCH, messages=rows), ref)
            ping, ref = await peer.expect(PingPong)
            peer.send(PingPong(kind=PingPongKind.PONG, id=ping.id), ref)
            token, ref = await peer.expect(TokenAuthority)
            peer.send(token, ref)
            _, ref = await peer.expect(TokenAuthority)
            peer.send(ErrorMessage(code=ErrorCode.UNAUTHENTICATED, message="no"), ref)

        tasks.start_soon(serve)
        fetched = await client.history.fetch(offset=3, limit=2, sender="bob")

        assert [(m.user_offset, acknowledged) for m, acknowledged in fetched.rows] == [(3, True), (4, False)]
        assert (fetched.next_offset, fetched.complete) == (5, True)
        assert [
            message.conversation_offset for message in await client.history.conversation("c1", before=10, limit=2)
        ] == [8, 9]
        assert await client.history.conversation("c1", before=1) == []
        assert await client.ping() >= 0
        await client.refresh_token("next")
        with pytest.raises(Refused):
            await client.refresh_token("bad")
        peer.cut()
        assert (await server.accept()).token == "next"


def test_a_request_without_an_answer_times_out_and_one_that_is_cut_says_so() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client, anyio.create_task_group() as tasks:
            peer = await server.accept()
            await peer.greet()
            with pytest.raises(TimedOut, match="PingPong within 5"):
                await client.ping()

            async def cut() -> None:
                await peer.expect(PingPong)
                await peer.expect(Fetch)
                peer.cut()

            tasks.start_soon(cut)
            with pytest.raises(NotConnected):
                await client.history.fetch()

    run(scenario)


@both_backends
async def test_an_answer_of_the_wrong_kind() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(Fetch)
            peer.send(PingPong(), ref)

        tasks.start_soon(serve)
        with pytest.raises(ProtocolViolation, match="answered with PingPong"):
            await client.history.fetch(sender="bob", to_device="phone")
