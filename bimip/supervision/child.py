"""One run of a child: what its function gets (`Child`), and what its supervisor holds (`Incarnation`). They are one
object.

Cancel scopes are good for one use, so each restart makes a new one. The life of an incarnation:

    starting -- started() --> running -- asked to stop, killed, or by itself --> ended
        |                                                                         ^
        +------------------------- failed to start -------------------------------+

It runs inside a cancel scope that is shielded from all others: only its supervisor cancels it. (One that is itself a
supervisor opens a nursery for its children, whose scope serves for this: see `run_in`.) `ask_to_stop` cancels that
scope and sets the deadline of every grace scope, open now or later. Asking again can only bring the deadline
nearer, and kill() is the deadline that is over already: so a kill, or a shorter time from further up, cuts a stop
that is under way.
"""

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import trio

from bimip.supervision import paths
from bimip.supervision.notify import Notify
from bimip.supervision.policy import Exit, ExitReason

CHILD_OF: ContextVar[Callable[[trio.lowlevel.Task], "Child | None"]] = ContextVar("bimip.supervision.child_of")
"""Of the tree that a task is in: which child has this task, itself and not below it, if any has. One value for all
tasks of a tree: one for each child would be a context of its own for each.
"""

_RETURNED = ExitReason(Exit.NORMAL)

Details = Callable[[], Mapping[str, object]]


class Supervising(Protocol):
    """A supervisor as its children's incarnations see it. Both are called within the child's own task, and must not
    raise.
    """

    @property
    def path(self) -> str: ...

    def begin(self, child: "Incarnation") -> Awaitable[Any]:
        """The body of its task, for it to await; a supervisor's says how it ended."""

    def child_ready(self, child: "Incarnation") -> None: ...

    def child_ended(self, child: "Incarnation", reason: ExitReason) -> None: ...


class RunningChildren(Protocol):
    """The children that run inside an incarnation that is a supervisor."""

    def tighten(self, deadline: float) -> None:
        """End whatever is stopping by `deadline`."""


class Child:
    """A running task's view of its place in the tree."""

    __slots__ = (
        "_deadline",
        "_details",
        "_graces",
        "_owner",
        "_ready",
        "_stopping",
        "_value",
        "_waiters",
        "id",
        "path",
    )

    def __init__(self, child_id: str, owner: Supervising) -> None:
        self.id = child_id
        self.path = f"{owner.path}/{paths.escape(child_id)}" if owner.path else paths.escape(child_id)
        """The address in the tree, such as "bimip/users/alice@example.org/phone"; see `paths` for the escaping of
        ids.
        """
        self._owner = owner
        self._deadline = math.inf
        self._details: Details | None = None
        self._graces: tuple[trio.CancelScope, ...] = ()
        self._ready = False
        self._stopping = False
        self._value: object = None
        self._waiters: tuple[Notify, ...] = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    @property
    def stopping(self) -> bool:
        """True once this child was asked to stop, or killed."""
        return self._stopping

    def started(self, value: object = None) -> None:
        """Say that this child is ready: whoever starts it goes on, and `start_child` returns `value`. Once only."""
        if self._ready:
            raise RuntimeError(f"{self.path} said twice that it started")
        self._ready = True
        self._value = value
        self._owner.child_ready(self._incarnation())
        self._wake()

    @contextmanager
    def grace(self) -> Iterator[trio.CancelScope]:
        """Clean up in here, in a `finally`: shielded from the cancellation, and cut `shutdown` seconds after the
        child was asked to stop.

        Before it is asked to stop there is no limit; a kill cuts at once.
        """
        with trio.CancelScope(deadline=self._deadline, shield=True) as scope:
            self._graces += (scope,)
            try:
                yield scope
            finally:
                self._graces = tuple(other for other in self._graces if other is not scope)

    def describe(self, details: Details) -> None:
        """Show what `details()` returns in each snapshot: statistics such as a backlog."""
        self._details = details

    def _incarnation(self) -> "Incarnation":
        assert isinstance(self, Incarnation)
        return self

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, ()
        for notify in waiters:
            notify.notify()


def current_child() -> Child:
    """The child that the calling task is, or works for. LookupError outside of any."""
    child = child_around(trio.lowlevel.current_task())
    if child is None:
        raise LookupError("this task works for no child")
    return child


