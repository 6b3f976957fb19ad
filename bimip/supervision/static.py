"""A running `Supervisor`: one loop that takes one event at a time, as OTP's supervisor takes its messages.

Events are ends of children and requests. Everything that takes time (a start, a stop) happens within the handling of
an event, so no two of them interleave. A child that ends while another event is handled waits in the queue; if a
group restart has replaced it meanwhile, its end is only reported.

A failed restart needs no code of its own: the end of the child that failed to start is the next event, is counted,
and is tried again.
"""

from enum import Enum

import trio

from bimip.supervision.child import Incarnation
from bimip.supervision.errors import ChildFailedToStart, NoSuchProcess, SupervisorGaveUp, SupervisorStopping
from bimip.supervision.notify import Notify
from bimip.supervision.policy import Action, Exit, ExitReason, Restart, Strategy, on_end, restarted_with
from bimip.supervision.running import Running, Runtime, Slot, State
from bimip.supervision.spec import Supervisor

_Verdict = SupervisorGaveUp | ChildFailedToStart | Exit


class _Do(Enum):
    RESTART = "restart"
    TERMINATE = "terminate"


class _Request:
    """Somebody waits for this: it is answered whatever becomes of the supervisor."""

    __slots__ = ("child_id", "do", "done", "error")

    def __init__(self, do: _Do, child_id: str) -> None:
        self.do = do
        self.child_id = child_id
        self.done = trio.Event()
        self.error: Exception | None = None

    def answer(self, error: Exception | None = None) -> None:
        self.error = error
        self.done.set()


_End = tuple[Slot, Incarnation, ExitReason]


