from bimip.domain.core.decision import StateRestarted
from bimip.domain.core.ids import UserId, Version
from bimip.domain.core.operations import Forget
from bimip.domain.core.records import Table
from bimip.domain.state.devices import pack_key
from bimip.domain.state.pruning import PruneRemoval
from tests.domain.support import Ledger


def removals(ledger: Ledger) -> list[tuple[int, int]]:
    with ledger.store.snapshot() as view:
        return [key for key, _ in view.scan(Table.REMOVALS, (), (1 << 32,), limit=9)]


def test_a_removal_that_is_old_goes_and_the_floor_passes_it() -> None:
    ledger = Ledger()
    ledger.device("ann")
    laptop = ledger.device("ann", "laptop")
    ledger.do(Forget(laptop.device))
    ledger.device("ann", "tablet")
    result = ledger.do(PruneRemoval(laptop.user, Version(3)))

    assert result.removed == 1
    assert ledger.get(Table.STATES, laptop.user) == (4, 3)
    assert ledger.get(Table.VERSIONS, laptop.user, pack_key("laptop")) is None
    assert ledger.get(Table.CHANGES, laptop.user, 3) is None
    assert list(ledger.decisions[0].news) == [StateRestarted(laptop.user, Version(3))]
    assert removals(ledger) == []


def test_what_came_again_stays_and_so_does_the_floor() -> None:
    ledger = Ledger()
    phone = ledger.device("ann")
    ledger.do(Forget(phone.device))
    again = ledger.device("ann")
    result = ledger.do(PruneRemoval(phone.user, Version(2)))

    assert result.removed == 0
    assert ledger.get(Table.STATES, phone.user) == (3, 0)
    assert ledger.get(Table.VERSIONS, again.user, pack_key("phone")) == 3
    assert removals(ledger) == []


def test_of_nothing_nothing_goes() -> None:
    ledger = Ledger()
    before = ledger.everything()

    assert ledger.do(PruneRemoval(UserId(7), Version(1))).removed == 0
    assert ledger.everything() == before


def test_the_floor_never_falls() -> None:
    ledger = Ledger()
    names = ("a", "b")
    ledger.device("ann")
    for name in names:
        ledger.do(Forget(ledger.device("ann", name).device))
    user = UserId(1)
    for version in (5, 3):
        ledger.do(PruneRemoval(user, Version(version)))

    assert ledger.get(Table.STATES, user) == (5, 5)
