import pytest

from bimip.console import nearly_spent
from bimip.supervision import Budget


@pytest.mark.parametrize(
    ("restarts", "intensity", "nearly"),
    [(0, 0, False), (0, 1, False), (0, 3, False), (1, 3, False), (2, 3, True), (3, 3, True), (1, 1, True)],
)
def test_a_budget_is_nearly_spent_when_one_more_restart_may_end_it(restarts: int, intensity: int, nearly: bool) -> None:  # noqa: FBT001 - a table
    assert bool(nearly_spent({"bimip": Budget(restarts, intensity, 5.0)})) is nearly


def test_the_reason_names_the_supervisor_and_its_budget() -> None:
    reasons = nearly_spent({"bimip/users": Budget(2, 3, 5.0), "bimip": Budget(0, 3, 5.0)})

    assert reasons == ["bimip/users has used 2 of 3 restarts within 5 s"]
