"""A device asks for the state itself, behind a version or all of it, page by page; what comes by itself goes on."""

from typing import Any

import pytest
from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from bimip.requests.state_delta import MOST_ITEMS
from tests.kit.memory_server import Client, World, at, open_world
from tests.scenarios.conftest import OpenStore
from tests.scenarios.test_groups import ask as ask_group
from tests.scenarios.test_groups import trip

REMARKS = MOST_ITEMS + 40
"""Items of state: more than an answer has."""


async def ask(client: Client, after: int = 0, *, goes_on: bool = False) -> pb.StateDelta:
    client.send(state_delta=pb.StateDelta(after=after, reset=goes_on), ref=9)
    frames = (await client.heard()).frames
    [answer] = [frame.state_delta for frame in frames if frame.state_delta is not None and frame.ref == 9]
    return answer


async def ask_whole(client: Client) -> list[pb.StateDelta]:
    pages = [await ask(client)]
    while not pages[-1].complete:
        pages.append(await ask(client, pages[-1].upto, goes_on=True))
    return pages


def versions(*pages: pb.StateDelta) -> list[int]:
    return [item.version for page in pages for item in page.items]


async def settle_version(client: Client) -> int:
    """The version that was told last, by itself."""
    states = (await client.heard()).states
    return states[-1].upto if states else client.welcome.state_version


async def wrote(world: World, count: int = 3) -> tuple[Client, Client, list[pb.Signal]]:
    """Bob's laptop and phone; he reacted to each of Carol's messages."""
    carol, phone = await world.join("carol", "phone"), await world.join("bob", "phone")
    sent = [await carol.post("bob", b"%d" % number, f"m{number}") for number in range(count)]
    laptop = await world.join("bob", "laptop", at(0))
    kind = pb.CommandKind.REACT
    commands = [pb.Command(id=f"r{one.id}", kind=kind, target=one.signal_offset, emoji="+") for one in sent]
    phone.send(body=pb.Body(commands=commands))
    await phone.heard()
    await laptop.heard()
    return laptop, phone, sent


async def test_behind_a_version_comes_what_changed_and_only_its_newest_value(
    autojump_clock: MockClock, open_store: OpenStore
) -> None:
    async with open_world(open_store=open_store) as world:
        laptop, phone, sent = await wrote(world)
        version = (await ask_whole(laptop))[-1].upto
        for emoji in ("a", "b", "c"):
            command = pb.Command(id=emoji, kind=pb.CommandKind.REACT, target=sent[0].signal_offset, emoji=emoji)
            phone.send(command=command)
        head = await settle_version(phone)
        page = await ask(laptop, version)

        assert (page.after, page.upto, page.reset, page.complete) == (version, head, False, True)
        [item] = page.items
        assert item.version == head
        assert item.message is not None
        assert sorted(one.emoji for one in item.message.reactions) == ["+", "a", "b", "c"]
        nothing = await ask(laptop, head)
        assert (nothing.after, nothing.upto, nothing.items, nothing.complete) == (head, head, [], True)


async def test_all_of_it_comes_in_pages_that_join(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        laptop, phone, _ = await wrote(world, REMARKS)
        pages = await ask_whole(laptop)
        messages = [item.message for page in pages for item in page.items if item.message is not None]

        assert len(pages) > 1
        assert [page.reset for page in pages] == [True, *[False] * (len(pages) - 1)]
        assert [page.complete for page in pages] == [*[False] * (len(pages) - 1), True]
        assert [page.after for page in pages] == [0, *[page.upto for page in pages[:-1]]]
        assert versions(*pages) == sorted(set(versions(*pages)))
        assert [one.conversation_offset for one in messages] == list(range(1, REMARKS + 1))
        assert pages[-1].upto == (await ask_whole(phone))[-1].upto


async def test_what_changes_between_two_pages_comes_at_the_end(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        laptop, phone, sent = await wrote(world, REMARKS)
        first = await ask(laptop)
        phone.send(command=pb.Command(id="x", kind=pb.CommandKind.REACT, target=sent[0].signal_offset, emoji="x"))
        await phone.heard()
        [live] = (await laptop.heard()).message_states
        rest = await ask(laptop, first.upto, goes_on=True)
        last = rest.items[-1].message

        assert live.conversation_offset == 1
        assert last is not None
        assert (last.conversation_offset, [one.emoji for one in last.reactions]) == (1, ["+", "x"])
        assert rest.complete


async def test_a_whole_state_that_became_another_one_begins_anew(autojump_clock: MockClock) -> None:
    """Bob hides others' READs from himself in the middle: what the first page told of them is to go."""
    async with open_world() as world:
        laptop, phone, _ = await wrote(world, REMARKS)
        first = await ask(laptop)
        phone.send(settings=pb.Settings(show_read_receipts=False), ref=3)
        await phone.heard()
        again = await ask(laptop, first.upto, goes_on=True)

        assert (again.after, again.reset, again.complete) == (0, True, False)
        assert (await ask(laptop, again.upto, goes_on=True)).complete


async def test_on_another_connection_a_whole_state_begins_anew(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        laptop, _, _ = await wrote(world, REMARKS)
        first = await ask(laptop)
        laptop = await world.join("bob", "laptop", at(0), state_version=first.upto)
        again = await ask(laptop, first.upto, goes_on=True)

        assert (again.after, again.reset) == (0, True)


async def test_who_asks_behind_changes_in_between_goes_on_with_the_whole(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        laptop, _, _ = await wrote(world, REMARKS)
        first = await ask(laptop)
        await ask(laptop, first.upto)
        rest = await ask(laptop, first.upto, goes_on=True)

        assert (rest.after, rest.reset) == (first.upto, False)


async def test_removals_are_told_behind_a_version_and_are_no_part_of_the_whole(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        (_, bob), group = await trip(world, "ann", "bob")
        version = (await ask_whole(bob))[-1].upto
        await ask_group(bob, pb.ConversationAction.LEAVE, group)
        since = [(item.group.id, item.removed) for item in (await ask(bob, version)).items if item.group is not None]
        whole = [item for page in await ask_whole(bob) for item in page.items if item.group is not None]

        assert since == [(group, True)]
        assert whole == []


async def test_nobody_is_told_of_anybody_elses(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        await wrote(world)
        mallory = await world.join("mallory", "burner")
        [page] = await ask_whole(mallory)

        assert [item.device.name for item in page.items if item.device is not None] == ["burner"]
        assert len(page.items) == 1


async def test_a_version_that_was_never_given_is_refused_and_moves_nothing(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        laptop, _, _ = await wrote(world)
        head = (await ask_whole(laptop))[-1].upto
        for after in (head + 1, 2**64 - 1):
            laptop.send(state_delta=pb.StateDelta(after=after), ref=4)
            [error] = (await laptop.heard()).errors

            assert (error.code.name, error.field, error.ref) == ("OFFSET_BEYOND_HEAD", "after", 4)
        assert (await ask(laptop, head)).complete


@pytest.mark.parametrize("nonsense", [{"upto": 9}, {"complete": True}, {"items": [pb.StateItem(version=3)]}], ids=str)
async def test_what_is_the_servers_to_say_is_ignored(autojump_clock: MockClock, nonsense: dict[str, Any]) -> None:
    async with open_world() as world:
        laptop, _, _ = await wrote(world)
        whole = (await ask_whole(laptop))[0]
        laptop.send(state_delta=pb.StateDelta(**nonsense), ref=9)
        [answer] = [frame.state_delta for frame in (await laptop.heard()).frames if frame.ref == 9]

        assert answer == whole
