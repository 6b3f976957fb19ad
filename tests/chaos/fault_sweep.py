"""Kills a task, or makes it raise, at one place after another where it waits, and sees that all is well again.

A world is a whole server under load, in virtual time and from a seed (`virtual.py`, `misbehaving_peers.py`).
`await_points.py` leads every await of the server through here. What was done least is done next: whichever task comes
first to a place that still lacks something, it happens to that one, before, within or after what it awaits. Then the
tree must have its shape again and every device its connection before the next one is chosen; nobody but those concerned
may have lost theirs. When a world ends, the kit's `checker.py` holds what the clients saw against the invariants.
"""

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from random import Random
from types import ModuleType
from typing import Any, NamedTuple, cast

import structlog
import trio
from trio.testing import MockClock

import bimip.reloading  # noqa: F401 - what is swept does not load it by itself
from bimip import app, parts, processes
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.operations import Append, Operation, Outcomes, Register, Registered, Result
from bimip.domain.core.operations import Refused as RefusedOperation
from bimip.journal.queue import OperationQueue, Owner, Reply, Ticket, ignore
from bimip.supervision import (
    ChildFailedToStart,
    Crashed,
    Exit,
    GaveUp,
    Overdue,
    Report,
    Restart,
    State,
    SupervisionError,
    SupervisorGaveUp,
)
from bimip.supervision.child import Incarnation
from bimip.supervision.running import Running
from bimip.testing.virtual import seeded_scheduler
from tests.chaos.await_points import Holds, Site, Visit, held, modules_below, sites_of
from tests.chaos.misbehaving_peers import EID as ODD
from tests.chaos.misbehaving_peers import visit_again_and_again
from tests.chaos.virtual import VirtualFleet, VirtualWorld, open_virtual_world
from tests.kit.actor import CALM, Mood
from tests.kit.checker import explain
from tests.kit.coverage import unmeasured
from tests.kit.faults import COMMITS, StoreFault
from tests.kit.history import Name, Refused

NAMES = tuple(
    Name(user, device) for user in ("alice", "bob", "carol") for device in ("phone", "laptop")[: 1 + (user != "carol")]
)
BUSY = Mood(writes=True, cuts=True, dawdles=True, pause_seconds=0.5)
FIXED = (
    "timers",
    "health",
    "journal",
    "users",
    "push",
    "webhooks",
    "calls",
    "locations",
    "presence",
    "retention",
    "gateway",
    "gateway/poller",
    "gateway/connections",
    "gateway/listener",
    "console",
)
PERIOD = 60.0
"""Of the root's restart budget, in seconds."""
RECOVERY_SECONDS = 60
MAX_WORLD_SECONDS = 60
TRACE_CHARACTERS = 3000
STUCK_SECONDS = 1000
PATIENT = 100_000
"""The root's intensity in two worlds of three: there the parts below it can be hit more often than it allows."""
MAX_BLOWS = 2
"""More, to what is just recovering."""
CHOOSY = 0.7
GOODBYE_SECONDS = 4
PATIENCE = (0.15, 0.15, 0.15, 1.5)
"""Until something else is chosen than what was done least."""
IN_ONE_STEP = (StoreFault.UNFIT, StoreFault.APPLY, StoreFault.DECIDING_READ, StoreFault.FULL)
NOT_SWEPT = (
    "bimip.client",
    "bimip.cli",
    "bimip.app",
    "bimip.run",
    "bimip.environment",
    "bimip.testing",
    "bimip.conformance",
)
"""All other packages are: one that comes is, without a word here."""
ENDPOINTS = "bimip.api."
SHARED_BY_ENDPOINTS = {f"{ENDPOINTS}{name}" for name in ("application", "caller", "devices", "endpoint", "events")}
"""The others say what is asked for, and wait for nothing but what these do."""


class SweepBoom(Exception):  # noqa: N818 - a defect has no better name
    """A defect that shows at one place."""


