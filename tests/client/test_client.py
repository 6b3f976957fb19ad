from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from bimip.client import Backoff, Client, open_client
from bimip.client.core.inbox import MAX_NEWS
from bimip.client.errors import (
    ClientError,
    ConnectFailed,
    DuplicateId,
    InvalidArgument,
    NotConnected,
    ProtocolViolation,
    Refused,
    Stopped,
    StoreError,
    TimedOut,
)
from bimip.client.events import (
    Connected,
    Disconnected,
    EpochChanged,
    GapFound,
    Identity,
    Received,
    SendRefused,
    Sent,
    ServerError,
)
from bimip.client.transport import websocket
from bimip.client.wire.bimip import (
    Awareness,
    Body,
    ErrorCode,
    ErrorMessage,
    Fetch,
    Gap,
    GapReason,
    Hello,
    HelloResult,
    Logout,
    Message,
    MessageScheme,
    MessageStatus,
    OffsetRange,
    PingPong,
    PingPongKind,
    Signal,
    Start,
    TokenAuthority,
    Turn,
)
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.session.close import Close
from tests.client.support import (
    FakeServer,
    a_client,
    a_connected_client,
    a_message,
    batch,
    both_backends,
    next_of,
    nothing_more,
    run,
    sent,
    take,
    until,
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
async def test_send_returns_what_the_server_gave_the_message() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)

        async def answer() -> None:
            message, ref = await peer.expect(Message)
            peer.send(sent(message.id, 12), ref)

        tasks.start_soon(answer)
        answered = await client.send(to="bob@example.org", payload=b"hi", id="m1", reply_to="s00001")

        assert answered == Sent("m1", 12000, "s00012", 12, "c1", 12, answered.time, partition="chat")
        assert client.unsent == 0
        assert await nothing_more(client) == []


@both_backends
async def test_a_refused_message_raises_and_leaves_the_outbox() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)

        async def answer() -> None:
            _, ref = await peer.expect(Message)
            peer.send(ErrorMessage(code=ErrorCode.NOT_FOUND, message="Nobody is called so."), ref)

        tasks.start_soon(answer)
        with pytest.raises(Refused, match="NOT_FOUND: Nobody is called so") as refused:
            await client.send("nobody@example.org", b"hi")

        assert refused.value.code is ErrorCode.NOT_FOUND
        assert client.unsent == 0


@both_backends
async def test_answers_that_nobody_waits_for_are_events() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        one = client.send_nowait("bob@example.org", b"1")
        two = client.send_nowait("bob@example.org", b"2")
        body, _ = await peer.expect(Body)
        peer.send(Body(signals=[sent(one, 11)], errors=[ErrorMessage(code=ErrorCode.INVALID, message="no", id=two)]))

        assert [one, two] == [message.id for message in body.messages]
        assert (await next_of(client, Sent)).user_offset == 11
        assert await next_of(client, SendRefused) == SendRefused(two, ErrorCode.INVALID, "no")


@both_backends
async def test_what_was_not_answered_is_sent_again_with_the_same_id_on_the_next_connection() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        answers: list[Sent] = []

        async def send() -> None:
            answers.append(await client.send("bob@example.org", b"hi"))

        peer = await server.accept()
        await peer.greet()
        tasks.start_soon(send)
        first, _ = await peer.expect(Message)
        peer.cut()

        peer = await server.accept()
        hello = await peer.greet(results=[HelloResult(sent=sent(first.id, 12, duplicate=True))])
        again = hello.messages
        await until(lambda: bool(answers))

        assert again == [first]
        assert (answers[0].user_offset, answers[0].duplicate) == (12, True)


