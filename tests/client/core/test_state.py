"""The mechanism, with a kind that only this test knows: what a kind needs to say is all in one class."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import bimip.client.core.device
from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.kind import AnyKind, Kind, Table
from bimip.client.core.state import State
from bimip.client.errors import ProtocolViolation
from bimip.client.events import Connected
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Body, Contact, Settings, StateItem
from tests.client.support import FakeServer, a_client, both_backends, next_of, page


@dataclass(frozen=True, slots=True)
class ContactChanged:
    eid: str
    before: str | None
    now: str | None


class ContactsKind(Kind[Contact, str]):
    """Names of contacts, of which the greater one wins."""

    field = "contact"

    def key(self, item: Contact) -> StateKey | None:
        return (item.eid,) if item.eid else None

    def value(self, item: Contact) -> str:
        if not item.name:
            raise ProtocolViolation("a contact without a name")
        return item.name

    def merge(self, known: str, arrived: str) -> str:
        return max(known, arrived)

    def event(self, key: StateKey, before: str | None, now: str | None) -> Any:
        return ContactChanged(str(key[0]), before, now)

    def load(self, stored: Any) -> str:
        return str(stored)


KINDS: tuple[AnyKind, ...] = (*CLIENT_KINDS, ContactsKind())


def bob(name: str = "", *, eid: str = "bob", removed: bool = False) -> StateItem:
    return StateItem(removed=removed, contact=Contact(eid=eid, name=name))


def merged(state: State, *args: Any, **how: bool) -> list[object]:
    return [*state.page(page(*args, **how))]


def names(store: Store) -> dict[StateKey, str]:
    return dict(Table(store, ContactsKind()).under(()))


def test_what_arrives_is_merged_stored_and_an_event_where_it_changes_something(store: Store) -> None:
    state = State(store, KINDS)

    assert merged(state, 0, 3, bob("Bob")) == [ContactChanged("bob", None, "Bob")]
    assert merged(state, 3, 4, bob("Al")) == []
    assert merged(state, 3, 5, bob("Rob"), bob("Zoe", eid="zoe")) == [
        ContactChanged("bob", "Bob", "Rob"),
        ContactChanged("zoe", None, "Zoe"),
    ]
    assert names(store) == {("bob",): "Rob", ("zoe",): "Zoe"}
    assert State(store, KINDS).version == 5


def test_a_program_that_knows_more_kinds_than_the_last_one_asks_for_all_of_the_state(store: Store) -> None:
    State(store, ()).page(page(0, 5, bob("Bob")))
    upgraded = State(store, KINDS)
    asked = upgraded.version
    upgraded.page(page(0, 5, bob("Bob")))

    assert (asked, names(store)) == (0, {("bob",): "Bob"})
    assert State(store, KINDS).version == 5
    assert State(store, ()).version == 5  # the older program again, which misses nothing that it knows
    assert State(store, KINDS).version == 0


def test_a_key_that_is_removed_is_an_event_once(store: Store) -> None:
    state = State(store, KINDS)
    state.page(page(0, 1, bob("Bob")))

    assert merged(state, 1, 2, bob(removed=True)) == [ContactChanged("bob", "Bob", None)]
    assert merged(state, 1, 2, bob(removed=True)) == []
    assert names(store) == {}


def test_a_whole_state_replaces_and_what_is_in_none_of_its_pages_goes_at_its_end(store: Store) -> None:
    state = State(store, KINDS)
    state.page(page(0, 9, bob("Rob"), bob("Zoe", eid="zoe")))

    assert merged(state, 0, 7, bob("Bob"), reset=True) == [ContactChanged("bob", "Rob", "Bob")]
    assert (state.version, len(names(store))) == (9, 2)
    assert merged(state, 7, 8, bob("Eve", eid="eve"), complete=True) == [
        ContactChanged("eve", None, "Eve"),
        ContactChanged("zoe", "Zoe", None),
    ]
    assert state.version == 8
    assert names(store) == {("bob",): "Bob", ("eve",): "Eve"}


def test_a_whole_state_that_was_cut_off_counts_for_nothing_and_begins_anew(store: Store) -> None:
    state = State(store, KINDS)
    state.page(page(0, 9, bob("Bob"), bob("Zoe", eid="zoe")))
    state.page(page(0, 20, bob("Bob"), reset=True))
    state.connected()
    state.page(page(9, 10))

    assert state.version == 10
    assert len(names(store)) == 2
    state.page(page(0, 11, bob("Zoe", eid="zoe"), reset=True, complete=True))
    assert names(store) == {("zoe",): "Zoe"}


def test_a_page_that_does_not_join_breaks_the_protocol(store: Store) -> None:
    state = State(store, KINDS)
    state.page(page(0, 3))

    with pytest.raises(ProtocolViolation, match="after 4, but 3"):
        state.page(page(4, 5))


def test_an_item_that_no_server_may_send_leaves_nothing_of_its_page(store: Store) -> None:
    state = State(store, KINDS)
    with pytest.raises(ProtocolViolation, match="without a name"), store.transaction():
        state.page(page(0, 2, bob("Bob"), bob(eid="zoe")))

    assert (state.version, names(store)) == (0, {})


def test_kinds_and_keys_of_a_later_version_are_left_out(store: Store) -> None:
    state = State(store, KINDS)

    assert merged(state, 0, 1, StateItem(settings=Settings()), StateItem(), bob("Bob", eid="")) == []
    assert State(store, ()).page(page(1, 2, bob("Bob"))) == []
    assert names(store) == {}


def test_each_kind_has_a_field_of_its_own_in_the_protocol() -> None:
    fields = [kind.field for kind in CLIENT_KINDS]

    assert len(fields) == len(set(fields))
    assert set(fields) <= set(StateItem.__dataclass_fields__)


@both_backends
async def test_a_row_in_the_table_is_all_that_a_client_needs_for_another_kind(tmp_path: Path) -> None:
    server = FakeServer()
    path = tmp_path / "phone.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bimip.client.core.device, "CLIENT_KINDS", KINDS)
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            await peer.greet()
            peer.send(Body(states=[page(0, 6, bob("Bob"), bob("Zoe", eid="zoe"), reset=True, complete=True)]))
            assert await next_of(client, ContactChanged) == ContactChanged("bob", None, "Bob")
        async with a_client(server, path=path) as client:
            peer = await server.accept()
            assert (await peer.greet()).state_version == 6
            await next_of(client, Connected)
            peer.send(page(0, 9, bob("Bob"), reset=True, complete=True))

            assert await next_of(client, ContactChanged) == ContactChanged("zoe", "Zoe", None)
