import inspect

import pytest

from bimip.domain.core import operations
from bimip.domain.core.decision import Decision
from bimip.domain.core.operations import Barrier, Done
from bimip.domain.decisions import OPERATIONS, decide
from bimip.storage.memory import MemoryStore
from tests.domain.support import Ledger

PARTS = {operations.Address, operations.Links, operations.NewMessage, operations.Received}
RESULTS = {
    operations.Acknowledged,
    operations.Appended,
    operations.Done,
    operations.Expired,
    operations.PositionOpened,
    operations.ReadMarked,
    operations.Refused,
    operations.Registered,
}


def test_every_operation_of_the_module_has_a_decision() -> None:
    here = [kind for kind in vars(operations).values() if inspect.isclass(kind) and hasattr(kind, "_fields")]
    values = {kind for kind in here if kind.__module__ == operations.__name__}

    assert values - PARTS - RESULTS == {kind for kind in OPERATIONS if kind.__module__ == operations.__name__}


def test_operations_are_values() -> None:
    assert all(issubclass(kind, tuple) for kind in OPERATIONS)


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: kind.__name__)
def test_decisions_are_named_after_what_they_decide(kind: type) -> None:
    assert OPERATIONS[kind].decide.__name__.replace("_", "") == kind.__name__.lower()


def test_a_barrier_changes_nothing() -> None:
    ledger = Ledger()
    with MemoryStore().snapshot() as view:
        decision = decide(view, Barrier(), ledger.context)

    assert decision == Decision(Done())
