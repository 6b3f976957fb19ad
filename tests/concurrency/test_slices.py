from itertools import pairwise

import pytest
import trio
import trio.lowlevel
from trio.testing import MockClock

from bimip.concurrency.slices import PAUSE, Slices


class Work:
    """Slices of some seconds each, by a clock of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slices = Slices(lambda: self.now)
        self.done: list[tuple[float, str]] = []

    async def do(self, who: str, *, count: int = 1, seconds: float = 0.001) -> None:
        def one() -> None:
            self.done.append((trio.current_time(), who))
            self.now += seconds

        for _ in range(count):
            await self.slices.run(one, who)


async def test_one_slice_runs_in_each_round_of_the_loop_in_the_order_asked_for() -> None:
    slices, rounds = Slices(), 0
    done: list[tuple[int, int]] = []  # the round, and who

    async def count() -> None:
        nonlocal rounds
        while True:
            await trio.lowlevel.checkpoint()
            rounds += 1

    async def work(who: int) -> None:
        for _ in range(5):
            await slices.run(lambda: done.append((rounds, who)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count)
        async with trio.open_nursery() as workers:
            for who in range(10):
                workers.start_soon(work, who)
        nursery.cancel_scope.cancel()

    at = [one for one, _ in done]
    first = [who for _, who in done[:10]]
    assert len(set(at)) >= len(at) - 1  # never two in one round, but for the one in which the counting begins
    assert [who for _, who in done] == first * 5


async def test_who_fails_or_is_cancelled_lets_the_next_one_go_on() -> None:
    slices, done = Slices(), list[str]()

    def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await slices.run(fail)
    with trio.CancelScope() as scope:
        scope.cancel()
        await slices.run(lambda: done.append("cancelled while it waits"))
    with trio.CancelScope() as scope:

        def end() -> None:
            done.append("cancelled in its slice")
            scope.cancel()

        await slices.run(end)
    await slices.run(lambda: done.append("last"))

    assert done == ["cancelled in its slice", "last"]


async def test_what_was_done_is_returned() -> None:
    assert await Slices().run(lambda: 5) == 5


async def test_who_was_served_least_of_late_is_next(autojump_clock: MockClock) -> None:
    work = Work()
    work.slices.served.update({"much": 0.05, "more": 0.09})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.do, "first")
        await trio.lowlevel.checkpoint()
        for who in ("more", "much", "little"):
            nursery.start_soon(work.do, who)

    assert [who for _, who in work.done] == ["first", "little", "much", "more"]


async def test_those_who_are_held_back_leave_the_loop_to_others_between_two_slices(autojump_clock: MockClock) -> None:
    """However many they are, and only while somebody is there who asks for little."""
    work = Work()
    work.slices.served.held = frozenset({"much"})
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(lambda: work.do("much", count=5, seconds=0.01))
        await trio.sleep(0.1)
        began = trio.current_time()
        await work.do("little")
        waited = trio.current_time() - began
    held = [at for at, who in work.done if who == "much"]
    work.slices.served.held = frozenset()
    began = trio.current_time()
    await work.do("much", count=100, seconds=0.01)

    assert waited == 0
    assert len(held) == 15
    assert [round(after - before, 6) for before, after in pairwise(held)] == [PAUSE * 0.01] * 14
    assert trio.current_time() == began


async def test_who_leaves_the_line_is_passed_over(autojump_clock: MockClock) -> None:
    work = Work()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.do, "first")
        await trio.lowlevel.checkpoint()
        with trio.CancelScope() as scope:
            nursery.start_soon(work.do, "last")
            scope.cancel()
            await work.do("leaves")

    assert scope.cancelled_caught
    assert [who for _, who in work.done] == ["first", "last"]


async def test_whoever_raises_while_they_wait_is_not_waited_for(autojump_clock: MockClock) -> None:
    """As in the sweep of kills, in which a wait raises what is no cancellation."""
    work = Work()

    async def crash() -> None:
        running = work.do("crashes")
        waiting = running.send(None)  # it stands in line
        assert waiting is not None
        with pytest.raises(RuntimeError):
            running.throw(RuntimeError("its wait failed"))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work.do, "first")
        await trio.lowlevel.checkpoint()
        nursery.start_soon(crash)
        nursery.start_soon(work.do, "last")

    assert [who for _, who in work.done] == ["first", "last"]
