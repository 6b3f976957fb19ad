import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bimip.supervision import Notify


async def wait_for(notify: Notify) -> None:
    await notify


async def test_a_ring_wakes_who_waits() -> None:
    notify = Notify()
    woken: list[int] = []

    async def wait_twice() -> None:
        for number in (1, 2):
            await notify
            woken.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_twice)
        await wait_all_tasks_blocked()
        notify.notify()
        notify.notify()  # nobody waits yet: it is not kept
        await wait_all_tasks_blocked()
        after_the_first = list(woken)
        notify.notify()

    assert after_the_first == [1]
    assert woken == [1, 2]


async def test_who_is_cancelled_waits_no_more() -> None:
    notify = Notify()
    with trio.move_on_after(0) as scope:
        await notify
    notify.notify()
    with trio.move_on_after(0):
        await notify

    assert scope.cancelled_caught


async def test_a_ring_after_the_cancellation_wakes_nobody() -> None:
    """Who was cancelled has not run yet, or waits elsewhere by now."""
    notify, elsewhere = Notify(), Notify()
    log: list[str] = []

    async def wait() -> None:
        with scope:
            await notify
        log.append("cancelled" if scope.cancelled_caught else "rung")
        await elsewhere
        log.append("elsewhere")

    async with trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        scope.cancel()
        notify.notify()
        await wait_all_tasks_blocked()
        notify.notify()
        await wait_all_tasks_blocked()
        before = list(log)
        elsewhere.notify()

    assert before == ["cancelled"]
    assert log == ["cancelled", "elsewhere"]


async def test_it_is_for_one_task() -> None:
    notify = Notify()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for, notify)
        await wait_all_tasks_blocked()
        with pytest.raises(AssertionError, match="two tasks"):
            await notify
        notify.notify()
