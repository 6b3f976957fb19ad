"""The SDK's presence against the whole server, under virtual time."""

from contextlib import suppress
from random import Random

import pytest
import trio
from trio.testing import MockClock

from bimip.client import Client, Doing, Status
from bimip.client.errors import NotConnected
from bimip.client.events import ActivityChanged, Connected, IntentChanged, PresenceChanged, Received, Resumed
from tests.kit.contacts import with_contacts
from tests.kit.memory_server import open_world
from tests.scenarios.test_client_keeps_its_word import Network

PEERS = ("ann", "carol")
WRITTEN = 300  # by each: more than the window, and of what is pending more than a page


async def presence_of(client: Client, eid: str) -> PresenceChanged:
    async for event in client:
        if isinstance(event, PresenceChanged) and event.eid == eid:
            return event
    raise AssertionError


async def activity(client: Client) -> ActivityChanged:
    async for event in client:
        if isinstance(event, ActivityChanged):
            return event
    raise AssertionError


async def test_contacts_come_say_how_they_are_type_and_go(autojump_clock: MockClock) -> None:
    async with open_world(store=with_contacts(("ann", "bob"))) as world:
        network = Network(world)
        async with network.device("ann", "phone") as ann:
            await ann.wait_connected()
            async with network.device("bob", "phone") as bob:
                assert (await presence_of(ann, "bob")).status is Status.ONLINE
                await bob.presence.set_intent(Status.DND)
                assert (await presence_of(ann, "bob")).status is Status.DND
                assert (await ann.presence.ask("bob")).status is Status.DND
                await bob.presence.set_intent(Status.ONLINE)
                assert (await presence_of(ann, "bob")).status is Status.ONLINE
                await bob.presence.go_online(inactive=True)
                assert (await presence_of(ann, "bob")).status is Status.AWAY
                assert ann.presence.known()["bob"].status is Status.AWAY
                await bob.presence.say_typing("ann", seconds=4)
                assert [(await activity(ann)).activity for _ in range(2)] == [Doing.TYPING, Doing.CANCELLED]
            gone = await presence_of(ann, "bob")

            assert gone.status is Status.OFFLINE
            assert 0 <= (await ann.presence.ask("bob")).last_seen - gone.last_seen <= 200


async def test_an_intent_is_on_all_devices_of_the_user(autojump_clock: MockClock) -> None:
    async with open_world() as world:
        network = Network(world)
        async with network.device("ann", "phone") as phone, network.device("ann", "laptop") as laptop:
            await laptop.wait_connected()
            await phone.presence.set_intent(Status.BUSY)
            async for event in laptop:
                if isinstance(event, IntentChanged):
                    break

            assert event == IntentChanged(Status.BUSY, 0)
            assert laptop.presence.intent == phone.presence.intent
            assert laptop.presence.intent.status is Status.BUSY


async def read_all(random: Random | None = None) -> tuple[list[tuple[str, str]], list[int]]:
    """What bob is shown, who opens a conversation on each connection, and how much of it when that had come; `random`:
    his connection is cut now and then.
    """
    shown: list[tuple[str, str]] = []
    shown_when_resumed: list[int] = []
    async with open_world() as world:
        network = Network(world)
        async with network.device("bob", "phone") as bob:
            await bob.wait_connected()
            await bob.messages.send("bob", b"here I am")
        async with network.device("ann", "phone") as ann, network.device("carol", "phone") as carol:
            for first in range(0, WRITTEN, 20):
                texts = [("bob", b"%d" % number) for number in range(first, first + 20)]
                await ann.messages.send_many(texts)
                await carol.messages.send_many(texts)
        async with network.device("bob", "phone") as bob:
            async for event in bob:
                if isinstance(event, Connected):
                    with suppress(NotConnected):  # so it connects again
                        await bob.presence.resume("carol")
                if isinstance(event, Resumed):
                    shown_when_resumed.append(len(shown))
                if not isinstance(event, Received) or event.own:
                    continue
                assert event.message.from_ is not None
                shown.append((event.message.from_.eid, event.message.payload.decode()))
                if len(shown) == 2 * WRITTEN:
                    break
                if random is not None and random.random() < 0.02:
                    network.cut("bob", "phone")
                    await trio.sleep(random.random() * 3)
                    await bob.wait_connected()
            await trio.sleep(60)

    return shown, shown_when_resumed


def check(shown: list[tuple[str, str]]) -> None:
    """All of it, each once, and in the order of each author."""
    assert sorted(shown) == sorted((eid, str(number)) for eid in PEERS for number in range(WRITTEN))
    for eid in PEERS:
        assert [text for author, text in shown if author == eid] == [str(number) for number in range(WRITTEN)]


async def test_a_conversation_that_is_opened_comes_first(autojump_clock: MockClock) -> None:
    shown, (place,) = await read_all()

    check(shown)
    assert place < 2 * WRITTEN
    assert {author for author, _ in shown[place:]} == {"ann"}


@pytest.mark.parametrize("seed", range(1, 5))
async def test_a_conversation_that_is_opened_comes_once_whatever_is_cut(seed: int, autojump_clock: MockClock) -> None:
    shown, _ = await read_all(Random(seed))

    check(shown)
