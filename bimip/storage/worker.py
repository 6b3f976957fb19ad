"""Where the disk is waited for: one long-lived thread, as a write transaction begins and commits on the same."""

import queue
import socket
import threading
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

import outcome
import trio

T = TypeVar("T")


class Worker(Protocol):
    async def run(self, job: Callable[[], T], then: Callable[[], object] | None = None) -> T:
        """Run the job where waiting hurts nobody. Cancelling waits for it: a commit is never abandoned.

        `then` is run behind it, before any other job, and not waited for; unless the job raised. It must not raise.
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

    result: outcome.Outcome[T] | None

    def __init__(self, function: Callable[[], T], then: Callable[[], object] | None) -> None:
        self.function = function
        self.then = then
        self.result = None


class ThreadWorker:
    """Runs jobs one after another in a thread of its own.

    It tells that one is done through a socket that the waiting task reads: half the way of trio's own for threads,
    which wakes a task that wakes the one that waits. So one task at a time may wait.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._done, self._tell = socket.socketpair()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[], T], then: Callable[[], object] | None = None) -> T:
        given = _Job(job, then)
        self._jobs.put(given)
        with trio.CancelScope(shield=True):
            while given.result is None:
                await trio.lowlevel.wait_readable(self._done)
                self._done.recv(1)
        result = given.result
        assert result is not None
        return result.unwrap()

    def close(self) -> None:
        self._jobs.put(None)
        self._thread.join()
        self._done.close()
        self._tell.close()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(job)

    def _do(self, job: _Job[Any]) -> None:
        job.result = result = outcome.capture(job.function)
        self._tell.send(b"!")
        if job.then is not None and isinstance(result, outcome.Value):
            job.then()
