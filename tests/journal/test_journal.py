import threading
from collections.abc import Callable, Iterator
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.domain.clock import earliest_stamp
from bimip.domain.ids import DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.operations import (
    Acknowledge,
    Acknowledged,
    Appended,
    Barrier,
    Done,
    Expired,
    ExpireLog,
    Fault,
    OpenPosition,
    PositionOpened,
    Refused,
    Register,
    Registered,
    Result,
    Revoke,
)
from bimip.domain.records import Changes, Table
from bimip.journal import journal as journal_module
from bimip.journal import worker as worker_module
from bimip.journal.journal import (
    FULL,
    INTERNAL,
    LOOK_SECONDS,
    REOPEN_SECONDS,
    UNAVAILABLE,
    UNKNOWN,
    Committed,
    JournalStatistics,
)
from bimip.journal.worker import Point, ThreadWorker
from bimip.storage.errors import OutcomeUnknownError, StorageError, StoreFullError
from bimip.storage.lmdb.store import LmdbStore
from tests.journal.office import BEGIN, CHAT, CountingWorker, FragileStore, Office, ack, has_body, message


async def test_a_synced_start_record_comes_before_anything_is_told() -> None:
    office = Office()
    seen: list[Any] = []

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            office.journal().run, lambda: seen.append((office.store.commits, office.get(Table.META, "starts")))
        )
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert seen == [(1, 1)]


async def test_the_epoch_stays_over_restarts_and_starts_are_counted() -> None:
    office = Office()
    async with office.open():
        first = office.get(Table.META, "epoch")
    async with office.open():
        second = office.get(Table.META, "epoch")

    assert first == second > 0
    assert office.get(Table.META, "starts") == 2
    assert Office().statistics.started is False


async def test_two_stores_have_two_epochs(autojump_clock: MockClock) -> None:
    epochs = []
    for _ in range(2):
        office = Office()
        async with office.open():
            epochs.append(office.get(Table.META, "epoch"))
        await trio.sleep(0.001)

    assert len(set(epochs)) == 2


