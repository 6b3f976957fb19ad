"""Commands on their way: written whenever, given in order, until each has its answer."""

from pathlib import Path

import anyio
import pytest

from bimip.client import Client, DuplicateId, Refused
from bimip.client.events import CommandDone, CommandRefused, Connected, Received
from bimip.client.wire.bimip import Body, Command, CommandKind, ErrorCode, ErrorMessage, HelloResult, Message
from tests.client.support import (
    TIME,
    FakeServer,
    MemoryConnection,
    Peer,
    a_client,
    a_message,
    both_backends,
    next_of,
    nothing_more,
    run,
    sent,
    until,
)


async def give(client: Client, payload: bytes, command_id: str, offset: int = 7) -> None:
    """Gives a command and does not wait for its answer."""
    with anyio.move_on_after(0):
        await client.messages.edit(offset, payload, id=command_id)


async def serve(peer: Peer, command_id: str) -> Command:
    command, ref = await peer.expect(Command)
    assert command.id == command_id
    peer.send(Body(commands=[Command(id=command.id, conversation="c1", conversation_offset=3, ref=ref)]))
    return command


@both_backends
async def test_what_is_done_offline_follows_the_messages_that_were_written_before_it() -> None:
    server, is_there = FakeServer(), anyio.Event()

    async def connect(url: str, token: str) -> MemoryConnection:
        await is_there.wait()
        return await server.connect(url, token)

    async with a_client(server, connect=connect) as client:
        client.messages.send_nowait("bob@example.org", b"hi", id="m1")
        await give(client, b"better", "e1")
        client.messages.send_nowait("bob@example.org", b"ho", id="m2")
        await give(client, b"best", "e2")
        is_there.set()
        peer = await server.accept()
        hello = await peer.greet(results=[HelloResult(sent=sent("m1", 1))])
        assert [message.id for message in hello.messages] == ["m1", "m2"]
        came = [await peer.receive() for _ in range(2)]  # what was not taken up, and what waited
        [first] = [payload for payload, _ in came if isinstance(payload, Command)]
        [ref] = [ref for payload, ref in came if isinstance(payload, Message)]
        assert first.id == "e1"
        peer.send(Body(commands=[Command(id="e1", conversation="c1", conversation_offset=3)]))
        peer.send(sent("m2", 2), ref)
        second = await serve(peer, "e2")

        assert 0 < first.stamp < second.stamp
        done = [await next_of(client, CommandDone) for _ in range(2)]
        assert [(one.id, one.conversation, one.conversation_offset) for one in done] == [
            ("e1", "c1", 3),
            ("e2", "c1", 3),
        ]


def test_a_killed_client_gives_again_what_was_not_answered_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    stamps: list[int] = []

    async def first() -> None:
        server = FakeServer()
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet()
            await give(client, b"new", "e1")
            command, _ = await peer.expect(Command)
            stamps.append(command.stamp)

    async def second() -> None:
        server = FakeServer()
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet()
            stamps.append((await serve(peer, "e1")).stamp)
            await until(lambda: not client._device.store.commands.size())  # answered, and nobody took it

    async def third() -> None:
        server = FakeServer()
        async with a_client(server, path=path) as client:
            await (await server.accept()).greet()
            assert (await next_of(client, CommandDone)).id == "e1"
            await next_of(client, Connected)
            assert await nothing_more(client) == []

    async def fourth() -> None:
        server = FakeServer()
        async with a_client(server, path=path) as client:
            await (await server.accept()).greet()
            assert isinstance(await anext(client), Connected)

    for scenario in (first, second, third, fourth):
        run(scenario)
    assert stamps[0] == stamps[1] > 0


@both_backends
async def test_what_may_be_tried_again_is_and_what_is_refused_is_told() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await next_of(client, Connected)

        async def answer() -> None:
            for code in (ErrorCode.UNAVAILABLE, ErrorCode.RATE_LIMITED, ErrorCode.FORBIDDEN, ErrorCode.FORBIDDEN):
                command, ref = await peer.expect(Command)
                peer.send(ErrorMessage(code=code, message="no", retry_after_ms=20, id=command.id), ref)

        tasks.start_soon(answer)
        with pytest.raises(Refused, match="FORBIDDEN"):
            await client.messages.edit(7, b"new")
        await give(client, b"new", "e2")

        assert await next_of(client, CommandRefused) == CommandRefused("e2", ErrorCode.FORBIDDEN, "no")
        assert await nothing_more(client) == []


