"""Where the disk is waited for: one long-lived thread, as a write transaction begins and commits on the same."""

import os
import queue
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import outcome
import trio

T = TypeVar("T")


class Worker(Protocol):
    async def run(self, job: Callable[[], T], then: Callable[[], object] | None = None) -> T:
        """Run the job where waiting hurts nobody. Cancelling waits for it: a commit is never abandoned.

        `then` is run behind it, before any other job, and not waited for. It must not raise.
        """
        ...

    def close(self) -> None:
        """No further jobs."""
        ...


class InlineWorker:
    """Runs jobs at once, in the caller's task: for the simulation, where there is one thread."""

    async def run(self, job: Callable[[], T], then: Callable[[], object] | None = None) -> T:
        await trio.lowlevel.cancel_shielded_checkpoint()
        result = job()
        if then is not None:
            then()
        return result

    def close(self) -> None:
        pass


class _Job(Generic[T]):
    __slots__ = ("function", "result", "then")

    def __init__(self, function: Callable[[], T], then: Callable[[], object] | None) -> None:
        self.function = function
        self.then = then
        self.result: outcome.Outcome[T] | None = None


class ThreadWorker:
    """Runs jobs one after another in a thread of its own.

    It tells that one is done through a descriptor that the waiting task reads: half the way of trio's own for
    threads, which wakes a task that wakes the one that waits.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._done = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], T], then: Callable[[], object] | None = None) -> T:
        given = _Job(job, then)
        self._jobs.put(given)
        with trio.CancelScope(shield=True):
            while given.result is None:
                await trio.lowlevel.wait_readable(self._done)
                os.eventfd_read(self._done)
        return given.result.unwrap()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()
        os.close(self._done)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.result = outcome.capture(job.function)
            os.eventfd_write(self._done, 1)
            if job.then is not None:
                job.then()
