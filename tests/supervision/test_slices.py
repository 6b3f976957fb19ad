import pytest
import trio
import trio.lowlevel

from bimip.supervision import Slices


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
