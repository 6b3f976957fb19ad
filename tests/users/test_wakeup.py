import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bimip.supervision import Alarms
from bimip.users.wakeup import Wakeup


async def test_who_waits_is_woken(nursery: trio.Nursery) -> None:
    wakeup = Wakeup(Alarms())
    woken: list[int] = []

    async def wait() -> None:
        await wakeup.wait_beyond(wakeup.number)
        woken.append(wakeup.number)

    nursery.start_soon(wait)
    await wait_all_tasks_blocked()
    before = list(woken)
    wakeup.ring()
    await wait_all_tasks_blocked()

    assert before == []
    assert woken == [1]


async def test_a_ring_between_looking_and_waiting_is_not_slept_through() -> None:
    wakeup = Wakeup(Alarms())
    number = wakeup.number
    wakeup.ring()
    with trio.fail_after(1):
        await wakeup.wait_beyond(number)

    assert wakeup.number == number + 1


async def test_rings_do_not_add_up() -> None:
    wakeup = Wakeup(Alarms())
    for _ in range(3):
        wakeup.ring()
    number = wakeup.number
    with trio.CancelScope() as scope:
        scope.deadline = trio.current_time()
        await wakeup.wait_beyond(number)

    assert scope.cancelled_caught


async def test_each_ring_wakes_once_more(nursery: trio.Nursery) -> None:
    wakeup = Wakeup(Alarms())
    seen: list[int] = []

    async def watch() -> None:
        while True:
            number = wakeup.number
            seen.append(number)
            await wakeup.wait_beyond(number)

    nursery.start_soon(watch)
    for _ in range(3):
        await wait_all_tasks_blocked()
        wakeup.ring()
    await wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()

    assert seen == [0, 1, 2, 3]


async def test_a_cancelled_one_leaves_the_others_waiting(nursery: trio.Nursery) -> None:
    wakeup = Wakeup(Alarms())
    woken = trio.Event()

    async def wait() -> None:
        await wakeup.wait_beyond(0)
        woken.set()

    nursery.start_soon(wait)
    with trio.CancelScope() as scope:
        scope.cancel()
        await wakeup.wait_beyond(0)
    await wait_all_tasks_blocked()
    wakeup.ring()
    with trio.fail_after(1):
        await woken.wait()

    assert scope.cancelled_caught


async def test_waiting_for_what_came_already_takes_a_cancellation() -> None:
    wakeup = Wakeup(Alarms())
    wakeup.ring()
    with trio.CancelScope() as scope:
        scope.cancel()
        await wakeup.wait_beyond(0)
        pytest.fail("not reached")

    assert scope.cancelled_caught
