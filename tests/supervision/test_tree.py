"""The root: what `open_tree` does when the tree or its body ends, and what may be done to a running tree."""

import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.supervision import (
    AutoShutdown,
    Child,
    ChildFailedToStart,
    ChildSpec,
    DynamicSupervisor,
    Exit,
    Factory,
    NoSuchProcess,
    ProcessKilled,
    Restart,
    RootHasNoSupervisor,
    State,
    Supervisor,
    SupervisorGaveUp,
    WouldDeadlock,
    open_tree,
)


async def idle(child: Child) -> None:
    child.started(child.id)
    await trio.sleep_forever()


async def crash_after_1(child: Child) -> None:
    child.started()
    await trio.sleep(1)
    raise ValueError("boo")


async def cannot_start(_child: Child) -> None:
    raise OSError("port taken")


async def test_giving_up_cancels_the_body_and_raises(autojump_clock: MockClock) -> None:
    with pytest.raises(SupervisorGaveUp):
        async with open_tree(Supervisor([ChildSpec("a", crash_after_1)], intensity=2)):
            await trio.sleep_forever()

    assert trio.current_time() == 3


async def test_the_bodys_exception_comes_out_as_it_is_after_the_tree_has_stopped(autojump_clock: MockClock) -> None:
    stopped: list[float] = []

    async def worker(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(2)
            stopped.append(trio.current_time())

    with pytest.raises(LookupError):
        async with open_tree(Supervisor([ChildSpec("a", worker)])):
            raise LookupError

    assert stopped == [2]


async def test_both_failures_come_out_as_a_group(autojump_clock: MockClock) -> None:
    async def body() -> None:
        async with open_tree(Supervisor([ChildSpec("a", crash_after_1)], intensity=0)):
            try:
                await trio.sleep_forever()
            finally:
                raise LookupError

    with pytest.raises(ExceptionGroup) as caught:
        await body()

    assert [SupervisorGaveUp, LookupError] == [type(each) for each in caught.value.exceptions]


async def test_cancellation_from_outside_stops_the_tree_in_order_and_goes_on(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def worker(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(2)
                log.append(child.id)

    specs = [ChildSpec("a", worker), ChildSpec("s", Supervisor([ChildSpec("b", worker), ChildSpec("c", worker)]))]
    with trio.move_on_after(5) as scope:
        async with open_tree(Supervisor(specs)):
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert log == ["c", "b", "a"]
    assert trio.current_time() == 11


async def test_significant_children_end_the_body_without_an_error(autojump_clock: MockClock) -> None:
    async def lasts_2(child: Child) -> None:
        child.started()
        await trio.sleep(2)

    significant = ChildSpec("a", lasts_2, Restart.TEMPORARY, significant=True)
    async with open_tree(Supervisor([significant], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)):
        await trio.sleep(math.inf)

    assert trio.current_time() == 2


async def test_terminating_the_root_ends_the_body_without_an_error(autojump_clock: MockClock) -> None:
    async with open_tree(Supervisor([ChildSpec("a", idle)])) as tree:
        await tree.terminate("bimip")
        await trio.sleep(math.inf)

    assert tree.snapshot().state is State.STOPPED


async def test_killing_the_root(autojump_clock: MockClock) -> None:
    with pytest.raises(ProcessKilled):  # noqa: PT012 -- the tree raises
        async with open_tree(Supervisor([ChildSpec("a", idle)])) as tree:
            await tree.kill("bimip")
            await trio.sleep_forever()


async def test_nobody_restarts_the_root(autojump_clock: MockClock) -> None:
    async with open_tree(Supervisor([])) as tree:
        with pytest.raises(RootHasNoSupervisor):
            await tree.restart("bimip")


async def test_a_worker_may_be_the_root(autojump_clock: MockClock) -> None:
    async with open_tree(ChildSpec("only", idle)) as tree:
        assert tree.snapshot("only").state is State.RUNNING
    with pytest.raises(ValueError, match="boo"):
        async with open_tree(ChildSpec("only", crash_after_1)):
            await trio.sleep_forever()
    with pytest.raises(ChildFailedToStart, match="only") as caught:
        async with open_tree(ChildSpec("only", cannot_start)):
            pytest.fail("the body must not run")

    assert isinstance(caught.value.__cause__, OSError)


async def test_a_failed_start_deep_down_names_the_child_next_to_the_top_and_its_cause(
    autojump_clock: MockClock,
) -> None:
    root = Supervisor([ChildSpec("s", Factory(lambda: Supervisor([ChildSpec("x", cannot_start)])))])

    with pytest.raises(ChildFailedToStart, match="bimip/s") as caught:
        async with open_tree(root):
            pytest.fail("the body must not run")

    assert isinstance(caught.value.__cause__, ChildFailedToStart)
    assert caught.value.__cause__.path == "bimip/s/x"


async def test_kill_is_a_crash_to_the_supervisor_above(autojump_clock: MockClock) -> None:
    nested = ChildSpec("s", Supervisor([ChildSpec("x", idle)]))
    async with open_tree(Supervisor([ChildSpec("a", idle), nested])) as tree:
        await tree.kill("bimip/s/x")
        await wait_all_tasks_blocked()
        assert tree.snapshot("bimip/s/x").restarts == 1
        crash = tree.snapshot("bimip/s/x").last_crash
        assert crash is not None
        assert crash.type == Exit.KILLED.value
        await tree.kill("bimip/s")
        await wait_all_tasks_blocked()

        assert tree.snapshot("bimip/s").restarts == 1
        assert tree.snapshot("bimip/s/x").restarts == 0


async def test_kill_leaves_no_time_for_grace_at_any_depth(autojump_clock: MockClock) -> None:
    async def worker(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(2)

    nested = ChildSpec("d", DynamicSupervisor())
    async with open_tree(Supervisor([ChildSpec("s", Supervisor([nested]), Restart.TEMPORARY)])) as tree:
        await tree.children("bimip/s/d").start_child(ChildSpec("a", worker))
        await tree.kill("bimip/s")
        assert trio.current_time() == 0


async def test_a_child_may_kill_what_it_lives_in_but_not_await_its_restart(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def worker(child: Child) -> None:
        child.started()
        await trio.sleep(1)
        if log:
            await trio.sleep_forever()
        for path in ("bimip/s", "bimip/s/x"):
            with pytest.raises(WouldDeadlock):
                await tree.restart(path)
            with pytest.raises(WouldDeadlock):
                await tree.terminate(path)
        log.append("kills")
        await tree.kill("bimip/s")
        log.append("never")

    async with open_tree(Supervisor([ChildSpec("s", Supervisor([ChildSpec("x", worker)]))])) as tree:
        await trio.sleep(3)

        assert log == ["kills"]
        assert tree.snapshot("bimip/s").restarts == 1


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("other", "the root is bimip"),
        ("bimip/x/y", "nearest is bimip$"),
        ("bimip/s/y/z", "nearest is bimip/s$"),
        ("bimip/s/x/z", "nearest is bimip/s/x$"),
    ],
)
async def test_what_is_not_there_is_told_with_the_nearest_that_is(
    autojump_clock: MockClock, path: str, message: str
) -> None:
    async with open_tree(Supervisor([ChildSpec("s", Supervisor([ChildSpec("x", idle)]))])) as tree:
        with pytest.raises(NoSuchProcess, match=message):
            await tree.kill(path)
        with pytest.raises(NoSuchProcess, match=message):
            tree.snapshot(path)
    with pytest.raises(NoSuchProcess):
        tree.children("bimip")


async def test_children_of_what_is_no_dynamic_supervisor(autojump_clock: MockClock) -> None:
    async with open_tree(Supervisor([ChildSpec("x", idle)])) as tree:
        with pytest.raises(NoSuchProcess, match="not a dynamic"):
            tree.children("bimip")
        with pytest.raises(NoSuchProcess, match="not a running"):
            tree.children("bimip/x")