@both_backends
async def test_a_cut_costs_nothing() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def lose_one_connection() -> None:
            await peer.expect(Command)
            peer.cut()
            again = await server.accept()
            await again.greet()
            await serve(again, "e1")

        tasks.start_soon(lose_one_connection)
        assert (await client.messages.edit(7, b"new", id="e1")).conversation_offset == 3


@both_backends
async def test_the_same_id_is_one_command_and_another_content_is_refused() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        await give(client, b"new", "e1")
        await give(client, b"new", "e1")
        with pytest.raises(DuplicateId):
            await client.messages.edit(7, b"other", id="e1")
        peer = await server.accept()
        await peer.greet()
        await serve(peer, "e1")
        await next_of(client, CommandDone)

        assert await nothing_more(client) == []


@both_backends
async def test_one_that_no_frame_holds_is_refused_here_and_those_behind_it_are_given() -> None:
    server = FakeServer()
    async with a_client(server) as client:
        await give(client, b"-" * 2000, "large")
        await give(client, b"small", "small")
        peer = await server.accept()
        await peer.greet()
        await serve(peer, "small")

        refused = await next_of(client, CommandRefused)
        assert (refused.id, refused.code) == ("large", ErrorCode.TOO_LARGE)


@both_backends
async def test_many_are_given_in_frames_and_in_their_order() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        given = [Command(kind=CommandKind.PIN, target=number, value=True) for number in range(1, 101)]
        seen: list[int] = []

        async def answer() -> None:
            while len(seen) < len(given):
                payload, ref = await peer.receive()
                commands = payload.commands if isinstance(payload, Body) else [payload]
                seen.extend(command.target for command in commands)  # type: ignore[union-attr]
                peer.send(Body(commands=[Command(id=one.id, ref=ref) for one in commands]))  # type: ignore[union-attr]

        tasks.start_soon(answer)
        answers = await client.messages.give_many(given)

        assert len(client._device._given) == 1  # of the frames that were answered nothing is kept but the last
        assert seen == list(range(1, 101))
        assert [one.id for one in answers if isinstance(one, CommandDone)] == [one.id for one in given]


def test_a_stamp_comes_behind_all_that_was_seen_also_by_an_earlier_process(tmp_path: Path) -> None:
    path, ahead = tmp_path / "phone.db", TIME + 60_000

    async def first() -> None:
        server = FakeServer()
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet()
            message = a_message(1)
            message.signal_offset = ahead << 22
            peer.send(Body(partition="chat", after=0, upto=1, messages=[message]))
            await next_of(client, Received)
            await give(client, b"new", "e1")
            command, _ = await peer.expect(Command)
            assert command.stamp > message.signal_offset

    async def second() -> None:
        server = FakeServer()
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet()
            first = await serve(peer, "e1")
            await give(client, b"newer", "e2")
            assert (await serve(peer, "e2")).stamp > first.stamp > ahead << 22

    run(first)
    run(second)


@both_backends
async def test_each_can_be_asked_for_at_once_also_of_a_message_that_is_not_sent_yet() -> None:
    async with a_client(FakeServer()) as client:
        own, messages = client.messages.send_nowait("bob@example.org", b"hi"), client.messages
        ids = [
            messages.edit_nowait(own, b"ho"),
            messages.delete_nowait(7, for_everyone=True),
            messages.react_nowait(7, "+", remove=True),
            messages.mark_forwarded_nowait(7),
            messages.pin_nowait(7, id="p1"),
            *client.conversations.keep_nowait("c1", archived=True, draft=b""),
        ]
        rows = client._device.store.execute("SELECT id, message FROM commands ORDER BY number").fetchall()
        commands = [Command.parse(message) for _, message in rows]

        assert ids == [row_id for row_id, _ in rows]
        assert ids[4] == "p1"
        assert [(one.kind, one.target, one.target_id) for one in commands] == [
            (CommandKind.EDIT, 0, own),
            (CommandKind.DELETE_FOR_EVERYONE, 7, ""),
            (CommandKind.UNREACT, 7, ""),
            (CommandKind.FORWARD_MARK, 7, ""),
            (CommandKind.PIN, 7, ""),
            (CommandKind.ARCHIVE, 0, ""),
            (CommandKind.DRAFT, 0, ""),
        ]
