import inspect

import pytest

from bimip.domain import operations
from bimip.domain.decision import Decision
from bimip.domain.decisions import OPERATIONS, decide
from bimip.domain.operations import Barrier, Done, Operation
from bimip.storage.memory import MemoryStore
from tests.domain.support import Ledger


def test_every_operation_has_a_decision() -> None:
    assert set(OPERATIONS) == set(Operation.__args__)


def test_every_operation_of_the_module_belongs_to_the_closed_set() -> None:
    parts = {"Address", "NewMessage", "Appended", "Received"} | {kind.__name__ for kind in operations.Result.__args__}
    here = [kind for kind in vars(operations).values() if inspect.isclass(kind) and hasattr(kind, "_fields")]
    values = {kind.__name__ for kind in here if kind.__module__ == operations.__name__}

    assert values - parts == {kind.__name__ for kind in Operation.__args__}


@pytest.mark.parametrize("kind", Operation.__args__, ids=lambda kind: kind.__name__)
def test_decisions_are_named_after_what_they_decide(kind: type) -> None:
    assert OPERATIONS[kind].decide.__name__.replace("_", "") == kind.__name__.lower()


def test_a_barrier_changes_nothing() -> None:
    ledger = Ledger()
    with MemoryStore().snapshot() as view:
        decision = decide(view, Barrier(), ledger.context)

    assert decision == Decision(Done())
