import math

import pytest
import trio

from bimip.supervision import (
    BRUTAL_KILL,
    INFINITY,
    AutoShutdown,
    Child,
    ChildSpec,
    DynamicSupervisor,
    Factory,
    Restart,
    Start,
    Supervisor,
)


async def idle(child: Child) -> None:
    child.started()
    await trio.sleep_forever()


def test_a_worker_has_5_seconds_to_stop_and_a_supervisor_any_time() -> None:
    supervisors: list[Supervisor | DynamicSupervisor | Factory] = [
        Supervisor([]),
        DynamicSupervisor(),
        Factory(DynamicSupervisor),
    ]

    assert ChildSpec("a", idle).shutdown_seconds == 5.0
    assert [ChildSpec("s", start).shutdown_seconds for start in supervisors] == [INFINITY] * 3
    assert ChildSpec("s", Supervisor([]), shutdown=2.0).shutdown_seconds == 2.0


def test_a_permanent_child_cannot_be_significant() -> None:
    with pytest.raises(ValueError, match="permanent"):
        ChildSpec("a", idle, significant=True)


def test_a_significant_child_needs_auto_shutdown() -> None:
    significant = ChildSpec("a", idle, Restart.TRANSIENT, significant=True)

    with pytest.raises(ValueError, match="auto_shutdown"):
        Supervisor([significant])
    Supervisor([significant], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)


def test_ids_are_unique_and_not_empty() -> None:
    with pytest.raises(ValueError, match="duplicate"):
        Supervisor([ChildSpec("a", idle), ChildSpec("a", idle)])
    with pytest.raises(ValueError, match="id"):
        ChildSpec("", idle)


@pytest.mark.parametrize("shutdown", [0.0, 1.5, BRUTAL_KILL, INFINITY])
def test_shutdown_times(shutdown: float) -> None:
    assert ChildSpec("a", idle, shutdown=shutdown).shutdown_seconds == shutdown


@pytest.mark.parametrize("shutdown", [-1.0, math.nan])
def test_no_shutdown_times(shutdown: float) -> None:
    with pytest.raises(ValueError, match="shutdown"):
        ChildSpec("a", idle, shutdown=shutdown)


@pytest.mark.parametrize(("intensity", "period"), [(-1, 5.0), (3, 0.0), (3, -1.0)])
def test_no_restart_budgets(intensity: int, period: float) -> None:
    with pytest.raises(ValueError, match="intensity"):
        Supervisor([], intensity=intensity, period=period)
    with pytest.raises(ValueError, match="intensity"):
        DynamicSupervisor(intensity=intensity, period=period)


def test_max_children_is_not_negative() -> None:
    with pytest.raises(ValueError, match="max_children"):
        DynamicSupervisor(max_children=-1)


def test_an_async_function_of_a_child_is_a_start() -> None:
    start: Start = idle

    assert not ChildSpec("a", start).is_supervisor
