"""Each facet has an example in the head of its file, which is the one that is type-checked, and which runs.

The server is the whole one, under virtual time; Bob is there, and answers.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from typing import get_args

import pytest
import trio
from trio.testing import MockClock

import bimip.client
from bimip.client import CallStep, Client, Start, events
from bimip.storage.memory import MemoryStore
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import virtual_millis
from tests.client.facets import examples
from tests.client.facets.support import FACETS
from tests.kit.contacts import put_contacts
from tests.kit.memory_server import open_world
from tests.scenarios.test_client_keeps_its_word import Network
from tests.scenarios.test_push import with_push

ALICE, BOB = "alice@example.org", "bob@example.org"
OF_THE_CLIENT = {"Connected", "Disconnected", "EpochChanged", "ServerError"}
"""Events of no facet: of the connection, and of what cannot be told otherwise."""

PRINTED = {
    "messages": ["answered: Hello Alice", "delivered"],
    "conversations": ["bob@example.org has 1 unread", "all read up to 2"],
    "history": ["Are you there? taken", "I am not taken yet", "before the newest: 1", "before the newest: 0"],
    "feeds": ["written for ('bob@example.org',)", "On holiday from tomorrow", "1 of Bob's"],
    "groups": ["alice@example.org is owner of Trip to Rome", "bob@example.org is admin of Trip to Rome"],
    "contacts": ["of the request: requested", "bob@example.org Bobby is seen", "carol@example.org  is not seen"],
    "presence": ["now DND", "Bob is ONLINE"],
    "calls": ["Bob took it: an answer, as SDP", "over: CALL_HUNG_UP"],
    "locations": ["bob@example.org sees it for ten minutes"],
    "devices": [
        "laptop is not there",
        "Alice's phone is online",
        "of what laptop wrote 0 are missing here",
        "of Bob: ['phone']",
        "others of mine that are there: 0",
    ],
    "settings": ["last seen is for CONTACTS", "but for bob@example.org DENIED"],
    "push": ["phone by fcm"],
    "state": ["as of version 2 there are 2"],
}
"""What each example prints in the world of this test."""


def head_of(name: str) -> str:
    """The docstring of the facet's file."""
    return inspect.getdoc(inspect.getmodule(type(FACETS[name]))) or ""


def example_in(document: str) -> tuple[list[str], str]:
    """The imports of the example in a docstring, and what follows them."""
    lines = [line[4:] for line in document.splitlines() if line.startswith("    ")]
    imports = [line for line in lines if line.startswith("from ")]
    return imports, "\n".join(line for line in lines if line not in imports)


def body_of(function: Callable[..., object]) -> str:
    return textwrap.dedent("".join(inspect.getsourcelines(function)[0][1:])).strip()


@pytest.mark.parametrize("name", FACETS)
def test_the_head_of_the_file_has_the_example(name: str) -> None:
    imports, example = example_in(head_of(name))
    imported: dict[str, object] = {}
    exec("\n".join(imports), imported)
    del imported["__builtins__"]
    used = {node.id for node in ast.walk(ast.parse(body_of(getattr(examples, name)))) if isinstance(node, ast.Name)}

    assert body_of(getattr(examples, name)) == example
    assert len(example.splitlines()) in range(5, 13)
    assert {one: getattr(examples, one) for one in used if one in bimip.client.__all__} == imported


def test_the_heads_name_every_event() -> None:
    named = {word for name in FACETS for word in re.findall(r"\w+", head_of(name).split("\nEvents: ")[1])}

    assert {event.__name__ for event in get_args(events.Event)} - OF_THE_CLIENT == named & set(vars(events))


async def lives(bob: Client) -> None:
    async for event in bob:
        match event:
            case events.Received(message=message) if message.payload == b"Helo Bob":
                await bob.messages.send(ALICE, b"Hello Alice")
            case events.CallSignalled(step=CallStep.CALL_OFFER):
                await bob.calls.answer(ALICE, event.call, b"an answer, as SDP")


@pytest.mark.parametrize("name", FACETS)
async def test_the_example_runs(name: str, autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]) -> None:
    store = MemoryStore()
    put_contacts(store, [(ALICE, BOB)])
    async with open_world(store=store, settings=with_push(), gateway=MemoryGateway()) as world:
        await world.register("carol@example.org")
        await world.register("mallory@example.org")
        network = Network(world)
        async with (
            network.device(BOB, "phone", now=virtual_millis) as bob,
            network.device(ALICE, "phone", start=Start.HEAD, now=virtual_millis) as alice,
            trio.open_nursery() as nursery,
        ):
            async with network.device(ALICE, "laptop") as laptop:
                await laptop.messages.send(BOB, b"Are you there?")
            if name == "feeds":
                await bob.feeds.publish(b"Hello friends")
            await bob.messages.send(ALICE, b"I am")
            async for event in alice:
                if isinstance(event, events.Received) and not event.own:
                    break
            await trio.sleep(1)  # in which what was taken is acknowledged
            nursery.start_soon(lives, bob)
            with trio.fail_after(60):
                await getattr(examples, name)(alice)
            nursery.cancel_scope.cancel()

    assert capsys.readouterr().out.splitlines() == PRINTED[name]
