"""A running `DynamicSupervisor`, and `Children`, the handle through which its children come and go.

Its children know nothing of each other, so nothing is done in turn: a start is a spawn by whoever asks, a restart is
a spawn by the child that ended, and a child that is gone is forgotten at once. Its loop only waits for the end. So a
start takes no step of the supervisor's task, and one slow start delays nobody; OTP's simple_one_for_one starts one
after the other.
"""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count

import trio

from bimip.supervision.child import Incarnation
from bimip.supervision.errors import (
    ChildFailedToStart,
    DuplicateChild,
    MaxChildren,
    NoSuchProcess,
    SupervisorGaveUp,
    SupervisorStopping,
    WouldDeadlock,
)
from bimip.supervision.notify import Notify
from bimip.supervision.policy import Action, Exit, ExitReason, Restart, on_end
from bimip.supervision.running import Running, Runtime, Slot, State
from bimip.supervision.snapshot import ChildInfo, Counts, counts_of, info_of
from bimip.supervision.spec import ChildSpec, DynamicSupervisor, check_significance


class RunningDynamicSupervisor(Running):
    __slots__ = ("_ended", "_over", "_spec", "_to_restart", "_verdict", "closed", "handle")

    def __init__(self, spec: DynamicSupervisor, child: Incarnation, world: Runtime) -> None:
        super().__init__(spec, child, world)
        self._spec = spec
        self._over = False
        self._ended = Notify()
        self._verdict: SupervisorGaveUp | None = None
        # The ids of children that stop in order to restart, with a list that their successor is put into for who waits.
        self._to_restart: dict[str, list[Incarnation]] = {}
        self.closed = False
        self.handle = Children(self)

    async def run(self) -> Exit:
        async with trio.open_nursery() as self.nursery:
            self.me.run_in(self.nursery.cancel_scope)
            try:
                if self._spec.on_ready is not None:
                    self._spec.on_ready(self.handle)
                self.me.started(self.handle)
                while not self._over:
                    await self._ended
            finally:
                self._over = True
                with trio.CancelScope(shield=True):
                    await self._stop_all()
        if self._verdict is not None:
            raise self._verdict
        return Exit.SHUTDOWN

    @property
    def stopping(self) -> bool:
        return self._over or self.me.stopping

    def add(self, spec: ChildSpec, *, also_stopping: bool = False) -> Incarnation:
        """Spawn a new child. With `also_stopping`, a supervisor that is stopping takes one that is cancelled from the
        outset.
        """
        if self.closed or (self.stopping and not also_stopping):
            raise SupervisorStopping(self.path)
        if spec.id in self.slots:
            raise DuplicateChild(f"{self.path} has a child {spec.id!r}")
        if self._spec.max_children is not None and len(self.slots) >= self._spec.max_children:
            raise MaxChildren(f"{self.path} has {len(self.slots)} children")
        check_significance(spec, self.auto_shutdown)
        slot = self.slots[spec.id] = Slot(spec, self)
        child = self.spawn(slot)
        if self.stopping:
            self.ask_to_stop(slot)
        return child

    def slot_of(self, child_id: str) -> Slot:
        slot = self.slots.get(child_id)
        if slot is None:
            raise NoSuchProcess(f"{self.path} has no child {child_id!r}")
        return slot

    def child_ended(self, child: Incarnation, reason: ExitReason) -> None:
        slot = self.slots[child.id]
        if child.asked or self.stopping:
            successor = self._to_restart.pop(child.id, None)
            if successor is not None and not self.stopping:
                successor.append(self.spawn(slot))
            else:
                self._forget(slot)
            self.note_end(slot, child, reason, Action.IGNORE)
            return
        never_started = not slot.was_ready
        will = Action.IGNORE if never_started else on_end(slot.spec.restart, reason.exit, started=child.ready)
        if will is Action.IGNORE:
            self._forget(slot)
            self.note_end(slot, child, reason, will)
            if not never_started and self.is_over_with(slot):
                self._end()
        elif self.window.add(trio.current_time()):
            self.note_end(slot, child, reason, will)
            slot.restarts += 1
            self.spawn(slot)
        else:
            self._forget(slot)
            self.note_end(slot, child, reason, Action.GIVE_UP)
            self._verdict = self.give_up(child, reason)
            self._end()

    def _end(self) -> None:
        self._over = True
        self._ended.notify()

    async def restart_child(self, child_id: str) -> None:
        """Stop it and start it. Cancelling leaves that to be done."""
        slot = self.slot_of(child_id)
        old = slot.child
        assert old is not None
        successor = self._to_restart.setdefault(child_id, [])
        self.ask_to_stop(slot)
        await self.wait_gone(old)
        if not successor:
            raise SupervisorStopping(self.path) if self.stopping else NoSuchProcess(f"{old.path} was terminated")
        [child] = successor
        await child.wait_settled()
        if not child.ready:
            assert child.reason is not None
            raise ChildFailedToStart(child.path, child.reason) from child.reason.error

    async def terminate_child(self, child_id: str) -> None:
        """Stop it and await its end. Cancelling leaves it stopping."""
        slot = self.slot_of(child_id)
        self.terminate_nowait(slot)
        assert slot.child is not None
        await self.wait_gone(slot.child)

    def terminate_nowait(self, slot: Slot) -> None:
        self._to_restart.pop(slot.spec.id, None)
        assert slot.child is not None
        self.ask_to_stop(slot)

    def _forget(self, slot: Slot) -> None:
        self.enter(slot, State.STOPPED)
        slot.child = None
        del self.slots[slot.spec.id]

    async def _stop_all(self) -> None:
        for slot in self.slots.values():
            self.ask_to_stop(slot)
        await self._wait_all_gone()
        self.closed = True  # else those who come as it stops, again and again, would keep it from its end
        while self.slots:
            await self._wait_all_gone()

    async def _wait_all_gone(self) -> None:
        for slot in list(self.slots.values()):
            if slot.child is not None:
                await self.wait_gone(slot.child)


