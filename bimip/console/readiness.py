"""Which restart budgets are nearly spent: one more crash or so, and a supervisor gives up."""

from collections.abc import Mapping

from bimip.supervision import Budget


def nearly_spent(budgets: Mapping[str, Budget]) -> list[str]:
    """A sentence for each supervisor that has restarted children lately and may do so at most once more.

    One that allows no restart, because its children are all temporary, has nothing to spend.
    """
    return [
        f"{path} has used {budget.restarts} of {budget.intensity} restarts within {budget.period:g} s"
        for path, budget in sorted(budgets.items())
        if budget.restarts and budget.left <= 1
    ]
