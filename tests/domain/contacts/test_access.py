from bimip.domain.contacts.access import blocks, contact_of, lets_see, seen_by, viewers_of
from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Changes, Contact, DamagedRecordError, Reader, Roster, Table
from bimip.storage.memory import MemoryStore

ANN, BOB = UserId(1), UserId(2)

ALLOWED = Contact(grants=True)
ALLOWS = Contact(granted=True)
BLOCKED = Contact(grants=True, blocked=True)


def view(rows: dict[tuple[int, int], Contact]) -> Reader:
    store = MemoryStore()
    store.begin()
    rosters: dict[tuple[int, ...], Roster] = {}
    for (owner, _), contact in rows.items():
        rosters[owner,] = rosters.get((owner,), Roster()).with_one(contact)
    store.apply(Changes(puts={Table.CONTACTS: dict(rows), Table.ROSTERS: dict(rosters)}))
    store.commit()
    with store.snapshot() as snapshot:
        return snapshot


def test_who_accepted_somebody_is_seen_by_them_and_not_the_other_way_round() -> None:
    one_way = view({(ANN, BOB): ALLOWED, (BOB, ANN): ALLOWS})

    assert lets_see(one_way, ANN, BOB)
    assert not lets_see(one_way, BOB, ANN)
    assert viewers_of(one_way, ANN, 0, 10) == [BOB]
    assert seen_by(one_way, BOB, 0, 10) == [ANN]
    assert viewers_of(one_way, BOB, 0, 10) == seen_by(one_way, ANN, 0, 10) == []


def test_between_two_of_whom_one_blocked_the_other_nobody_sees_anybody() -> None:
    blocked = view({(ANN, BOB): BLOCKED._replace(granted=True), (BOB, ANN): Contact(grants=True, granted=True)})

    assert blocks(blocked, ANN, BOB)
    assert not blocks(blocked, BOB, ANN)
    assert not lets_see(blocked, ANN, BOB)
    assert not lets_see(blocked, BOB, ANN)
    assert [ask(blocked, user, 0, 10) for ask in (viewers_of, seen_by) for user in (ANN, BOB)] == [[]] * 4


def test_everybody_sees_themselves_and_no_stranger() -> None:
    nothing = view({})

    assert lets_see(nothing, ANN, ANN)
    assert not lets_see(nothing, ANN, BOB)
    assert not blocks(nothing, ANN, BOB)


def test_lists_go_on_behind_the_last_one_whatever_lies_between() -> None:
    peers = range(10, 500)
    many = view({(ANN, peer): ALLOWED if peer % 3 else BLOCKED for peer in peers})
    expected = [peer for peer in peers if peer % 3]
    found: list[UserId] = []
    while page := viewers_of(many, ANN, found[-1] if found else 0, 70):
        found += page

    assert found == expected
    assert len(viewers_of(many, ANN, 0, 70)) == 70


def test_what_is_damaged_tells_of_a_stranger() -> None:
    class Damaged:
        def get(self, _table: Table, _key: object) -> Contact:
            raise DamagedRecordError

    assert contact_of(Damaged(), ANN, BOB) == Contact()  # type: ignore[arg-type]  # it is asked for nothing else
