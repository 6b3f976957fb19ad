from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import inf
from random import Random

import pytest
import trio
import trio.testing
from trio.testing import wait_all_tasks_blocked

from bimip.concurrency import Timer, Timers
from bimip.concurrency.timers import FEW


@asynccontextmanager
async def running(timers: Timers) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(timers.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def wait_until(timer: Timer, when: float) -> None:
    await timer.until(when)


async def wait_for_all(timers: Timers, times: list[float]) -> list[tuple[float, float]]:
    """When each of them, started together, was woken."""
    woken: list[tuple[float, float]] = []

    async def wait(when: float) -> None:
        await Timer(timers).until(when)
        woken.append((when, trio.current_time()))

    async with running(timers), trio.open_nursery() as waiting:
        for when in times:
            waiting.start_soon(wait, when)
    return woken


async def test_each_rings_at_its_time(autojump_clock: trio.testing.MockClock) -> None:
    times = [Random(1).uniform(0, 100) for _ in range(200)]

    woken = await wait_for_all(Timers(), times)

    assert [when for when, _ in woken] == sorted(times)
    assert [at for _, at in woken] == pytest.approx(sorted(times))


async def test_what_is_over_rings_at_once(autojump_clock: trio.testing.MockClock) -> None:
    await trio.sleep(10)

    assert await wait_for_all(Timers(), [3.0]) == [(3.0, 10.0)]


async def test_a_ring_comes_before_the_time(autojump_clock: trio.testing.MockClock) -> None:
    timers = Timers()
    timer = Timer(timers)
    async with running(timers) as nursery:
        nursery.start_soon(wait_until, timer, 30.0)
        await trio.sleep(1)
        timer.notify()
        await wait_all_tasks_blocked()

    assert trio.current_time() == 1
    assert timer.deadline == 30.0  # and it does then, should somebody wait


async def test_a_later_time_keeps_the_earlier_and_an_earlier_one_replaces_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    timers = Timers()
    timer = Timer(timers)
    woken: list[float] = []

    async def wait(*times: float) -> None:
        for when in times:
            await timer.until(when)
            woken.append(trio.current_time())

    async with running(timers) as nursery:
        nursery.start_soon(wait, 30.0, 50.0, 40.0)
        await trio.sleep(1)
        timer.notify()  # now until 50: the 30 stays
        await trio.sleep(60)

    assert woken == [1.0, 30.0, 40.0]


async def test_without_a_time_only_a_ring_wakes(autojump_clock: trio.testing.MockClock) -> None:
    timers = Timers()
    timer = Timer(timers)
    async with running(timers):
        with trio.move_on_after(1000) as scope:
            await timer.until(inf)

    assert scope.cancelled_caught
    assert len(timers) == 0


async def test_who_leaves_costs_nothing(autojump_clock: trio.testing.MockClock) -> None:
    """Thousands connect and leave long before their first heartbeat is due."""
    timers = Timers()
    async with running(timers):
        for _ in range(10 * FEW):
            timer = Timer(timers)
            with trio.move_on_after(0):
                await timer.until(1000.0)
            timer.cancel()
        kept = len(timers)
        last = Timer(timers)
        await last.until(2000.0)

    assert kept <= 2 * FEW
    assert trio.current_time() == 2000


async def test_who_was_killed_goes_on_where_it_stopped(autojump_clock: trio.testing.MockClock) -> None:
    timers = Timers()
    woken: list[float] = []

    async def wait() -> None:
        await Timer(timers).until(5.0)
        woken.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        async with running(timers):
            await trio.sleep(1)
        await trio.sleep(9)
        async with running(timers):
            await wait_all_tasks_blocked()

    assert woken == [10.0]
