import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from bimip.journal.worker import QUICK_SECONDS, InlineWorker, ThreadWorker, Worker


@pytest.fixture(params=[InlineWorker, ThreadWorker])
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def thread_worker() -> Iterator[ThreadWorker]:
    made = ThreadWorker()
    yield made
    made.close()


class NastyError(BaseException):
    pass


async def test_a_job_gives_its_value(worker: Worker) -> None:
    assert await worker.run(lambda: 42) == 42


@pytest.mark.parametrize("error", [ValueError, NastyError])
async def test_what_a_job_raises_its_caller_gets_and_the_next_job_runs(
    worker: Worker, error: type[BaseException]
) -> None:
    def job() -> None:
        raise error

    with pytest.raises(error):
        await worker.run(job)
    assert await worker.run(lambda: 1) == 1


async def test_what_follows_a_job_runs_before_the_next_one(worker: Worker) -> None:
    done: list[str] = []
    for number in range(5):
        await worker.run(partial(done.append, f"{number}"), partial(done.append, f"then {number}"))
    await worker.run(lambda: None)

    assert done == [f"{then}{number}" for number in range(5) for then in ("", "then ")]


async def test_nothing_follows_a_job_that_raised(worker: Worker) -> None:
    done: list[str] = []
    with pytest.raises(ZeroDivisionError):
        await worker.run(lambda: 1 / 0, partial(done.append, "then"))
    await worker.run(lambda: None)

    assert not done


async def test_nobody_waits_for_what_follows_a_job(thread_worker: ThreadWorker) -> None:
    go_on = threading.Event()

    assert await thread_worker.run(lambda: 42, partial(go_on.wait, 10)) == 42
    go_on.set()


async def test_a_cancelled_caller_gets_the_value_all_the_same(worker: Worker) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        value = await worker.run(lambda: 42)

    assert value == 42
    assert not scope.cancelled_caught


async def test_jobs_run_in_one_thread_that_is_not_the_loops(thread_worker: ThreadWorker) -> None:
    threads = {await thread_worker.run(threading.get_ident) for _ in range(3)}

    assert len(threads) == 1
    assert threading.get_ident() not in threads


async def test_a_commit_is_never_abandoned(thread_worker: ThreadWorker) -> None:
    begun, go_on = threading.Event(), threading.Event()
    log: list[str] = []

    def job() -> None:
        begun.set()
        go_on.wait(10)
        log.append("job ended")

    async def call() -> None:
        await thread_worker.run(job)
        log.append("caller went on")
        await trio.lowlevel.checkpoint()
        log.append("not reached")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(call)
        await wait_all_tasks_blocked()
        await trio.to_thread.run_sync(begun.wait, 10)
        nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await wait_all_tasks_blocked()
            log.append("cancelled")
        go_on.set()

    assert log == ["cancelled", "job ended", "caller went on"]


async def test_the_loop_goes_on_while_a_job_runs(thread_worker: ThreadWorker) -> None:
    event = threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(thread_worker.run, lambda: event.wait(10))
        await wait_all_tasks_blocked()
        event.set()

    assert event.is_set()


async def test_asked_to_it_works_in_the_callers_thread_and_takes_no_turn(thread_worker: ThreadWorker) -> None:
    done: list[str] = []
    with trio.testing.assert_no_checkpoints():
        found = await thread_worker.run(threading.get_ident, partial(done.append, "then"), inline=True)

    assert (found, done) == (threading.get_ident(), ["then"])


async def test_after_a_slow_job_it_may_not_work_here_for_many_more(thread_worker: ThreadWorker) -> None:
    before = thread_worker.may_run_inline
    await thread_worker.run(partial(time.sleep, 2 * QUICK_SECONDS), inline=True)
    jobs = 0
    while not thread_worker.may_run_inline and jobs < 10_000:
        jobs += 1
        await thread_worker.run(lambda: None, inline=True)

    assert before
    assert 30 < jobs < 10_000


async def test_it_may_not_work_here_while_something_is_under_way(thread_worker: ThreadWorker) -> None:
    go_on = threading.Event()
    await thread_worker.run(lambda: None, partial(go_on.wait, 10))
    meanwhile = thread_worker.may_run_inline
    go_on.set()
    await thread_worker.run(lambda: None)
    await trio.to_thread.run_sync(partial(time.sleep, 0.05))  # until it has counted that

    assert (meanwhile, thread_worker.may_run_inline) == (False, True)


def test_closing_ends_the_thread() -> None:
    before = set(threading.enumerate())
    worker = ThreadWorker()
    [thread] = set(threading.enumerate()) - before
    worker.close()

    assert not thread.is_alive()