@both_backends
async def test_messages_written_offline_go_with_hello_and_the_rest_follows(tmp_path: Path) -> None:
    server = FakeServer()
    server.refusals = [ConnectFailed("down")] * 3
    async with a_client(server) as client:
        ids = [client.send_nowait("bob@example.org", b"x" * 900) for _ in range(600)]
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
async def test_the_outbox_outlives_the_process(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    server.refusals = [ConnectFailed("down")] * 1000
    async with a_client(server, path=path) as client:
        message_id = client.send_nowait("bob@example.org", b"hi")
    server.refusals = []
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        hello = await peer.greet(results=[HelloResult(sent=sent(message_id, 3))])
        answer = await next_of(client, Sent)

        assert [message_id] == [message.id for message in hello.messages]
        assert answer.id == message_id
        assert client.unsent == 0


@both_backends
async def test_an_answer_that_was_not_taken_is_told_by_the_next_process(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        message_id = client.send_nowait("bob@example.org", b"hi")
        peer = await server.accept()
        await peer.greet(results=[HelloResult(sent=sent(message_id, 3))])
        await until(lambda: client.unsent == 0)
    async with a_client(server, path=path) as client:
        await server.accept()
        assert (await next_of(client, Sent)).id == message_id
        await nothing_more(client)
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        await peer.greet()
        assert [type(event) for event in await nothing_more(client)] == [Connected]


@both_backends
async def test_the_same_id_again_is_no_second_message_and_with_other_content_an_error() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        client.send_nowait("bob@example.org", b"hi", id="m1")
        client.send_nowait("bob@example.org", b"hi", id="m1")
        with pytest.raises(DuplicateId):
            client.send_nowait("bob@example.org", b"ho", id="m1")

        assert client.unsent == 1


@both_backends
async def test_when_the_server_says_try_again_it_does() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        message_id = client.send_nowait("bob@example.org", b"hi")
        for code in (ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.UNKNOWN_OUTCOME):
            _, ref = await peer.expect(Message)
            peer.send(ErrorMessage(code=code, retry_after_ms=20, id=message_id), ref)
        _, ref = await peer.expect(Message)
        peer.send(sent(message_id, 5), ref)

        assert (await next_of(client, Sent)).user_offset == 5


@both_backends
async def test_a_message_whose_outcome_stays_unknown_is_given_up() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        message_id = client.send_nowait("bob@example.org", b"hi")
        for _ in range(3):
            _, ref = await peer.expect(Message)
            peer.send(ErrorMessage(code=ErrorCode.UNKNOWN_OUTCOME, retry_after_ms=20, id=message_id), ref)

        assert (await next_of(client, SendRefused)).code is ErrorCode.UNKNOWN_OUTCOME


@both_backends
async def test_a_message_that_is_too_large_for_the_server_is_refused_here() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        message_id = client.send_nowait("bob@example.org", b"x" * 100_000)
        other = client.send_nowait("bob@example.org", b"hi")
        peer = await server.accept()
        hello = await peer.greet()
        refused = await next_of(client, SendRefused)
        arrived, _ = await peer.expect(Message)

        assert hello.messages == []
        assert (refused.id, refused.code) == (message_id, ErrorCode.TOO_LARGE)
        assert arrived.id == other


@both_backends
async def test_messages_are_acknowledged_when_they_have_been_taken() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=10)
        peer.send(batch(10, 14, 11, 13))
        first, second = await take(client, Received, 2)

        assert (first.offset, first.message.payload, first.own, first.redelivered) == (11, b"text 11", False, False)
        assert second.offset == 13
        with anyio.move_on_after(0.5):
            ack, _ = await peer.expect(Signal)
        assert (ack.status, ack.partition, ack.upto) == (MessageStatus.DELIVERED, "chat", 11)
        assert await nothing_more(client) == []  # asking for the next one says that 13 is done
        ack, _ = await peer.expect(Signal)
        assert ack.upto == 14


@both_backends
async def test_an_application_that_takes_nothing_acknowledges_nothing(tmp_path: Path) -> None:
    server = FakeServer()
    async with a_client(server, path=tmp_path / "db") as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 5, 1, 2, 3, 4, 5))
        with anyio.move_on_after(0.3) as silence:
            await peer.receive()
        peer.cut()
        peer = await server.accept()
        hello = await peer.greet()
        peer.send(batch(0, 5, 1, 2, 3, 4, 5))
        events = await take(client, Received, 5)

        assert silence.cancelled_caught
        assert hello.partitions[0].offset == 0
        assert [event.offset for event in events] == [1, 2, 3, 4, 5]
        assert not any(isinstance(event, Received) for event in await nothing_more(client))


@both_backends
async def test_acks_of_a_busy_application_are_gathered() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 200, *range(1, 201)))
        await take(client, Received, 200)
        await nothing_more(client)
        acks: list[int] = []
        while not acks or acks[-1] < 200:
            ack, _ = await peer.expect(Signal)
            acks.append(ack.upto)

        assert len(acks) <= 5
        assert acks[-1] == 200