class How(NamedTuple):
    verb: str  # "kill" or "raise"
    moment: str  # "before", "within" or "after" what is awaited

    def __str__(self) -> str:
        return f"{self.verb} {self.moment}"


HOWS = tuple(How(verb, moment) for verb in ("kill", "raise") for moment in ("before", "within", "after"))

RESTING = {"RunningSupervisor.run: await self._wake", "RunningDynamicSupervisor.run: await self._ended"}
"""Where a supervisor spends its life."""


class Injection(NamedTuple):
    site: Site
    how: How
    path: str
    child: Incarnation
    was_ready: bool

    def __str__(self) -> str:
        return f"{self.how} {self.site} of {self.path}"


@cache
def modules() -> list[ModuleType]:
    others = set(modules_below(*NOT_SWEPT))
    return [
        module
        for module in modules_below("bimip")
        if module not in others
        and (not module.__name__.startswith(ENDPOINTS) or module.__name__ in SHARED_BY_ENDPOINTS)
        and sites_of([module])
    ]


IMPOSSIBLE = {
    (
        "ThreadWorker.run: await trio.lowlevel.wait_readable(self._done)",
        How("raise", "before"),
    ): "the job was handed over right above: nothing can raise between the two",
    (
        "Gateway.serve_connection: await connection.aclose()",
        How("raise", "before"),
    ): "it begins with plain code that ends the sender, and awaits after that",
    (
        "Gateway.serve_connection: await trio.aclose_forcefully(socket)",
        How("raise", "before"),
    ): "nothing stands before it that could raise, and nobody else closes the socket",
} | {
    (line, How("raise", moment)): "nobody would close what it has opened: what raises here comes before that"
    for line in (
        "open_tcp: return await trio.open_tcp_listeners(port, host=host)",
        "open_loopback: return await trio.open_tcp_listeners(port, host=host)",
        "Listener.run: listeners = await self._open_listeners(self._settings.host, self.port)",
        "make_console.console: listeners = await listen()",
    )
    for moment in ("within", "after")
}
"""What could not happen."""


def allowed(site: Site) -> Sequence[How]:
    """The supervision library's own places are for killing; what a supervisor raises, it raises where it rests."""
    if not site.module.startswith("bimip.supervision"):
        return [how for how in HOWS if (f"{site.function}: {site.text}", how) not in IMPOSSIBLE]
    return [how for how in HOWS if how.verb == "kill" or (is_resting(site) and how.moment == "within")]


def is_resting(site: Site) -> bool:
    return f"{site.function}: {site.text}" in RESTING


def kind_of(path: str) -> str:
    _, *parts = path.split("/")
    if not parts:
        return "the root"
    if parts[0] == "users":
        return ("users", "session", "device", parts[-1])[len(parts) - 1]
    if parts[:2] == ["gateway", "connections"] and len(parts) == 3:
        return "connection"
    return parts[-1]


class Sweep:
    """Over many worlds."""

    def __init__(self) -> None:
        self.sites = sites_of(modules())
        self.done: Counter[tuple[Site, How]] = Counter()
        self.tries: Counter[tuple[Site, How]] = Counter()
        self.raised: Counter[str] = Counter()
        """Supervisors, by kind: they share their code."""
        self.visited: Counter[Site] = Counter()
        self.outside: set[Site] = set()
        self.results: Counter[tuple[str, str, str]] = Counter()
        self.counts: Counter[str] = Counter()
        self.store_faults: Counter[StoreFault] = Counter()
        self.failures: list[str] = []

    @property
    def injections(self) -> int:
        return sum(self.done.values())

    def hits(self, site: Site) -> int:
        return sum(self.done[site, how] for how in HOWS)

    def lacks(self, visit: Visit, how: How, level: int) -> bool:
        site = visit.site
        if how.verb == "raise" and is_resting(site):
            return self.raised[kind_of(visit.child.path)] < level
        return self.done[site, how] + self.tries[site, how] // 3 < level

    def missed(self) -> list[Site]:
        """Places that were come by, and never hit."""
        return [site for site in self.sites if self.visited[site] and not self.hits(site)]

    def run_world(self, seed: int, injections: int, *, hunts: bool = False) -> None:
        """`hunts`: only at places that were never hit."""
        episode = Episode(self, seed, hunts=hunts)
        try:
            with unmeasured(), held(modules(), episode.holds), seeded_scheduler(seed), watched(episode):
                trio.run(episode.run, injections, clock=MockClock(autojump_threshold=0))
        except Exception as error:  # noqa: BLE001 - whatever left the server is what this looks for
            trace = "".join(traceback.format_exception(error))[-TRACE_CHARACTERS:]
            self.failures.append(f"seed {seed}: escaped {flat(error)} after {episode.last}\n{trace}")
        self.visited += episode.holds.visits
        self.outside |= episode.holds.outside
        self.counts["worlds"] += 1
        self.failures += [f"seed {seed}: {failure}" for failure in episode.failures]


