"""The root: what `open_tree` does when the tree or its body ends, and what may be done to a running tree."""

import pytest
import trio
from trio.testing import MockClock

from bimip.supervision import (
    Child,
    Children,
    ChildSpec,
    Crashed,
    DynamicSupervisor,
    NoSuchProcess,
    Report,
    State,
    Supervisor,
    SupervisorGaveUp,
    open_tree,
)


@pytest.fixture
def autojump_clock() -> MockClock:
    return MockClock(autojump_threshold=0)


async def idle(child: Child) -> None:
    child.started(child.id)
    await trio.sleep_forever()


async def test_children_start_in_order_and_stop_in_reverse(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def worker(child: Child) -> None:
        await trio.sleep(1)
        log.append(f"+{child.id}")
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(1)
                log.append(f"-{child.id}")

    async with open_tree(Supervisor([ChildSpec(i, worker) for i in "abc"])) as tree:
        log.append("body")
        assert [c.state for c in tree.snapshot().children] == [State.RUNNING] * 3

    assert log == ["+a", "+b", "+c", "body", "-c", "-b", "-a"]
    assert trio.current_time() == 6


async def test_a_crash_is_restarted_and_then_given_up(autojump_clock: MockClock) -> None:
    reports: list[Report] = []

    async def worker(child: Child) -> None:
        child.started()
        await trio.sleep(1)
        raise ValueError("boo")

    with pytest.raises(SupervisorGaveUp) as caught:
        async with open_tree(Supervisor([ChildSpec("w", worker)], intensity=2, period=10), report=reports.append):
            await trio.sleep_forever()

    assert isinstance(caught.value.__cause__, ValueError)
    assert [r.will.value for r in reports if isinstance(r, Crashed) and r.path == "bimip/w"] == [
        "restart",
        "restart",
        "give up",
    ]


async def test_kill_and_restart(autojump_clock: MockClock) -> None:
    async with open_tree(
        Supervisor([ChildSpec("a", idle), ChildSpec("s", Supervisor([ChildSpec("x", idle)]))])
    ) as tree:
        await tree.kill("bimip/s/x")
        await trio.testing.wait_all_tasks_blocked()
        assert tree.snapshot("bimip/s/x").state is State.RUNNING
        assert tree.snapshot("bimip/s/x").restarts == 1
        await tree.kill("bimip/s")
        await trio.testing.wait_all_tasks_blocked()
        assert tree.snapshot("bimip/s").restarts == 1
        assert tree.snapshot("bimip/s/x").restarts == 0
        await tree.restart("bimip/s")
        assert tree.snapshot("bimip/s").restarts == 1
        assert "test_tree.py" in tree.snapshot("bimip/s/x").waiting_at
        with pytest.raises(NoSuchProcess, match=r"nearest is bimip/s$"):
            await tree.kill("bimip/s/y/z")


async def test_dynamic(autojump_clock: MockClock) -> None:
    handle: list[Children] = []
    async with open_tree(DynamicSupervisor(on_ready=handle.append)) as tree:
        children = handle[0]
        assert await children.start_child(ChildSpec("a/b", idle)) == "a/b"
        assert tree.snapshot("bimip/a%2Fb").state is State.RUNNING
        children.start_soon(trio.sleep, 5)
        assert len(children) == 2
        await trio.sleep(6)
        assert len(children) == 1
        await children.terminate_child("a/b")
        assert "a/b" not in children