@both_backends
async def test_what_was_taken_survives_the_process_and_what_was_in_hand_comes_again(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    with pytest.raises(RuntimeError, match="the application fails"):  # noqa: PT012 - the block is what fails
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet(position=0)
            peer.send(batch(0, 3, 1, 2, 3))
            await take(client, Received, 2)
            raise RuntimeError("the application fails")
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        hello = await peer.greet()
        peer.send(batch(1, 3, 2, 3))

        assert hello.partitions[0].offset == 1
        assert [event.offset for event in await take(client, Received, 2)] == [2, 3]


@both_backends
async def test_leaving_well_acknowledges_the_last_event(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 1, 1))
        await next_of(client, Received)
    ack, _ = await peer.expect(Signal)
    closed = await peer.wait_closed()

    assert ack.upto == 1
    assert closed.code == Close.NORMAL


@both_backends
async def test_redelivered_messages_are_dropped_and_acknowledged_again() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(0, 2, 1, 2))
        await take(client, Received, 2)
        await nothing_more(client)
        assert (await peer.expect(Signal))[0].upto <= 2
        while True:
            with anyio.move_on_after(0.2) as scope:
                await peer.receive()
            if scope.cancelled_caught:
                break
        peer.send(Body(partition="chat", turn=Turn.REDELIVERED, messages=[a_message(1), a_message(2)]))

        assert await nothing_more(client) == []
        assert (await peer.expect(Signal))[0].upto == 2


@both_backends
async def test_what_came_out_of_turn_is_not_shown_again_and_is_told_as_held() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(Body(partition="chat", turn=Turn.TURN_RESUME, messages=[a_message(5), a_message(7)]))
        early = await take(client, Received, 2)
        await nothing_more(client)
        ack, _ = await peer.expect(Signal)
        peer.cut()
        peer = await server.accept()
        hello = await peer.greet()
        peer.send(batch(0, 8, 1, 5, 7, 8))
        late = await take(client, Received, 2)

        assert [(event.offset, event.redelivered) for event in early] == [(5, True), (7, True)]
        assert OffsetRange(from_=5, to=5) in ack.offsets
        assert [OffsetRange(from_=5, to=5), OffsetRange(from_=7, to=7)] == hello.partitions[0].held
        assert [(event.offset, event.redelivered) for event in late] == [(1, False), (8, False)]


@both_backends
async def test_a_sent_counts_as_received() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=4)
        client.send_nowait("bob@example.org", b"near", id="near")
        _, ref = await peer.expect(Message)
        peer.send(sent("near", 5), ref)
        client.send_nowait("bob@example.org", b"far", id="far")
        _, ref = await peer.expect(Message)
        peer.send(sent("far", 8), ref)
        await take(client, Sent, 2)
        peer.cut()
        peer = await server.accept()
        hello = await peer.greet()

        assert (hello.partitions[0].offset, hello.partitions[0].held) == (5, [OffsetRange(from_=8, to=8)])


@both_backends
async def test_an_own_message_from_the_log_stands_for_a_sent_that_was_cut_off() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        message_id = client.send_nowait("bob@example.org", b"hi")
        await peer.expect(Message)
        own = a_message(1, sender="alice@example.org", device="phone")
        own.id = message_id
        peer.send(Body(partition="chat", after=0, upto=1, messages=[own]))
        answer = await next_of(client, Sent)

        assert (answer.id, answer.user_offset, answer.signal_id, answer.duplicate) == (message_id, 1, "s00001", True)
        assert await nothing_more(client) == []
        assert client.unsent == 0


@both_backends
async def test_own_messages_of_siblings_and_of_a_lost_store_are_marked() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        laptop = a_message(1, sender="alice@example.org", device="laptop")
        before = a_message(2, sender="alice@example.org", device="phone")
        peer.send(Body(partition="chat", after=0, upto=2, messages=[laptop, before]))

        assert [(e.offset, e.own) for e in await take(client, Received, 2)] == [(1, True), (2, True)]


@both_backends
async def test_gaps_are_told_once_and_passed() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        gap = Gap(partition="chat", from_=2, to=3, reason=GapReason.DAMAGED)
        peer.send(batch(0, 4, 1, 4, gaps=[gap]))
        peer.cut()
        peer = await server.accept()
        await peer.greet()
        peer.send(batch(0, 4, 1, 4, gaps=[gap]))
        events = [event for event in await nothing_more(client) if not isinstance(event, Connected | Disconnected)]

        assert [type(event) for event in events] == [Received, GapFound, Received]
        assert events[1] == GapFound("chat", 2, 3, GapReason.DAMAGED)


