"""What a running child can rely on."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.supervision import (
    Child,
    ChildSpec,
    Crashed,
    DynamicSupervisor,
    Exit,
    Report,
    Restart,
    Supervisor,
    Tree,
    current_child,
    open_tree,
)


@asynccontextmanager
async def one(spec: ChildSpec, reports: list[Report] | None = None) -> AsyncIterator[Tree]:
    async with open_tree(Supervisor([spec]), report=(reports if reports is not None else []).append) as tree:
        yield tree


async def test_a_child_knows_its_path_and_whether_it_is_to_stop(autojump_clock: MockClock) -> None:
    seen: list[object] = []

    async def worker(child: Child) -> None:
        seen.append(child.path)
        seen.append(child.stopping)
        seen.append(repr(child))
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            seen.append(child.stopping)

    async with one(ChildSpec("a/b", worker)):
        pass

    assert seen == ["bimip/a%2Fb", False, "<Incarnation bimip/a%2Fb>", True]


async def test_started_twice_is_a_mistake(autojump_clock: MockClock) -> None:
    reports: list[Report] = []

    async def worker(child: Child) -> None:
        child.started()
        child.started()

    async with one(ChildSpec("a", worker, Restart.TEMPORARY), reports):
        await wait_all_tasks_blocked()

    assert [type(each.reason.error).__name__ for each in reports if isinstance(each, Crashed)] == ["RuntimeError"]


async def test_grace_before_being_asked_to_stop_has_no_limit_until_then(autojump_clock: MockClock) -> None:
    scopes: list[trio.CancelScope] = []

    async def worker(child: Child) -> None:
        child.started()
        with child.grace() as scope:
            scopes.append(scope)
            await trio.sleep_forever()

    async with one(ChildSpec("a", worker, Restart.TEMPORARY, shutdown=3.0)):
        await trio.sleep(100)
        assert not scopes[0].cancel_called

    assert scopes[0].cancelled_caught
    assert trio.current_time() == 103


async def test_cancelled_goes_on_after_grace(autojump_clock: MockClock) -> None:
    log: list[str] = []

    async def worker(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            with child.grace():
                await trio.sleep(1)
                log.append("cleaned")
            raise
        finally:
            await trio.lowlevel.checkpoint()
            log.append("never")

    async with one(ChildSpec("a", worker)):
        pass

    assert log == ["cleaned"]


async def test_tasks_of_a_childs_own_nursery_clean_up_under_the_same_grace(autojump_clock: MockClock) -> None:
    log: list[float] = []

    async def part(child: Child, seconds: float) -> None:
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(seconds)
            log.append(trio.current_time())

    async def worker(child: Child) -> None:
        async with trio.open_nursery() as nursery:
            for seconds in (1, 2, 100):
                nursery.start_soon(part, child, seconds)
            child.started()

    async with one(ChildSpec("a", worker, shutdown=3.0)):
        pass

    assert log == [1, 2, 3]


async def test_a_crash_beside_a_cancellation_is_a_crash(autojump_clock: MockClock) -> None:
    """A group of Cancelled and an error is split: the scope takes its own, the rest is the child's failure."""
    reports: list[Report] = []

    async def fails() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("while cancelled")

    async def worker(child: Child) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails)
            nursery.start_soon(trio.sleep_forever)
            child.started()

    async with one(ChildSpec("a", worker), reports):
        await wait_all_tasks_blocked()

    [crash] = [each for each in reports if isinstance(each, Crashed)]
    assert crash.reason.exit is Exit.CRASHED
    assert str(crash.reason) == "crashed: ValueError: while cancelled"
    assert isinstance(crash.reason.error, ExceptionGroup)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("dynamic", [False, True])
async def test_what_is_no_exception_passes_through_and_ends_the_tree(
    autojump_clock: MockClock, kind: type[BaseException], *, dynamic: bool
) -> None:
    log: list[str] = []

    async def interrupted(child: Child) -> None:
        child.started()
        await trio.sleep(1)
        raise kind

    async def sibling(child: Child) -> None:
        child.started()
        try:
            await trio.sleep_forever()
        finally:
            with child.grace():
                await trio.sleep(1)
                log.append(f"-{child.id}")

    specs = [ChildSpec("a", sibling), ChildSpec("b", sibling), ChildSpec("c", interrupted)]
    root = DynamicSupervisor() if dynamic else Supervisor([ChildSpec("s", Supervisor(specs))])
    with pytest.raises(BaseExceptionGroup) as caught:  # noqa: PT012 -- the tree raises
        async with open_tree(root) as tree:
            if dynamic:
                for spec in specs:
                    await tree.children("bimip").start_child(spec)
            await trio.sleep_forever()

    assert caught.value.split(kind)[1] is None
    assert sorted(log) == ["-a", "-b"]


async def test_swallowing_cancelled_does_not_hide_a_kill(autojump_clock: MockClock) -> None:
    reports: list[Report] = []

    async def swallows(child: Child) -> None:
        child.started()
        with suppress(trio.Cancelled):
            await trio.sleep_forever()

    async with one(ChildSpec("a", swallows, Restart.TRANSIENT), reports) as tree:
        await tree.kill("bimip/a")

    assert [each.reason.exit for each in reports if isinstance(each, Crashed)] == [Exit.KILLED]


async def test_what_is_no_async_function_fails_to_start(autojump_clock: MockClock) -> None:
    reports: list[Report] = []
    async with open_tree(DynamicSupervisor(), report=reports.append) as tree:
        tree.children("bimip").start_child_nowait(ChildSpec("a", lambda child: None))  # type: ignore[arg-type,return-value]
        await wait_all_tasks_blocked()

    assert [type(each.reason.error).__name__ for each in reports if isinstance(each, Crashed)] == ["TypeError"]


async def test_current_child_is_known_to_all_tasks_below(autojump_clock: MockClock) -> None:
    seen: list[str] = []

    async def below() -> None:
        seen.append(current_child().path)

    async def worker(child: Child) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(below)
        child.started()
        await trio.sleep_forever()

    with pytest.raises(LookupError):
        current_child()
    async with one(ChildSpec("a", worker)):
        assert seen == ["bimip/a"]
