"""The root: `open_tree`, and what an operator or a chaos test may do to a running tree."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import trio

from bimip.supervision import paths
from bimip.supervision.child import CHILD_OF, Incarnation
from bimip.supervision.dynamic import Children, RunningDynamicSupervisor
from bimip.supervision.errors import (
    ChildFailedToStart,
    NoSuchProcess,
    ProcessKilled,
    RootHasNoSupervisor,
    SupervisorGaveUp,
    WouldDeadlock,
)
from bimip.supervision.policy import Action, ExitReason
from bimip.supervision.reports import Report, guarded
from bimip.supervision.running import ChildTable, Running, Runtime, Slot, State
from bimip.supervision.snapshot import (
    Budget,
    ChildInfo,
    Counts,
    Opened,
    Snapshot,
    budget_of,
    counts_of,
    info_of,
    inside,
    path_of,
    snapshot_of,
)
from bimip.supervision.spec import ChildSpec, DynamicSupervisor, Factory, Supervisor
from bimip.supervision.static import RunningSupervisor


def _begin(world: Runtime, spec: ChildSpec, child: Incarnation) -> Awaitable[Any]:
    """The body of one incarnation. No coroutine around it, as each costs its frame for as long as the child lives."""
    start = spec.start
    if isinstance(start, Factory):
        start = start.make()
    if isinstance(start, Supervisor):
        return RunningSupervisor(start, child, world).run()
    if isinstance(start, DynamicSupervisor):
        return RunningDynamicSupervisor(start, child, world).run()
    if spec.ready_at_once:
        child.started()
    return start(child)


class _Root(ChildTable):
    """The keeper of the root: it keeps one slot and restarts nothing."""

    __slots__ = ("failure", "slot")

    def __init__(self, spec: ChildSpec, world: Runtime) -> None:
        super().__init__(world)
        self.slot = self.slots[spec.id] = Slot(spec, self)
        self.failure: Exception | None = None
        self._context.run(CHILD_OF.set, self._child_of)

    def _child_of(self, task: trio.lowlevel.Task) -> Incarnation | None:
        """The tasks of children have their paths for names."""
        try:
            child = _find(self.slot, task.name).child
        except NoSuchProcess:
            return None
        return child if child is not None and child.task is task else None

    @property
    def path(self) -> str:
        return ""

    def child_ended(self, child: Incarnation, reason: ExitReason) -> None:
        self.enter(self.slot, State.STOPPED)
        self.note_end(self.slot, child, reason, Action.IGNORE)
        if isinstance(reason.error, SupervisorGaveUp | ChildFailedToStart):
            self.failure = reason.error
        elif not child.ready and not child.asked:
            self.failure = ChildFailedToStart(child.path, reason)
            self.failure.__cause__ = reason.error
        elif child.killed:
            self.failure = ProcessKilled(child.path)
        else:
            self.failure = reason.error
        assert self.nursery is not None
        self.nursery.cancel_scope.cancel()

    async def restart_child(self, child_id: str) -> None:
        raise RootHasNoSupervisor(f"{child_id} is the root")

    async def terminate_child(self, _child_id: str) -> None:
        """Stop the whole tree, which also ends the body of `open_tree`."""
        if self.slot.child is not None and not self.slot.child.ended:
            self.ask_to_stop(self.slot)
            await self.wait_gone(self.slot.child)


class Tree:
    """A running tree. Paths are those of `Child.path`; what is not there raises NoSuchProcess."""

    def __init__(self, root: Slot) -> None:
        self._root = root

    @property
    def path(self) -> str:
        return path_of(self._root)

    def snapshot(self, path: str | None = None, *, folded: bool = False, opened: Opened | None = None) -> Snapshot:
        """The tree, or the part of it at `path`. Walks every task below, so mind how often; `folded` leaves out the
        children of dynamic supervisors, but for those that are `opened`.
        """
        return snapshot_of(self._root if path is None else self._find(path), folded=folded, opened=opened)

    def budgets(self, *, folded: bool = False) -> Mapping[str, Budget]:
        """The restart budget of every running supervisor, by path; `folded` leaves out those below dynamic ones."""
        found: dict[str, Budget] = {}
        slots = [self._root]
        while slots:
            slot = slots.pop()
            running = inside(slot)
            if running is not None:
                found[path_of(slot)] = budget_of(running)
                if not (folded and running.is_dynamic):
                    slots.extend(running.slots.values())
        return found

    def which_children(self, path: str) -> Sequence[ChildInfo]:
        return [info_of(slot) for slot in self._supervisor(path).slots.values()]

    def count_children(self, path: str) -> Counts:
        return counts_of(self._supervisor(path))

    def children(self, path: str) -> Children:
        """The handle of the dynamic supervisor at `path`, good for its present incarnation."""
        running = self._supervisor(path)
        if not isinstance(running, RunningDynamicSupervisor):
            raise NoSuchProcess(f"{path} is not a dynamic supervisor")
        return running.handle

    async def kill(self, path: str) -> None:
        """End a process as if it had crashed, with no time for grace, and await its end. Its supervisor then does as
        for a crash.

        One that is down already, between two starts, stays as it is. The killer may be inside: it is cancelled with
        the rest. Cancelling leaves it dying.
        """
        child = self._find(path).child
        if child is not None and not child.ended:
            child.kill()
            await child.wait_ended()

    async def restart(self, path: str) -> None:
        """Stop a process in order, start it again, and wait until it is ready. This one alone, and not counted
        against the intensity.

        Raises ChildFailedToStart (its supervisor then does as for a failed restart), SupervisorStopping,
        RootHasNoSupervisor, and WouldDeadlock to the process itself and all below it. Cancelling leaves it to be
        done.
        """
        slot = self._find_from_outside(path)
        await slot.keeper.restart_child(slot.spec.id)

    async def terminate(self, path: str) -> None:
        """Stop a process in order and await its end. It stays in the books, for `restart`, unless it is temporary or
        dynamic.

        Of the root: the whole tree, and the body of `open_tree` with it. Raises SupervisorStopping, and WouldDeadlock
        to the process itself and all below it. Cancelling leaves it to be done.
        """
        slot = self._find_from_outside(path)
        await slot.keeper.terminate_child(slot.spec.id)

    def _find(self, path: str) -> Slot:
        return _find(self._root, path)

    def _find_from_outside(self, path: str) -> Slot:
        slot = self._find(path)
        if slot.child is not None and slot.child.is_around(trio.lowlevel.current_task()):
            raise WouldDeadlock(f"{path} cannot await its own end")
        return slot

    def _supervisor(self, path: str) -> Running:
        running = inside(self._find(path))
        if running is None:
            raise NoSuchProcess(f"{path} is not a running supervisor")
        return running


def _find(root: Slot, path: str) -> Slot:
    first, *rest = paths.split(path)
    if first != root.spec.id:
        raise NoSuchProcess(f"no {path}: the root is {path_of(root)}")
    slot = root
    for child_id in rest:
        running = inside(slot)
        below = running.slots.get(child_id) if running is not None else None
        if below is None:
            raise NoSuchProcess(f"no {path}: the nearest is {path_of(slot)}")
        slot = below
    return slot


def _ignore(_fact: Report) -> None:
    pass


@asynccontextmanager
async def open_tree(
    root: ChildSpec | Supervisor | DynamicSupervisor | Factory,
    *,
    name: str = "bimip",
    now: Callable[[], float] = trio.current_time,
    report: Callable[[Report], None] = _ignore,
) -> AsyncIterator[Tree]:
    """Run a tree for as long as the body runs. The body begins when all is started, and all is stopped when it ends
    or is cancelled.

    `name` is the root's id unless `root` is a ChildSpec; `now` is the clock of `Snapshot.since` and `Crash.when`;
    `report` gets every Report.

    If the root ends, the body is cancelled, and this raises what the root raised: SupervisorGaveUp when that gave up,
    ChildFailedToStart when it could not start, ProcessKilled when it was killed, and nothing when significant
    children ended it or `Tree.terminate` did. If the body fails it raises that, and an ExceptionGroup if both did.
    Cancellation from outside goes on outside.
    """
    spec = root if isinstance(root, ChildSpec) else ChildSpec(name, root)
    above = _Root(spec, Runtime(now, trio.lowlevel.current_clock().current_time, guarded(report), _begin))
    failure: Exception | None = None
    async with trio.open_nursery() as above.nursery:
        child = above.spawn(above.slot)
        try:
            await child.wait_settled()
            if child.ready:
                yield Tree(above.slot)
        except Exception as exc:  # noqa: BLE001 -- raised below, outside the nursery, which would wrap it
            failure = exc
        finally:
            with trio.CancelScope(shield=True):
                await above.terminate_child(spec.id)
    if failure is not None and above.failure is not None:
        raise ExceptionGroup("the tree failed, and so did the body", [above.failure, failure])
    if failure is not None:
        raise failure
    if above.failure is not None:
        raise above.failure
