"""The frozen picture, and the reports, of a tree."""

import logging
import traceback
from collections.abc import Mapping
from dataclasses import FrozenInstanceError

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.supervision import (
    Budget,
    Child,
    ChildSpec,
    Counts,
    Crashed,
    DynamicSupervisor,
    Factory,
    Kind,
    NoSuchProcess,
    Opened,
    Progress,
    Report,
    ReportCounts,
    Restart,
    State,
    Strategy,
    Supervisor,
    SupervisorGaveUp,
    open_tree,
)


async def idle(child: Child) -> None:
    child.started()
    await trio.sleep_forever()


async def crash_once_at_1(child: Child) -> None:
    child.started()
    await trio.sleep(1 if trio.current_time() < 1 else 1000)
    raise ValueError("bad frame")


async def test_the_picture_of_a_tree(autojump_clock: MockClock) -> None:
    root = Supervisor(
        [
            ChildSpec("worker", crash_once_at_1, Restart.TRANSIENT),
            ChildSpec("users", DynamicSupervisor(max_children=5)),
            ChildSpec("fresh", Factory(DynamicSupervisor)),
        ],
        intensity=4,
    )
    async with open_tree(root, name="top", now=lambda: 1_000_000 + trio.current_time()) as tree:
        await tree.children("top/users").start_child(ChildSpec("alice/é", idle))
        await trio.sleep(2)
        top = tree.snapshot()

        assert [each.path for each in top.walk()] == [
            "top",
            "top/worker",
            "top/users",
            "top/users/alice%2Fé",
            "top/fresh",
        ]
        assert [each.kind for each in top.children] == [Kind.WORKER, Kind.DYNAMIC_SUPERVISOR, Kind.DYNAMIC_SUPERVISOR]
        assert top.kind is Kind.SUPERVISOR
        assert top.budget == Budget(restarts=1, intensity=4, period=5.0)
        assert top.budget.left == 3
        worker = top.children[0]
        assert (worker.state, worker.restart, worker.restarts) == (State.RUNNING, Restart.TRANSIENT, 1)
        assert worker.since == 1_000_001
        assert worker.last_crash is not None
        assert (worker.last_crash.type, worker.last_crash.message) == ("ValueError", "bad frame")
        assert worker.last_crash.when == 1_000_001
        assert "crash_once_at_1" in worker.last_crash.traceback
        with pytest.raises(FrozenInstanceError):
            worker.restarts = 0  # type: ignore[misc]
        assert tree.path == "top"
        assert tree.count_children("top") == Counts(specs=3, active=3, supervisors=2, workers=1)
        assert set(tree.budgets()) == {"top", "top/users", "top/fresh"}
        assert [each.path for each in tree.snapshot(folded=True).walk()] == [
            "top",
            "top/worker",
            "top/users",
            "top/fresh",
        ]


async def test_where_a_task_waits(autojump_clock: MockClock) -> None:
    async def inner() -> None:
        await trio.sleep_forever()

    async def worker(child: Child) -> None:
        child.started()
        await inner()

    async with open_tree(Supervisor([ChildSpec("a", worker)])) as tree:
        await wait_all_tasks_blocked()
        place = tree.snapshot("bimip/a").waiting_at

        assert "test_snapshot.py:" in place
        assert place.endswith("inner")
        assert "static.py:" in tree.snapshot().waiting_at


async def test_a_child_that_is_one_of_trios_functions_waits_in_that(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor()) as tree:
        tree.children("bimip").start_soon(trio.sleep, 10)
        await wait_all_tasks_blocked()

        assert tree.snapshot("bimip/1").waiting_at.endswith(" sleep")
        assert "dynamic.py:" in tree.snapshot().waiting_at


async def test_a_task_tells_statistics_of_its_own(autojump_clock: MockClock) -> None:
    def broken() -> Mapping[str, object]:
        raise LookupError("gone")

    async def worker(child: Child) -> None:
        child.describe(lambda: {"backlog": 7})
        child.started()
        await trio.sleep(1)
        child.describe(broken)
        await trio.sleep_forever()

    async with open_tree(Supervisor([ChildSpec("a", worker), ChildSpec("b", idle)])) as tree:
        assert [child.details for child in tree.snapshot().children] == [{"backlog": 7}, None]
        await trio.sleep(2)
        assert tree.snapshot("bimip/a").details == {"error": "LookupError: gone"}


