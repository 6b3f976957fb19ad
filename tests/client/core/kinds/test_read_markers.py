from pathlib import Path

import pytest

from bimip.client import InvalidArgument
from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.read_markers import marker_of
from bimip.client.core.state import State
from bimip.client.events import Connected, ReadMarkerChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, ReadMarker, StateItem
from tests.client.support import FakeServer, a_client, both_backends, next_of, page


def read(offset: int, conversation: str = "c1", *, removed: bool = False) -> StateItem:
    marker = ReadMarker(conversation=conversation, conversation_offset=offset)
    return StateItem(removed=removed, read_marker=marker)


def test_a_marker_moves_forward_only(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert state.page(page(0, 1, read(4), read(9, "c2"))) == [ReadMarkerChanged("c1", 4), ReadMarkerChanged("c2", 9)]
    assert state.page(page(1, 2, read(3))) == []
    assert state.page(page(2, 3, read(6))) == [ReadMarkerChanged("c1", 6)]
    assert [marker_of(store, conversation) for conversation in ("c1", "c2", "c3")] == [6, 9, 0]


def test_a_marker_that_is_removed_or_in_no_page_of_a_whole_state_is_gone(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 1, read(4), read(9, "c2"), read(2, "c3")))

    assert state.page(page(1, 2, read(0, removed=True))) == [ReadMarkerChanged("c1", 0)]
    assert state.page(page(0, 2, read(5, "c2"), reset=True, complete=True)) == [
        ReadMarkerChanged("c2", 5),
        ReadMarkerChanged("c3", 0),
    ]
    assert [marker_of(store, conversation) for conversation in ("c1", "c2", "c3")] == [0, 5, 0]


@both_backends
async def test_markers_are_events_and_outlive_the_process(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        await peer.greet()
        peer.send(Body(states=[page(0, 6, read(4), reset=True, complete=True)]))

        assert await next_of(client, ReadMarkerChanged) == ReadMarkerChanged("c1", 4)
    async with a_client(server, path=path) as client:
        hello = await (await server.accept()).greet()
        await next_of(client, Connected)

        assert (hello.state_version, client.conversations.read_marker("c1")) == (6, 4)
        with pytest.raises(InvalidArgument):
            client.conversations.read_marker(4)  # type: ignore[arg-type]
