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
            async with slices:
                done.append((rounds, who))

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

    async def work(name: str) -> None:
        async with slices:
            done.append(name)

    with pytest.raises(ValueError, match="mine"):
        async with slices:
            raise ValueError("mine")
    async with trio.open_nursery() as nursery, slices:
        with trio.CancelScope() as scope:
            scope.cancel()
            await work("cancelled while it waits")
        nursery.start_soon(work, "after")
    with trio.CancelScope() as scope:
        async with slices:
            scope.cancel()
            done.append("cancelled in its slice")
    await work("last")

    assert done == ["after", "cancelled in its slice", "last"]
