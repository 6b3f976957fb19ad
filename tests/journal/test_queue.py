from typing import Any, cast

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.operations import (
    Acknowledge,
    Address,
    Append,
    Barrier,
    Done,
    Fault,
    NewMessage,
    Operation,
    Refused,
    Result,
    Revoke,
)
from bimip.journal.queue import OperationQueue, Ticket, ignore


def revoke(name: str) -> Revoke:
    return Revoke(UserId(1), name, Millis(0))


def ack(name: str) -> Acknowledge:
    return Acknowledge(UserId(1), DeviceId(1), name, Offset(1))


def names(tickets: list[Ticket]) -> list[str]:
    return [
        ticket.operation.jti if isinstance(ticket.operation, Revoke) else ticket.operation.partition
        for ticket in tickets
        if isinstance(ticket.operation, Revoke | Acknowledge)
    ]


async def seconds_until_ready(queue: OperationQueue, lazy_seconds: float) -> float:
    begin = trio.current_time()
    await queue.wait(lazy_seconds)
    return trio.current_time() - begin


async def test_first_in_first_out() -> None:
    queue = OperationQueue()
    for name in "abcde":
        queue.submit(ack(name) if name in "bd" else revoke(name))

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
    queue.submit(ack("a"))
    queue.submit(ack("b"))

    assert await seconds_until_ready(queue, 5) == 5


