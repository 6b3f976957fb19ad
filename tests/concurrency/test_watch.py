import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bimip.concurrency import Timers, Watch


async def test_who_waits_is_woken(nursery: trio.Nursery) -> None:
    watch = Watch(Timers())
    woken: list[int] = []

    async def wait() -> None:
        await watch.wait_changed_since(watch.version)
        woken.append(watch.version)

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    before = list(woken)
    watch.notify()
    await wait_all_tasks_blocked()

    assert before == []
    assert woken == [1]


async def test_a_ring_between_looking_and_waiting_is_not_slept_through() -> None:
    watch = Watch(Timers())
    version = watch.version
    watch.notify()
    with trio.fail_after(1):
        await watch.wait_changed_since(version)

    assert watch.version == version + 1


async def test_rings_do_not_add_up() -> None:
    watch = Watch(Timers())
    for _ in range(3):
        watch.notify()
    version = watch.version
    with trio.CancelScope() as scope:
        scope.deadline = trio.current_time()
        await watch.wait_changed_since(version)

    assert scope.cancelled_caught


async def test_each_ring_wakes_once_more(nursery: trio.Nursery) -> None:
    watch = Watch(Timers())
    seen: list[int] = []

    async def look() -> None:
        while True:
            version = watch.version
            seen.append(version)
            await watch.wait_changed_since(version)

    nursery.start_soon(look)
    for _ in range(3):
        await wait_all_tasks_blocked()
        watch.notify()
    await wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()

    assert seen == [0, 1, 2, 3]


async def test_a_cancelled_one_leaves_the_others_waiting(nursery: trio.Nursery) -> None:
    watch = Watch(Timers())
    woken = trio.Event()

    async def wait() -> None:
        await watch.wait_changed_since(0)
        woken.set()

    nursery.start_soon(wait)
    with trio.CancelScope() as scope:
        scope.cancel()
        await watch.wait_changed_since(0)
    await wait_all_tasks_blocked()
    watch.notify()
    with trio.fail_after(1):
        await woken.wait()

    assert scope.cancelled_caught


async def test_waiting_for_what_came_already_takes_a_cancellation() -> None:
    watch = Watch(Timers())
    watch.notify()
    with trio.CancelScope() as scope:
        scope.cancel()
        await watch.wait_changed_since(0)
        pytest.fail("not reached")

    assert scope.cancelled_caught
