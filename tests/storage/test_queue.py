import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.domain.ids import Millis
from bimip.domain.operations import Barrier, Done, Result, Revoke
from bimip.storage.queue import OperationQueue, Ticket


def revoke(name: str) -> Revoke:
    return Revoke(name, Millis(0))


def names(tickets: list[Ticket]) -> list[str]:
    return [ticket.operation.jti for ticket in tickets if isinstance(ticket.operation, Revoke)]


async def seconds_until_ready(queue: OperationQueue, lazy_seconds: float) -> float:
    begin = trio.current_time()
    await queue.wait(lazy_seconds)
    return trio.current_time() - begin


async def test_first_in_first_out() -> None:
    queue = OperationQueue()
    for name in "abcde":
        queue.submit(revoke(name), lazy=name in "bd")

    assert names(queue.take(3)) == ["a", "b", "c"]
    assert names(queue.take(3)) == ["d", "e"]
    assert len(queue) == 5  # known until they are answered


async def test_what_was_answered_is_forgotten_and_nothing_else() -> None:
    queue = OperationQueue()
    for name in "abcd":
        queue.submit(revoke(name))
    first, second = queue.take(2)
    first.answered = True
    queue.take(2)
    queue.settle()
    queue.inherit()

    assert second.operation == revoke("b")
    assert names(list(queue.suspects)) == ["b", "c", "d"]
    assert len(queue) == 3


async def test_suspects_keep_their_order_over_incarnations() -> None:
    queue = OperationQueue()
    for name in "abc":
        queue.submit(revoke(name))
    queue.take(3)
    queue.inherit()
    queue.submit(revoke("d"))
    queue.inherit()

    assert names(list(queue.suspects)) == ["a", "b", "c"]
    assert names(queue.take(9)) == ["d"]


async def test_who_waits_is_served_at_once(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(revoke("a"))

    assert await seconds_until_ready(queue, 5) == 0


async def test_lazy_ones_wait_for_company_and_not_for_ever(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(revoke("a"), lazy=True)
    queue.submit(revoke("b"), lazy=True)

    assert await seconds_until_ready(queue, 5) == 5


async def test_the_time_of_a_lazy_one_runs_from_when_it_came(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(revoke("a"), lazy=True)
    await trio.sleep(3)
    queue.submit(revoke("b"), lazy=True)
    waited = await seconds_until_ready(queue, 5)
    await trio.sleep(9)
    late = await seconds_until_ready(queue, 5)

    assert (waited, late) == (2, 0)


async def test_lazy_ones_ride_along(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    queue = OperationQueue()
    queue.submit(revoke("a"), lazy=True)

    async def company() -> None:
        await trio.sleep(1)
        queue.submit(revoke("b"))

    nursery.start_soon(company)

    assert await seconds_until_ready(queue, 5) == 1
    assert names(queue.take(9)) == ["a", "b"]


async def test_a_lazy_one_that_is_left_alone_waits_again(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(revoke("a"))
    queue.take(9)
    queue.submit(revoke("b"), lazy=True)

    assert await seconds_until_ready(queue, 5) == 5


async def test_an_empty_queue_is_waited_for(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    queue = OperationQueue()

    async def later() -> None:
        await trio.sleep(7)
        queue.submit(revoke("a"))

    nursery.start_soon(later)

    assert await seconds_until_ready(queue, 5) == 7


async def test_executing_is_submitting_and_waiting(nursery: trio.Nursery) -> None:
    queue = OperationQueue()
    results: list[Result] = []

    async def execute() -> None:
        results.append(await queue.execute(Barrier()))

    nursery.start_soon(execute)
    await wait_all_tasks_blocked()
    before = list(results)
    (ticket,) = queue.take(9)
    ticket.reply(Done())
    await wait_all_tasks_blocked()

    assert (before, results) == ([], [Done()])


async def test_a_cancelled_caller_leaves_the_operation_in_the_queue(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    with trio.move_on_after(1):
        await queue.execute(Barrier())
    (ticket,) = queue.take(9)
    ticket.reply(Done())

    assert ticket.operation == Barrier()


async def test_waiting_can_be_cancelled_also_while_there_is_plenty_to_do() -> None:
    queue = OperationQueue()
    queue.submit(revoke("a"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await queue.wait(0)

    assert scope.cancelled_caught
    assert len(queue) == 1
