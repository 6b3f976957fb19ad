import pytest

from bimip.domain.accounts.erasing import (
    BeginErasing,
    EraseConflicts,
    EraseDevice,
    EraseLog,
    EraseRecords,
    ErasingBegun,
    ErasingFinished,
    FinishErasing,
)
from bimip.domain.core.decision import UserErased
from bimip.domain.core.operations import Operation
from bimip.domain.core.records import Erasure, Table
from tests.domain.support import BEGIN, CHAT, Ledger, Peer, fault_of


def lived() -> tuple[Ledger, Peer, Peer]:
    """Ann, whose every log, device and record has something, and bob."""
    ledger = Ledger(slice_entries=3)
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(8):
        ledger.send(ann, "bob", f"m{number}")
        ledger.send(bob, "ann", f"m{number}")
    ledger.ack(ann, 5)
    return ledger, ann, bob


def exhaust(ledger: Ledger, operation: Operation) -> int:
    """Does it until nothing is left; how often."""
    times = 1
    while ledger.do(operation).more:
        times += 1
    return times


def test_the_name_is_free_at_once_and_the_number_nobodys() -> None:
    ledger, ann, _ = lived()

    assert ledger.do(BeginErasing("ann")) == ErasingBegun(ann.user)
    assert ledger.decisions[0].news == [UserErased(ann.user)]
    assert ledger.get(Table.USERS, "ann") is None
    assert ledger.get(Table.EIDS, ann.user) == ""
    assert ledger.get(Table.ERASING, ann.user) == Erasure("ann", BEGIN)
    assert ledger.device("ann").user != ann.user


def test_who_is_not_there_is_not_erased() -> None:
    ledger, _, _ = lived()

    assert fault_of(ledger.do(BeginErasing("nobody"))) == "NOT_FOUND"


def test_logs_records_and_devices_go_in_slices() -> None:
    ledger, ann, bob = lived()
    before = ledger.entries(bob.user)
    ledger.do(BeginErasing("ann"))

    assert exhaust(ledger, EraseLog(ann.user, CHAT)) > 3
    assert exhaust(ledger, EraseRecords(ann.user)) > 3
    assert exhaust(ledger, EraseDevice(ann.user, ann.device)) > 3
    assert ledger.log(ann.user) is None
    assert ledger.get(Table.DEVICE_OWNERS, ann.device) is None
    assert ledger.get(Table.SEEN, ann.device, "m1") is None
    assert ledger.do(FinishErasing(ann.user)) == ErasingFinished(is_done=True)
    assert ledger.get(Table.ERASING, ann.user) is None
    assert ledger.entries(bob.user) == before


def test_it_is_not_done_while_something_is_left() -> None:
    ledger, ann, _ = lived()
    ledger.do(BeginErasing("ann"))

    assert ledger.do(FinishErasing(ann.user)) == ErasingFinished(is_done=False)
    assert ledger.get(Table.ERASING, ann.user) is not None


@pytest.mark.parametrize("operation", [EraseLog, EraseRecords, EraseDevice, EraseConflicts])
def test_nothing_goes_of_who_is_not_being_erased(operation: type) -> None:
    ledger, ann, _ = lived()
    before = ledger.everything()
    ledger.do(operation(*(ann.user, CHAT if operation is EraseLog else ann.device)[: len(operation._fields)]))  # type: ignore[attr-defined]

    assert ledger.everything() == before


def test_a_device_of_somebody_else_stays() -> None:
    ledger, ann, bob = lived()
    ledger.do(BeginErasing("ann"))
    ledger.do(EraseDevice(ann.user, bob.device))

    assert ledger.get(Table.DEVICE_OWNERS, bob.device) is not None
