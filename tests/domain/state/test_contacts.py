from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Changes, Contact, DamagedRecordError, Standing, Table
from bimip.domain.state.changes import UNSEEN
from bimip.domain.state.contacts import KIND, pack_key, unpack_key
from bimip.storage.memory import MemoryStore

ANN, BOB = UserId(1), UserId(2**32 - 1)


def test_a_key_is_that_of_the_peer() -> None:
    assert unpack_key(pack_key(BOB)) == BOB


def test_a_contact_is_told_as_it_stands_and_none_was_removed() -> None:
    store = MemoryStore()
    store.begin()
    store.apply(Changes(puts={Table.CONTACTS: {(ANN, BOB): Contact(Standing.REQUESTED)}}))
    store.commit()
    with store.snapshot() as view:
        assert KIND.read(view, ANN, pack_key(BOB)) == Contact(Standing.REQUESTED)
        assert KIND.read(view, BOB, pack_key(ANN)) is None

    assert KIND.has_removals


def test_of_what_is_damaged_nothing_is_told() -> None:
    class Damaged:
        def get(self, _table: Table, _key: object) -> Contact:
            raise DamagedRecordError

    assert KIND.read(Damaged(), ANN, pack_key(BOB)) is UNSEEN  # type: ignore[arg-type]  # it is asked for nothing else