async def test_a_child_that_waits_for_its_restart_is_restarting(autojump_clock: MockClock) -> None:
    async def slow_to_stop(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(3)

    specs = [ChildSpec("a", slow_to_stop), ChildSpec("b", crash_once_at_1)]
    async with open_tree(Supervisor(specs)) as tree, trio.open_nursery() as nursery:
        nursery.start_soon(tree.restart, "bimip/a")
        await trio.sleep(2)

        assert [child.state for child in tree.snapshot().children] == [State.STOPPING, State.RESTARTING]
        await tree.kill("bimip/b")  # down already, so nothing to kill
        await trio.sleep(2)
        assert [child.state for child in tree.snapshot().children] == [State.RUNNING, State.RUNNING]


async def test_kind_of_a_supervisor_that_is_down(autojump_clock: MockClock) -> None:
    specs = [
        ChildSpec("d", DynamicSupervisor()),
        ChildSpec("s", Supervisor([])),
        ChildSpec("f", Factory(DynamicSupervisor)),
    ]
    async with open_tree(Supervisor(specs)) as tree:
        for child_id in "dsf":
            await tree.terminate(f"bimip/{child_id}")

        assert [child.kind for child in tree.which_children("bimip")] == [
            Kind.DYNAMIC_SUPERVISOR,
            Kind.SUPERVISOR,
            Kind.SUPERVISOR,
        ]
        assert tree.count_children("bimip").active == 0
        with pytest.raises(NoSuchProcess):
            tree.which_children("bimip/d")


async def test_a_hook_that_raises_is_logged_and_harms_nobody(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(report: Report) -> None:
        raise RuntimeError(f"cannot take {type(report).__name__}")

    with caplog.at_level(logging.ERROR, "bimip.supervision"):
        async with open_tree(Supervisor([ChildSpec("a", crash_once_at_1)]), report=hook) as tree:
            await trio.sleep(2)
            assert tree.snapshot("bimip/a").restarts == 1

    assert "cannot take Progress" in caplog.text
    assert "cannot take Crashed" in caplog.text


async def test_a_crash_report_has_the_traceback_and_counts_restarts(autojump_clock: MockClock) -> None:
    reports: list[Report] = []
    async with open_tree(Supervisor([ChildSpec("a", crash_once_at_1)]), report=reports.append):
        await trio.sleep(2)

    [crash] = [each for each in reports if isinstance(each, Crashed)]
    assert crash.restarts == 0
    assert crash.reason.error is not None
    assert crash.traceback == "".join(traceback.format_exception(crash.reason.error))
    assert Progress("bimip/a", 1) in reports


async def test_crashes_are_counted_under_the_names_that_paths_are_given(autojump_clock: MockClock) -> None:
    counts = ReportCounts(lambda path: "one" if path.startswith("bimip/") else path)
    children = [ChildSpec("a", crash_once_at_1), ChildSpec("b", crash_once_at_1)]
    async with open_tree(Supervisor(children, intensity=5), report=counts.note):
        await trio.sleep(2)

    assert (counts.crashes, counts.restarts, counts.gave_up) == ({"one": 2}, {"one": 2}, {})


async def test_a_supervisor_that_gives_up_is_counted(autojump_clock: MockClock) -> None:
    counts = ReportCounts(str)
    with pytest.raises(SupervisorGaveUp):
        async with open_tree(Supervisor([ChildSpec("a", crash_once_at_1)], intensity=0), report=counts.note):
            await trio.sleep(2)

    assert counts.gave_up == {"bimip": 1}


async def test_what_is_folded_has_of_dynamic_supervisors_what_is_opened(autojump_clock: MockClock) -> None:
    users = DynamicSupervisor()
    async with open_tree(Supervisor([ChildSpec("users", users), ChildSpec("b", idle)])) as tree:
        for name in ("Ann", "bob", "a/n"):
            await tree.children("bimip/users").start_child(ChildSpec(name, DynamicSupervisor(), Restart.TEMPORARY))
        await tree.children("bimip/users/Ann").start_child(ChildSpec("phone", idle, Restart.TEMPORARY))

        def seen(opened: Opened | None) -> list[str]:
            whole = tree.snapshot(folded=True, opened=opened)
            return [one.path for one in whole.walk() if one.path.startswith("bimip/users/")]

        assert seen(None) == seen(Opened({"bimip"})) == seen(Opened({"bimip/users"}, "nobody")) == []
        assert seen(Opened({"bimip/users"})) == ["bimip/users/Ann", "bimip/users/bob", "bimip/users/a%2Fn"]
        assert seen(Opened({"bimip/users"}, most=1)) == ["bimip/users/Ann"]
        assert seen(Opened({"bimip/users"}, "%2f", most=1)) == ["bimip/users/a%2Fn"]
        assert seen(Opened({"bimip/users", "bimip/users/Ann"}, "ann")) == ["bimip/users/Ann", "bimip/users/Ann/phone"]
        assert tree.snapshot("bimip/users", folded=True).child_count == 3
        assert tree.snapshot("bimip/b").child_count == 0


async def test_a_static_supervisor_tells_its_strategy(autojump_clock: MockClock) -> None:
    below = Supervisor([ChildSpec("a", idle)], strategy=Strategy.REST_FOR_ONE)
    async with open_tree(Supervisor([ChildSpec("below", below), ChildSpec("many", DynamicSupervisor())])) as tree:
        told = {one.path: one.strategy for one in tree.snapshot().walk()}

    assert told == {
        "bimip": Strategy.ONE_FOR_ONE,
        "bimip/below": Strategy.REST_FOR_ONE,
        "bimip/below/a": None,
        "bimip/many": None,
    }
