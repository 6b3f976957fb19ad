"""What a program can do to messages and conversations, as the server is told it."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest

from bimip.client import Client, InvalidArgument, Refused
from bimip.client.events import CommandDone
from bimip.client.wire.bimip import Body, Command, CommandKind, ErrorCode, ErrorMessage
from tests.client.support import FakeServer, a_client, both_backends, until

Kind = CommandKind
ASKED: list[tuple[Callable[[Client], Coroutine[Any, Any, Any]], list[dict[str, Any]]]] = [
    (lambda client: client.messages.edit(7, b"new"), [{"kind": Kind.EDIT, "target": 7, "payload": b"new"}]),
    (lambda client: client.messages.delete(7), [{"kind": Kind.DELETE_FOR_ME, "target": 7}]),
    (lambda client: client.messages.delete(7, for_everyone=True), [{"kind": Kind.DELETE_FOR_EVERYONE, "target": 7}]),
    (lambda client: client.messages.react(7, "+"), [{"kind": Kind.REACT, "target": 7, "emoji": "+"}]),
    (lambda client: client.messages.react(7, "+", remove=True), [{"kind": Kind.UNREACT, "target": 7, "emoji": "+"}]),
    (lambda client: client.messages.mark_forwarded(7), [{"kind": Kind.FORWARD_MARK, "target": 7}]),
    (lambda client: client.messages.pin(7, pinned=False), [{"kind": Kind.PIN, "target": 7}]),
    (
        lambda client: client.conversations.keep(
            "c1", archived=True, pinned=False, marked_unread=True, muted_until=9, draft=b"dear"
        ),
        [
            {"kind": Kind.ARCHIVE, "conversation": "c1", "value": True},
            {"kind": Kind.PIN, "conversation": "c1"},
            {"kind": Kind.MARK_UNREAD, "conversation": "c1", "value": True},
            {"kind": Kind.MUTE, "conversation": "c1", "until": 9},
            {"kind": Kind.DRAFT, "conversation": "c1", "payload": b"dear"},
        ],
    ),
]


@both_backends
async def test_each_becomes_its_command_with_an_id_and_a_stamp() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await until(lambda: client.connected)
        stamps = []
        for ask, expected in ASKED:
            tasks.start_soon(ask, client)
            payload, ref = await peer.receive()
            commands = payload.commands if isinstance(payload, Body) else [payload]
            for command, fields in zip(commands, expected, strict=True):
                assert isinstance(command, Command)
                stamps.append(command.stamp)
                assert command == Command(id=command.id, stamp=command.stamp, **fields)
                assert len(command.id) == 32
                peer.send(Body(commands=[Command(id=command.id, ref=ref)]))
        assert stamps == sorted(set(stamps))


@both_backends
async def test_the_answer_says_what_counts() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()
        await until(lambda: client.connected)
        done: list[CommandDone] = []

        async def edit() -> None:
            done.append(await client.messages.edit(7, b"new", id="mine"))
            with pytest.raises(Refused) as refused:
                await client.messages.edit(8, b"new")
            assert refused.value.code is ErrorCode.FORBIDDEN

        tasks.start_soon(edit)
        _, ref = await peer.expect(Command)
        answer = Command(
            id="mine", conversation="c1", conversation_offset=4, stamp=9, duplicate=True, superseded=True, ref=ref
        )
        peer.send(Body(commands=[answer]))
        _, ref = await peer.expect(Command)
        peer.send(Body(errors=[ErrorMessage(code=ErrorCode.FORBIDDEN, message="not yours", ref=ref)]))
    assert done == [CommandDone("mine", "c1", 4, 9, duplicate=True, superseded=True)]


@both_backends
async def test_what_cannot_be_said_is_refused_here() -> None:
    async with a_client(FakeServer()) as client:
        for wrong in (
            lambda: client.messages.edit(0, b"new"),
            lambda: client.messages.edit(b"7", b"new"),  # type: ignore[arg-type]
            lambda: client.messages.react(7, b"+"),  # type: ignore[arg-type]
            lambda: client.conversations.keep(7),  # type: ignore[arg-type]
            lambda: client.conversations.keep("c1", muted_until=-1),
        ):
            with pytest.raises(InvalidArgument):
                await wrong()
        with pytest.raises(InvalidArgument):
            client.messages.state("c1", 0)


def pins(count: int) -> list[Command]:
    return [Command(kind=CommandKind.PIN, target=number + 1, value=True) for number in range(count)]


@both_backends
async def test_commands_share_a_frame_and_each_has_its_answer_whatever_comes_first() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            body, ref = await peer.expect(Body)
            one, two, three = body.commands
            assert 0 < one.stamp < two.stamp < three.stamp
            no = ErrorMessage(code=ErrorCode.NOT_FOUND, message="no", id=two.id, ref=ref)
            done = [Command(id=part.id, kind=part.kind, conversation="c1", ref=ref) for part in (three, one)]
            peer.send(Body(commands=done[:1], errors=[no]))
            peer.send(Body(commands=done[1:]))

        tasks.start_soon(serve)
        given = pins(3)
        answers = await client.messages.give_many(given)

        assert [type(answer) for answer in answers] == [CommandDone, Refused, CommandDone]
        assert [answer.id for answer in answers if isinstance(answer, CommandDone)] == [given[0].id, given[2].id]


@both_backends
async def test_an_error_for_the_whole_frame_is_the_answer_of_each() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await server.accept()
        await peer.greet()

        async def serve() -> None:
            _, ref = await peer.expect(Body)
            peer.send(Body(errors=[ErrorMessage(code=ErrorCode.TOO_LARGE, message="less", ref=ref)]))

        tasks.start_soon(serve)
        answers = await client.messages.give_many(pins(3))

        assert [answer.code for answer in answers if isinstance(answer, Refused)] == [ErrorCode.TOO_LARGE] * 3


@both_backends
async def test_what_cannot_be_is_not_given() -> None:
    async with a_client(FakeServer()) as client:
        with pytest.raises(InvalidArgument):
            await client.messages.give_many([Command(id="one"), Command(id="one")])
        with pytest.raises(InvalidArgument):
            await client.messages.give_many(["pin"])  # type: ignore[list-item]

        assert client._device.store.commands.size() == 0