@both_backends
async def test_a_gap_in_hello_moves_the_position() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=5)
        peer.cut()
        peer = await server.accept()
        await peer.greet(gaps=[Gap(partition="chat", from_=6, to=40, reason=GapReason.EXPIRED)])
        peer.send(batch(40, 41, 41))

        assert await next_of(client, GapFound) == GapFound("chat", 6, 40, GapReason.EXPIRED)
        assert (await next_of(client, Received)).offset == 41


@both_backends
async def test_a_range_that_does_not_join_ends_the_connection_and_the_next_one_heals_it() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        peer.send(batch(3, 4, 4))
        closed = await peer.wait_closed()
        peer = await server.accept()
        await peer.greet()
        peer.send(batch(0, 4, 2, 4))
        lost = await next_of(client, Disconnected)

        assert closed.code == Close.PROTOCOL_ERROR
        assert (lost.code, lost.will_retry) == (Close.PROTOCOL_ERROR, True)
        assert "begins after 3" in lost.reason
        assert [event.offset for event in await take(client, Received, 2)] == [2, 4]


@both_backends
async def test_in_another_epoch_positions_are_dropped_and_messages_known_by_signal_id() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(epoch=7, position=0)
        peer.send(batch(0, 4, 1, 2, 3, 4))
        await take(client, Received, 4)
        await nothing_more(client)
        peer.send(batch(4, 5, 5))  # waits untaken
        await anyio.sleep(0.05)
        peer.cut()
        peer = await server.accept()
        hello, _ = await peer.expect(Hello)
        answer = welcome(hello, epoch=8)
        answer.logs[0].position = 1
        peer.send(answer)
        other = a_message(6)
        other.user_offset = 3
        again = a_message(5)
        again.user_offset = 4
        peer.send(Body(partition="chat", after=1, upto=4, messages=[a_message(2), other, again]))
        events = [event for event in await nothing_more(client) if not isinstance(event, Connected | Disconnected)]

        assert [type(event) for event in events] == [Received, EpochChanged, Received]
        assert events[1] == EpochChanged(7, 8)
        assert [e.message.signal_id for e in events if isinstance(e, Received)] == ["s00005", "s00006"]
        peer.cut()
        peer = await server.accept()
        assert (await peer.greet(epoch=8)).partitions[0].offset == 4


@both_backends
async def test_a_close_code_that_asks_for_action_stops_the_client_with_a_clear_error() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:

        async def send() -> None:
            with pytest.raises(Stopped):
                await client.send("bob@example.org", b"hi", id="m1")

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
        assert client.unsent == 1
        with pytest.raises(Stopped):
            await client.wait_connected()
        with pytest.raises(Stopped):
            await client.ping()
        with pytest.raises(Stopped):
            await client.send("bob@example.org", b"hi")


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


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (Close.TRY_AGAIN_LATER, "again, in words"),
        (Close.TRY_AGAIN_LATER, "again in 5x seconds"),
        (Close.GOING_AWAY, "Try again in 60 seconds."),
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


def test_attempts_that_fail_in_a_row_are_one_event_with_the_last_ones_reason() -> None:
    async def scenario() -> None:
        server = FakeServer()
        server.refusals = [ConnectFailed(reason) for reason in ("no name", "no route", "nobody there")]
        async with a_client(server, backoff=Backoff(base=1, longest=4)) as client:
            await server.accept()
            events = await nothing_more(client)

            assert [event.reason for event in events if isinstance(event, Disconnected)] == ["nobody there"]

    run(scenario)


def test_the_servers_wait_holds_over_a_reconnection() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            client.send_nowait("bob@example.org", b"1")
            _, ref = await peer.expect(Message)
            peer.send(ErrorMessage(code=ErrorCode.RATE_LIMITED, message="slower", retry_after_ms=20_000), ref)
            await anyio.sleep(1)
            peer.cut()
            begun = anyio.current_time()
            hello = await (peer := await server.accept()).greet()
            await peer.expect(Message)

            assert hello.messages == []
            assert anyio.current_time() - begun > 18

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