def flat(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(flat, error.exceptions))
    return f"{type(error).__name__}: {error}"


def is_ours(error: BaseException | None) -> bool:
    """Whether it is all of our making."""
    if isinstance(error, BaseExceptionGroup):
        # Whoever is killed while a task of theirs raises leaves both behind, in one group.
        _, raised = error.split(trio.Cancelled)
        return raised is not None and all(map(is_ours, raised.exceptions))
    if isinstance(error, ChildFailedToStart | SupervisorGaveUp):
        return error.reason.exit is Exit.KILLED or is_ours(error.reason.error)
    return isinstance(error, SweepBoom)


class Episode:
    """One world: the plan that its `Holds` asks, and what watches over it."""

    def __init__(self, sweep: Sweep, seed: int, *, hunts: bool) -> None:
        self.sweep = sweep
        self.holds = Holds(self)
        self.failures: list[str] = []
        self.last = "nothing"
        self._seed = seed
        self._hunts = hunts
        self._random = Random(f"sweep {seed}")
        self._ready = False
        self._level = 1
        self._is_choosy = False
        self._pending: tuple[Visit, How] | None = None
        self._blows: list[Injection] = []
        self._unanswered: Counter[Operation] = Counter()
        self._names: dict[tuple[UserId, DeviceId], Name] = {}
        self._losses: dict[Name, int] = {}
        self._woken = trio.Event()
        self._planned = trio.Event()
        self._world: VirtualWorld
        self._fleet: VirtualFleet
        self._files = {module.__name__: module.__file__ for module in modules()}

    def entering(self, visit: Visit) -> None:
        if not self._ready:
            return
        how = self._choose(visit)
        if how is None:
            return
        if how.moment == "before":
            self._fire(visit, how)
        else:
            self._ready = False
            self._pending = visit, how
            self._planned.set()

    def leaving(self, visit: Visit) -> None:
        if self._pending is not None and self._pending[0] is visit and self._pending[1].moment == "after":
            self._fire(visit, self._pending[1])

    def ended(self, visit: Visit) -> None:
        if self._pending is not None and self._pending[0] is visit:
            self._give_way()

    def _give_way(self) -> None:
        """What was planned did not come about."""
        assert self._pending is not None
        visit, how = self._pending
        self.sweep.tries[visit.site, how] += 1
        self._pending = None
        self._ready = True

    def _choose(self, visit: Visit) -> How | None:
        wanted = [
            how
            for how in allowed(visit.site)
            if how.moment in visit.moments and self.sweep.lacks(visit, how, self._level)
        ]
        if not wanted or not self._may_end(visit.child) or not self._is_next(visit):
            return None
        return self._random.choice(wanted)

    def _is_next(self, visit: Visit) -> bool:
        """A second blow is for the one that the first hit, as it ends or its successor starts, or for those above.

        Mostly at a place that was never hit: these are hard to come by.
        """
        if self._hunts:
            return not self.sweep.hits(visit.site)
        if not self._blows:
            return True
        if self._is_choosy and self.sweep.hits(visit.site):
            return False
        first, this = f"{self._blows[0].path}/", f"{visit.child.path}/"
        return this.startswith(first) or first.startswith(this)

    def _may_end(self, child: Incarnation) -> bool:
        """Neither the root, nor what would spend its supervisor's last restart."""
        above = child._owner
        if not isinstance(above, Running) or child.ended:
            return False
        slot = above.slots.get(child.id)
        if slot is None or slot.child is not child:
            return False
        if slot.spec.restart is Restart.TEMPORARY or above.window.intensity == 0:
            return True
        return above.window.used(trio.current_time()) < above.window.intensity - 1

    def _fire(self, visit: Visit, how: How) -> None:
        self._pending = None
        self._level = 1
        self._ready = len(self._blows) < MAX_BLOWS
        child = visit.child
        if how.verb == "kill" and self._random.random() < 0.25:
            child = self._ancestor(child)
        injection = Injection(visit.site, how, child.path, child, child.ready)
        self._blows.append(injection)
        self.last = ", then ".join(map(str, self._blows))
        self.sweep.done[visit.site, how] += 1
        self._woken.set()
        if how.verb == "kill":
            child.kill()
        else:
            boom = SweepBoom(str(injection))
            self.sweep.raised[kind_of(child.path)] += 1
            if how.moment != "within":
                raise boom
            if not visit.throw(boom):
                self.sweep.done[visit.site, how] -= 1
                self.sweep.tries[visit.site, how] += 1
                self._blows.remove(injection)

    def _ancestor(self, child: Incarnation) -> Incarnation:
        above: list[Incarnation] = []
        one = child
        while isinstance(one._owner, Running):
            one = one._owner.me
            if self._may_end(one):
                above.append(one)
        return self._random.choice(above) if above else child

    async def run(self, injections: int) -> None:
        intensity = PATIENT if self._seed % 3 else None
        async with open_virtual_world(self._seed, intensity=intensity) as self._world, trio.open_nursery() as crowd:
            trio.lowlevel.spawn_system_task(self._unstick)
            self._count_answers(self._world.server.queue)
            self._fleet = fleet = VirtualFleet(self._world.gate, self._seed, crowd)
            fleet.launch(NAMES)
            await fleet.come_to_rest()
            fleet.behave(BUSY)
            async with trio.open_nursery() as odd:
                for number in range(3):
                    odd.start_soon(visit_again_and_again, self._world, Random(f"odd {self._seed} {number}"))
                odd.start_soon(self._fail_now_and_then)
                odd.start_soon(self._follow_plans)
                await self._inject(injections)
                self._ready, self._pending = False, None
                odd.cancel_scope.cancel()
            await self._rest()
            crowd.cancel_scope.cancel()
        self._check_nothing_is_left()

    def _count_answers(self, queue: OperationQueue) -> None:
        """Whatever happens, each operation is answered, and once."""
        submit = queue.submit

        def submit_and_count(operation: Operation, reply: Reply = ignore, *, owner: Owner = None) -> Ticket:
            self._unanswered[operation] += 1

            def answer(result: Result) -> None:
                self._unanswered[operation] -= 1
                self._note_refused(operation, result)
                reply(result)

            return submit(operation, answer, owner=owner)

        vars(queue)["submit"] = submit_and_count

    def _note_refused(self, operation: Operation, result: Result) -> None:
        """A message that was refused for the moment is stored behind what came later, also where its writer's
        connection ended before it heard of that.
        """
        if isinstance(result, Registered):
            assert isinstance(operation, Register)
            self._names[result.user, result.device] = Name(operation.eid, operation.device)
        if not isinstance(operation, Append):
            return
        writer = self._names[operation.user, operation.device]
        outcomes = [result] * len(operation.messages) if isinstance(result, RefusedOperation) else result
        for message, outcome in zip(operation.messages, cast("Outcomes", outcomes), strict=True):
            if isinstance(outcome, RefusedOperation):
                self._fleet.history.append(Refused(writer, message.id, outcome.fault.name, unknown=True))

    async def _unstick(self) -> None:
        """A world that never ends is a failure, and must not be the end of the sweep."""
        await trio.sleep(STUCK_SECONDS)
        states = [f"{one.path} {one.state.name} {one.waiting_at}" for one in self._snapshot().walk()]
        self.failures.append(f"stuck after {self.last}: {states}")
        while True:
            for visit in list(self.holds.live):
                visit.throw(SweepBoom("stuck"))
            await trio.sleep(10)

    async def _inject(self, injections: int) -> None:
        count = 0
        until = trio.current_time() + MAX_WORLD_SECONDS
        while count < injections and trio.current_time() < until:
            if self._hunts and not self.sweep.missed():
                break
            self._losses = {device.name: len(device.losses) for device in self._fleet.members}
            self._ready, self._woken = True, trio.Event()
            self._is_choosy = self._random.random() < CHOOSY
            if self._random.random() < 0.1 and not self._hunts:
                self._fire_at_one_that_waits()
            with trio.move_on_after(self._random.choice(PATIENCE)) as patience:
                await self._woken.wait()
            if self._blows:
                await self._recover()
                count += len(self._blows)
                self._blows = []
                self._level = 1
            elif patience.cancelled_caught and not self._hunts:
                self._fire_at_one_that_waits()
                self._level += 1

    async def _follow_plans(self) -> None:
        """What is to happen within waits a moment; what is to happen after, until then."""
        while True:
            await self._planned.wait()
            self._planned = trio.Event()
            if self._pending is not None and self._pending[1].moment == "within":
                visit, how = self._pending
                await trio.sleep(self._random.choice([0, 0, 0, 0.001, 0.02, 0.3]))
                if self._pending == (visit, how) and visit in self.holds.live:
                    self._fire(visit, how)
            elif self._pending is not None:
                with trio.move_on_after(2):
                    await self._planned.wait()
                self._give_way_if_pending()

    def _give_way_if_pending(self) -> None:
        if self._pending is not None and not self._planned.is_set():
            self._give_way()

    def _fire_at_one_that_waits(self) -> None:
        within = [how for how in HOWS if how.moment == "within"]
        found = [
            (visit, how)
            for visit in self.holds.live
            for how in within
            if how in allowed(visit.site)
            and "within" in visit.moments
            and self.sweep.lacks(visit, how, self._level)
            and self._may_end(visit.child)
        ]
        if found:
            self._check_debug_tree()
            self._fire(*self._random.choice(found))

    async def _fail_now_and_then(self) -> None:
        """The disk fails, or a batch cannot be written."""
        while True:
            await trio.sleep(self._random.uniform(2, 8))
            store = self._world.store
            fault = self._random.choice([*IN_ONE_STEP, None, None])
            faults = [fault] if fault is not None else self._failing_commits()
            store.disarm(*faults)  # a second one of its kind would come at once
            store.arm(*faults)
            if self._random.random() < 0.4 and self._world.server.processes is not None:
                with suppress(SupervisionError):
                    await self._world.server.processes.restart("bimip/journal")

    def _failing_commits(self) -> list[StoreFault]:
        self._world.store.disarm(*COMMITS, StoreFault.REOPEN)
        first, again = self._random.choice(COMMITS), self._random.randint(0, 1)
        return [first, *[StoreFault.COMMIT] * again, *[StoreFault.REOPEN] * self._random.randint(0, 2)]

    async def _recover(self) -> None:
        """Until all is well again. Often something else happens to what is on its way there."""
        deadline = trio.current_time() + RECOVERY_SECONDS
        await self._wait_ended(self._blows[0], deadline)
        await trio.sleep(0.05)
        self._ready, self._pending = False, None
        for blow in self._blows[1:]:
            await self._wait_ended(blow, deadline)
        await trio.sleep(0.1)  # until its peer has seen it
        while missing := self._missing():
            if trio.current_time() > deadline:
                self.failures.append(f"after {self.last} there is still no {missing}")
                raise AssertionError("it does not recover")
            await trio.sleep(0.05)
        self._check_isolation()
        for blow in self._blows:
            self._note(blow)

    @staticmethod
    async def _wait_ended(injection: Injection, deadline: float) -> None:
        if injection.how.verb == "kill":
            with trio.move_on_at(deadline):
                await injection.child.wait_ended()
        elif kind_of(injection.path) == "connection":  # it says goodbye first
            with trio.move_on_after(GOODBYE_SECONDS):
                await injection.child.wait_ended()

    def _missing(self) -> str:
        running = {one.path for one in self._snapshot().walk() if one.state is State.RUNNING}
        for path in FIXED:
            if f"bimip/{path}" not in running:
                return path
        for device in self._fleet.members:
            if device.link is None:
                return f"connection of {device.name}"
            for part in ("", "/reader", "/fetcher"):
                if f"bimip/users/{device.name}{part}" not in running:
                    return f"{device.name}{part}"
        return ""

    def _snapshot(self) -> Any:
        assert self._world.server.processes is not None
        return self._world.server.processes.snapshot()

    def _check_isolation(self) -> None:
        ended = {device.name: device.losses[self._losses[device.name] :] for device in self._fleet.members}
        lost = [name for name, ends in ended.items() if ends]
        connections = sum(kind_of(blow.path) == "connection" for blow in self._blows)
        concerned = {name for blow in self._blows for name in self._concerned(blow)}
        others = [name for name in lost if name not in concerned]
        if len(others) > connections:
            costs = [f"{name}: {ended[name]}" for name in others]
            self.failures.append(f"{self.last} cost connections: {', '.join(costs)}")

    @staticmethod
    def _concerned(blow: Injection) -> Sequence[Name]:
        """Whose connection may be lost by it; one more for each connection that was hit itself."""
        kind, parts = kind_of(blow.path), blow.path.split("/")
        if kind in {"users", "gateway", "connections"}:
            return NAMES
        if kind == "session":
            return [name for name in NAMES if name.eid == parts[2]]
        if kind in {"device", "reader"} or (kind == "fetcher" and not blow.was_ready):
            return [name for name in NAMES if (name.eid, name.device) == tuple(parts[2:4])]
        return ()

    def _note(self, injection: Injection) -> None:
        """What became of it; and the debug tree must say the same."""
        child = injection.child
        verb = "killed" if injection.how.verb == "kill" else "raised"
        result = "went on"
        if child.ended:
            found = [one for one in self._snapshot().walk() if one.path == injection.path]
            permanent = bool(found) and found[0].restart is Restart.PERMANENT
            result = "restarted" if permanent else "ended, its device came back" if found else "ended"
            above = child._owner
            is_known = isinstance(above, Running) and not above.me.ended and not child.asked
            told = permanent and found[0].last_crash is not None and found[0].restarts
            if permanent and is_known and found[0].state is State.RUNNING and not told:
                self.failures.append(f"the debug tree knows nothing of {injection}: {found[0]}")
        elif injection.how.verb == "kill":
            self.failures.append(f"{injection} did not end it")
        self.sweep.results[kind_of(injection.path), verb, result] += 1

    def _check_debug_tree(self) -> None:
        """Where it says that a process waits, that one does."""
        waiting: dict[str, set[str]] = {}
        for visit in self.holds.live:
            place = f"{self._files[visit.site.module]}:{visit.site.line}"
            waiting.setdefault(visit.child.path, set()).add(place)
        for one in self._snapshot().walk():
            place = one.waiting_at.rpartition(" ")[0] if " " in one.waiting_at else ""
            if place and place.rpartition(":")[0] in self._files.values() and one.path in waiting:
                self.sweep.counts["places of the debug tree compared"] += 1
                if place not in waiting[one.path]:
                    self.failures.append(f"the debug tree says {one.path} waits at {place}, not {waiting[one.path]}")

    async def _rest(self) -> None:
        fleet, server = self._fleet, self._world.server
        self._world.store.disarm()
        fleet.behave(CALM)
        try:
            await fleet.come_to_rest()
        except AssertionError as error:
            self.failures.append(f"{error} (the last was {self.last})")
            return
        violations = fleet.violations()
        if violations:
            self.failures.append(explain(violations))
        for kind in ("lost", "duplicated", "reordered"):
            self.sweep.counts[kind] += sum(violation.kind == kind for violation in violations)
        self.sweep.counts += fleet.counts()
        self.sweep.store_faults += self._world.store.sprung
        self.sweep.counts["connections"] += fleet.connections()
        await trio.sleep(PERIOD + 1)
        if server.readiness():
            self.failures.append(f"not ready: {server.readiness()}")
        if missing := self._missing():
            self.failures.append(f"at the end there is no {missing}")
        await self._check_everybody_leaves()

    async def _check_everybody_leaves(self) -> None:
        for device in self._fleet.members:
            device.leave()
        await trio.sleep(10)
        server = self._world.server
        paths = {one.path.removeprefix("bimip/") for one in self._snapshot().walk()} - {"bimip"}
        if wrong := {type(one).__name__: count for one, count in self._unanswered.items() if count}:
            self.failures.append(f"operations that were never answered, or twice: {wrong}")
        left = {
            "processes": paths - set(FIXED),
            "users": set(server.users._sessions),
            "numbers": server.users._by_number,
            "turns": server.users._turns,
            "pending_sends": server.services.pending_sends,
            "operations": len(server.queue),
            "suspects": len(server.queue.suspects),
        }
        if any(left.values()):
            self.failures.append(f"all have left, and these are still there: {left} (odd ones: {ODD})")

    def _check_nothing_is_left(self) -> None:
        if self.holds.live:
            self.failures.append(f"still waiting after the end: {[str(visit.site) for visit in self.holds.live]}")

    def take_report(self, event: Report) -> None:
        if isinstance(event, GaveUp | Overdue):
            self.failures.append(f"after {self.last}: {event}")
        elif isinstance(event, Crashed) and event.reason.error is not None and not is_ours(event.reason.error):
            self.failures.append(f"after {self.last}: {event.path} {event.reason}\n{event.traceback}")

    def take_error(self, what: str, error: BaseException) -> None:
        """Something that was answered and went no further."""
        self.sweep.counts["errors contained"] += 1
        if not is_ours(error) and what not in EXPECTED:
            self.failures.append(f"after {self.last}: {what}: {flat(error)}")

    def take_log(self, _logger: object, _method: str, event: Any) -> Any:
        error = event.get("exc_info")
        if error:
            found = error if isinstance(error, BaseException) else sys.exc_info()[1]
            if found is not None:
                self.take_error(event["event"], found)
        raise structlog.DropEvent


EXPECTED = {"store failed", "store full", "batch refused by the store", "operation set aside", "a connection failed"}
"""What the failing disk makes the journal say, and an operation that was there at two crashes; and what Hypercorn makes
of a send that raised when it had happened.
"""


@contextmanager
def watched(episode: Episode) -> Iterator[None]:
    reports: list[tuple[ModuleType, str, Callable[..., Any]]] = [
        (parts, "report", episode.take_error),
        (processes, "report", episode.take_error),
        (app, "report_process", episode.take_report),
    ]
    before = [(module, name, vars(module)[name]) for module, name, _ in reports]
    configured = structlog.get_config()
    for module, name, take in reports:
        vars(module)[name] = take
    structlog.configure(processors=[episode.take_log], cache_logger_on_first_use=False)
    try:
        yield
    finally:
        for module, name, take in before:
            vars(module)[name] = take
        structlog.configure(**configured)