class RunningSupervisor(Running):
    __slots__ = ("_closed", "_current", "_events", "_initial", "_spec", "_wake")

    def __init__(self, spec: Supervisor, child: Incarnation, world: Runtime) -> None:
        super().__init__(spec, child, world)
        self._spec = spec
        self._events: list[_End | _Request] = []  # short; an empty deque takes 600 bytes
        self._wake = Notify()
        self._current: _Request | None = None
        self._initial = True
        self._closed = False
        for each in spec.children:
            self.slots[each.id] = Slot(each, self)

    @property
    def strategy(self) -> Strategy:
        return self._spec.strategy

    async def run(self) -> Exit:
        verdict: _Verdict | None = None
        async with trio.open_nursery() as self.nursery:
            self.me.run_in(self.nursery.cancel_scope)
            try:
                verdict = await self._start_all()
                while verdict is None:
                    while not self._events:
                        await self._wake
                    # A supervisor that was told to stop, or killed, starts nothing any more.
                    await trio.lowlevel.checkpoint_if_cancelled()
                    verdict = await self._handle(self._events.pop(0))
            finally:
                with trio.CancelScope(shield=True):
                    await self._stop_all()
        if isinstance(verdict, Exception):
            raise verdict
        return Exit.SHUTDOWN

    def child_ended(self, child: Incarnation, reason: ExitReason) -> None:
        slot = self.slots[child.id]
        if child.asked:
            self.note_end(slot, child, reason, Action.IGNORE)
        elif self._initial and not child.ready:
            self.enter(slot, State.STOPPED)
            self.note_end(slot, child, reason, Action.GIVE_UP)
        else:
            self.enter(slot, State.RESTARTING)
            self._post((slot, child, reason))

    async def restart_child(self, child_id: str) -> None:
        """Stop it, if it runs, and start it. Cancelling leaves that to be done."""
        await self._ask(_Request(_Do.RESTART, child_id))

    async def terminate_child(self, child_id: str) -> None:
        """Stop it, and keep it stopped until it is restarted; a temporary child is forgotten. Cancelling leaves that
        to be done.
        """
        await self._ask(_Request(_Do.TERMINATE, child_id))

    async def _ask(self, request: _Request) -> None:
        if self._closed:
            raise SupervisorStopping(self.path)
        self._post(request)
        await request.done.wait()
        if request.error is not None:
            raise request.error

    def _post(self, event: _End | _Request) -> None:
        self._events.append(event)
        self._wake.notify()

    async def _handle(self, event: _End | _Request) -> _Verdict | None:
        if not isinstance(event, _Request):
            return await self._settle(*event)
        self._current = event
        await self._obey(event)
        self._current = None
        return None

    async def _start_all(self) -> _Verdict | None:
        values: dict[str, object] = {}
        for slot in list(self.slots.values()):
            child = await self._start(slot)
            if not child.ready:
                assert child.reason is not None
                failure = ChildFailedToStart(child.path, child.reason)
                failure.__cause__ = child.reason.error
                return failure
            values[child.id] = child.value
        self._initial = False
        self.me.started(values)
        return None

    async def _settle(self, slot: Slot, child: Incarnation, reason: ExitReason) -> _Verdict | None:
        """Apply the restart policy to a child that ended by itself."""
        if slot.child is not child:
            self.note_end(slot, child, reason, Action.IGNORE if slot.child is None else Action.RESTART)
            await self._start_left_behind()
            return None
        will = on_end(slot.spec.restart, reason.exit, started=child.ready)
        if will is Action.IGNORE:
            self.note_end(slot, child, reason, will)
            self._retire(slot)
            return Exit.SHUTDOWN if self.is_over_with(slot) else None
        if not self.window.add(trio.current_time()):
            self.note_end(slot, child, reason, Action.GIVE_UP)
            return self.give_up(child, reason)
        self.note_end(slot, child, reason, will)
        await self._restart_with(slot)
        return None

    async def _restart_with(self, ended: Slot) -> None:
        group = restarted_with(self._spec.strategy, tuple(self.slots), ended.spec.id)
        for child_id in reversed(group):
            await self._stop(self.slots[child_id], State.RESTARTING)
        for slot in [self.slots[child_id] for child_id in group if child_id in self.slots]:
            slot.restarts += 1
            child = await self._start(slot)
            if not child.ready:
                return

    async def _start_left_behind(self) -> None:
        """A group's restart broke off where one of it failed to start. If a request dealt with that one meanwhile, its
        end is no longer what goes on with the others.
        """
        for slot in list(self.slots.values()):
            if slot.child is None and slot.state is State.RESTARTING:
                child = await self._start(slot)
                if not child.ready:
                    return

    async def _obey(self, request: _Request) -> None:
        slot = self.slots.get(request.child_id)
        if slot is None:
            request.answer(NoSuchProcess(f"{self.path} has no child {request.child_id!r}"))
            return
        if request.do is _Do.TERMINATE:
            await self._stop(slot, State.STOPPED)
            request.answer()
            return
        await self._stop(slot, State.RESTARTING, forget=False)
        child = await self._start(slot)
        if child.ready:
            request.answer()
        else:
            assert child.reason is not None
            request.answer(ChildFailedToStart(child.path, child.reason))

    async def _start(self, slot: Slot) -> Incarnation:
        child = self.spawn(slot)
        await child.wait_settled()
        return child

    async def _stop(self, slot: Slot, then: State, *, forget: bool = True) -> None:
        """Stop a child whose end is then no event any more. A temporary one is never started again."""
        child = slot.child
        if child is not None and not child.ended:
            self.ask_to_stop(slot)
            await self.wait_gone(child)
        slot.child = None
        self.enter(slot, then)
        if forget and slot.spec.restart is Restart.TEMPORARY:
            del self.slots[slot.spec.id]

    def _retire(self, slot: Slot) -> None:
        slot.child = None
        self.enter(slot, State.STOPPED)
        if slot.spec.restart is Restart.TEMPORARY:
            del self.slots[slot.spec.id]

    async def _stop_all(self) -> None:
        for slot in reversed(list(self.slots.values())):
            await self._stop(slot, State.STOPPED, forget=False)
        self._closed = True
        if self._current is not None:
            self._events.insert(0, self._current)
        for event in self._events:
            if isinstance(event, _Request):
                if not event.done.is_set():
                    event.answer(SupervisorStopping(self.path))
            else:
                self.note_end(*event, Action.IGNORE)
        self._events.clear()