async def test_a_store_that_was_put_back_begins_another_epoch_once(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        first = office.get(Table.META, "epoch")
    await trio.sleep(1)
    office.store.put_back = "an older copy"
    for _ in range(2):
        async with office.open():
            second = office.get(Table.META, "epoch")

    assert second > first
    assert office.statistics.put_back == "an older copy"
    assert [str(error) for _, error in office.reports] == ["an older copy"]
    assert [committed.another_epoch for committed in office.told] == [False, True, False]


async def test_two_restores_of_one_backup_have_two_epochs_also_where_the_wall_clock_is_behind() -> None:
    office = Office()
    office.wall_clock = partial(Millis, BEGIN)
    async with office.open():
        copy = office.store._state.copy()
    office.wall_clock = partial(Millis, BEGIN - 3_600_000)
    epochs = []
    for _ in range(2):
        office.store._state = copy.copy()
        office.store.put_back = "an older copy"
        async with office.open():
            epochs.append(office.get(Table.META, "epoch"))
        office.store.newest_served = office.get(Table.META, "clock")

    assert len(set(epochs)) == 2


async def test_no_stamp_and_no_conversation_is_given_again_after_an_older_store_was_put_back() -> None:
    """By these clients know what they have."""
    office = Office()
    office.wall_clock = partial(Millis, BEGIN)
    async with office.open():
        ann, _ = await office.pair()
        await office.device("cat")
        before = await office.execute(message(ann, "before"))
        copy = office.store._state.copy()
        lost = await office.execute(message(ann, "lost", to="cat"))
    office.store._state = copy
    office.store.put_back = "an older copy"
    office.store.newest_served = lost.stamp
    async with office.open():
        again = await office.execute(message(ann, "again"))
        await office.device("dan")
        other = await office.execute(message(ann, "other", to="dan"))

    assert before.stamp < lost.stamp < again.stamp
    assert again.conversation == before.conversation
    assert other.conversation not in {before.conversation, lost.conversation}


async def test_numbers_of_conversations_do_not_run_out_however_often_a_store_is_put_back() -> None:
    office = Office()
    async with office.open():
        ann, _ = await office.pair()
    before = (1 << 32) - 10
    office.store._state.records[Table.META]["conversations",] = before
    office.store.put_back = "an older copy"
    async with office.open():
        sent = await office.execute(message(ann, "hello"))

    assert sent.conversation == before + 1


async def test_a_store_that_is_another_one_when_it_is_opened_again_begins_another_epoch(
    autojump_clock: MockClock,
) -> None:
    office = Office()

    def swap(step: str, _changes: Changes | None) -> None:
        if step == "reopen":
            office.store.put_back = "another store"

    async with office.open():
        first = office.get(Table.META, "epoch")
        ann, _ = await office.pair()
        office.store.after = swap
        office.store.before = failing_once("commit", OutcomeUnknownError("the disk failed"))
        office.submit("hello", message(ann, "hello"))
        await trio.sleep(1)

    assert office.get(Table.META, "epoch") > first
    assert office.told[-1].another_epoch


def failing_once(step: str, error: StorageError) -> Callable[[str, Changes | None], None]:
    errors = [error]

    def fail(at: str, _changes: Changes | None) -> None:
        if at == step and errors:
            raise errors.pop()

    return fail


async def test_the_clock_is_ahead_of_every_stamp_ever_given_also_when_the_wall_clock_stepped_back() -> None:
    office = Office()
    stamps = []
    for number, wall in enumerate([BEGIN, BEGIN - 3_600_000, BEGIN - 7_200_000, BEGIN + 1]):
        office.wall_clock = partial(Millis, wall)
        async with office.open():
            ann, _ = await office.pair()
            for name in "ab":
                sent = await office.execute(message(ann, f"{number}{name}"))
                assert isinstance(sent, Appended)
                stamps.append(sent.stamp)

    assert stamps == sorted(set(stamps))


async def test_the_reply_comes_after_the_commit_and_not_before() -> None:
    worker = CountingWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        worker.gate = trio.Event()
        office.submit("hello", message(ann, "hello"))
        await wait_all_tasks_blocked()
        before = office.answers["hello"][:], office.bodies(bob.user)
        worker.gate.set()
        await wait_all_tasks_blocked()

    assert before == ([], [])
    assert isinstance(office.answer("hello"), Appended)
    assert office.bodies(bob.user) == [b"hello"]


async def test_what_gathers_during_a_commit_is_the_next_batch() -> None:
    worker = CountingWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        worker.gate = trio.Event()
        office.submit("first", message(ann, "first"))
        await wait_all_tasks_blocked()
        commits = office.store.commits
        for number in range(50):
            office.submit(f"{number}", message(ann, f"{number}"))
            await wait_all_tasks_blocked()
        worker.gate.set()
        await wait_all_tasks_blocked()

    assert office.store.commits == commits + 2
    assert office.bodies(bob.user) == [b"first", *(b"%d" % number for number in range(50))]
    assert [office.answer(f"{number}").offset for number in range(50)] == list(range(2, 52))


async def test_an_idle_server_commits_at_once(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        begin = trio.current_time()
        await office.device("ann")

        assert trio.current_time() == begin


async def test_nothing_is_committed_for_what_changes_nothing() -> None:
    office = Office()
    async with office.open():
        commits = office.store.commits

        assert await office.execute(Barrier()) == Done()
        assert office.store.commits == commits


async def test_acks_wait_for_company_20_ms_at_most(autojump_clock: MockClock) -> None:
    office = Office()
    answered: list[float] = []
    async with office.open():
        ann, bob = await office.pair()
        await office.execute(message(ann, "hello"))
        begin = trio.current_time()
        office.queue.submit(ack(bob, 1), lambda _: answered.append(trio.current_time() - begin))
        await trio.sleep(1)

    assert answered == [pytest.approx(0.020)]


async def test_a_message_does_not_wait_for_acks_and_old_ones_ride_on_the_next_batch(
    autojump_clock: MockClock,
) -> None:
    worker = CountingWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        await office.execute(message(ann, "hello"))
        commits, begin = office.store.commits, trio.current_time()
        office.submit("ack", ack(bob, 1))
        await office.execute(message(ann, "again"))
        overtaken = office.answers["ack"][:], trio.current_time()
        worker.gate = trio.Event()
        office.submit("slow", message(ann, "slow"))
        await trio.sleep(0.030)
        office.submit("next", message(ann, "next"))
        worker.gate.set()
        await wait_all_tasks_blocked()

        assert overtaken == ([], begin)
        assert office.answer("ack") == Acknowledged(Offset(1))
        assert office.store.commits == commits + 3


async def test_what_may_depend_on_acks_takes_them_along(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        await office.execute(message(ann, "hello"))
        commits, begin = office.store.commits, trio.current_time()
        office.submit("ack", ack(bob, 1))
        await office.execute(Barrier())

        assert office.answer("ack") == Acknowledged(Offset(1))
        assert (office.store.commits, trio.current_time()) == (commits + 1, begin)


async def test_an_ack_that_came_during_a_commit_does_not_wait_longer_for_it(autojump_clock: MockClock) -> None:
    worker = CountingWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        await office.execute(message(ann, "hello"))
        worker.gate = trio.Event()
        office.submit("slow", message(ann, "slow"))
        await trio.sleep(1)
        office.submit("ack", ack(bob, 1))
        await trio.sleep(1)
        begin = trio.current_time()
        worker.gate.set()
        await wait_all_tasks_blocked()

        assert trio.current_time() == begin
        assert office.answer("ack") == Acknowledged(Offset(1))


async def test_what_a_commit_brought_is_told_once_after_the_answers() -> None:
    office = Office()
    order: list[str] = []
    async with office.open():
        ann, bob = await office.pair()

        def committed(committed: Committed) -> None:
            order.extend(["told"] * len(committed.news))

        office.committed = committed
    async with office.open():
        office.queue.submit(message(ann, "hello"), lambda _: order.append("answered"))
        await wait_all_tasks_blocked()

    assert order == ["answered", "told", "told"]  # two logs
    assert bob.user == 2


async def test_a_long_operation_goes_on_in_later_batches(autojump_clock: MockClock) -> None:
    office = Office(slice_entries=3)
    async with office.open():
        ann, bob = await office.pair()
        for number in range(10):
            await office.execute(message(ann, f"{number}"))
        commits = office.store.commits
        first = await office.execute(ack(bob, 10))
        await trio.sleep(1)

    assert first == Acknowledged(Offset(3))
    assert office.get(Table.CURSORS, bob.device, CHAT).floor == 10
    assert office.store.commits == commits + 4


async def test_each_opening_of_the_store_tells_everybody_to_read_afresh(autojump_clock: MockClock) -> None:
    office = Office()
    failures = iter([True])

    def fail(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and has_body(changes, b"a") and next(failures, False):
            raise OutcomeUnknownError("the disk failed")

    office.store.after = fail
    async with office.open():
        ann, _ = await office.pair()
        await office.execute(message(ann, "a"))
        await office.execute(message(ann, "b"))
    async with office.open():
        pass

    assert [committed.resync for committed in office.told] == [True, False, False, False, True, False, True]
    assert office.statistics.reopened == 1


async def test_a_decision_that_raises_costs_its_own_operation_an_error_and_nothing_else() -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        for name in ("a", "undecidable", "b"):
            office.submit(name, message(ann, name))
        await wait_all_tasks_blocked()

    assert office.answer("undecidable") == INTERNAL
    assert [office.answer(name).offset for name in "ab"] == [1, 2]
    assert office.bodies(bob.user) == [b"a", b"b"]
    assert [(what, type(error)) for what, error in office.reports] == [("decision failed", ZeroDivisionError)]


def at(step: str, *, body: bytes | None, error: Callable[[], BaseException]) -> Callable[[str, Changes | None], None]:
    def happen(each: str, changes: Changes | None) -> None:
        if each == step and (body is None or (changes is not None and has_body(changes, body))):
            raise error()

    return happen


async def test_a_record_that_the_store_cannot_take_costs_its_own_operation_an_error_and_nothing_else() -> None:
    office = Office()
    office.store.before = at("apply", body=b"odd", error=lambda: ValueError("odd"))
    async with office.open():
        ann, bob = await office.pair()
        for name in ("a", "odd", "b"):
            office.submit(name, message(ann, name))
        await wait_all_tasks_blocked()

    assert office.answer("odd") == INTERNAL
    assert [office.answer(name).offset for name in "ab"] == [1, 2]
    assert office.bodies(bob.user) == [b"a", b"b"]
    assert office.incarnations == 1


async def test_a_reply_that_raises_costs_nobody_else_theirs() -> None:
    office = Office()

    def broken(_result: Result) -> None:
        raise ZeroDivisionError

    async with office.open():
        office.submit("before", Revoke(UserId(1), "a", Millis(0)))
        office.queue.submit(Barrier(), broken)
        office.submit("after", Revoke(UserId(1), "b", Millis(0)))
        await wait_all_tasks_blocked()

    assert (office.answer("before"), office.answer("after")) == (Done(), Done())
    assert [what for what, _ in office.reports] == ["a reply failed"]


async def test_telling_a_commit_may_fail_and_the_journal_goes_on() -> None:
    office = Office()

    def broken(_committed: Committed) -> None:
        raise ZeroDivisionError

    office.committed = broken
    async with office.open():
        ann, bob = await office.pair()

    assert (ann.user, bob.user) == (1, 2)
    assert [what for what, _ in office.reports] == ["telling a commit failed"] * 3  # the opening is told too


class StepCounter(trio.abc.Instrument):
    """Cancels a scope before the n-th step of a task."""

    def __init__(self, at_step: int) -> None:
        self.at_step = at_step
        self.steps = 0
        self.task: trio.lowlevel.Task | None = None
        self.scope = trio.CancelScope()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self.steps += 1
            if self.steps == self.at_step:
                self.scope.cancel()


async def run_until_killed(office: Office, counter: StepCounter) -> None:
    trio.lowlevel.add_instrument(counter)
    counter.task = trio.lowlevel.current_task()
    try:
        with counter.scope:
            await office.run()
    finally:
        trio.lowlevel.remove_instrument(counter)


async def traffic(office: Office) -> None:
    """Some operations of every sort, some of them while others are being committed."""
    ann, bob = (
        Registered(office.get(Table.USERS, "ann").number, DeviceId(1)),
        Registered(office.get(Table.USERS, "bob").number, DeviceId(2)),
    )
    for number in range(3):
        office.submit(f"m{number}", message(ann, f"m{number}"))
        office.submit(f"again {number}", message(ann, f"m{number}"))
        office.submit(f"ack {number}", ack(bob, number))
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
    office.submit("barrier", Barrier())
    office.submit("cid", Register("cid", "phone"))


@pytest.mark.parametrize("thread", [False, True], ids=["inline", "thread"])
async def test_killed_at_every_await_it_loses_and_doubles_nothing(autojump_clock: MockClock, *, thread: bool) -> None:
    for step in range(1, 200):
        worker = ThreadWorker() if thread else CountingWorker()
        office = Office(worker=worker)
        async with office.open():
            _, bob = await office.pair()
        counter = StepCounter(step)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_until_killed, office, counter)
            await traffic(office)
            if not thread:
                await trio.sleep(0.1)
            else:
                with trio.move_on_after(0.1):
                    await office.execute(Barrier())
            nursery.cancel_scope.cancel()
        async with office.open():
            await office.execute(Barrier())
            await trio.sleep(0.1)
        worker.close()

        assert office.bodies(bob.user) == [b"m0", b"m1", b"m2"], step
        assert {name: len(answers) for name, answers in office.answers.items()} == dict.fromkeys(office.answers, 1)
        for number in range(3):
            assert office.answer(f"m{number}").offset == office.answer(f"again {number}").offset == number + 1
        assert office.get(Table.CURSORS, 2, CHAT).floor == 2
        assert len(office.queue) == 0
        if counter.steps < step:
            break
    else:
        raise AssertionError("the journal never came to rest")


class CrashingWorker(CountingWorker):
    """Raises at the n-th visit, before or after it did the job."""

    def __init__(self, at_visit: int, *, done: bool) -> None:
        super().__init__()
        self.at_visit = at_visit
        self.done = done

    async def run(
        self,
        job: Callable[[], Any],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,
    ) -> Any:
        if self.visits + 1 == self.at_visit and not self.done:
            self.visits += 1
            raise RuntimeError("the worker failed before the job")
        value = await super().run(job, then, inline=inline, point=point)
        if self.visits == self.at_visit and self.done:
            raise RuntimeError("the worker failed after the job")
        return value


@pytest.mark.parametrize("done", [False, True], ids=["before the job", "after it"])
async def test_a_worker_that_fails_at_any_visit_costs_nothing(autojump_clock: MockClock, *, done: bool) -> None:
    for visit in range(4, 40):
        worker = CrashingWorker(visit, done=done)
        office = Office(worker=worker)
        async with office.open(kept=True):
            _, bob = await office.pair()
            await traffic(office)
            await office.execute(Barrier())
            await trio.sleep(0.1)
            reached = worker.visits >= visit

        assert office.bodies(bob.user) == [b"m0", b"m1", b"m2"]
        assert {name: len(answers) for name, answers in office.answers.items()} == dict.fromkeys(office.answers, 1)
        assert not any(isinstance(office.answer(name), Refused) for name in office.answers)
        if not reached:
            break
    else:
        raise AssertionError("the worker was never used that often")


async def test_an_operation_that_ends_the_journal_twice_is_set_aside_and_the_others_are_served() -> None:
    office = Office()
    office.store.before = at("commit", body=b"poison", error=lambda: RuntimeError("poison"))
    async with office.open(kept=True):
        ann, bob = await office.pair()
        for name in ("a", "poison", "b"):
            office.submit(name, message(ann, name))
        await wait_all_tasks_blocked()
        office.submit("later", message(ann, "later"))
        await wait_all_tasks_blocked()

    assert office.answer("poison") == UNKNOWN
    assert [isinstance(office.answer(name), Appended) for name in ("a", "b", "later")] == [True] * 3
    assert office.bodies(bob.user) == [b"a", b"b", b"later"]
    assert office.statistics.set_aside == 1
    assert office.incarnations <= 4
    assert [str(error) for what, error in office.reports if what == "operation set aside"] == [
        "Append ended the journal"
    ]


async def test_a_crash_that_does_not_come_again_costs_nobody_an_error() -> None:
    office = Office()
    crashes = iter([True])

    def once(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and has_body(changes, b"b") and next(crashes, False):
            raise RuntimeError("once")

    office.store.after = once
    async with office.open(kept=True):
        ann, bob = await office.pair()
        for name in "abc":
            office.submit(name, message(ann, name))
        await wait_all_tasks_blocked()

    assert [office.answer(name).offset for name in "abc"] == [1, 2, 3]
    assert [office.answer(name).duplicate for name in "abc"] == [True] * 3  # it had been on disk
    assert office.bodies(bob.user) == [b"a", b"b", b"c"]
    assert office.incarnations == 1  # one client's operation does not spend the restarts of all


async def test_suspects_are_tried_one_at_a_time_and_before_anything_newer() -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
    for name in "abc":
        office.submit(name, message(ann, name))
    office.queue.take(9)
    office.submit("newer", message(ann, "newer"))
    async with office.open():
        commits = office.store.commits
        await wait_all_tasks_blocked()

    assert office.bodies(bob.user) == [b"a", b"b", b"c", b"newer"]
    assert office.store.commits - commits in {3, 4}  # opening may have run the first already


def full(step: str) -> Callable[[str, Changes | None], None]:
    """A disk without room for new messages."""

    def happen(each: str, changes: Changes | None) -> None:
        if each == step and changes is not None and changes.appends:
            raise StoreFullError("no room")

    return happen


@pytest.mark.parametrize("step", ["apply", "commit"])
async def test_a_full_store_refuses_what_grows_and_takes_the_rest(step: str) -> None:
    worker = CountingWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        for name in ("old", "older"):
            await office.execute(message(ann, name))
        office.store.before = full(step)
        worker.gate = trio.Event()
        office.submit("first", Barrier())
        office.submit("held up", Revoke(UserId(1), "t", Millis(0)))
        await wait_all_tasks_blocked()
        expire = ExpireLog(ann.user, CHAT, earliest_stamp(Millis(BEGIN * 2)))
        office.submit("new", message(ann, "new"))
        office.submit("ack", ack(bob, 2))
        office.submit("duplicate", message(ann, "old"))
        office.submit("expire", expire)
        office.submit("new too", message(ann, "new too"))
        worker.gate.set()
        await wait_all_tasks_blocked()
        during = office.statistics.fault
        await office.execute(message(ann, "newest"))

    assert office.answer("new") == office.answer("new too") == FULL
    assert office.answer("ack") == Acknowledged(Offset(2))
    assert office.answer("duplicate").duplicate
    assert office.answer("expire") == Expired(2, more=False)
    assert during == "no room"
    assert office.bodies(bob.user) == [b"old", b"older"]
    assert {what for what, _ in office.reports} == {"store full"}
    assert office.statistics.writable is False  # it ended by now, and nothing else ended it
    assert office.incarnations == 1


def no_room(step: str, _changes: Changes | None) -> None:
    """A disk without room for anything."""
    if step == "commit":
        raise StoreFullError("no room")


async def test_a_start_on_a_full_disk_lets_those_in_who_are_known_and_heals(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        await office.execute(message(ann, "before"))
    office.statistics = JournalStatistics()  # as in another process
    office.store.before = no_room
    opening = OpenPosition(bob.user, bob.device, CHAT, start=1)
    async with office.open():
        answers = [
            await office.execute(one)
            for one in (Register("bob", "phone"), opening, Register("bob", "tablet"), message(ann, "during"), Barrier())
        ]
        ready = office.statistics.writable, office.statistics.fault
        told = office.told[-1:]
        office.store.before = lambda _step, _changes: None
        await trio.sleep(max(REOPEN_SECONDS))
        healed = office.statistics.writable, office.statistics.fault
        await office.execute(message(ann, "after"))

    assert answers == [
        bob,
        PositionOpened(CHAT, Offset(1), Offset(1), Offset(0), Offset(0), (), None),
        FULL,
        FULL,
        Done(),
    ]
    assert ready == (False, "no room")
    assert told
    assert healed == (True, "")
    assert office.bodies(bob.user) == [b"before", b"after"]
    assert [committed.resync for committed in office.told if committed.resync] == [True, True, True]
    assert office.incarnations == 2


async def test_nothing_is_read_on_a_full_disk_before_it_is_settled(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        _, bob = await office.pair()
    office.statistics = JournalStatistics()
    office.store.before = no_room
    settled: list[int] = []
    office.store.settle = lambda: settled.append(len(office.answers["bob"]))  # type: ignore[method-assign]
    office.submit("bob", Register("bob", "phone"))
    async with office.open():
        await trio.sleep(1)

    assert settled == [0]
    assert office.answer("bob") == bob


@pytest.mark.parametrize("put_back", ["", "an older copy"])
async def test_a_first_start_and_another_epoch_need_room(put_back: str) -> None:
    """Before the first start there is nothing to read; and devices would take what was put back for what they know."""
    office = Office()
    if put_back:
        async with office.open():
            await office.pair()
        office.store.put_back = put_back
        office.statistics = JournalStatistics()
    office.store.before = no_room
    with pytest.raises(BaseExceptionGroup) as raised:
        async with office.open():
            pass

    assert isinstance(raised.value.exceptions[0], StoreFullError)


async def test_where_nothing_has_room_any_more_those_who_are_known_come_in() -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        office.store.before = no_room
        opening = OpenPosition(bob.user, bob.device, CHAT, start=1)
        answers = [await office.execute(one) for one in (Register("bob", "phone"), opening, Register("cat", "phone"))]
        refused = await office.execute(message(ann, "during"))

    assert answers == [bob, PositionOpened(CHAT, Offset(1), Offset(0), Offset(0), Offset(0), (), None), FULL]
    assert refused == FULL


async def test_room_that_returns_is_noticed_also_when_nobody_writes(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, _ = await office.pair()
        office.store.before = no_room
        office.store.has_room = lambda: False  # type: ignore[method-assign]
        await office.execute(message(ann, "during"))
        await trio.sleep(10 * LOOK_SECONDS)
        during = office.statistics.fault
        office.store.has_room = lambda: True  # type: ignore[method-assign]
        for _ in range(100):  # it is looked for in a thread, whose time is not virtual
            if office.statistics.fault:
                await trio.sleep(LOOK_SECONDS)

        assert during
        assert office.statistics.fault == ""


async def test_a_store_that_takes_nothing_at_all_refuses_everything_and_recovers() -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        office.store.before = at("commit", body=None, error=lambda: StoreFullError("no room"))
        refused = [await office.execute(one) for one in (message(ann, "a"), Revoke(UserId(1), "t", Millis(0)))]
        office.store.before = lambda _step, _changes: None
        sent = await office.execute(message(ann, "a"))

        assert refused == [FULL, FULL]
        assert isinstance(sent, Appended)
        assert office.bodies(bob.user) == [b"a"]
        assert (office.statistics.fault, office.statistics.writable) == ("", True)


async def test_a_quota_refuses_messages_and_takes_acks() -> None:
    office = Office(FragileStore(quota_bytes=2000))
    async with office.open():
        ann, bob = await office.pair()
        results = [await office.execute(message(ann, f"{number}", sent=bytes(500))) for number in range(6)]
        taken = sum(isinstance(result, Appended) for result in results)
        acknowledged = await office.execute(ack(bob, taken))

    assert 1 <= taken < 6
    assert results[taken:] == [FULL] * (6 - taken)
    assert acknowledged == Acknowledged(Offset(taken))


@pytest.mark.parametrize("moment", ["before", "after"], ids=["and was not stored", "and was stored"])
async def test_an_unknown_outcome_is_told_as_unknown_and_a_resend_finds_out(
    autojump_clock: MockClock, moment: str
) -> None:
    office = Office()
    failures = iter([True])

    def fail(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and has_body(changes, b"a") and next(failures, False):
            raise OutcomeUnknownError("the disk failed")

    setattr(office.store, moment, fail)
    async with office.open():
        ann, bob = await office.pair()
        for name in "ab":
            office.submit(name, message(ann, name))
        await wait_all_tasks_blocked()
        again = await office.execute(message(ann, "a"))

        assert office.answer("a") == office.answer("b") == UNKNOWN
        assert isinstance(again, Appended)
        assert again.duplicate == (moment == "after")
        assert office.bodies(bob.user)[0] == b"a"
        assert (office.statistics.writable, office.statistics.reopened) == (True, 1)


async def test_while_the_store_cannot_be_reopened_writes_are_refused_and_reads_go_on(
    autojump_clock: MockClock,
) -> None:
    office = Office()
    tries: list[float] = []
    async with office.open():
        ann, bob = await office.pair()
        await office.execute(message(ann, "old"))

        def broken(step: str, _changes: Changes | None) -> None:
            if step == "commit":
                if office.statistics.writable is False:
                    tries.append(trio.current_time())
                raise OutcomeUnknownError("the disk failed")

        office.store.before = broken
        begin = trio.current_time()
        first = await office.execute(message(ann, "a"))
        await trio.sleep(0.05)
        second = await office.execute(message(ann, "b"))
        office.submit("ack", ack(bob, 1))
        await trio.sleep(20)
        during = office.bodies(bob.user), office.statistics.writable, office.statistics.fault
        office.store.before = lambda _step, _changes: None
        await trio.sleep(REOPEN_SECONDS[-1])
        third = await office.execute(message(ann, "b"))

        assert (first, second, office.answer("ack")) == (UNKNOWN, UNAVAILABLE, UNAVAILABLE)
        assert during == ([b"old"], False, "the disk failed")
        assert isinstance(third, Appended)
        assert (office.statistics.writable, office.statistics.fault) == (True, "")
    pauses = [later - earlier for earlier, later in zip([begin, *tries], tries, strict=False)]
    assert [round(pause, 3) for pause in pauses[: len(REOPEN_SECONDS) + 1]] == [0, *REOPEN_SECONDS]


async def test_a_journal_that_is_killed_while_the_store_is_broken_leaves_a_successor_that_recovers(
    autojump_clock: MockClock,
) -> None:
    """It ended at once when it could not open the store, again and again, until the whole server gave up."""
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        office.store.before = at("commit", body=None, error=lambda: OutcomeUnknownError("the disk failed"))
        await office.execute(message(ann, "a"))
    async with office.open():
        office.submit("b", message(ann, "b"))
        await trio.sleep(3)
        during = office.answers["b"][:]
        office.store.before = lambda _step, _changes: None
        await trio.sleep(REOPEN_SECONDS[-1])
        sent = await office.execute(message(ann, "c"))

    assert during == [UNAVAILABLE]
    assert isinstance(sent, Appended)
    assert office.bodies(bob.user) == [b"c"]


async def test_suspects_wait_until_the_store_is_back(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
    office.submit("suspect", message(ann, "suspect"))
    office.queue.take(9)
    office.store.before = at("commit", body=None, error=lambda: OutcomeUnknownError("the disk failed"))
    async with office.open():
        await trio.sleep(1)
        waiting = office.answers["suspect"][:]
    office.store.before = lambda _step, _changes: None
    async with office.open():
        await trio.sleep(1)

    assert waiting == []
    assert office.answer("suspect").offset == 1
    assert office.bodies(bob.user) == [b"suspect"]


async def test_the_very_first_start_fails_where_the_store_does() -> None:
    office = Office()
    office.store.before = at("commit", body=None, error=lambda: StoreFullError("no room"))

    with pytest.raises(StoreFullError):
        await office.run()


async def test_killed_while_it_recovers_it_loses_none_of_the_batch(autojump_clock: MockClock) -> None:
    """A batch that is tried one by one, of which the first found the disk failing, was forgotten but for that one."""
    office = Office()
    failing = False

    def broken(step: str, changes: Changes | None) -> None:
        nonlocal failing
        if step == "apply" and changes is not None and len(changes.puts.get(Table.BODIES, {})) > 1:
            failing = True
            raise ValueError("tried one by one")
        if step == "commit" and failing:
            raise OutcomeUnknownError("the disk failed")

    async with office.open():
        ann, bob = await office.pair()
        office.store.before = broken
        for name in "abc":
            office.submit(name, message(ann, name))
        await trio.sleep(3)
        failing = False
    failing = False
    async with office.open():
        office.submit("d", message(ann, "d"))
        await trio.sleep(1)

    assert office.answer("a") == UNKNOWN
    assert [len(office.answers[name]) for name in "abcd"] == [1, 1, 1, 1]
    assert office.bodies(bob.user) == [b"b", b"c", b"d"]


async def test_a_read_that_fails_refuses_the_batch_and_reopens_the_store(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        office.store.crash()  # a snapshot cannot be taken now
        refused = await office.execute(message(ann, "a"))
        await trio.sleep(1)
        sent = await office.execute(message(ann, "a"))

        assert refused == UNAVAILABLE
        assert isinstance(sent, Appended)
        assert office.bodies(bob.user) == [b"a"]
        assert office.incarnations == 1


async def test_a_busy_journal_can_be_cancelled() -> None:
    """It took no cancellation while the queue was never empty."""
    office = Office()
    served = 0

    def again(_result: Result) -> None:
        nonlocal served
        served += 1
        if served == 20:
            scope.cancel()
        if served < 1000:
            office.queue.submit(Barrier(), again)
            office.queue.submit(Revoke(UserId(1), f"{served}", Millis(0)))

    with trio.CancelScope() as scope:
        office.queue.submit(Barrier(), again)
        await office.run()

    assert scope.cancelled_caught
    assert served == 20


async def test_a_cancellation_waits_for_the_commit_and_the_answers() -> None:
    worker = CountingWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        worker.gate = trio.Event()
        office.submit("a", message(ann, "a"))
        await wait_all_tasks_blocked()
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_open_later, worker)

    assert office.answer("a").offset == 1
    assert office.bodies(bob.user) == [b"a"]


async def _open_later(worker: CountingWorker) -> None:
    await wait_all_tasks_blocked()
    worker.gate.set()


async def test_what_waits_when_it_ends_waits_for_the_next(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
    office.submit("a", message(ann, "a"))
    office.submit("ack", Acknowledge(bob.user, bob.device, CHAT, Offset(1)))
    before = len(office.queue)
    async with office.open():
        await trio.sleep(0.03)

    assert before == 2
    assert office.answer("a").offset == 1
    assert office.answer("ack") == Acknowledged(Offset(1))


async def test_statistics_tell_what_happened() -> None:
    office = Office()
    async with office.open():
        ann, _ = await office.pair()
        await office.execute(message(ann, "a"))
        refused = await office.execute(message(ann, "b", to="nobody"))
        given = office.statistics

        assert isinstance(refused, Refused)
        assert refused.fault == Fault.NOT_FOUND
        assert (given.operations, given.refused, given.batches) == (4, 1, 4)
        assert (given.writable, given.fault, given.set_aside, given.reopened) == (True, "", 0, 0)
    assert office.statistics.writable is False


async def test_a_thread_serves_as_well() -> None:
    worker = ThreadWorker()
    office = Office(worker=worker)
    async with office.open():
        ann, bob = await office.pair()
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(office.execute, message(ann, f"{number}"))
    worker.close()

    assert len(office.bodies(bob.user)) == 100
    assert office.statistics.batches < 20


class WatchedStore(LmdbStore):
    """Notes where it was committed, and does not take one kind of message."""

    def __init__(self, folder: Path) -> None:
        self.committers: list[str] = []
        super().__init__(folder, map_bytes=64 << 20)

    def apply(self, changes: Changes) -> None:
        if has_body(changes, b"unfit"):
            raise ZeroDivisionError
        super().apply(changes)

    def commit(self) -> None:
        super().commit()
        self.committers.append("loop" if threading.current_thread() is threading.main_thread() else "thread")


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    monkeypatch.setattr(worker_module, "QUICK_SECONDS", inf)
    worker = ThreadWorker()
    yield Office(store=cast("Any", WatchedStore(tmp_path)), worker=worker)
    worker.close()


async def test_after_a_pause_the_loop_commits_and_otherwise_the_thread(
    watched: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    async with watched.open():
        ann, _ = await watched.pair()
        for pause in (-inf, inf, -inf):
            monkeypatch.setattr(journal_module, "QUIET_SECONDS", pause)
            for number in range(3):
                await trio.sleep(0.001)
                await watched.execute(message(ann, f"{pause} {number} {len(found)}"))
            found += cast("Any", watched.store).committers[-2:]

    assert found == ["loop", "loop", "thread", "thread", "loop", "loop"]


async def test_whoever_commits_whatever_goes_wrong_nothing_hangs(
    watched: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    random, wanted = Random(7), []
    with trio.fail_after(60):
        async with watched.open():
            ann, bob = await watched.pair()
            for number in range(300):
                monkeypatch.setattr(journal_module, "QUIET_SECONDS", random.choice([-inf, -inf, inf]))
                monkeypatch.setattr(worker_module, "QUICK_SECONDS", random.choice([0.0, inf, inf]))
                unfit = random.random() < 0.2
                result = await watched.execute(message(ann, f"m{number}", sent=b"unfit" if unfit else None))
                wanted += [] if unfit else [b"m%d" % number]
                assert isinstance(result, Refused) == unfit
        bodies = watched.bodies(bob.user)

    assert bodies == wanted
    assert {*cast("Any", watched.store).committers} == {"loop", "thread"}


async def test_a_store_that_cannot_begin_refuses_and_recovers(autojump_clock: MockClock) -> None:
    office = Office()
    async with office.open():
        ann, bob = await office.pair()
        failing = True

        def broken(step: str, _changes: Changes | None) -> None:
            if step == "begin" and failing:
                raise StorageError("cannot begin")

        office.store.before = broken
        first = await office.execute(message(ann, "a"))  # whose transaction was open already
        second = await office.execute(message(ann, "b"))
        failing = False
        await trio.sleep(1)
        third = await office.execute(message(ann, "c"))

    assert isinstance(first, Appended)
    assert second == UNAVAILABLE
    assert isinstance(third, Appended)
    assert office.bodies(bob.user) == [b"a", b"c"]
    assert third.stamp > first.stamp > Stamp(0)


class SlowWorker(CountingWorker):
    """Each look at the clock finds it a hundredth of a second on."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def clock(self) -> float:  # type: ignore[override]
        self.looks += 1
        return self.looks / 100


async def test_what_takes_long_to_decide_is_decided_in_several_batches(autojump_clock: MockClock) -> None:
    """In its order, and each answered once: others have their turn in between."""
    office = Office(worker=SlowWorker())
    answers: list[tuple[int, Result]] = []
    async with office.open():
        before = office.statistics.batches
        for number in range(10):
            office.queue.submit(Register("ann", f"device {number}"), partial(_note, answers, number))
        await office.queue.execute(Barrier())

        assert [number for number, _ in answers] == list(range(10))
        assert all(isinstance(result, Registered) for _, result in answers)
        assert office.statistics.batches - before == 11  # each takes longer than one user alone may


async def test_batches_that_write_nothing_let_others_have_their_turn(autojump_clock: MockClock) -> None:
    """Such as acknowledgements that say nothing new: there is no disk to be waited for."""
    office = Office(worker=SlowWorker())
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with office.open(), trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        before = office.statistics.batches
        for _ in range(100):
            office.queue.submit(Barrier(), owner=UserId(1))
        nursery.start_soon(another)
        await office.queue.execute(Barrier())
        nursery.cancel_scope.cancel()

    batches = office.statistics.batches - before
    assert batches > 20
    assert turns >= batches - 2  # as many, but for the first and the last


class ClockedWorker(CountingWorker):
    """Each look at its clock finds it a little further on, and whoever wants it to be later says so."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def clock(self) -> float:  # type: ignore[override]
        self.now += 0.0005
        return self.now


async def batches_for(office: Office, operations: int) -> int:
    async with office.open():
        before = office.statistics.batches
        for number in range(operations):
            office.queue.submit(Register("ann", f"device {number}"), owner=UserId(1))
        await office.queue.execute(Barrier())
        return office.statistics.batches - before


async def test_what_takes_long_to_be_told_comes_in_smaller_batches(autojump_clock: MockClock) -> None:
    quick, slow = ClockedWorker(), ClockedWorker()
    told_slowly = Office(worker=slow)

    def tell(_committed: Committed) -> None:
        slow.now += 0.01

    told_slowly.committed = tell

    assert await batches_for(told_slowly, 200) > 2 * await batches_for(Office(worker=quick), 200)


def _note(answers: list[tuple[int, Result]], number: int, result: Result) -> None:
    answers.append((number, result))
