import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bimip.supervision import Bell


async def wait_for(bell: Bell) -> None:
    await bell


async def test_a_ring_wakes_who_waits() -> None:
    bell = Bell()
    woken: list[int] = []

    async def wait_twice() -> None:
        for number in (1, 2):
            await bell
            woken.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_twice)
        await wait_all_tasks_blocked()
        bell.ring()
        bell.ring()  # nobody waits yet: it is not kept
        await wait_all_tasks_blocked()
        after_the_first = list(woken)
        bell.ring()

    assert after_the_first == [1]
    assert woken == [1, 2]


async def test_who_is_cancelled_waits_no_more() -> None:
    bell = Bell()
    with trio.move_on_after(0) as scope:
        await bell
    bell.ring()
    with trio.move_on_after(0):
        await bell

    assert scope.cancelled_caught


async def test_it_is_for_one_task() -> None:
    bell = Bell()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for, bell)
        await wait_all_tasks_blocked()
        with pytest.raises(AssertionError, match="two tasks"):
            await bell
        bell.ring()
