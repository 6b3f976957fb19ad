"""Where the disk is waited for: one long-lived thread, as a write transaction begins and commits on the same."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

import outcome
import trio

T = TypeVar("T")


class Worker(Protocol):
    async def run(self, job: Callable[[], T]) -> T:
        """Run the job where waiting hurts nobody. Cancelling waits for it: a commit is never abandoned."""
        ...

    def close(self) -> None:
        """No further jobs."""
        ...


class InlineWorker:
    """Runs jobs at once, in the caller's task: for the simulation, where there is one thread."""

    async def run(self, job: Callable[[], T]) -> T:
        await trio.lowlevel.cancel_shielded_checkpoint()
        return job()

    def close(self) -> None:
        pass


class ThreadWorker:
    """Runs jobs one after another in a thread of its own."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], T]) -> T:
        token = trio.lowlevel.current_trio_token()
        task = trio.lowlevel.current_task()

        def run_and_report() -> None:
            result = outcome.capture(job)
            token.run_sync_soon(trio.lowlevel.reschedule, task, outcome.Value(result))

        def no_abort(_: object) -> trio.lowlevel.Abort:
            return trio.lowlevel.Abort.FAILED

        self._jobs.put(run_and_report)
        result: outcome.Outcome[T] = await trio.lowlevel.wait_task_rescheduled(no_abort)
        return result.unwrap()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
