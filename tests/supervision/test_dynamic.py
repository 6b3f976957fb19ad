"""The dynamic supervisor and its handle."""

import gc
import math
import socket
import weakref
from contextvars import ContextVar
from functools import partial

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.supervision import (
    Action,
    AutoShutdown,
    Child,
    ChildFailedToStart,
    Children,
    ChildSpec,
    Counts,
    Crashed,
    DuplicateChild,
    DynamicSupervisor,
    Factory,
    MaxChildren,
    NoSuchProcess,
    Report,
    Restart,
    State,
    Supervisor,
    SupervisorGaveUp,
    SupervisorStopping,
    WouldDeadlock,
    current_child,
    open_tree,
)

PERMANENT, TRANSIENT, TEMPORARY = Restart.PERMANENT, Restart.TRANSIENT, Restart.TEMPORARY


async def idle(child: Child) -> None:
    child.started(child.id.upper())
    await trio.sleep_forever()


async def crash_after_1(child: Child) -> None:
    child.started()
    await trio.sleep(1)
    raise ValueError(child.id)


async def cannot_start(child: Child) -> None:
    raise OSError("port taken")


async def test_start_child_returns_what_the_child_passed_to_started(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor()) as tree:
        children = tree.children("bimip")

        assert await children.start_child(ChildSpec("a", idle)) == "A"
        assert isinstance(await children.start_child(ChildSpec("d", DynamicSupervisor())), Children)
        assert await children.start_child(ChildSpec("s", Supervisor([ChildSpec("x", idle)]))) == {"x": "X"}
        assert [child.id for child in children.which_children()] == ["a", "d", "s"]
        assert children.count_children() == Counts(specs=3, active=3, supervisors=2, workers=1)
        assert "a" in children
        assert "b" not in children
        assert repr(children) == "<Children of bimip: 3>"


async def test_a_first_start_that_fails_is_the_callers_error_and_not_counted(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor(intensity=0)) as tree:
        children = tree.children("bimip")
        with pytest.raises(ChildFailedToStart, match="bimip/a") as caught:
            await children.start_child(ChildSpec("a", cannot_start))

        assert isinstance(caught.value.__cause__, OSError)
        assert len(children) == 0


async def test_one_slow_start_delays_nobody(autojump_clock: MockClock) -> None:
    async def slow(child: Child) -> None:
        await trio.sleep(10)
        await idle(child)

    async with open_tree(DynamicSupervisor()) as tree, trio.open_nursery() as nursery:
        children = tree.children("bimip")
        nursery.start_soon(children.start_child, ChildSpec("slow", slow))
        await trio.sleep(1)
        await children.start_child(ChildSpec("quick", idle))
        assert trio.current_time() == 1
        assert [child.state for child in children.which_children()] == [State.STARTING, State.RUNNING]


