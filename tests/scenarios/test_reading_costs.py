"""Opening one conversation costs what it shows, however many others there are: the store's own counters tell."""

from dataclasses import astuple

from trio.testing import MockClock

from bimip.client.wire import bimip as pb
from tests.kit.memory_server import Client, World, at, open_world
from tests.scenarios.conftest import OpenStore

MESSAGES, SHOWN, TOGETHER = 200, 50, 500


async def with_conversations(world: World, count: int) -> tuple[Client, str]:
    """Bob, who is in so many conversations; into the one in the middle Carol wrote 200 messages."""
    await world.register("carol")
    bob, groups = await world.join("bob", "phone"), list[str]()
    for begin in range(0, count, TOGETHER):
        for number in range(begin, min(count, begin + TOGETHER)):
            members = [pb.Member(eid="carol")] if number == count // 2 else []
            create = pb.Conversation(action=pb.ConversationAction.CREATE, request_id=f"g{number}", members=members)
            bob.send(conversation=create, ref=number + 1)
        frames = (await bob.heard()).frames
        groups += [frame.conversation.id for frame in frames if frame.conversation is not None]
    carol = await world.join("carol", "phone")
    middle = groups[count // 2]
    for number in range(MESSAGES):
        carol.write(middle, b"%d" % number, f"m{number}")
    assert (await carol.heard()).errors == []
    bob.cut()
    assert len(groups) == count
    return await world.join("bob", "laptop", at(count + MESSAGES)), middle


async def opened(world: World, bob: Client, conversation: str) -> tuple[int, ...]:
    """Records, entries and rows that are read while a device asks for the conversation and its newest messages."""
    await bob.heard()
    before = astuple(world.server.store.read_counts)
    bob.send(conversation=pb.Conversation(action=pb.ConversationAction.GET, id=conversation), ref=1)
    newest = pb.Fetch(kind=pb.FetchKind.HISTORY, conversation=conversation, backwards=True, limit=SHOWN)
    bob.send(fetch=newest, ref=2)
    heard = await bob.heard()
    [page] = [body for body in heard.bodies if body.ref == 2]

    assert [one.payload for one in page.messages] == [b"%d" % (MESSAGES - 1 - at) for at in range(SHOWN)]
    return tuple(now - then for now, then in zip(astuple(world.server.store.read_counts), before, strict=True))


async def test_fifty_messages_of_one_conversation_read_about_fifty_entries_however_many_others_there_are(
    autojump_clock: MockClock,
) -> None:
    found = []
    for count in (5, 5000):
        async with open_world() as world:
            bob, conversation = await with_conversations(world, count)
            found.append(await opened(world, bob, conversation))
    records, entries, rows = found[1]

    assert found[0] == found[1]
    assert SHOWN <= entries <= 64  # a slice
    assert SHOWN <= records <= 3 * SHOWN  # of each its message, and what became of it
    assert rows == 0


async def test_on_disk_it_is_the_same(autojump_clock: MockClock, open_store: OpenStore) -> None:
    async with open_world(open_store=open_store) as world:
        bob, conversation = await with_conversations(world, 20)
        records, entries, _ = await opened(world, bob, conversation)

        assert SHOWN <= entries <= 64
        assert SHOWN <= records <= 3 * SHOWN
