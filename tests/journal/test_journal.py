import threading
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from math import inf
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import (
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
from bimip.domain.core.records import Changes, Table
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
from tests.journal.journal_host import BEGIN, CHAT, CountingWorker, FragileStore, JournalHost, ack, has_body, message


async def test_a_synced_start_record_comes_before_anything_is_told() -> None:
    host = JournalHost()
    seen: list[Any] = []

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            host.journal().run, lambda: seen.append((host.store.commits, host.get(Table.META, "starts")))
        )
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()

    assert seen == [(1, 1)]


async def test_the_epoch_stays_over_restarts_and_starts_are_counted() -> None:
    host = JournalHost()
    async with host.open():
        first = host.get(Table.META, "epoch")
    async with host.open():
        second = host.get(Table.META, "epoch")

    assert first == second > 0
    assert host.get(Table.META, "starts") == 2
    assert JournalHost().statistics.started is False


async def test_two_stores_have_two_epochs(autojump_clock: MockClock) -> None:
    epochs = []
    for _ in range(2):
        host = JournalHost()
        async with host.open():
            epochs.append(host.get(Table.META, "epoch"))
        await trio.sleep(0.001)

    assert len(set(epochs)) == 2


async def test_a_store_that_was_put_back_begins_another_epoch_once(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        first = host.get(Table.META, "epoch")
    await trio.sleep(1)
    host.store.put_back = "an older copy"
    for _ in range(2):
        async with host.open():
            second = host.get(Table.META, "epoch")

    assert second > first
    assert host.statistics.put_back == "an older copy"
    assert [str(error) for _, error in host.reports] == ["an older copy"]
    assert [committed.another_epoch for committed in host.told] == [False, True, False]


async def test_two_restores_of_one_backup_have_two_epochs_also_where_the_wall_clock_is_behind() -> None:
    host = JournalHost()
    host.wall_clock = partial(Millis, BEGIN)
    async with host.open():
        copy = host.store._state.copy()
    host.wall_clock = partial(Millis, BEGIN - 3_600_000)
    epochs = []
    for _ in range(2):
        host.store._state = copy.copy()
        host.store.put_back = "an older copy"
        async with host.open():
            epochs.append(host.get(Table.META, "epoch"))
        host.store.newest_served = host.get(Table.META, "clock")

    assert len(set(epochs)) == 2


async def test_no_stamp_and_no_conversation_is_given_again_after_an_older_store_was_put_back() -> None:
    """By these clients know what they have."""
    host = JournalHost()
    host.wall_clock = partial(Millis, BEGIN)
    async with host.open():
        ann, _ = await host.pair()
        await host.device("cat")
        before = await host.execute(message(ann, "before"))
        copy = host.store._state.copy()
        lost = await host.execute(message(ann, "lost", to="cat"))
    host.store._state = copy
    host.store.put_back = "an older copy"
    host.store.newest_served = lost.stamp
    async with host.open():
        again = await host.execute(message(ann, "again"))
        await host.device("dan")
        other = await host.execute(message(ann, "other", to="dan"))

    assert before.stamp < lost.stamp < again.stamp
    assert again.conversation == before.conversation
    assert other.conversation not in {before.conversation, lost.conversation}


@pytest.mark.parametrize("seconds", [0, 1_000_000, 300_000_000])
async def test_a_copy_that_is_put_back_twice_gives_no_conversation_a_number_twice(seconds: int) -> None:
    """At the same place, where the number is known; or elsewhere and later, where it is not."""
    host = JournalHost()
    host.wall_clock = partial(Millis, BEGIN)
    async with host.open():
        ann, _ = await host.pair()
        copy = host.store._state.copy()
    given = []
    for start in range(2):
        host.store._state = copy.copy()
        host.store.put_back = "an older copy"
        host.wall_clock = partial(Millis, BEGIN + start * seconds * 1000)
        async with host.open():
            for name in ("cat", "dan"):
                await host.device(name)
                given.append((await host.execute(message(ann, f"{start} {name}", to=name))).conversation)
            if not seconds:
                host.store.newest_conversation = host.get(Table.META, "conversations")

    assert len(set(given)) == 4


async def test_numbers_of_conversations_do_not_run_out_however_often_a_store_is_put_back() -> None:
    host = JournalHost()
    async with host.open():
        ann, _ = await host.pair()
    before = (1 << 32) - 10
    host.store._state.records[Table.META]["conversations",] = before
    host.store.put_back = "an older copy"
    async with host.open():
        sent = await host.execute(message(ann, "hello"))

    assert sent.conversation == before + 1


async def test_a_store_that_is_another_one_when_it_is_opened_again_begins_another_epoch(
    autojump_clock: MockClock,
) -> None:
    host = JournalHost()

    def swap(step: str, _changes: Changes | None) -> None:
        if step == "reopen":
            host.store.put_back = "another store"

    async with host.open():
        first = host.get(Table.META, "epoch")
        ann, _ = await host.pair()
        host.store.after = swap
        host.store.before = failing_once("commit", OutcomeUnknownError("the disk failed"))
        host.submit("hello", message(ann, "hello"))
        await trio.sleep(1)

    assert host.get(Table.META, "epoch") > first
    assert host.told[-1].another_epoch


def failing_once(step: str, error: StorageError) -> Callable[[str, Changes | None], None]:
    errors = [error]

    def fail(at: str, _changes: Changes | None) -> None:
        if at == step and errors:
            raise errors.pop()

    return fail


async def test_the_clock_is_ahead_of_every_stamp_ever_given_also_when_the_wall_clock_stepped_back() -> None:
    host = JournalHost()
    stamps = []
    for number, wall in enumerate([BEGIN, BEGIN - 3_600_000, BEGIN - 7_200_000, BEGIN + 1]):
        host.wall_clock = partial(Millis, wall)
        async with host.open():
            ann, _ = await host.pair()
            for name in "ab":
                sent = await host.execute(message(ann, f"{number}{name}"))
                assert isinstance(sent, Appended)
                stamps.append(sent.stamp)

    assert stamps == sorted(set(stamps))


async def test_the_reply_comes_after_the_commit_and_not_before() -> None:
    worker = CountingWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        worker.gate = trio.Event()
        host.submit("hello", message(ann, "hello"))
        await wait_all_tasks_blocked()
        before = host.answers["hello"][:], host.bodies(bob.user)
        worker.gate.set()
        await wait_all_tasks_blocked()

    assert before == ([], [])
    assert isinstance(host.answer("hello"), Appended)
    assert host.bodies(bob.user) == [b"hello"]


async def test_what_gathers_during_a_commit_is_the_next_batch() -> None:
    worker = CountingWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        worker.gate = trio.Event()
        host.submit("first", message(ann, "first"))
        await wait_all_tasks_blocked()
        commits = host.store.commits
        for number in range(50):
            host.submit(f"{number}", message(ann, f"{number}"))
            await wait_all_tasks_blocked()
        worker.gate.set()
        await wait_all_tasks_blocked()

    assert host.store.commits == commits + 2
    assert host.bodies(bob.user) == [b"first", *(b"%d" % number for number in range(50))]
    assert [host.answer(f"{number}").offset for number in range(50)] == list(range(2, 52))


async def test_an_idle_server_commits_at_once(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        begin = trio.current_time()
        await host.device("ann")

        assert trio.current_time() == begin


async def test_nothing_is_committed_for_what_changes_nothing() -> None:
    host = JournalHost()
    async with host.open():
        commits = host.store.commits

        assert await host.execute(Barrier()) == Done()
        assert host.store.commits == commits


async def test_acks_wait_for_company_20_ms_at_most(autojump_clock: MockClock) -> None:
    host = JournalHost()
    answered: list[float] = []
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(message(ann, "hello"))
        begin = trio.current_time()
        host.queue.submit(ack(bob, 1), lambda _: answered.append(trio.current_time() - begin))
        await trio.sleep(1)

    assert answered == [pytest.approx(0.020)]


async def test_a_message_does_not_wait_for_acks_and_old_ones_ride_on_the_next_batch(
    autojump_clock: MockClock,
) -> None:
    worker = CountingWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(message(ann, "hello"))
        commits, begin = host.store.commits, trio.current_time()
        host.submit("ack", ack(bob, 1))
        await host.execute(message(ann, "again"))
        overtaken = host.answers["ack"][:], trio.current_time()
        worker.gate = trio.Event()
        host.submit("slow", message(ann, "slow"))
        await trio.sleep(0.030)
        host.submit("next", message(ann, "next"))
        worker.gate.set()
        await wait_all_tasks_blocked()

        assert overtaken == ([], begin)
        assert host.answer("ack") == Acknowledged(Offset(1))
        assert host.store.commits == commits + 3


async def test_what_may_depend_on_acks_takes_them_along(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(message(ann, "hello"))
        commits, begin = host.store.commits, trio.current_time()
        host.submit("ack", ack(bob, 1))
        await host.execute(Barrier())

        assert host.answer("ack") == Acknowledged(Offset(1))
        assert (host.store.commits, trio.current_time()) == (commits + 1, begin)


async def test_an_ack_that_came_during_a_commit_does_not_wait_longer_for_it(autojump_clock: MockClock) -> None:
    worker = CountingWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(message(ann, "hello"))
        worker.gate = trio.Event()
        host.submit("slow", message(ann, "slow"))
        await trio.sleep(1)
        host.submit("ack", ack(bob, 1))
        await trio.sleep(1)
        begin = trio.current_time()
        worker.gate.set()
        await wait_all_tasks_blocked()

        assert trio.current_time() == begin
        assert host.answer("ack") == Acknowledged(Offset(1))


async def test_what_a_commit_brought_is_told_once_after_the_answers() -> None:
    host = JournalHost()
    order: list[str] = []
    async with host.open():
        ann, bob = await host.pair()

        def committed(committed: Committed) -> None:
            order.extend(["told"] * len(committed.news))

        host.committed = committed
    async with host.open():
        host.queue.submit(message(ann, "hello"), lambda _: order.append("answered"))
        await wait_all_tasks_blocked()

    assert order == ["answered", "told", "told"]  # two logs
    assert bob.user == 2


async def test_a_long_operation_goes_on_in_later_batches(autojump_clock: MockClock) -> None:
    host = JournalHost(slice_entries=3)
    async with host.open():
        ann, bob = await host.pair()
        for number in range(10):
            await host.execute(message(ann, f"{number}"))
        commits = host.store.commits
        first = await host.execute(ack(bob, 10))
        await trio.sleep(1)

    assert first == Acknowledged(Offset(3))
    assert host.get(Table.CURSORS, bob.device, CHAT).floor == 10
    assert host.store.commits == commits + 4


async def test_each_opening_of_the_store_tells_everybody_to_read_afresh(autojump_clock: MockClock) -> None:
    host = JournalHost()
    failures = iter([True])

    def fail(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and has_body(changes, b"a") and next(failures, False):
            raise OutcomeUnknownError("the disk failed")

    host.store.after = fail
    async with host.open():
        ann, _ = await host.pair()
        await host.execute(message(ann, "a"))
        await host.execute(message(ann, "b"))
    async with host.open():
        pass

    assert [committed.resync for committed in host.told] == [True, False, False, False, True, False, True]
    assert host.statistics.reopened == 1


async def test_a_decision_that_raises_costs_its_own_operation_an_error_and_nothing_else() -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        for name in ("a", "undecidable", "b"):
            host.submit(name, message(ann, name))
        await wait_all_tasks_blocked()

    assert host.answer("undecidable") == INTERNAL
    assert [host.answer(name).offset for name in "ab"] == [1, 2]
    assert host.bodies(bob.user) == [b"a", b"b"]
    assert [(what, type(error)) for what, error in host.reports] == [("decision failed", ZeroDivisionError)]
    assert host.reports[0][1].__notes__[0].startswith("Append of user ")


def at(step: str, *, body: bytes | None, error: Callable[[], BaseException]) -> Callable[[str, Changes | None], None]:
    def happen(each: str, changes: Changes | None) -> None:
        if each == step and (body is None or (changes is not None and has_body(changes, body))):
            raise error()

    return happen


async def test_a_record_that_the_store_cannot_take_costs_its_own_operation_an_error_and_nothing_else() -> None:
    host = JournalHost()
    host.store.before = at("apply", body=b"odd", error=lambda: ValueError("odd"))
    async with host.open():
        ann, bob = await host.pair()
        for name in ("a", "odd", "b"):
            host.submit(name, message(ann, name))
        await wait_all_tasks_blocked()

    assert host.answer("odd") == INTERNAL
    assert [host.answer(name).offset for name in "ab"] == [1, 2]
    assert host.bodies(bob.user) == [b"a", b"b"]
    assert host.incarnations == 1


async def test_a_reply_that_raises_costs_nobody_else_theirs() -> None:
    host = JournalHost()

    def broken(_result: Result) -> None:
        raise ZeroDivisionError

    async with host.open():
        host.submit("before", Revoke(UserId(1), "a", Millis(0)))
        host.queue.submit(Barrier(), broken)
        host.submit("after", Revoke(UserId(1), "b", Millis(0)))
        await wait_all_tasks_blocked()

    assert (host.answer("before"), host.answer("after")) == (Done(), Done())
    assert [what for what, _ in host.reports] == ["a reply failed"]


async def test_telling_a_commit_may_fail_and_the_journal_goes_on() -> None:
    host = JournalHost()

    def broken(_committed: Committed) -> None:
        raise ZeroDivisionError

    host.committed = broken
    async with host.open():
        ann, bob = await host.pair()

    assert (ann.user, bob.user) == (1, 2)
    assert [what for what, _ in host.reports] == ["telling a commit failed"] * 3  # the opening is told too


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


async def run_until_killed(host: JournalHost, counter: StepCounter) -> None:
    trio.lowlevel.add_instrument(counter)
    counter.task = trio.lowlevel.current_task()
    try:
        with counter.scope:
            await host.run()
    finally:
        trio.lowlevel.remove_instrument(counter)


async def traffic(host: JournalHost) -> None:
    """Some operations of every sort, some of them while others are being committed."""
    ann, bob = (
        Registered(host.get(Table.USERS, "ann").number, DeviceId(1)),
        Registered(host.get(Table.USERS, "bob").number, DeviceId(2)),
    )
    for number in range(3):
        host.submit(f"m{number}", message(ann, f"m{number}"))
        host.submit(f"again {number}", message(ann, f"m{number}"))
        host.submit(f"ack {number}", ack(bob, number))
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
    host.submit("barrier", Barrier())
    host.submit("cid", Register("cid", "phone"))


@pytest.mark.parametrize("thread", [False, True], ids=["inline", "thread"])
async def test_killed_at_every_await_it_loses_and_doubles_nothing(autojump_clock: MockClock, *, thread: bool) -> None:
    for step in range(1, 200):
        worker = ThreadWorker() if thread else CountingWorker()
        host = JournalHost(worker=worker)
        async with host.open():
            _, bob = await host.pair()
        counter = StepCounter(step)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_until_killed, host, counter)
            await traffic(host)
            if not thread:
                await trio.sleep(0.1)
            else:
                with trio.move_on_after(0.1):
                    await host.execute(Barrier())
            nursery.cancel_scope.cancel()
        async with host.open():
            await host.execute(Barrier())
            await trio.sleep(0.1)
        worker.close()

        assert host.bodies(bob.user) == [b"m0", b"m1", b"m2"], step
        assert {name: len(answers) for name, answers in host.answers.items()} == dict.fromkeys(host.answers, 1)
        for number in range(3):
            assert host.answer(f"m{number}").offset == host.answer(f"again {number}").offset == number + 1
        assert host.get(Table.CURSORS, 2, CHAT).floor == 2
        assert len(host.queue) == 0
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
        host = JournalHost(worker=worker)
        async with host.open(kept=True):
            _, bob = await host.pair()
            await traffic(host)
            await host.execute(Barrier())
            await trio.sleep(0.1)
            reached = worker.visits >= visit

        assert host.bodies(bob.user) == [b"m0", b"m1", b"m2"]
        assert {name: len(answers) for name, answers in host.answers.items()} == dict.fromkeys(host.answers, 1)
        assert not any(isinstance(host.answer(name), Refused) for name in host.answers)
        if not reached:
            break
    else:
        raise AssertionError("the worker was never used that often")


async def test_an_operation_that_ends_the_journal_twice_is_set_aside_and_the_others_are_served() -> None:
    host = JournalHost()
    host.store.before = at("commit", body=b"poison", error=lambda: RuntimeError("poison"))
    async with host.open(kept=True):
        ann, bob = await host.pair()
        for name in ("a", "poison", "b"):
            host.submit(name, message(ann, name))
        await wait_all_tasks_blocked()
        host.submit("later", message(ann, "later"))
        await wait_all_tasks_blocked()

    assert host.answer("poison") == UNKNOWN
    assert [isinstance(host.answer(name), Appended) for name in ("a", "b", "later")] == [True] * 3
    assert host.bodies(bob.user) == [b"a", b"b", b"later"]
    assert host.statistics.set_aside == 1
    assert host.incarnations <= 4
    (reported,) = [str(error) for what, error in host.reports if what == "operation set aside"]
    assert reported == f"Append of user {ann.user}, id 'poison' ended the journal"


async def test_a_crash_that_does_not_come_again_costs_nobody_an_error() -> None:
    host = JournalHost()
    crashes = iter([True])

    def once(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and has_body(changes, b"b") and next(crashes, False):
            raise RuntimeError("once")

    host.store.after = once
    async with host.open(kept=True):
        ann, bob = await host.pair()
        for name in "abc":
            host.submit(name, message(ann, name))
        await wait_all_tasks_blocked()

    assert [host.answer(name).offset for name in "abc"] == [1, 2, 3]
    assert [host.answer(name).duplicate for name in "abc"] == [True] * 3  # it had been on disk
    assert host.bodies(bob.user) == [b"a", b"b", b"c"]
    assert host.incarnations == 1  # one client's operation does not spend the restarts of all


async def test_suspects_are_tried_one_at_a_time_and_before_anything_newer() -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
    for name in "abc":
        host.submit(name, message(ann, name))
    host.queue.take(9)
    host.submit("newer", message(ann, "newer"))
    async with host.open():
        commits = host.store.commits
        await wait_all_tasks_blocked()

    assert host.bodies(bob.user) == [b"a", b"b", b"c", b"newer"]
    assert host.store.commits - commits in {3, 4}  # opening may have run the first already


def full(step: str) -> Callable[[str, Changes | None], None]:
    """A disk without room for new messages."""

    def happen(each: str, changes: Changes | None) -> None:
        if each == step and changes is not None and changes.appends:
            raise StoreFullError("no room")

    return happen


@pytest.mark.parametrize("step", ["apply", "commit"])
async def test_a_full_store_refuses_what_grows_and_takes_the_rest(step: str) -> None:
    worker = CountingWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        for name in ("old", "older"):
            await host.execute(message(ann, name))
        host.store.before = full(step)
        worker.gate = trio.Event()
        host.submit("first", Barrier())
        host.submit("held up", Revoke(UserId(1), "t", Millis(0)))
        await wait_all_tasks_blocked()
        expire = ExpireLog(ann.user, CHAT, earliest_stamp(Millis(BEGIN * 2)))
        host.submit("new", message(ann, "new"))
        host.submit("ack", ack(bob, 2))
        host.submit("duplicate", message(ann, "old"))
        host.submit("expire", expire)
        host.submit("new too", message(ann, "new too"))
        worker.gate.set()
        await wait_all_tasks_blocked()
        during = host.statistics.fault
        await host.execute(message(ann, "newest"))

    assert host.answer("new") == host.answer("new too") == FULL
    assert host.answer("ack") == Acknowledged(Offset(2))
    assert host.answer("duplicate").duplicate
    assert host.answer("expire") == Expired(2, more=False)
    assert during == "no room"
    assert host.bodies(bob.user) == [b"old", b"older"]
    assert {what for what, _ in host.reports} == {"store full"}
    assert host.statistics.writable is False  # it ended by now, and nothing else ended it
    assert host.incarnations == 1


def no_room(step: str, _changes: Changes | None) -> None:
    """A disk without room for anything."""
    if step == "commit":
        raise StoreFullError("no room")


async def test_a_start_on_a_full_disk_lets_those_in_who_are_known_and_heals(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(message(ann, "before"))
    host.statistics = JournalStatistics()  # as in another process
    host.store.before = no_room
    opening = OpenPosition(bob.user, bob.device, CHAT, start=1)
    async with host.open():
        answers = [
            await host.execute(one)
            for one in (Register("bob", "phone"), opening, Register("bob", "tablet"), message(ann, "during"), Barrier())
        ]
        ready = host.statistics.writable, host.statistics.fault
        told = host.told[-1:]
        host.store.before = lambda _step, _changes: None
        await trio.sleep(max(REOPEN_SECONDS))
        healed = host.statistics.writable, host.statistics.fault
        await host.execute(message(ann, "after"))

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
    assert host.bodies(bob.user) == [b"before", b"after"]
    assert [committed.resync for committed in host.told if committed.resync] == [True, True, True]
    assert host.incarnations == 2


async def test_nothing_is_read_on_a_full_disk_before_it_is_settled(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        _, bob = await host.pair()
    host.statistics = JournalStatistics()
    host.store.before = no_room
    settled: list[int] = []
    host.store.settle = lambda: settled.append(len(host.answers["bob"]))  # type: ignore[method-assign]
    host.submit("bob", Register("bob", "phone"))
    async with host.open():
        await trio.sleep(1)

    assert settled == [0]
    assert host.answer("bob") == bob


@pytest.mark.parametrize("put_back", ["", "an older copy"])
async def test_a_first_start_and_another_epoch_need_room(put_back: str) -> None:
    """Before the first start there is nothing to read; and devices would take what was put back for what they know."""
    host = JournalHost()
    if put_back:
        async with host.open():
            await host.pair()
        host.store.put_back = put_back
        host.statistics = JournalStatistics()
    host.store.before = no_room
    with pytest.raises(BaseExceptionGroup) as raised:
        async with host.open():
            pass

    assert isinstance(raised.value.exceptions[0], StoreFullError)


async def test_where_nothing_has_room_any_more_those_who_are_known_come_in() -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        host.store.before = no_room
        opening = OpenPosition(bob.user, bob.device, CHAT, start=1)
        answers = [await host.execute(one) for one in (Register("bob", "phone"), opening, Register("cat", "phone"))]
        refused = await host.execute(message(ann, "during"))

    assert answers == [bob, PositionOpened(CHAT, Offset(1), Offset(0), Offset(0), Offset(0), (), None), FULL]
    assert refused == FULL


async def test_room_that_returns_is_noticed_also_when_nobody_writes(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        ann, _ = await host.pair()
        host.store.before = no_room
        host.store.has_room = lambda: False  # type: ignore[method-assign]
        await host.execute(message(ann, "during"))
        await trio.sleep(10 * LOOK_SECONDS)
        during = host.statistics.fault
        host.store.has_room = lambda: True  # type: ignore[method-assign]
        for _ in range(100):  # it is looked for in a thread, whose time is not virtual
            if host.statistics.fault:
                await trio.sleep(LOOK_SECONDS)

        assert during
        assert host.statistics.fault == ""


async def test_a_store_that_takes_nothing_at_all_refuses_everything_and_recovers() -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        host.store.before = at("commit", body=None, error=lambda: StoreFullError("no room"))
        refused = [await host.execute(one) for one in (message(ann, "a"), Revoke(UserId(1), "t", Millis(0)))]
        host.store.before = lambda _step, _changes: None
        sent = await host.execute(message(ann, "a"))

        assert refused == [FULL, FULL]
        assert isinstance(sent, Appended)
        assert host.bodies(bob.user) == [b"a"]
        assert (host.statistics.fault, host.statistics.writable) == ("", True)


async def test_a_quota_refuses_messages_and_takes_acks() -> None:
    host = JournalHost(FragileStore(quota_bytes=2000))
    async with host.open():
        ann, bob = await host.pair()
        results = [await host.execute(message(ann, f"{number}", sent=bytes(500))) for number in range(6)]
        taken = sum(isinstance(result, Appended) for result in results)
        acknowledged = await host.execute(ack(bob, taken))

    assert 1 <= taken < 6
    assert results[taken:] == [FULL] * (6 - taken)
    assert acknowledged == Acknowledged(Offset(taken))


@pytest.mark.parametrize("moment", ["before", "after"], ids=["and was not stored", "and was stored"])
async def test_an_unknown_outcome_is_told_as_unknown_and_a_resend_finds_out(
    autojump_clock: MockClock, moment: str
) -> None:
    host = JournalHost()
    failures = iter([True])

    def fail(step: str, changes: Changes | None) -> None:
        if step == "commit" and changes is not None and has_body(changes, b"a") and next(failures, False):
            raise OutcomeUnknownError("the disk failed")

    setattr(host.store, moment, fail)
    async with host.open():
        ann, bob = await host.pair()
        for name in "ab":
            host.submit(name, message(ann, name))
        await wait_all_tasks_blocked()
        again = await host.execute(message(ann, "a"))

        assert host.answer("a") == host.answer("b") == UNKNOWN
        assert isinstance(again, Appended)
        assert again.duplicate == (moment == "after")
        assert host.bodies(bob.user)[0] == b"a"
        assert (host.statistics.writable, host.statistics.reopened) == (True, 1)


async def test_while_the_store_cannot_be_reopened_writes_are_refused_and_reads_go_on(
    autojump_clock: MockClock,
) -> None:
    host = JournalHost()
    tries: list[float] = []
    async with host.open():
        ann, bob = await host.pair()
        await host.execute(message(ann, "old"))

        def broken(step: str, _changes: Changes | None) -> None:
            if step == "commit":
                if host.statistics.writable is False:
                    tries.append(trio.current_time())
                raise OutcomeUnknownError("the disk failed")

        host.store.before = broken
        begin = trio.current_time()
        first = await host.execute(message(ann, "a"))
        await trio.sleep(0.05)
        second = await host.execute(message(ann, "b"))
        host.submit("ack", ack(bob, 1))
        await trio.sleep(20)
        during = host.bodies(bob.user), host.statistics.writable, host.statistics.fault
        host.store.before = lambda _step, _changes: None
        await trio.sleep(REOPEN_SECONDS[-1])
        third = await host.execute(message(ann, "b"))

        assert (first, second, host.answer("ack")) == (UNKNOWN, UNAVAILABLE, UNAVAILABLE)
        assert during == ([b"old"], False, "the disk failed")
        assert isinstance(third, Appended)
        assert (host.statistics.writable, host.statistics.fault) == (True, "")
    pauses = [later - earlier for earlier, later in zip([begin, *tries], tries, strict=False)]
    assert [round(pause, 3) for pause in pauses[: len(REOPEN_SECONDS) + 1]] == [0, *REOPEN_SECONDS]


async def test_a_journal_that_is_killed_while_the_store_is_broken_leaves_a_successor_that_recovers(
    autojump_clock: MockClock,
) -> None:
    """It ended at once when it could not open the store, again and again, until the whole server gave up."""
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        host.store.before = at("commit", body=None, error=lambda: OutcomeUnknownError("the disk failed"))
        await host.execute(message(ann, "a"))
    async with host.open():
        host.submit("b", message(ann, "b"))
        await trio.sleep(3)
        during = host.answers["b"][:]
        host.store.before = lambda _step, _changes: None
        await trio.sleep(REOPEN_SECONDS[-1])
        sent = await host.execute(message(ann, "c"))

    assert during == [UNAVAILABLE]
    assert isinstance(sent, Appended)
    assert host.bodies(bob.user) == [b"c"]


async def test_suspects_wait_until_the_store_is_back(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
    host.submit("suspect", message(ann, "suspect"))
    host.queue.take(9)
    host.store.before = at("commit", body=None, error=lambda: OutcomeUnknownError("the disk failed"))
    async with host.open():
        await trio.sleep(1)
        waiting = host.answers["suspect"][:]
    host.store.before = lambda _step, _changes: None
    async with host.open():
        await trio.sleep(1)

    assert waiting == []
    assert host.answer("suspect").offset == 1
    assert host.bodies(bob.user) == [b"suspect"]


async def test_the_very_first_start_fails_where_the_store_does() -> None:
    host = JournalHost()
    host.store.before = at("commit", body=None, error=lambda: StoreFullError("no room"))

    with pytest.raises(StoreFullError):
        await host.run()


async def test_killed_while_it_recovers_it_loses_none_of_the_batch(autojump_clock: MockClock) -> None:
    """A batch that is tried one by one, of which the first found the disk failing, was forgotten but for that one."""
    host = JournalHost()
    failing = False

    def broken(step: str, changes: Changes | None) -> None:
        nonlocal failing
        if step == "apply" and changes is not None and len(changes.puts.get(Table.BODIES, {})) > 1:
            failing = True
            raise ValueError("tried one by one")
        if step == "commit" and failing:
            raise OutcomeUnknownError("the disk failed")

    async with host.open():
        ann, bob = await host.pair()
        host.store.before = broken
        for name in "abc":
            host.submit(name, message(ann, name))
        await trio.sleep(3)
        failing = False
    failing = False
    async with host.open():
        host.submit("d", message(ann, "d"))
        await trio.sleep(1)

    assert host.answer("a") == UNKNOWN
    assert [len(host.answers[name]) for name in "abcd"] == [1, 1, 1, 1]
    assert host.bodies(bob.user) == [b"b", b"c", b"d"]


async def test_a_read_that_fails_refuses_the_batch_and_reopens_the_store(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        host.store.crash()  # a snapshot cannot be taken now
        refused = await host.execute(message(ann, "a"))
        await trio.sleep(1)
        sent = await host.execute(message(ann, "a"))

        assert refused == UNAVAILABLE
        assert isinstance(sent, Appended)
        assert host.bodies(bob.user) == [b"a"]
        assert host.incarnations == 1


async def test_a_question_that_fails_within_a_decision_is_nobodys_fault(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the database goes away in the middle of a batch: it was INTERNAL, behind which a client gives up."""
    host = JournalHost()

    class Gone:
        def __getattr__(self, _name: str) -> Callable[..., Any]:
            def ask(*_: object, **_more: object) -> Any:
                raise StorageError("the database does not answer")

            return ask

    async with host.open():
        ann, bob = await host.pair()
        monkeypatch.setattr(host.store, "snapshot", lambda: nullcontext(Gone()))
        host.submit("a", message(ann, "a"))
        await trio.sleep(1)
        refused = host.answer("a")
        monkeypatch.undo()
        await trio.sleep(10)
        sent = await host.execute(message(ann, "a"))

    assert refused == UNAVAILABLE
    assert isinstance(sent, Appended)
    assert host.bodies(bob.user) == [b"a"]
    assert host.incarnations == 1


async def test_a_busy_journal_can_be_cancelled() -> None:
    """It took no cancellation while the queue was never empty."""
    host = JournalHost()
    served = 0

    def again(_result: Result) -> None:
        nonlocal served
        served += 1
        if served == 20:
            scope.cancel()
        if served < 1000:
            host.queue.submit(Barrier(), again)
            host.queue.submit(Revoke(UserId(1), f"{served}", Millis(0)))

    with trio.CancelScope() as scope:
        host.queue.submit(Barrier(), again)
        await host.run()

    assert scope.cancelled_caught
    assert served == 20


async def test_a_cancellation_waits_for_the_commit_and_the_answers() -> None:
    worker = CountingWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        worker.gate = trio.Event()
        host.submit("a", message(ann, "a"))
        await wait_all_tasks_blocked()
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_open_later, worker)

    assert host.answer("a").offset == 1
    assert host.bodies(bob.user) == [b"a"]


async def _open_later(worker: CountingWorker) -> None:
    await wait_all_tasks_blocked()
    worker.gate.set()


async def test_what_waits_when_it_ends_waits_for_the_next(autojump_clock: MockClock) -> None:
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
    host.submit("a", message(ann, "a"))
    host.submit("ack", Acknowledge(bob.user, bob.device, CHAT, Offset(1)))
    before = len(host.queue)
    async with host.open():
        await trio.sleep(0.03)

    assert before == 2
    assert host.answer("a").offset == 1
    assert host.answer("ack") == Acknowledged(Offset(1))


async def test_statistics_tell_what_happened() -> None:
    host = JournalHost()
    async with host.open():
        ann, _ = await host.pair()
        await host.execute(message(ann, "a"))
        refused = await host.execute(message(ann, "b", to="nobody"))
        given = host.statistics

        assert isinstance(refused, Refused)
        assert refused.fault == Fault.NOT_FOUND
        assert (given.operations, given.refused, given.batches) == (4, 1, 4)
        assert (given.writable, given.fault, given.set_aside, given.reopened) == (True, "", 0, 0)
    assert host.statistics.writable is False


async def test_a_thread_serves_as_well() -> None:
    worker = ThreadWorker()
    host = JournalHost(worker=worker)
    async with host.open():
        ann, bob = await host.pair()
        async with trio.open_nursery() as nursery:
            for number in range(100):
                nursery.start_soon(host.execute, message(ann, f"{number}"))
    worker.close()

    assert len(host.bodies(bob.user)) == 100
    assert host.statistics.batches < 20


class WatchedStore(LmdbStore):
    """Notes where it was committed, and does not take one kind of message."""

    def __init__(self, folder: Path) -> None:
        self.committers: list[str] = []
        self.openers: list[str] = []
        self.broken = False
        super().__init__(folder, map_bytes=64 << 20)

    def reopen(self) -> None:
        self.openers.append(where())
        super().reopen()

    def apply(self, changes: Changes) -> None:
        if has_body(changes, b"unfit"):
            raise ZeroDivisionError
        super().apply(changes)

    def commit(self) -> None:
        broken, self.broken = self.broken, False
        if broken:
            self.abort()
            raise OutcomeUnknownError("it broke")
        super().commit()
        self.committers.append(where())


def where() -> str:
    return "loop" if threading.current_thread() is threading.main_thread() else "thread"


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JournalHost]:
    monkeypatch.setattr(worker_module, "QUICK_SECONDS", inf)
    worker = ThreadWorker()
    yield JournalHost(store=cast("Any", WatchedStore(tmp_path)), worker=worker)
    worker.close()


async def test_after_a_pause_the_loop_commits_and_otherwise_the_thread(
    watched: JournalHost, monkeypatch: pytest.MonkeyPatch
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


async def test_a_store_over_a_network_is_committed_and_reopened_in_the_thread_alone(
    watched: JournalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop does not wait for a network, however quiet it is."""
    monkeypatch.setattr(WatchedStore, "is_remote", True)
    monkeypatch.setattr(journal_module, "QUIET_SECONDS", -inf)
    async with watched.open():
        ann, _ = await watched.pair()
        cast("Any", watched.store).broken = True
        for number in range(3):
            await watched.execute(message(ann, f"{number}"))

    assert {*cast("Any", watched.store).committers} == {"thread"}
    assert cast("Any", watched.store).openers[1:] == ["thread"]


async def test_whoever_commits_whatever_goes_wrong_nothing_hangs(
    watched: JournalHost, monkeypatch: pytest.MonkeyPatch
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
    host = JournalHost()
    async with host.open():
        ann, bob = await host.pair()
        failing = True

        def broken(step: str, _changes: Changes | None) -> None:
            if step == "begin" and failing:
                raise StorageError("cannot begin")

        host.store.before = broken
        first = await host.execute(message(ann, "a"))  # whose transaction was open already
        second = await host.execute(message(ann, "b"))
        failing = False
        await trio.sleep(1)
        third = await host.execute(message(ann, "c"))

    assert isinstance(first, Appended)
    assert second == UNAVAILABLE
    assert isinstance(third, Appended)
    assert host.bodies(bob.user) == [b"a", b"c"]
    assert third.stamp > first.stamp > Stamp(0)


class ClockedWorker(CountingWorker):
    """Each look at its clock finds it a little further on, and whoever wants it to be later says so."""

    def __init__(self, step: float = 0.0005) -> None:
        super().__init__()
        self.now = 0.0
        self.step = step

    def clock(self) -> float:  # type: ignore[override]
        self.now += self.step
        return self.now


async def test_what_takes_long_to_decide_is_decided_in_several_batches(autojump_clock: MockClock) -> None:
    """In its order, and each answered once: others have their turn in between."""
    host = JournalHost(worker=ClockedWorker(0.01))
    answers: list[tuple[int, Result]] = []
    async with host.open():
        before = host.statistics.batches
        for number in range(10):
            host.queue.submit(Register("ann", f"device {number}"), partial(_note, answers, number))
        await host.queue.execute(Barrier())

        assert [number for number, _ in answers] == list(range(10))
        assert all(isinstance(result, Registered) for _, result in answers)
        assert host.statistics.batches - before == 11  # each takes longer than one user alone may


async def test_batches_that_write_nothing_let_others_have_their_turn(autojump_clock: MockClock) -> None:
    """Such as acknowledgements that say nothing new: there is no disk to be waited for."""
    host = JournalHost(worker=ClockedWorker(0.01))
    turns = 0

    async def another() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with host.open(), trio.open_nursery() as nursery:
        await wait_all_tasks_blocked()
        before = host.statistics.batches
        for _ in range(100):
            host.queue.submit(Barrier(), owner=UserId(1))
        nursery.start_soon(another)
        await host.queue.execute(Barrier())
        nursery.cancel_scope.cancel()

    batches = host.statistics.batches - before
    assert batches > 20
    assert turns >= batches - 2  # as many, but for the first and the last


async def batches_for(host: JournalHost, operations: int) -> int:
    async with host.open():
        before = host.statistics.batches
        for number in range(operations):
            host.queue.submit(Register("ann", f"device {number}"), owner=UserId(1))
        await host.queue.execute(Barrier())
        return host.statistics.batches - before


async def test_what_takes_long_to_be_told_comes_in_smaller_batches(autojump_clock: MockClock) -> None:
    quick, slow = ClockedWorker(), ClockedWorker()
    told_slowly = JournalHost(worker=slow)

    def tell(_committed: Committed) -> None:
        slow.now += 0.01

    told_slowly.committed = tell

    assert await batches_for(told_slowly, 200) > 2 * await batches_for(JournalHost(worker=quick), 200)


async def waits_of(host: JournalHost, *, others: int) -> list[int]:
    """How many operations of others are decided before each of one's own, who asks for one at a time. Each other has
    more to ask for than there is time, and asks again as soon as one of theirs is answered.
    """
    decided = 0
    waits = []

    def ask(number: int, _result: Result | None = None) -> None:
        nonlocal decided
        decided += 1
        host.queue.submit(Register(f"user {number}", "phone"), partial(ask, number), owner=UserId(number))

    async with host.open():
        for number in range(2, 2 + others):
            for _ in range(64):
                ask(number)
        for _ in range(10):
            until = decided + 300
            while decided < until:
                await trio.lowlevel.checkpoint()
            await host.queue.execute(Register("ann", "phone"), owner=UserId(1))
            waits.append(decided - until)
    return waits


@pytest.mark.parametrize("others", [8, 16, 40])
async def test_who_asks_for_little_waits_for_little_of_what_others_ask_for(
    autojump_clock: MockClock, others: int
) -> None:
    """However many they are: for what is left of one batch, and for one that ends soon. Each takes 0.5 ms here."""
    waits = await waits_of(JournalHost(worker=ClockedWorker()), others=others)

    assert max(waits) <= 8


async def test_where_all_ask_for_as_much_batches_stay_large(autojump_clock: MockClock) -> None:
    host = JournalHost(worker=ClockedWorker())
    async with host.open():
        before = host.statistics.batches
        for number in range(1200):
            host.queue.submit(Register(f"user {number % 40}", "phone"), owner=UserId(1 + number % 40))
        await host.queue.execute(Barrier())

        assert host.statistics.batches - before <= 1200 / 18  # 10 ms for each, and an operation takes half a one


def _note(answers: list[tuple[int, Result]], number: int, result: Result) -> None:
    answers.append((number, result))