class Children:
    """The children of one incarnation of a dynamic supervisor. After that one's end every start raises
    SupervisorStopping.
    """

    __slots__ = ("_numbers", "_running")

    def __init__(self, running: RunningDynamicSupervisor) -> None:
        self._running = running
        self._numbers = count(1)

    def __repr__(self) -> str:
        return f"<Children of {self.path}: {len(self)}>"

    def __contains__(self, child_id: object) -> bool:
        """Whether there is such a child, also while it is stopping."""
        return child_id in self._running.slots

    def __len__(self) -> int:
        return len(self._running.slots)

    @property
    def path(self) -> str:
        return self._running.path

    async def start_child(self, spec: ChildSpec) -> object:
        """Start a child and wait until it is ready; returns what it passed to `started()`.

        Raises ChildFailedToStart, DuplicateChild, MaxChildren or SupervisorStopping. A child whose first start fails
        is forgotten and not counted. Cancelling stops the child, unless it was ready already.
        """
        running = self._running
        child = running.add(spec)
        try:
            await child.wait_settled()
        finally:
            if not child.ready and not child.ended:
                running.terminate_nowait(running.slots[spec.id])
        if child.ready:
            return child.value
        if running.stopping:
            raise SupervisorStopping(running.path)
        assert child.reason is not None
        raise ChildFailedToStart(child.path, child.reason) from child.reason.error

    def start_child_nowait(self, spec: ChildSpec) -> None:
        """Start a child; whether that succeeds is in the reports alone. Raises DuplicateChild, MaxChildren or
        SupervisorStopping.
        """
        self._running.add(spec)

    def start_soon(self, async_fn: Callable[..., Awaitable[object]], *args: object, name: object = None) -> None:
        """Run a function as a temporary child with a generated id: what `trio.serve_tcp` wants of a `handler_nursery`.

        While the supervisor is stopping the function runs cancelled, as in a cancelled nursery, so that it can close
        what it was handed. Raises MaxChildren, and SupervisorStopping when those are gone that it stopped.
        """
        number = str(next(self._numbers))
        while number in self:
            number = str(next(self._numbers))
        child_id = number if name is None else f"{name}-{number}"
        spec = ChildSpec(child_id, _Call(async_fn, args), Restart.TEMPORARY, ready_at_once=True)
        self._running.add(spec, also_stopping=True)

    async def terminate_child(self, child_id: str) -> None:
        """Stop a child within its `shutdown` and await its end. Cancelling leaves it stopping.

        Raises NoSuchProcess, and WouldDeadlock to the child itself and all below it: those use
        `terminate_child_nowait`.
        """
        slot = self._running.slot_of(child_id)
        if slot.child is not None and slot.child.is_around(trio.lowlevel.current_task()):
            raise WouldDeadlock(f"{slot.child.path} cannot await its own end")
        await self._running.terminate_child(child_id)

    def terminate_child_nowait(self, child_id: str) -> None:
        """Ask a child to stop. Raises NoSuchProcess."""
        self._running.terminate_nowait(self._running.slot_of(child_id))

    def which_children(self) -> Sequence[ChildInfo]:
        return [info_of(slot) for slot in self._running.slots.values()]

    def count_children(self) -> Counts:
        return counts_of(self._running)


class _Call:
    """The start of a function that knows nothing of its child. There are thousands: a closure is three times as big."""

    __slots__ = ("_args", "_async_fn")

    def __init__(self, async_fn: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        self._async_fn = async_fn
        self._args = args

    def __call__(self, _child: object) -> Awaitable[object]:
        return self._async_fn(*self._args)
