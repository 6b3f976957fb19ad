from pathlib import Path

import anyio
import pytest

from bimip.client.errors import ConnectFailed, DuplicateId, Refused
from bimip.client.events import Connected, SendRefused, Sent
from bimip.client.wire.bimip import Body, ErrorCode, ErrorMessage, HelloResult, Message
from tests.client.support import FakeServer, a_client, both_backends, next_of, nothing_more, run, sent, until


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
        answered = await client.messages.send(to="bob@example.org", payload=b"hi", id="m1", reply_to="s00001")

        assert answered == Sent("m1", 12000, "s00012", 12, "c1", 12, answered.time, partition="chat")
        assert client.messages.unsent == 0
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
            await client.messages.send("nobody@example.org", b"hi")

        assert refused.value.code is ErrorCode.NOT_FOUND
        assert client.messages.unsent == 0


@both_backends
async def test_answers_that_nobody_waits_for_are_events() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)
        one = client.messages.send_nowait("bob@example.org", b"1")
        two = client.messages.send_nowait("bob@example.org", b"2")
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
            answers.append(await client.messages.send("bob@example.org", b"hi"))

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
async def test_the_outbox_outlives_the_process(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    server.refusals = [ConnectFailed("down")] * 1000
    async with a_client(server, path=path) as client:
        message_id = client.messages.send_nowait("bob@example.org", b"hi")
    server.refusals = []
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        hello = await peer.greet(results=[HelloResult(sent=sent(message_id, 3))])
        answer = await next_of(client, Sent)

        assert [message_id] == [message.id for message in hello.messages]
        assert answer.id == message_id
        assert client.messages.unsent == 0


@both_backends
async def test_an_answer_that_was_not_taken_is_told_by_the_next_process(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        message_id = client.messages.send_nowait("bob@example.org", b"hi")
        peer = await server.accept()
        await peer.greet(results=[HelloResult(sent=sent(message_id, 3))])
        await until(lambda: client.messages.unsent == 0)
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
        client.messages.send_nowait("bob@example.org", b"hi", id="m1")
        client.messages.send_nowait("bob@example.org", b"hi", id="m1")
        with pytest.raises(DuplicateId):
            client.messages.send_nowait("bob@example.org", b"ho", id="m1")

        assert client.messages.unsent == 1


@both_backends
async def test_when_the_server_says_try_again_it_does() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        message_id = client.messages.send_nowait("bob@example.org", b"hi")
        for code in (
            ErrorCode.RATE_LIMITED,
            ErrorCode.UNAVAILABLE,
            ErrorCode.STORAGE_FULL,
            ErrorCode.UNKNOWN_OUTCOME,
        ):
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
        message_id = client.messages.send_nowait("bob@example.org", b"hi")
        for _ in range(3):
            _, ref = await peer.expect(Message)
            peer.send(ErrorMessage(code=ErrorCode.UNKNOWN_OUTCOME, retry_after_ms=20, id=message_id), ref)

        assert (await next_of(client, SendRefused)).code is ErrorCode.UNKNOWN_OUTCOME


def test_the_servers_wait_holds_over_a_reconnection() -> None:
    async def scenario() -> None:
        server = FakeServer()
        async with a_client(server) as client:
            peer = await server.accept()
            await peer.greet()
            await next_of(client, Connected)
            client.messages.send_nowait("bob@example.org", b"1")
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


@both_backends
async def test_a_cancelled_send_leaves_the_message_and_its_answer_is_an_event() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        peer = await server.accept()
        await peer.greet()
        with anyio.move_on_after(0.1):
            await client.messages.send("bob@example.org", b"hi", id="m1")
        _, ref = await peer.expect(Message)
        peer.send(sent("m1", 4), ref)

        assert (await next_of(client, Sent)).id == "m1"