async def test_an_id_is_taken_until_the_child_is_gone(autojump_clock: MockClock) -> None:
    async def lingering(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(2)

    async with open_tree(DynamicSupervisor()) as tree:
        children = tree.children("bimip")
        await children.start_child(ChildSpec("a", lingering))
        children.terminate_child_nowait("a")
        with pytest.raises(DuplicateChild):
            await children.start_child(ChildSpec("a", idle))
        await children.terminate_child("a")
        await children.start_child(ChildSpec("a", idle))

        assert trio.current_time() == 2


async def test_max_children(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor(max_children=1)) as tree:
        children = tree.children("bimip")
        children.start_child_nowait(ChildSpec("a", idle))
        with pytest.raises(MaxChildren):
            children.start_child_nowait(ChildSpec("b", idle))
        with pytest.raises(MaxChildren):
            children.start_soon(trio.sleep, 1)
        await children.terminate_child("a")
        await children.start_child(ChildSpec("b", idle))


async def test_cancelling_start_child_stops_the_child(autojump_clock: MockClock) -> None:
    async def hangs(_child: Child) -> None:
        await trio.sleep_forever()

    async with open_tree(DynamicSupervisor()) as tree:
        children = tree.children("bimip")
        with trio.move_on_after(1) as scope:
            await children.start_child(ChildSpec("a", hangs))
        await wait_all_tasks_blocked()

        assert scope.cancelled_caught
        assert "a" not in children


@pytest.mark.parametrize("how", ["kill", "terminate", "restart"])
async def test_a_start_in_flight_when_the_supervisor_ends_is_an_error(autojump_clock: MockClock, how: str) -> None:
    async def hangs(_child: Child) -> None:
        await trio.sleep_forever()

    supervisor = Supervisor([ChildSpec("d", DynamicSupervisor())])
    async with open_tree(supervisor) as tree, trio.open_nursery() as nursery:
        children = tree.children("bimip/d")

        async def start() -> None:
            with pytest.raises(SupervisorStopping):
                await children.start_child(ChildSpec("a", hangs))

        nursery.start_soon(start)
        await wait_all_tasks_blocked()
        await getattr(tree, how)("bimip/d")
        with pytest.raises(SupervisorStopping):
            await children.start_child(ChildSpec("b", idle))
        with pytest.raises(SupervisorStopping):
            children.start_soon(trio.sleep, 1)


@pytest.mark.parametrize("restart", Restart)
async def test_restart_types(autojump_clock: MockClock, restart: Restart) -> None:
    reports: list[Report] = []
    async with open_tree(DynamicSupervisor(), report=reports.append) as tree:
        children = tree.children("bimip")
        await children.start_child(ChildSpec("a", crash_after_1, restart))
        await trio.sleep(1.5)

        will = Action.IGNORE if restart is TEMPORARY else Action.RESTART
        assert [will] == [each.will for each in reports if isinstance(each, Crashed)]
        assert ("a" in children) is (restart is not TEMPORARY)


async def test_a_failed_restart_is_tried_again_and_counted(autojump_clock: MockClock) -> None:
    lives = 0

    async def worker(child: Child) -> None:
        nonlocal lives
        lives += 1
        if lives in {2, 3}:
            raise OSError
        child.started()
        await trio.sleep(1 if lives == 1 else math.inf)

    async with open_tree(DynamicSupervisor(intensity=3)) as tree:
        await tree.children("bimip").start_child(ChildSpec("a", worker))
        await trio.sleep(2)

        assert lives == 4
        assert tree.budgets()["bimip"].left == 0


async def test_it_gives_up_beyond_its_intensity_and_stops_all_at_once(autojump_clock: MockClock) -> None:
    async def lingering(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(4)

    with pytest.raises(SupervisorGaveUp):  # noqa: PT012 -- the tree raises
        async with open_tree(DynamicSupervisor(intensity=2)) as tree:
            children = tree.children("bimip")
            for child_id in "bcd":
                await children.start_child(ChildSpec(child_id, lingering))
            await children.start_child(ChildSpec("a", crash_after_1))
            await trio.sleep_forever()

    assert trio.current_time() == 3 + 4


@pytest.mark.parametrize(("mode", "expected"), [(AutoShutdown.ANY_SIGNIFICANT, 1), (AutoShutdown.ALL_SIGNIFICANT, 2)])
async def test_significant_children(autojump_clock: MockClock, mode: AutoShutdown, expected: float) -> None:
    async with open_tree(DynamicSupervisor(auto_shutdown=mode)) as tree:
        children = tree.children("bimip")
        for seconds in (1, 2):

            async def lasts(child: Child, seconds: float = seconds) -> None:
                child.started()
                await trio.sleep(seconds)

            await children.start_child(ChildSpec(f"a{seconds}", lasts, TEMPORARY, significant=True))
        await trio.sleep(math.inf)

    assert expected == trio.current_time()


async def test_a_significant_child_needs_auto_shutdown(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor()) as tree:
        with pytest.raises(ValueError, match="auto_shutdown"):
            tree.children("bimip").start_child_nowait(ChildSpec("a", idle, TEMPORARY, significant=True))


async def test_terminate_child(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor()) as tree:
        children = tree.children("bimip")
        await children.start_child(ChildSpec("a", idle))
        await children.terminate_child("a")

        assert len(children) == 0
        with pytest.raises(NoSuchProcess):
            await children.terminate_child("a")
        with pytest.raises(NoSuchProcess):
            children.terminate_child_nowait("a")


async def test_a_child_cannot_await_its_own_end_but_may_ask_for_it(autojump_clock: MockClock) -> None:
    ends: list[str] = []

    async with open_tree(DynamicSupervisor()) as tree:
        children = tree.children("bimip")

        async def suicidal(child: Child) -> None:
            child.started()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(below)
            ends.append("never")

        async def below() -> None:
            with pytest.raises(WouldDeadlock):
                await children.terminate_child("a")
            children.terminate_child_nowait("a")
            ends.append("asked")
            await trio.sleep_forever()

        await children.start_child(ChildSpec("a", suicidal))
        await wait_all_tasks_blocked()

        assert ends == ["asked"]
        assert "a" not in children


async def test_restart_of_a_dynamic_child_is_not_counted(autojump_clock: MockClock) -> None:
    async with open_tree(DynamicSupervisor(intensity=0)) as tree:
        children = tree.children("bimip")
        await children.start_child(ChildSpec("a", idle, TEMPORARY))
        await tree.restart("bimip/a")

        assert tree.snapshot("bimip/a").state is State.RUNNING
        assert tree.budgets()["bimip"].restarts == 0


async def test_a_restart_overtaken_by_terminate(autojump_clock: MockClock) -> None:
    async def lingering(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(2)

    async with open_tree(DynamicSupervisor()) as tree, trio.open_nursery() as nursery:
        children = tree.children("bimip")
        await children.start_child(ChildSpec("a", lingering))

        async def restart() -> None:
            with pytest.raises(NoSuchProcess, match="terminated"):
                await tree.restart("bimip/a")

        nursery.start_soon(restart)
        await trio.sleep(1)
        await children.terminate_child("a")
        assert "a" not in children


async def test_a_restart_whose_start_fails(autojump_clock: MockClock) -> None:
    lives = 0

    async def worker(child: Child) -> None:
        nonlocal lives
        lives += 1
        if lives == 2:
            raise OSError("port taken")
        await idle(child)

    async with open_tree(DynamicSupervisor()) as tree:
        await tree.children("bimip").start_child(ChildSpec("a", worker))
        with pytest.raises(ChildFailedToStart, match="port taken"):
            await tree.restart("bimip/a")
        await wait_all_tasks_blocked()

        assert tree.snapshot("bimip/a").state is State.RUNNING
        assert tree.budgets()["bimip"].restarts == 1


async def test_start_soon_makes_temporary_children_that_leave_no_trace(autojump_clock: MockClock) -> None:
    seen: list[str] = []

    async def connection(seconds: float) -> None:
        seen.append(current_child().path)
        await trio.sleep(seconds)

    async with open_tree(DynamicSupervisor(intensity=0)) as tree:
        children = tree.children("bimip")
        children.start_child_nowait(ChildSpec("2", idle))
        children.start_soon(connection, 1)
        children.start_soon(connection, 2)
        children.start_soon(connection, 3, name="late")
        await trio.sleep(1.5)
        assert len(children) == 3
        await trio.sleep(10)

        assert sorted(seen) == ["bimip/1", "bimip/3", "bimip/late-4"]
        assert [child.id for child in children.which_children()] == ["2"]


async def test_start_soon_on_a_stopping_supervisor_runs_cancelled(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def connection() -> None:
        log.append("opened")
        try:
            await trio.sleep_forever()
        finally:
            log.append("closed")

    async def lingering(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(2)

    async with open_tree(Supervisor([ChildSpec("d", DynamicSupervisor())])) as tree, trio.open_nursery() as nursery:
        children = tree.children("bimip/d")
        await children.start_child(ChildSpec("a", lingering))
        nursery.start_soon(tree.terminate, "bimip/d")
        await trio.sleep(1)
        children.start_soon(connection)
        with pytest.raises(SupervisorStopping):
            children.start_child_nowait(ChildSpec("b", idle))
        await trio.sleep(0.5)

        assert log == ["opened", "closed"]


async def test_newcomers_do_not_keep_a_stopping_supervisor_from_its_end(autojump_clock: MockClock) -> None:
    """Peers that come again and again as it stops: some are always on their way out."""
    refused = 0

    async def connection() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with current_child().grace():
                await trio.sleep(1)

    async with open_tree(Supervisor([ChildSpec("d", DynamicSupervisor())])) as tree, trio.open_nursery() as nursery:
        children = tree.children("bimip/d")
        children.start_soon(connection)

        async def come_again_and_again() -> None:
            nonlocal refused
            while True:
                try:
                    children.start_soon(connection)
                except SupervisorStopping:
                    refused += 1
                await trio.sleep(0.1)

        nursery.start_soon(come_again_and_again)
        with trio.fail_after(3):
            await tree.terminate("bimip/d")
        nursery.cancel_scope.cancel()

    assert refused > 5


async def test_it_is_a_handler_nursery_for_serve_tcp() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for chunk in stream:
            await stream.send_all(chunk)

    async with open_tree(DynamicSupervisor()) as tree, trio.open_nursery() as nursery:
        children = tree.children("bimip")
        [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
        serve = partial(trio.serve_listeners, handler_nursery=children)  # type: ignore[arg-type]  # any start_soon, it says
        nursery.start_soon(serve, echo, [listener])
        stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
        async with stream:
            await stream.send_all(b"hello")

            assert await stream.receive_some() == b"hello"
            assert len(children) == 1
        assert stream.socket.family == socket.AF_INET
        nursery.cancel_scope.cancel()


async def test_children_inherit_the_supervisors_context_and_not_the_callers(autojump_clock: MockClock) -> None:
    variable = ContextVar("variable", default="default")
    seen: list[str] = []

    async def worker(child: Child) -> None:
        seen.append(variable.get())
        variable.set("predecessor's")
        await crash_after_1(child)

    variable.set("tree's")
    async with open_tree(DynamicSupervisor()) as tree:
        variable.set("caller's")
        await tree.children("bimip").start_child(ChildSpec("a", worker))
        await trio.sleep(1.5)

    assert seen == ["tree's", "tree's"]


async def test_on_ready_is_given_the_handle_of_each_incarnation(autojump_clock: MockClock) -> None:
    handles: list[Children] = []
    spec = DynamicSupervisor(on_ready=handles.append)
    async with open_tree(Supervisor([ChildSpec("d", Factory(lambda: spec))])) as tree:
        await tree.kill("bimip/d")
        await wait_all_tasks_blocked()

        assert len(handles) == 2
        with pytest.raises(SupervisorStopping):
            handles[0].start_child_nowait(ChildSpec("a", idle))
        assert await handles[1].start_child(ChildSpec("a", idle)) == "A"


async def test_thousands_come_and_go_without_a_trace(autojump_clock: MockClock) -> None:
    class Connection:
        pass

    alive: weakref.WeakSet[Connection] = weakref.WeakSet()

    async def serve(child: Child) -> None:
        connection = Connection()
        alive.add(connection)
        child.started(connection)
        await trio.sleep(10)
        if child.id.endswith("7"):
            raise ValueError(child.id)

    async with open_tree(DynamicSupervisor(intensity=0)) as tree:
        children = tree.children("bimip")
        for number in range(5_000):
            await children.start_child(ChildSpec(str(number), serve, TEMPORARY))
        assert len(alive) == len(children) == 5_000
        await trio.sleep(11)
        gc.collect()

        assert len(alive) == len(children) == 0
