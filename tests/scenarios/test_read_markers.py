"""How far a user has read is the same on all their devices, whatever was offline or restarted, and told nobody else."""

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, begin, go_on, open_world
from tests.scenarios.conftest import OpenStore

MANY = 10


def mark_read(conversation: str, upto: int, command_id: str = "") -> pb.Command:
    return pb.Command(id=command_id, kind=pb.CommandKind.MARK_READ, conversation=conversation, conversation_offset=upto)


async def carol_wrote(world: World) -> tuple[Client, Client, str]:
    """Bob's phone and carol's, after ten messages from her to him; and their conversation."""
    bob, carol = await world.join("bob", "phone"), await world.join("carol", "phone")
    for number in range(MANY):
        sent = await carol.post("bob", b"%d" % number, f"m{number}")
    await bob.heard()
    await carol.heard()
    return bob, carol, sent.conversation


async def test_all_devices_of_the_reader_are_told_and_nobody_else(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        bob, carol, conversation = await carol_wrote(world)
        laptop = await world.join("bob", "laptop", go_on())
        await laptop.heard()
        bob.send(command=mark_read(conversation, 4, "k1"), ref=9)
        phones = await bob.heard()

        assert [(one.id, one.kind, one.conversation, one.conversation_offset, one.ref) for one in phones.commands] == [
            ("k1", pb.CommandKind.MARK_READ, conversation, 4, 9)
        ]
        assert phones.commands[0].version == phones.states[-1].upto
        assert phones.read_markers == (await laptop.heard()).read_markers == [(conversation, 4)]
        heard = await carol.heard()
        assert (heard.receipts, heard.read_markers) == ([], [])


async def test_a_device_that_was_away_is_told_when_it_comes(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        bob, _, conversation = await carol_wrote(world)
        laptop = await world.join("bob", "laptop", go_on())
        version = laptop.welcome.state_version
        laptop.cut()
        for upto in (3, 7):
            bob.send(command=mark_read(conversation, upto))
        await bob.heard()
    async with open_world(open_store=open_store) as world:  # after a restart
        laptop = await world.join("bob", "laptop", at(MANY), state_version=version)
        tablet = await world.join("bob", "tablet", begin(pb.Start.HEAD))

        assert (await laptop.heard()).read_markers == [(conversation, 7)]
        assert (await tablet.heard()).read_markers == [(conversation, 7)]


async def test_whoever_says_it_last_the_furthest_stays(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, _, conversation = await carol_wrote(world)
        laptop = await world.join("bob", "laptop", go_on())
        await laptop.heard()
        bob.send(command=mark_read(conversation, 7))
        first = (await bob.heard()).commands
        laptop.send(command=mark_read(conversation, 5))
        heard = await laptop.heard()

        assert heard.read_markers == [(conversation, 7)]
        assert [(one.conversation_offset, one.version) for one in heard.commands] == [(7, first[0].version)]
        assert (await bob.heard()).bodies == []


async def test_each_command_of_a_batch_is_answered_for_itself(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        bob, _, conversation = await carol_wrote(world)
        commands = [
            mark_read(conversation, 2, "good"),
            mark_read(conversation, MANY + 1, "beyond"),
            mark_read("c99", 1, "nobody's"),
            pb.Command(id="later", kind=99),  # type: ignore[arg-type]  # any number can be sent
            mark_read(conversation, 3, "better"),
        ]
        bob.send(body=pb.Body(commands=commands), ref=7)
        heard = await bob.heard()

        assert [(one.id, one.conversation_offset, one.ref) for one in heard.commands] == [
            ("good", 2, 7),
            ("better", 3, 7),
        ]
        assert {error.id: (error.code, error.field, error.ref) for error in heard.errors} == {
            "beyond": (pb.ErrorCode.OFFSET_BEYOND_HEAD, "conversation_offset", 7),
            "nobody's": (pb.ErrorCode.NOT_FOUND, "conversation", 7),
            "later": (pb.ErrorCode.UNSUPPORTED, "kind", 7),
        }


@pytest.mark.parametrize("conversation", ["c1", "c99", "bob"])
async def test_who_is_in_no_such_conversation_learns_nothing_of_it(
    autojump_clock: MockClock, conversation: str
) -> None:
    async with open_world() as world:
        await carol_wrote(world)
        mallory = await world.join("mallory", "phone")
        mallory.send(command=mark_read(conversation, 1), ref=3)
        mallory.send(command=mark_read(conversation, 10**9), ref=4)
        heard = await mallory.heard()

        assert [(error.code, error.field, error.ref) for error in heard.errors] == [
            (pb.ErrorCode.NOT_FOUND, "conversation", 3),
            (pb.ErrorCode.NOT_FOUND, "conversation", 4),
        ]
