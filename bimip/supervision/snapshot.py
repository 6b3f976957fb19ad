"""A frozen picture of the tree, for people and for readiness checks."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import islice

import trio

from bimip.supervision import paths
from bimip.supervision.child import Details
from bimip.supervision.policy import Restart, Strategy
from bimip.supervision.reports import Crash
from bimip.supervision.running import Running, Slot, State
from bimip.supervision.spec import DynamicSupervisor
from bimip.supervision.waiting import waiting_at


class Kind(Enum):
    WORKER = "worker"
    SUPERVISOR = "supervisor"
    DYNAMIC_SUPERVISOR = "dynamic supervisor"


@dataclass(frozen=True, slots=True)
class Budget:
    """A supervisor gives up at the restart after `restarts` reached `intensity` within `period` seconds."""

    restarts: int
    intensity: int
    period: float

    @property
    def left(self) -> int:
        return max(0, self.intensity - self.restarts)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A process and all below it. Times are what `now()` said."""

    path: str
    id: str
    kind: Kind
    state: State
    restart: Restart
    restarts: int  # over the supervisor's life, also those on behalf of a sibling
    last_crash: Crash | None
    since: float  # when it came into this state
    waiting_at: str  # "file:line function"; empty if no task runs
    details: Mapping[str, object] | None  # what the task told `Child.describe`
    budget: Budget | None  # of a running supervisor
    children: "tuple[Snapshot, ...]"
    strategy: Strategy | None = None  # of a running static supervisor; a dynamic one's children are each for itself
    child_count: int = 0  # also of those that are left out

    def walk(self) -> "Iterator[Snapshot]":
        """Itself and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()


@dataclass(frozen=True, slots=True)
class ChildInfo:
    id: str
    path: str
    kind: Kind
    state: State


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts children as OTP's count_children does: `specs` are in the books, `active` of them have a task."""

    specs: int
    active: int
    supervisors: int
    workers: int


@dataclass(frozen=True, slots=True)
class Opened:
    """Chooses children of dynamic supervisors: of those at `paths`, the first `most` whose path has `containing` in it,
    in small letters. So a look costs no more than is looked at, but for one comparison with each child of such a one.
    """

    paths: Collection[str] = ()
    containing: str = ""
    most: int = 100

    def choose(self, running: Running) -> Iterable[Slot]:
        if not running.is_dynamic:
            return running.slots.values()
        if running.path not in self.paths:
            return ()
        slots = running.slots
        if self.containing in f"{running.path}/".casefold():
            return islice(slots.values(), self.most)
        return islice((slot for child_id, slot in slots.items() if self._names(child_id)), self.most)

    def _names(self, child_id: str) -> bool:
        return self.containing in paths.escape(child_id).casefold()


Choose = Callable[[Running], Iterable[Slot]]


def _all(running: Running) -> Iterable[Slot]:
    return running.slots.values()


def snapshot_of(slot: Slot, *, folded: bool = False, opened: Opened | None = None) -> Snapshot:
    """`folded`: without the children of dynamic supervisors, of which there may be very many, but for those that are
    `opened`.
    """
    world = slot.keeper.world
    choose = (opened or Opened()).choose if folded else _all
    return _snapshot_of(slot, world.now() - world.loop_time(), choose)


def _snapshot_of(slot: Slot, epoch: float, choose: Choose) -> Snapshot:
    """`epoch`: what `now()` said when `loop_time()` was 0."""
    child = slot.child
    running = inside(slot)
    below = () if running is None else choose(running)
    return Snapshot(
        path=path_of(slot),
        id=slot.spec.id,
        kind=kind_of(slot),
        state=slot.state,
        restart=slot.spec.restart,
        restarts=slot.restarts,
        last_crash=slot.last_crash,
        since=epoch + slot.since,
        waiting_at=waiting_at(child.task) if child is not None else "",
        details=_told(child.details) if child is not None and child.details is not None else None,
        budget=budget_of(running) if running is not None else None,
        children=tuple(_snapshot_of(one, epoch, choose) for one in below),
        strategy=running.strategy if running is not None else None,
        child_count=len(running.slots) if running is not None else 0,
    )


def budget_of(running: Running) -> Budget:
    window = running.window
    return Budget(window.used(trio.current_time()), window.intensity, window.period)


def info_of(slot: Slot) -> ChildInfo:
    return ChildInfo(slot.spec.id, path_of(slot), kind_of(slot), slot.state)


def counts_of(running: Running) -> Counts:
    slots: Sequence[Slot] = list(running.slots.values())
    supervisors = sum(slot.spec.is_supervisor for slot in slots)
    active = sum(slot.child is not None and not slot.child.ended for slot in slots)
    return Counts(len(slots), active, supervisors, len(slots) - supervisors)


def inside(slot: Slot) -> Running | None:
    """The running supervisor in a slot, if it is one."""
    found = slot.child.inside if slot.child is not None else None
    assert found is None or isinstance(found, Running)
    return found


def path_of(slot: Slot) -> str:
    above, own = slot.keeper.path, paths.escape(slot.spec.id)
    return f"{above}/{own}" if above else own


def kind_of(slot: Slot) -> Kind:
    if not slot.spec.is_supervisor:
        return Kind.WORKER
    running = inside(slot)
    dynamic = running.is_dynamic if running is not None else isinstance(slot.spec.start, DynamicSupervisor)
    return Kind.DYNAMIC_SUPERVISOR if dynamic else Kind.SUPERVISOR


def _told(details: Details) -> Mapping[str, object]:
    call: Callable[[], Mapping[str, object]] = details
    try:
        return dict(call())
    except Exception as exc:  # noqa: BLE001 -- a picture of a tree in trouble is worth more than none
        return {"error": f"{type(exc).__name__}: {exc}"}
