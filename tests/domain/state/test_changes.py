"""What all kinds of state share, shown with keys of a kind that does not exist."""

from bimip.domain.core.ids import UserId, Version
from bimip.domain.core.records import Changes, State, StateKey, Table
from bimip.domain.state.changes import NO_STATE, StateChanges, state_of
from bimip.storage.memory import MemoryStore

ANN, BOB = UserId(1), UserId(2)
COLOUR, SIZE = b"\xf0colour", b"\xf0size"


def told(store: MemoryStore, *what: tuple[UserId, StateKey, object]) -> list[Version]:
    with store.snapshot() as view:
        changes = StateChanges(view)
        versions = [changes.tell(*one) for one in what]
    store.begin()
    store.apply(Changes(puts=dict(changes.puts())))
    store.commit()
    return versions


def changed(store: MemoryStore, user: UserId) -> list[tuple[int, StateKey]]:
    with store.snapshot() as view:
        return [(version, key) for (_, version), key in view.scan(Table.CHANGES, (user,), (user + 1,), limit=99)]


def test_each_change_is_the_next_version_of_each_user_by_itself() -> None:
    store = MemoryStore()

    assert told(store, (ANN, COLOUR, 1), (BOB, COLOUR, 1), (ANN, SIZE, 2)) == [1, 1, 2]
    assert told(store, (ANN, SIZE, 3)) == [3]


def test_of_each_key_only_the_newest_version_counts() -> None:
    store = MemoryStore()
    told(store, (ANN, COLOUR, 1), (ANN, SIZE, 1), (ANN, COLOUR, 2))  # within one decision
    told(store, (ANN, SIZE, 2))  # and over several

    assert changed(store, ANN) == [(3, COLOUR), (4, SIZE)]
    with store.snapshot() as view:
        assert view.get(Table.VERSIONS, (ANN, SIZE)) == 4
        assert state_of(view, ANN) == State(Version(4), Version(0))


def test_the_news_say_what_is_new() -> None:
    with MemoryStore().snapshot() as view:
        changes = StateChanges(view)
        changes.tell(ANN, COLOUR, "red")

    assert changes.news == [(ANN, 1, COLOUR, "red")]


def test_nothing_that_changed_is_nothing_to_write() -> None:
    with MemoryStore().snapshot() as view:
        changes = StateChanges(view)
        changes.values[Table.READ_MARKERS] = {}

        assert changes.puts() == []
        assert state_of(view, ANN) == NO_STATE
