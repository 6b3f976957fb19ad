"""Where the disk is waited for: one long-lived thread, as a write transaction begins and commits on the same.

Or the event loop itself. The way to a thread and back is two processors that wake each other from a deep sleep, a
tenth of the time that a single message takes; a loop that has nothing else to do may as well wait, as long as the disk
is quick. One commit that is not costs all connections its time, once: then it is the thread's again for hundreds.
"""

import queue
import socket
import threading
import time
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import outcome
import trio

T = TypeVar("T")

QUICK_SECONDS = 0.004
DECAY = 0.98
"""Decay of the slowest recent duration, per job."""


class Point(Enum):
    """The kind of a job, for workers that let it fail, take long or be cut short: those of tests."""

    OTHER = auto()
    COMMIT = auto()


class Worker(Protocol):
    @property
    def clock(self) -> Callable[[], float]:
        """Tells seconds, by which work in the loop's thread is measured; they stand still where time is virtual."""
        ...

    def idle_seconds(self) -> float:
        """A clock that stands still while the caller's thread works."""
        ...

    @property
    def may_run_inline(self) -> bool:
        """Nothing is under way, and what was done last was done quickly."""
        ...

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,
    ) -> T:
        """Run the job where waiting hurts nobody; or `inline`, in the caller's thread and without a checkpoint.

        Cancelling waits for it: a commit is never abandoned. `then` is run behind it, before any other job, and not
        waited for; unless the job raised. It must not raise.
        """
        ...

    def close(self) -> None:
        """No further jobs."""
        ...


class InlineWorker:
    """Runs jobs at once, in the caller's task: for the simulation, where there is one thread."""

    may_run_inline = False

    clock = staticmethod(float)  # always 0

    def idle_seconds(self) -> float:
        return 0.0

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,  # noqa: ARG002 - it always is
        point: Point = Point.OTHER,  # noqa: ARG002 - all are alike
    ) -> T:
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


class Thread(Protocol):
    """Calls what it is given, one after another and in this order."""

    def give(self, call: Callable[[], None]) -> None: ...

    def close(self) -> None:
        """No further ones; those that were given are done when it returns."""
        ...


class JobThread:
    """A thread of its own, that lives long."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)
        self._thread.start()

    def give(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def close(self) -> None:
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class ThreadWorker:
    """Runs jobs one after another in a thread of its own.

    It tells that one is done through a socket that the waiting task reads: half the way of trio's own for threads,
    which wakes a task that wakes the one that waits. So one task at a time may wait.
    """

    clock = staticmethod(time.perf_counter)

    def __init__(self, thread: Thread | None = None) -> None:
        self._thread = thread or JobThread()
        self._done, self._tell = socket.socketpair()
        self._given = self._finished = 0  # jobs: by the loop, by the thread
        self._slowest = 0.0  # seconds, of the jobs of late

    def idle_seconds(self) -> float:
        return trio.current_time() - time.thread_time()

    @property
    def may_run_inline(self) -> bool:
        return self._given == self._finished and self._slowest < QUICK_SECONDS

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,  # noqa: ARG002 - all are alike
    ) -> T:
        if inline:
            result: T = self._timed(job)
            if then is not None:
                then()
            return result
        given = _Job(job, then)
        self._given += 1
        self._thread.give(partial(self._do, given))
        with trio.CancelScope(shield=True):
            while given.result is None:
                await trio.lowlevel.wait_readable(self._done)
                self._done.recv(1)
        assert given.result is not None
        value: T = given.result.unwrap()
        return value

    def close(self) -> None:
        self._thread.close()
        self._done.close()
        self._tell.close()

    def _do(self, job: _Job[Any]) -> None:
        job.result = result = outcome.capture(self._timed, job.function)
        self._tell.send(b"!")
        if job.then is not None and isinstance(result, outcome.Value):
            job.then()
        self._finished += 1

    def _timed(self, job: Callable[[], Any]) -> Any:  # noqa: ANN401 - any job's value
        begin = self.clock()
        try:
            return job()
        finally:
            self._slowest = max(self.clock() - begin, self._slowest * DECAY)