BAD_SENDS: dict[str, dict[str, object]] = {
    "text as payload": {"payload": "hi"},
    "a number as payload": {"payload": 5},
    "nothing as payload": {"payload": None},
    "a number as name": {"to": 5},
    "half a character": {"to": "\ud800"},
    "a number as id": {"id": 5},
    "a type in words": {"type": "text"},
    "a type that is too large": {"type": 2**40},
    "a fraction": {"type": 1.5},
    "no field": {"foo": 1},
    "a field of the client's own": {"to_": 1},
    "one text for a list of them": {"devices": "phone"},
    "numbers for texts": {"devices": [5]},
    "numbers for people": {"mentions": [5]},
    "bytes for text": {"reply_to": b"x"},
    "a number beyond 64 bits": {"signal_offset": 2**70},
}


@pytest.mark.parametrize("bad", BAD_SENDS.values(), ids=BAD_SENDS)
def test_a_message_that_cannot_be_is_refused_at_once_and_leaves_nothing(bad: dict[str, object]) -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            arguments: dict[str, Any] = {"to": "bob@example.org", "payload": b"hi"} | bad
            with pytest.raises(InvalidArgument):
                client.send_nowait(**arguments)
            with pytest.raises(InvalidArgument):
                await client.send(**arguments)
            assert client.unsent == 0

    run(scenario)


CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "fetch: a limit in words": lambda client: client.fetch(limit="many"),  # type: ignore[arg-type]
    "fetch: a limit below nothing": lambda client: client.fetch(limit=-1),
    "fetch: beyond 64 bits": lambda client: client.fetch(offset=2**64),
    "fetch: half a character": lambda client: client.fetch(conversation="\udfff"),
    "history: text": lambda client: client.history("c1", before="x"),  # type: ignore[arg-type]
    "mark_read: text": lambda client: client.mark_read("c1", "x"),  # type: ignore[arg-type]
    "mark_read: nothing": lambda client: client.mark_read("c1", 0),
    "mark_read: beyond 64 bits": lambda client: client.mark_read("c1", 2**63),
    "mark_read: nobody": lambda client: client.mark_read(None, 1),  # type: ignore[arg-type]
    "mark_read: half a character": lambda client: client.mark_read("\ud800", 1),
    "refresh_token: bytes": lambda client: client.refresh_token(b"x"),  # type: ignore[arg-type]
    "refresh_token: half a character": lambda client: client.refresh_token("\ud800"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_request_that_cannot_be_is_refused_at_once_and_the_connection_stays(
    call: Callable[[Client], Awaitable[object]],
) -> None:
    async def scenario() -> None:
        async with a_connected_client() as client:
            with pytest.raises(InvalidArgument):
                await call(client)
            assert [event for event in await nothing_more(client) if isinstance(event, Disconnected)] == []

    run(scenario)


@pytest.mark.parametrize(("partition", "offsets"), [("other", [1]), ("chat", [0]), ("chat", ["x"]), ("chat", [2**63])])
def test_what_cannot_be_acknowledged(partition: str, offsets: list[int]) -> None:
    async def scenario() -> None:
        async with a_connected_client() as client:
            with pytest.raises(InvalidArgument):
                client.acknowledge(partition, offsets)
            with pytest.raises(InvalidArgument):
                client.receipts("c1", "x")  # type: ignore[arg-type]

    run(scenario)


@pytest.mark.parametrize(
    "settings",
    [
        {"partitions": "chat"},
        {"partitions": [5]},
        {"start": "FIRST"},
        {"last": -1},
        {"agent": "\ud800"},
        {"timeout": "soon"},
        {"timeout": 0},
        {"path": 5},
        {"path": "a\0b"},
    ],
    ids=str,
)
def test_a_client_that_cannot_be_is_not_opened(settings: dict[str, object]) -> None:
    async def scenario() -> None:
        with pytest.raises(InvalidArgument):
            async with a_client(FakeServer(), **settings):
                pass

    run(scenario)


def test_a_function_that_makes_no_token_stops_the_client() -> None:
    async def scenario() -> None:
        async with a_client(FakeServer(), token=lambda: None) as client:
            with pytest.raises(InvalidArgument, match="token is text"):
                await client.wait_connected()

    run(scenario)


@both_backends
async def test_after_its_block_a_client_raises_its_own_exceptions() -> None:
    async with a_connected_client() as client:
        assert client.connected
    for call in (client.ping, lambda: client.send("bob", b"x"), lambda: client.mark_read("c1", 1), client.__anext__):
        with pytest.raises((ClientError, StopAsyncIteration)):
            await call()


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


@both_backends
async def test_a_ping_of_the_server_is_answered() -> None:
    server = FakeServer()
    async with a_client(server):
        peer = await server.accept()
        await peer.greet()
        peer.send(PingPong(id="x", timestamp=5), 9)

        assert await peer.receive() == (PingPong(kind=PingPongKind.PONG, id="x", timestamp=5), 9)


def test_a_message_that_is_never_answered_ends_the_connection() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            message_id = client.send_nowait("bob@example.org", b"hi")
            await peer.wait_closed()
            peer = await server.accept()
            hello = await peer.greet()

            assert [message_id] == [message.id for message in hello.messages]
            assert "not answered within 5" in (await next_of(client, Disconnected)).reason

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
        fetched = await client.fetch(offset=3, limit=2, sender="bob")

        assert [(m.user_offset, acknowledged) for m, acknowledged in fetched.rows] == [(3, True), (4, False)]
        assert (fetched.next_offset, fetched.complete) == (5, True)
        assert [message.conversation_offset for message in await client.history("c1", before=10, limit=2)] == [8, 9]
        assert await client.history("c1", before=1) == []
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
                await client.fetch()

    run(scenario)


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


@both_backends
async def test_what_was_read_offline_is_told_with_the_next_connection() -> None:
    server = FakeServer()
    server.refusals = [ConnectFailed("down")] * 3
    async with a_client(server) as client:
        await client.mark_read("c1", 5)
        await client.mark_read("c1", 3)
        await client.mark_read("bob@example.org", 7)
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
            await client.mark_read("c1", 5)
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
        await client.mark_read("c1", 5)
        await peer.expect(Signal)
        peer.cut()
        peer = await server.accept()
        await peer.greet(epoch=8)
        await next_of(client, Connected)
        await client.mark_read("c1", 2)

        assert (await peer.expect(Signal))[0].upto == 2


@both_backends
async def test_logging_out_ends_the_client() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            logout, ref = await peer.expect(Logout)
            assert logout == Logout(forget=True, revoke=True)
            peer.send(logout, ref)
            peer.close(Close.NORMAL)

        tasks.start_soon(serve)
        await client.logout(forget=True, revoke=True)
        events = [type(event) async for event in client]

        assert Connected in events
        assert server.attempts == 1
        with pytest.raises(NotConnected):
            await client.ping()


@both_backends
async def test_a_file_belongs_to_one_device(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        await (await server.accept()).greet()
        await next_of(client, Connected)
        with pytest.raises(StoreError, match="another process"):
            async with a_client(server, path=path):
                pass
    async with a_client(server, path=path) as client:
        await (await server.accept()).greet(identity=WireIdentity(eid="carol@example.org"))
        with pytest.raises(StoreError, match="belongs to"):
            await next_of(client, Connected)


@both_backends
async def test_the_blocks_own_exception_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with a_client(FakeServer()):
            raise ZeroDivisionError


@both_backends
async def test_a_cancelled_send_leaves_the_message_and_its_answer_is_an_event() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        with anyio.move_on_after(0.1):
            await client.send("bob@example.org", b"hi", id="m1")
        _, ref = await peer.expect(Message)
        peer.send(sent("m1", 4), ref)

        assert (await next_of(client, Sent)).id == "m1"


@both_backends
async def test_messages_of_a_partition_that_was_not_asked_for_break_the_protocol() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        peer.send(Body(partition="feed", upto=1, messages=[a_message(1)]))
        await (await server.accept()).greet()

        assert "'feed'" in (await next_of(client, Disconnected)).reason


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
        ids = [client.send_nowait("bob@example.org", text) for text in (b"1", b"2", b"3", b"4")]
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


@both_backends
async def test_news_that_nobody_takes_are_bounded_and_messages_are_not_lost() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet(position=0)
        for number in range(MAX_NEWS + 50):
            peer.send(ErrorMessage(code=ErrorCode.INTERNAL, message=str(number)))
        peer.send(batch(0, 1, 1))
        inbox = client._device.inbox
        await until(lambda: len(inbox) > MAX_NEWS)

        assert inbox.dropped_news == 51  # Connected was one
        assert (await next_of(client, Received)).offset == 1
        peer.send(ErrorMessage(code=ErrorCode.INTERNAL, message="room again"))
        assert (await next_of(client, ServerError)).message == "room again"


@both_backends
async def test_a_close_that_is_faster_than_the_answer_to_logout() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            await peer.expect(Logout)
            peer.close(Close.NORMAL)

        tasks.start_soon(serve)
        await client.logout()

        assert Disconnected not in [type(event) async for event in client]


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
            await client.fetch(sender="bob", to_device="phone")