async def test_the_time_of_a_lazy_one_runs_from_when_it_came(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(ack("a"))
    await trio.sleep(3)
    queue.submit(ack("b"))
    waited = await seconds_until_ready(queue, 5)
    await trio.sleep(9)
    late = await seconds_until_ready(queue, 5)

    assert (waited, late) == (2, 0)


async def test_lazy_ones_ride_along(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    queue = OperationQueue()
    queue.submit(ack("a"))

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
    queue.submit(ack("b"))

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


def post(name: str) -> Append:
    return Append(UserId(1), DeviceId(1), "bob", "chat", (NewMessage(name, bytes(8), b""),))


async def test_messages_overtake_what_is_lazy_until_that_is_due(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(ack("a"))
    queue.submit(post("m1"))
    await queue.wait(10)
    first = queue.take(9)
    await trio.sleep(10)
    queue.submit(post("m2"))
    await queue.wait(10)
    second = queue.take(9)

    assert [ticket.operation for ticket in first] == [post("m1")]
    assert [ticket.operation for ticket in second] == [ack("a"), post("m2")]
    assert len(queue) == 3


async def test_a_lazy_one_that_was_overtaken_is_still_due_in_time(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    queue.submit(ack("a"))
    await trio.sleep(1)
    queue.submit(post("m1"))
    await queue.wait(10)
    queue.take(9)

    assert await seconds_until_ready(queue, 10) == 9
    assert names(queue.take(9)) == ["a"]


async def test_what_is_no_message_takes_all_before_it_along_in_order(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    operations: list[Operation] = [ack("a"), post("m1"), ack("b"), Barrier(), post("m2"), ack("c")]
    for operation in operations:
        queue.submit(operation)
    await queue.wait(10)

    assert [ticket.operation for ticket in queue.take(9)] == operations


async def test_a_ticket_tells_when_it_was_taken(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    lazy, urgent = queue.submit(ack("a")), queue.submit(post("m1"))
    await queue.wait(10)
    queue.take(9)

    assert (lazy.taken, urgent.taken) == (False, True)


async def test_more_than_is_taken_at_once_stays_in_order(autojump_clock: MockClock) -> None:
    queue = OperationQueue()
    for number in range(5):
        queue.submit(post(f"m{number}"))
    queue.submit(ack("late"))
    await queue.wait(10)
    taken = [queue.take(2), queue.take(2), queue.take(2)]

    assert [[getattr(t.operation, "messages", "?")[0] for t in part] for part in taken[:2]] == [
        [post("m0").messages[0], post("m1").messages[0]],
        [post("m2").messages[0], post("m3").messages[0]],
    ]
    assert [ticket.operation for ticket in taken[2]] == [post("m4")]
    assert await seconds_until_ready(queue, 10) == 10


async def test_what_is_suspect_is_tried_message_by_message_and_answered_as_a_whole() -> None:
    queue, results = OperationQueue(), list[Any]()
    append = Append(UserId(1), DeviceId(1), "bob", "chat", tuple(post(name).messages[0] for name in "ab"))
    with_one = post("c")
    refused = Refused(Fault.UNKNOWN_OUTCOME, "who knows")
    queue.submit(append, results.append)
    queue.submit(with_one, results.append)
    queue.take(9)
    queue.inherit()
    first, second, third = queue.suspects
    second.reply(refused)
    before = list(results)
    first.reply((cast("Any", "stored"),))

    assert [ticket.operation for ticket in (first, second, third)] == [post("a"), post("b"), post("c")]
    assert before == []
    assert results == [("stored", refused)]
    assert queue.has_suspects


async def test_each_message_of_an_append_counts_and_one_that_is_larger_is_taken_alone(
    autojump_clock: MockClock,
) -> None:
    queue = OperationQueue()
    for count in (2, 2, 9, 1):
        messages = tuple(post(f"{number}").messages[0] for number in range(count))
        queue.submit(Append(UserId(1), DeviceId(1), "bob", "chat", messages))
    await queue.wait(10)
    taken = [queue.take(4) for _ in range(4)]

    sizes = [[len(t.operation.messages) for t in part if isinstance(t.operation, Append)] for part in taken]
    assert sizes == [[2, 2], [9], [1], []]


def append(name: str, *sizes: int) -> Append:
    messages = [NewMessage(f"{name}{number}", bytes(8), bytes(size)) for number, size in enumerate(sizes)]
    return Append(UserId(1), DeviceId(1), "bob", "chat", messages)


async def test_a_batch_is_bounded_by_what_is_to_be_stored() -> None:
    queue = OperationQueue()
    for operation in (append("a", 40, 40), append("b", 30), append("c", 500), append("d", 1)):
        queue.submit(operation)

    taken = [[ticket.operation for ticket in queue.take(9, most_bytes=100)] for _ in range(4)]

    assert taken == [[append("a", 40, 40)], [append("b", 30)], [append("c", 500)], [append("d", 1)]]


async def test_what_is_addressed_to_devices_counts_too() -> None:
    queue = OperationQueue()
    addressed = append("a", 1)._replace(addresses=(Address("bob", "phone", bytes(99)), Address("bob", "tv", None)))
    queue.submit(addressed)
    queue.submit(append("b", 1))

    assert [ticket.operation for ticket in queue.take(9, most_bytes=100)] == [addressed]


async def test_what_is_given_back_is_the_oldest_again() -> None:
    queue = OperationQueue()
    for name in "abc":
        queue.submit(revoke(name))
    taken = queue.take(9)
    queue.submit(revoke("d"))
    queue.give_back(taken[1:])
    queue.submit(revoke("e"))

    assert not taken[1].taken
    assert names(queue.take(9)) == ["b", "c", "d", "e"]
    assert len(queue) == 5


async def test_what_is_given_back_is_no_suspect() -> None:
    queue = OperationQueue()
    for name in "ab":
        queue.submit(revoke(name))
    taken = queue.take(9)
    queue.give_back(taken[1:])
    queue.inherit()

    assert names(list(queue.suspects)) == ["a"]
    assert names(queue.take(9)) == ["b"]


def owners(tickets: list[Ticket]) -> list[object]:
    return [ticket.owner for ticket in tickets]


async def test_where_more_waits_than_can_be_decided_at_once_users_take_turns_and_each_keeps_its_order() -> None:
    queue = OperationQueue()
    for number in range(6):
        queue.submit(revoke(f"much {number}"), owner=UserId(1))
    queue.give_back(queue.take(6)[2:])
    for number in range(2):
        queue.submit(revoke(f"little {number}"), owner=UserId(2))
    queue.submit(revoke("unknown"), owner="carol")
    tickets = queue.take(9)

    assert names(tickets) == ["much 2", "little 0", "unknown", "much 3", "little 1", "much 4", "much 5"]
    assert not queue.is_crowded


async def test_turns_are_counted_by_messages() -> None:
    queue = OperationQueue()
    ten = Append(UserId(1), DeviceId(1), "bob", "chat", tuple(NewMessage(f"m{n}", b"", b"") for n in range(10)))
    for _ in range(2):
        queue.submit(ten, owner=UserId(1))
    for number in range(12):
        queue.submit(revoke(f"one {number}"), owner=UserId(2))
    queue.give_back(queue.take(99))

    assert owners(queue.take(99)) == [*[2] * 9, 1, *[2] * 3, 1]


async def test_who_asks_for_much_at_once_has_a_turn_however_many_come_meanwhile() -> None:
    queue = OperationQueue()
    ten = Append(UserId(1), DeviceId(1), "bob", "chat", tuple(NewMessage(f"m{n}", b"", b"") for n in range(10)))
    queue.submit(ten, owner=UserId(1))
    decided: list[object] = []
    for number in range(2, 40):
        queue.submit(revoke("x"), owner=UserId(number))
        first, *others = queue.take(99)
        decided.append(first.owner)
        queue.give_back(others)

    assert decided.index(1) < 12
    assert [owner for owner in decided if owner != 1] == list(range(2, 39))


async def test_what_is_left_of_something_long_goes_before_its_owner_and_behind_others() -> None:
    queue = OperationQueue()
    queue.submit(revoke("behind it"), owner=UserId(1))
    queue.submit(revoke("little"), owner=UserId(2))
    queue.give_back([Ticket(revoke("the rest"), ignore, owner=UserId(1), is_rest=True)])

    assert names(queue.take(9)) == ["little", "the rest", "behind it"]


async def test_what_is_left_of_something_long_goes_before_its_owner_who_had_a_turn_already() -> None:
    queue = OperationQueue()
    for name in ("first", "behind it", "and behind that"):
        queue.submit(revoke(name), owner=UserId(1))
    queue.give_back(queue.take(9))
    _, *others = queue.take(9)
    queue.give_back(others)
    queue.give_back([Ticket(revoke("the rest"), ignore, owner=UserId(1), is_rest=True)])

    assert names(queue.take(9)) == ["the rest", "behind it", "and behind that"]


async def test_an_acknowledgement_of_many_ranges_counts_as_much_as_many_messages() -> None:
    queue = OperationQueue()
    ranges = tuple((Offset(2 * n), Offset(2 * n)) for n in range(1, 81))
    queue.submit(Acknowledge(UserId(1), DeviceId(1), "chat", Offset(0), ranges), owner=UserId(1))
    for number in range(12):
        queue.submit(revoke(f"one {number}"), owner=UserId(2))
    queue.give_back(queue.take(99))

    assert owners(queue.take(99)) == [*[2] * 10, 1, *[2] * 2]


async def test_nothing_overtakes_where_somebody_waits_for_all_that_came_before() -> None:
    queue = OperationQueue()
    for number in range(3):
        queue.submit(revoke(f"much {number}"), owner=UserId(1))
    queue.submit(Barrier())
    queue.submit(revoke("little"), owner=UserId(2))
    queue.give_back(queue.take(9))

    assert owners(queue.take(9)) == [1, 1, 1, None, 2]


async def test_while_all_fits_into_one_batch_nobody_overtakes() -> None:
    queue = OperationQueue()
    for owner in (1, 1, 1, 2):
        queue.submit(revoke("x"), owner=UserId(owner))

    assert owners(queue.take(9)) == [1, 1, 1, 2]
