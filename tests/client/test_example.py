"""The example in the package's docstring runs as it is written."""

import textwrap
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

import bimip.client
from bimip.client.client import Client, open_client
from bimip.client.wire.bimip import Message, Signal
from bimip.config import Settings
from tests.client.support import FakeServer, a_message, batch, both_backends, sent


def example() -> str:
    document = bimip.client.__doc__ or ""
    lines = document.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("    from bimip.client import"))
    end = next(number for number, line in enumerate(lines[begin:], begin) if line and not line.startswith("    "))
    return textwrap.dedent("\n".join(lines[begin:end])).strip()


def test_it_connects_where_the_server_listens_by_itself() -> None:
    assert f'"ws://localhost:{Settings().gateway.port}"' in example()


def test_it_is_short() -> None:
    assert len(example().splitlines()) <= 20


@both_backends
async def test_it_runs() -> None:
    server = FakeServer()

    def open_here(url: str, **options: Any) -> AbstractAsyncContextManager[Client]:
        options["path"] = ":memory:"
        return open_client(url, connect=server.connect, **options)

    printed: list[tuple[object, ...]] = []
    source = "async def program(token, print, open_client):\n" + textwrap.indent(
        example().replace("from bimip.client import open_client\n", ""), "    "
    )
    names: dict[str, Callable[..., Any]] = {}
    exec(source, names)  # the docstring's own text

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(names["program"], "token", lambda *args: printed.append(args), open_here)
        peer = await server.accept()
        await peer.greet(position=0)
        message, ref = await peer.expect(Message)
        peer.send(sent(message.id, 1), ref)
        peer.send(batch(1, 2, 2))
        signal, _ = await peer.expect(Signal)
        while signal.conversation != "c1":
            signal, _ = await peer.expect(Signal)
        tasks.cancel_scope.cancel()

    assert signal.upto == 2
    assert ("on disk as", "s00001") in printed
    assert ("bob@example.org", "text 2") in printed


@pytest.mark.parametrize("name", bimip.client.__all__)
def test_everything_that_is_offered_exists(name: str) -> None:
    assert getattr(bimip.client, name) is not None


def test_messages_have_what_the_example_uses() -> None:
    assert a_message(1).from_ is not None
