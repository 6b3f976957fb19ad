"""What the journal and its queue know of an operation, so that they need to know none by name.

Each rule has its row beside it, in the table `OPERATIONS` of its module; `decisions.py` puts them together.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bimip.domain.core.decision import Decision
from bimip.domain.core.records import Reader
from bimip.domain.core.rules import Context


@dataclass(frozen=True, slots=True)
class OperationKind:
    """How operations of one class are decided, queued and tried again."""

    decide: Callable[[Reader, Any, Context], Decision]
    """The rule. Pure: the same view, operation and context give the same decision."""
    is_lazy: bool = False
    """Nobody waits for it: it may wait for company, and be overtaken."""
    overtakes: bool = False
    """It depends on no lazy operation of those before it. All others take those along."""
    is_barrier: bool = False
    """It waits for all that came before, whoever asked for that."""
    weight: Callable[[Any], int] | None = None
    """About how many messages it costs as much as; None: one."""
    size: Callable[[Any], int] | None = None
    """Bytes that it is to store; None: so few that nobody counts them."""
    split: Callable[[Any], Sequence[Any]] | None = None
    """It as an operation for each of its elements, whose results, in order, are a tuple that answers the whole."""
    needs_no_room: Callable[[Reader, Any], bool] | None = None
    """Whether it is answered without writing as matters stand; None: it never is."""


def always(_view: Reader, _operation: object) -> bool:
    return True