def child_around(task: trio.lowlevel.Task | None) -> Child | None:
    """Finds the child around the calling task, of the tree that it is in."""
    child_of = CHILD_OF.get(None)
    while child_of is not None and task is not None:
        child = child_of(task)
        if child is not None:
            return child
        task = task.parent_nursery.parent_task if task.parent_nursery is not None else None
    return None


class Incarnation(Child):
    """The supervisor's side."""

    __slots__ = ("_scope", "asked", "ended", "inside", "killed", "reason", "task")

    def __init__(self, child_id: str, owner: Supervising) -> None:
        super().__init__(child_id, owner)
        self._scope: trio.CancelScope | None = None  # until it runs
        self.asked = False  # its end is its supervisor's doing, and so no business of the restart policy
        self.killed = False
        self.ended = False
        self.inside: RunningChildren | None = None
        self.reason: ExitReason | None = None
        self.task: trio.lowlevel.Task | None = None

    @property
    def ready(self) -> bool:
        return self._ready

    @property
    def value(self) -> object:
        return self._value

    @property
    def deadline(self) -> float:
        """When its time to stop is over; inf while it was not asked."""
        return self._deadline

    @property
    def details(self) -> Details | None:
        return self._details

    async def run(self) -> None:
        """The child's task. Raises only what is not an `Exception`.

        It is the first frame of each task, of which trio keeps a second one: each variable here counts twice.
        """
        self.task = trio.lowlevel.current_task()
        try:
            body = self._owner.begin(self)
            if self.inside is None:
                with self.run_in(trio.CancelScope()):
                    await body
                self.reason = _RETURNED
            else:
                self.reason = ExitReason(await body)
        except Exception as error:  # noqa: BLE001 -- here a child's failure becomes a fact for its supervisor
            self.reason = ExitReason(Exit.CRASHED, error)
        finally:
            self._end()

    def run_in(self, scope: trio.CancelScope) -> trio.CancelScope:
        """Sets the scope that cancels it from now on: no other's cancellation comes through."""
        self._scope = scope
        scope.shield = True
        if self._stopping:
            scope.cancel()
        return scope

    def ask_to_stop(self, deadline: float) -> None:
        """Cancel, with time for grace until `deadline`. May be called again, and before the task runs."""
        self.asked = True
        self._cancel(deadline)

    def kill(self) -> None:
        """End it as if it had crashed, with everything below it. One that was asked to stop before merely stops at
        once.
        """
        self.killed = not self.asked
        self._cancel(-math.inf)

    def tighten(self, deadline: float) -> None:
        if deadline >= self._deadline:
            return
        self._deadline = deadline
        for scope in self._graces:
            scope.deadline = deadline
        if self.inside is not None:
            self.inside.tighten(deadline)

    async def wait_settled(self) -> None:
        """Until it is ready or has ended. Cancelling is safe."""
        if not self._ready and not self.ended:
            await self._wait()

    async def wait_ended(self) -> None:
        """Until it has ended and its supervisor's books say so. Cancelling is safe."""
        while not self.ended:
            await self._wait()

    def is_around(self, task: trio.lowlevel.Task) -> bool:
        """Whether `task` is this child's, or a task below it."""
        while task is not self.task:
            if task.parent_nursery is None:
                return False
            task = task.parent_nursery.parent_task
        return True

    def _cancel(self, deadline: float) -> None:
        self._stopping = True
        self.tighten(deadline)
        if self._scope is not None:
            self._scope.cancel()

    async def _wait(self) -> None:
        notify = Notify()
        self._waiters += (notify,)
        await notify

    def _classify(self) -> ExitReason:
        """Classifies how it ended. What ended it by itself stands in `reason`, if something did."""
        reason = self.reason
        if reason is None:
            # KeyboardInterrupt or its like passes through: it ends the tree, and nothing is to be restarted.
            self.asked = self._stopping = True
            reason = _RETURNED
        if self.killed:
            return ExitReason(Exit.KILLED, reason.error)
        if self._stopping and reason.error is None:
            return ExitReason(Exit.KILLED if trio.current_time() >= self._deadline else Exit.SHUTDOWN)
        return reason

    def _end(self) -> None:
        reason = self._classify()
        # Of one that had started nobody asks; and an error, its traceback and the frame that holds this one hold each
        # other until the next collection.
        self.reason = None if self._ready else reason
        self.ended = True
        self.task = None
        self.inside = None
        self._details = None
        self._owner.child_ended(self, reason)
        self._wake()
