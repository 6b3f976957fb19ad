from collections.abc import Awaitable, Callable

import pytest

from bimip.client import Client
from bimip.client.errors import ClientError, InvalidArgument
from bimip.client.events import Disconnected
from tests.client.support import FakeServer, a_client, a_connected_client, both_backends, nothing_more, run

CALLS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "fetch: a limit in words": lambda client: client.history.fetch(limit="many"),  # type: ignore[arg-type]
    "fetch: a limit below nothing": lambda client: client.history.fetch(limit=-1),
    "fetch: beyond 64 bits": lambda client: client.history.fetch(offset=2**64),
    "fetch: half a character": lambda client: client.history.fetch(conversation="\udfff"),
    "history: text": lambda client: client.history.conversation("c1", before="x"),  # type: ignore[arg-type]
    "mark_read: text": lambda client: client.messages.mark_read("c1", "x"),  # type: ignore[arg-type]
    "mark_read: nothing": lambda client: client.messages.mark_read("c1", 0),
    "mark_read: beyond 64 bits": lambda client: client.messages.mark_read("c1", 2**63),
    "mark_read: nobody": lambda client: client.messages.mark_read(None, 1),  # type: ignore[arg-type]
    "mark_read: half a character": lambda client: client.messages.mark_read("\ud800", 1),
    "refresh_token: bytes": lambda client: client.refresh_token(b"x"),  # type: ignore[arg-type]
    "refresh_token: half a character": lambda client: client.refresh_token("\ud800"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_request_that_cannot_be_is_refused_at_once_and_the_connection_stays(
    call: Callable[[Client], Awaitable[object]],
) -> None:
    async def scenario() -> None:
        async with a_connected_client() as client:
            with pytest.raises(InvalidArgument):
                await call(client)
            assert [event for event in await nothing_more(client) if isinstance(event, Disconnected)] == []

    run(scenario)


@pytest.mark.parametrize(
    "settings",
    [
        {"partitions": "chat"},
        {"partitions": [5]},
        {"start": "FIRST"},
        {"last": -1},
        {"after_seq": {"chat": 5}},
        {"after_seq": {"feed": "1:1:phone"}},
        {"agent": "\ud800"},
        {"timeout": "soon"},
        {"timeout": 0},
        {"path": 5},
        {"path": "a\0b"},
    ],
    ids=str,
)
def test_a_client_that_cannot_be_is_not_opened(settings: dict[str, object]) -> None:
    async def scenario() -> None:
        with pytest.raises(InvalidArgument):
            async with a_client(FakeServer(), **settings):
                pass

    run(scenario)


@both_backends
async def test_after_its_block_a_client_raises_its_own_exceptions() -> None:
    async with a_connected_client() as client:
        assert client.connected
    for call in (
        client.ping,
        lambda: client.messages.send("bob", b"x"),
        lambda: client.messages.mark_read("c1", 1),
        client.__anext__,
    ):
        with pytest.raises((ClientError, StopAsyncIteration)):
            await call()


@both_backends
async def test_the_blocks_own_exception_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        async with a_client(FakeServer()):
            raise ZeroDivisionError
