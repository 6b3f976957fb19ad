"""A program asks for the state itself, or has the client's copy of it read again."""

import anyio
import pytest

from bimip.client import Client, InvalidArgument, NotConnected, Refused
from bimip.client.events import ReadMarkerChanged
from bimip.client.facets.state import StatePage
from bimip.client.wire.bimip import Body, ErrorCode, ErrorMessage, ReadMarker, StateDelta, StateItem
from tests.client.support import FakeServer, Peer, a_client, both_backends, next_of, nothing_more, page


def marker(version: int, conversation: str, upto: int) -> StateItem:
    return StateItem(version=version, read_marker=ReadMarker(conversation=conversation, conversation_offset=upto))


async def with_markers(server: FakeServer, client: Client) -> Peer:
    """c1 is read up to 1, c2 up to 2."""
    peer = await server.accept()
    await peer.greet()
    peer.send(Body(states=[page(0, 2, marker(1, "c1", 1), marker(2, "c2", 2), reset=True, complete=True)]))
    assert [(await next_of(client, ReadMarkerChanged)).conversation for _ in range(2)] == ["c1", "c2"]
    return peer


@both_backends
async def test_a_page_is_asked_for_and_touches_nothing() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await with_markers(server, client)

        async def serve() -> None:
            asked, ref = await peer.expect(StateDelta)
            peer.send(page(2, 3, marker(3, "c1", 9), complete=True), ref)
            again, ref = await peer.expect(StateDelta)
            peer.send(page(0, 9, marker(3, "c1", 9), reset=True), ref)
            assert [(one.after, one.reset) for one in (asked, again)] == [(2, False), (5, True)]

        tasks.start_soon(serve)

        changed, begun = await client.state.read(2), await client.state.read(5, whole=True)
        assert changed == StatePage([marker(3, "c1", 9)], 3, is_whole=False, begins=False, complete=True)
        assert begun == StatePage([marker(3, "c1", 9)], 9, is_whole=True, begins=True, complete=False)
        assert client.conversations.read_marker("c1") == 1
        assert await nothing_more(client) == []


@both_backends
async def test_a_copy_that_is_read_again_loses_what_is_not_there_and_nothing_that_came_meanwhile() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await with_markers(server, client)

        async def serve() -> None:
            first, ref = await peer.expect(StateDelta)
            peer.send(page(0, 1, marker(1, "c1", 1), reset=True), ref)
            then, ref = await peer.expect(StateDelta)
            peer.send(Body(states=[page(2, 3, marker(3, "c3", 3))]))
            peer.send(page(1, 2, complete=True), ref)
            assert [(one.after, one.reset) for one in (first, then)] == [(0, True), (1, True)]

        tasks.start_soon(serve)
        await client.state.refresh()

        assert [client.conversations.read_marker(name) for name in ("c1", "c2", "c3")] == [1, 0, 3]


@both_backends
async def test_where_it_begins_anew_the_copy_is_that_of_the_last_beginning() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await with_markers(server, client)

        async def serve() -> None:
            _, ref = await peer.expect(StateDelta)
            peer.send(page(0, 2, marker(1, "c1", 1), marker(2, "c2", 2), reset=True), ref)
            _, ref = await peer.expect(StateDelta)
            peer.send(page(0, 9, marker(4, "c1", 4), reset=True, complete=True), ref)

        tasks.start_soon(serve)
        await client.state.refresh()

        assert [client.conversations.read_marker(name) for name in ("c1", "c2")] == [4, 0]


@both_backends
async def test_neither_of_two_whole_states_that_cross_drops_what_the_other_one_brought() -> None:
    """The server sends all of it by itself, in two pages, and in between it is asked for and not finished."""
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await with_markers(server, client)

        async def serve() -> None:
            peer.send(Body(states=[page(0, 3, marker(3, "c2", 5), reset=True)]))
            _, ref = await peer.expect(StateDelta)
            peer.send(page(0, 1, marker(1, "c1", 1), reset=True), ref)
            await peer.expect(StateDelta)
            peer.send(Body(states=[page(3, 4, marker(4, "c3", 3), complete=True)]))
            peer.cut()

        tasks.start_soon(serve)
        with pytest.raises(NotConnected):
            await client.state.refresh()

        assert [client.conversations.read_marker(name) for name in ("c1", "c2", "c3")] == [1, 5, 3]


@both_backends
async def test_a_version_that_cannot_be_is_refused() -> None:
    server = FakeServer()
    async with a_client(server) as client, anyio.create_task_group() as tasks:
        peer = await with_markers(server, client)

        async def serve() -> None:
            _, ref = await peer.expect(StateDelta)
            error = ErrorMessage(code=ErrorCode.OFFSET_BEYOND_HEAD, message="never given", field="after", ref=ref)
            peer.send(Body(errors=[error]))

        tasks.start_soon(serve)
        with pytest.raises(Refused, match="never given"):
            await client.state.read(99)
        with pytest.raises(InvalidArgument):
            await client.state.read(-1)
