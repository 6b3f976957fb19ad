from itertools import permutations
from pathlib import Path

import pytest

from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.messages import message_known
from bimip.client.core.state import State
from bimip.client.events import Connected, MessageChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, MessageState, Reaction, StateItem
from tests.client.support import FakeServer, a_client, both_backends, next_of, page

LIKE = "\N{THUMBS UP SIGN}"


def became(**fields: object) -> StateItem:
    told = {"conversation": "c1", "conversation_offset": 4, "signal_offset": 77}
    return StateItem(message=MessageState(**{**told, **fields}))  # type: ignore[arg-type]  # each has its own type


def reaction(eid: str, stamp: int, *, removed: bool = False) -> Reaction:
    return Reaction(eid=eid, emoji=LIKE, stamp=stamp, removed=removed)


def known(store: Store) -> MessageChanged:
    found = message_known(store, "c1", 4)
    assert found is not None
    return found


CHANGES = [
    became(stamp=5, payload=b"early"),
    became(stamp=9, payload=b"late"),
    became(reactions=[reaction("bob", 3)]),
    became(reactions=[reaction("bob", 6, removed=True), reaction("ann", 4)]),
    became(forwards=2),
    became(pinned=True, pinned_stamp=7),
]


@pytest.mark.parametrize("order", [*permutations(range(4)), (5, 4, 3, 2, 1, 0)])
def test_in_whatever_order_changes_arrive_the_same_is_known(store: Store, order: tuple[int, ...]) -> None:
    state = State(store, CLIENT_KINDS)
    state.items([CHANGES[number] for number in (*order, 4, 5, 4, *order)])

    assert known(store) == MessageChanged("c1", 4, 77, b"late", False, False, True, 2, {LIKE: ("ann",)})  # noqa: FBT003


@pytest.mark.parametrize("deleted_first", [True, False])
def test_what_was_deleted_has_no_content(store: Store, deleted_first: bool) -> None:  # noqa: FBT001
    deleted = became(deleted=True)
    changes = [deleted, *CHANGES] if deleted_first else [*CHANGES, deleted]
    State(store, CLIENT_KINDS).items(changes)

    assert (known(store).deleted, known(store).payload, known(store).reactions) == (True, None, {})


def test_a_whole_state_takes_the_place_of_what_was_known(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.page(page(0, 1, became(stamp=9, payload=b"late", hidden=True)))
    events = state.page(page(0, 1, became(stamp=5, payload=b"restored"), reset=True, complete=True))

    assert [event.payload for event in events if isinstance(event, MessageChanged)] == [b"restored"]
    assert known(store).hidden is False


def test_of_what_is_told_again_there_is_no_event(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    state.items(CHANGES)

    assert state.items(CHANGES) == []
    assert message_known(store, "c1", 5) is None


@both_backends
async def test_changes_are_events_and_outlive_the_process(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    async with a_client(server, path=path) as client:
        peer = await server.accept()
        await peer.greet()
        peer.send(Body(states=[page(0, 6, became(stamp=9, payload=b"\xff"), reset=True, complete=True)]))

        assert (await next_of(client, MessageChanged)).payload == b"\xff"
    async with a_client(server, path=path) as client:
        await (await server.accept()).greet()
        await next_of(client, Connected)
        found = client.messages.state("c1", 4)

        assert found is not None
        assert found.payload == b"\xff"
