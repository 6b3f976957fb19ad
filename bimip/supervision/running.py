"""What both kinds of running supervisor share: the books, spawning, waiting for an end, and what they tell the outside.

A supervisor is itself a child: the loop is the body of its incarnation's task, and its children's tasks live in a
nursery that it opened, so none can outlive it. Decisions are made synchronously, in the loop (static) or in the
ending child's own task (dynamic).
"""

import math
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any, Protocol

import trio

from bimip.supervision.child import Incarnation
from bimip.supervision.errors import SupervisorGaveUp
from bimip.supervision.policy import Action, AutoShutdown, Exit, ExitReason, RestartWindow, Strategy, ends_supervisor
from bimip.supervision.reports import Crash, Crashed, GaveUp, Overdue, Progress, Report, crash_of
from bimip.supervision.spec import BRUTAL_KILL, ChildSpec, DynamicSupervisor, Supervisor
from bimip.supervision.waiting import waiting_at

PATIENCE = 1.0  # seconds beyond its deadline after which a child that does not stop is reported


class State(Enum):
    STARTING = "starting"
    RUNNING = "running"
    RESTARTING = "restarting"  # it ended, and is going to be started again
    STOPPING = "stopping"
    STOPPED = "stopped"  # it ended for good, and stays in the books


@dataclass(frozen=True, slots=True)
class Runtime:
    """The library's runtime: what reaches it from its caller, handed down the tree."""

    now: Callable[[], float]
    loop_time: Callable[[], float]
    """What `trio.current_time` says, for who need not look up the run first: every child that starts asks twice."""
    report: Callable[[Report], None]
    # Makes the body of one incarnation; given from above, because a spec may be a supervisor of either kind.
    begin: "Callable[[Runtime, ChildSpec, Incarnation], Awaitable[Any]]"


class Parent(Protocol):
    """The parent that answers for a slot."""

    world: Runtime

    @property
    def path(self) -> str: ...

    async def restart_child(self, child_id: str, /) -> None: ...

    async def terminate_child(self, child_id: str, /) -> None: ...


class Slot:
    """A child in the books, over all its incarnations."""

    __slots__ = ("child", "keeper", "last_crash", "restarts", "since", "spec", "state", "was_ready")

    def __init__(self, spec: ChildSpec, keeper: Parent) -> None:
        self.spec = spec
        self.keeper = keeper
        self.child: Incarnation | None = None
        self.was_ready = False  # in any incarnation
        self.restarts = 0
        self.last_crash: Crash | None = None
        self.state = State.STOPPED
        self.since = 0.0
        """When it came into its state, in `Runtime.loop_time`."""


class ChildTable:
    """The children of one keeper, and their tasks' nursery."""

    __slots__ = ("_context", "nursery", "slots", "world")

    def __init__(self, world: Runtime) -> None:
        self.world = world
        self.slots: dict[str, Slot] = {}
        self.nursery: trio.Nursery | None = None
        # Children inherit the supervisor's context variables, never those of whoever asked for a child or of a
        # predecessor.
        self._context: Context = copy_context()

    @property
    def path(self) -> str:
        raise NotImplementedError

    def limit(self) -> float:
        """When the keeper's own time to stop is over."""
        return math.inf

    def spawn(self, slot: Slot) -> Incarnation:
        assert self.nursery is not None
        child = Incarnation(slot.spec.id, self)
        slot.child = child
        self.enter(slot, State.STARTING)
        start_soon = partial(self.nursery.start_soon, name=child.path)
        self._context.run(start_soon, child.run)
        return child

    def begin(self, child: Incarnation) -> Awaitable[Any]:
        return self.world.begin(self.world, self.slots[child.id].spec, child)

    def enter(self, slot: Slot, state: State) -> None:
        slot.state = state
        slot.since = self.world.loop_time()

    def child_ready(self, child: Incarnation) -> None:
        slot = self.slots[child.id]
        slot.was_ready = True
        if slot.state is State.STARTING:
            self.enter(slot, State.RUNNING)
        self.world.report(Progress(child.path, slot.restarts))

    def child_ended(self, child: Incarnation, reason: ExitReason) -> None:
        raise NotImplementedError

    def ask_to_stop(self, slot: Slot) -> None:
        """Within the child's `shutdown`, or what is left of the supervisor's own time."""
        assert slot.child is not None
        if slot.state is not State.STOPPING:
            self.enter(slot, State.STOPPING)
        slot.child.ask_to_stop(min(trio.current_time() + slot.spec.shutdown_seconds, self.limit()))

    async def wait_gone(self, child: Incarnation) -> None:
        if child.ended:
            return
        with trio.move_on_at(max(child.deadline, trio.current_time()) + PATIENCE):
            await child.wait_ended()
        if not child.ended:
            self.world.report(Overdue(child.path, waiting_at(child.task)))
            await child.wait_ended()

    def note_end(self, slot: Slot, child: Incarnation, reason: ExitReason, will: Action) -> None:
        """Remember and report a failure; an end that was asked for, or that changes nothing, is none."""
        if child.asked:
            expected = (
                not child.killed
                and reason.exit is not Exit.CRASHED
                and (reason.exit is not Exit.KILLED or child.deadline == BRUTAL_KILL)
            )
        else:
            expected = reason.exit in {Exit.NORMAL, Exit.SHUTDOWN} and will is Action.IGNORE and child.ready
        if expected:
            return
        slot.last_crash = crash_of(reason, self.world.now())
        self.world.report(Crashed(child.path, reason, slot.last_crash.traceback, slot.restarts, will))


class Running(ChildTable):
    """A running supervisor, seen from its children and from the tree."""

    __slots__ = ("auto_shutdown", "is_dynamic", "me", "window")

    def __init__(self, spec: Supervisor | DynamicSupervisor, child: Incarnation, world: Runtime) -> None:
        super().__init__(world)
        self.me = child
        self.window = RestartWindow(spec.intensity, spec.period)
        self.auto_shutdown = spec.auto_shutdown
        self.is_dynamic = isinstance(spec, DynamicSupervisor)
        child.inside = self

    @property
    def path(self) -> str:
        return self.me.path

    @property
    def strategy(self) -> Strategy | None:
        """Whom a restart concerns, where children know of each other."""
        return None

    def limit(self) -> float:
        return self.me.deadline

    def tighten(self, deadline: float) -> None:
        for slot in self.slots.values():
            if slot.child is not None and slot.child.stopping:
                slot.child.tighten(deadline)

    def give_up(self, child: Incarnation, reason: ExitReason) -> SupervisorGaveUp:
        intensity, period = self.window.intensity, self.window.period
        self.world.report(GaveUp(self.path, child.id, reason, intensity, period))
        verdict = SupervisorGaveUp(self.path, reason, child=child.id, intensity=intensity, period=period)
        verdict.__cause__ = reason.error
        return verdict

    def is_over_with(self, ended: Slot) -> bool:
        """Whether the end of this child, which was neither asked for nor is to be restarted, ends the supervisor."""
        if self.auto_shutdown is AutoShutdown.NEVER:
            return False
        others = sum(
            slot.spec.significant and slot.state is not State.STOPPED
            for slot in self.slots.values()
            if slot is not ended
        )
        return ends_supervisor(self.auto_shutdown, significant=ended.spec.significant, others=others)
