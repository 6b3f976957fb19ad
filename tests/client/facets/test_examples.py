"""Each facet has an example in the head of its file, which is the one that is type-checked, and which runs.

The server is the whole one. Bob is there, and answers.
"""

import ast
import inspect
import re
import textwrap
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, get_args

import anyio
import pytest
import trio
from trio.testing import MockClock

import bimip.client
from bimip.app import open_server
from bimip.cli.tokens import sign
from bimip.client import CallStep, Client, Start, events, open_client
from bimip.environment import Surroundings, open_store
from bimip.testing.push import MemoryGateway
from bimip.testing.virtual import settings_for_tests, virtual_millis
from tests.client.facets import examples
from tests.client.facets.support import FACETS
from tests.kit.memory_server import open_world
from tests.kit.push import GATEWAY
from tests.scenarios.test_client_keeps_its_word import Network

OpenDevice = Callable[..., AbstractAsyncContextManager[Client]]

ALICE, BOB = "alice@example.org", "bob@example.org"
SETTINGS = settings_for_tests(BIMIP_PUSH_GATEWAYS=GATEWAY, BIMIP_GATEWAY_PORT="0", BIMIP_CONSOLE_PORT="0")
OF_THE_CLIENT = {"Connected", "Disconnected", "EpochChanged", "ServerError"}
"""Events of no facet: of the connection, and of what cannot be told otherwise."""

PRINTED = {
    "messages": ["answered: Hello Alice", "read"],
    "conversations": ["bob@example.org has 1 unread", "all read up to 2"],
    "history": [
        "Are you there? taken",
        "I am not taken yet",
        "before the newest: 1",
        "before the newest: 0",
        "0 are no longer in this device's file",
    ],
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
    "notes": ["bob@example.org is to be told: To be said", "None"],
    "keys": ["one-time keys that nobody was given: 0"],
    "push": ["phone by fcm"],
    "state": ["as of version 4 there are 3"],
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


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the examples print, and nothing else does."""
    lines: list[str] = []
    monkeypatch.setattr(examples, "print", lambda *words: lines.append(" ".join(map(str, words))), raising=False)
    return lines


async def lives(bob: Client) -> None:
    async for event in bob:
        match event:
            case events.Received(message=message) if message.payload == b"Helo Bob":
                await bob.messages.send(ALICE, b"Hello Alice")
                await bob.messages.mark_read(message.conversation, message.conversation_offset)
            case events.CallSignalled(step=CallStep.CALL_OFFER):
                await bob.calls.answer(ALICE, event.call, b"an answer, as SDP")


@asynccontextmanager
async def open_connected(open_device: OpenDevice, eid: str) -> AsyncIterator[Client]:
    """Opens a phone. Users are numbered, and listed, as they came first: one after the other."""
    async with open_device(eid, "phone", start=Start.HEAD) as client:
        await client.wait_connected()
        yield client


async def is_settled(alice: Client) -> bool:
    """Whether the laptop is gone, and the server knows what the phone has taken: all but the newest message."""
    laptop, phone = sorted(await alice.devices.list(), key=lambda one: one.name)
    return not laptop.online and "chat" in phone.logs and phone.logs["chat"].lag == 1


async def run_example(name: str, open_device: OpenDevice) -> None:
    """Alice's phone does what the example does. Her laptop wrote to Bob, who answered, and who lives on."""
    async with open_connected(open_device, ALICE) as alice, open_connected(open_device, BOB) as bob:
        for other in ("carol@example.org", "mallory@example.org"):
            async with open_connected(open_device, other):
                pass  # a user exists once they connected
        await alice.contacts.request(BOB, mutual=True)
        await bob.contacts.accept(ALICE)
        if name == "feeds":
            await bob.feeds.publish(b"Hello friends")
        async with open_device(ALICE, "laptop") as laptop:
            await laptop.messages.send(BOB, b"Are you there?")
        await bob.messages.send(ALICE, b"I am")
        async for event in alice:
            if isinstance(event, events.Received) and not event.own:
                break
        while not await is_settled(alice):  # noqa: ASYNC110 - what the server knows is asked for
            await anyio.sleep(0.01)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lives, bob)
            await getattr(examples, name)(alice)
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("name", FACETS)
async def test_the_example_runs(name: str, autojump_clock: MockClock, printed: list[str]) -> None:
    async with open_world(settings=SETTINGS, gateway=MemoryGateway()) as world:
        with trio.fail_after(60):
            await run_example(name, partial(Network(world).device, now=virtual_millis))

    assert printed == PRINTED[name]


@pytest.mark.parametrize("name", FACETS)
async def test_the_example_runs_under_asyncio(name: str, printed: list[str]) -> None:
    """In a thread of its own, over real sockets."""
    async with open_server(SETTINGS, Surroundings(open_store)) as running:
        url = f"ws://127.0.0.1:{running.listener.port}"

        def open_device(eid: str, device: str, **options: Any) -> AbstractAsyncContextManager[Client]:
            return open_client(url, token=sign(SETTINGS, eid, device, 3600), **options)

        program = partial(anyio.run, run_example, name, open_device, backend="asyncio")
        with trio.fail_after(60):
            await trio.to_thread.run_sync(program, abandon_on_cancel=True)

    assert printed == PRINTED[name]
