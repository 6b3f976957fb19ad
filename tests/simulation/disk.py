"""A disk in memory that takes time, and what a crash leaves of it.

A commit has two phases, each some ticks long: before it is on disk, and after that but before whoever asked for it is
told. A process that ends in the first one leaves a transaction that is there or not, as luck has it; where it is there
but was killed and not cancelled, it is in the page cache alone: the next commit brings it to disk, a power loss
before that takes it away again.
"""

from collections.abc import Callable
from random import Random
from typing import Literal, TypeVar

import trio

from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.records import Table
from bimip.journal.worker import InlineWorker, Point
from bimip.storage.memory import MemoryStore, _State
from tests.simulation.event_queue import sleep_ticks

T = TypeVar("T")
Phase = Literal["before", "after"]


class Disk(MemoryStore):
    """What one incarnation of the server sees of it. `after_power_loss` and `after_kill` make the next one's."""

    syncs = True
    """Switched off by a test that shows that the loss is noticed."""
    notices_copies = True
    """The same."""

    def __init__(self) -> None:
        super().__init__()
        self.commit_under_way = False
        self._on_disk: _State | None = None
        """Where that is less than what can be read."""
        self._starts: int | None = None
        """How often a server had started on it when it was put in place of another one."""

    def commit(self) -> None:
        if not self.syncs and self._on_disk is None:
            self._on_disk = self._state.copy()
        super().commit()
        if self.syncs:
            self._on_disk = None

    @property
    def put_back(self) -> str:
        """Until a server has committed its start, and again where a loss of power took that away."""
        is_old = self.notices_copies and self._starts is not None and self._starts == _starts(self._state)
        return "an older copy" if is_old else ""

    @put_back.setter
    def put_back(self, _why: str) -> None:
        pass

    def copy(self) -> "Disk":
        """As a backup of the running server has it."""
        copy = type(self)()
        copy._state = self._state.copy()
        return copy

    def put_in_place(self, newest: Stamp, conversation: ConversationId) -> "Disk":
        """A copy of this copy, in the place of a store that had given this stamp, and a conversation this number."""
        place = self.copy()
        place._starts = _starts(place._state)
        place.newest_served, place.newest_conversation = newest, conversation
        return place

    def after_power_loss(self, random: Random) -> "Disk":
        """Leaves this one to those who may still hold it: nothing that they do is seen by anybody."""
        survivor = self._survivor()
        survivor._state = (self._on_disk or self._state).copy()
        if self._on_disk is None and self._is_lucky(random):
            self._finish(survivor._state)
        return survivor

    def after_kill(self, random: Random) -> "Disk":
        survivor = self._survivor()
        survivor._state = self._state.copy()
        survivor._on_disk = self._on_disk
        if self._is_lucky(random):
            survivor._on_disk = self._on_disk or self._state.copy()
            self._finish(survivor._state)
        return survivor

    def _survivor(self) -> "Disk":
        survivor = type(self)()
        survivor._starts = self._starts
        survivor.newest_served, survivor.newest_conversation = self.newest_served, self.newest_conversation
        return survivor

    def _is_lucky(self, random: Random) -> bool:
        return self.commit_under_way and random.random() < 0.5

    def _finish(self, state: _State) -> None:
        for changes in self._open or []:
            state.change(changes)


def _starts(state: _State) -> int:
    return state.get(Table.META, ("starts",)) or 0


class SlowWorker(InlineWorker):
    """An inline worker whose commits take ticks of virtual time.

    As a thread would, it stays with a commit however its caller is cancelled; but now and then it lets go: as if the
    journal had crashed at that moment.
    """

    def __init__(self, disk: Disk, random: Random) -> None:
        self.trap: tuple[Phase, Callable[[], None]] | None = None
        """To be called in this phase of the next commit."""
        self._disk = disk
        self._random = random

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,
    ) -> T:
        if point is not Point.COMMIT:
            await trio.lowlevel.cancel_shielded_checkpoint()
            return job()
        lets_go = self._random.random() < 0.5
        try:
            self._disk.commit_under_way = True
            await self._pass("before", lets_go=lets_go)
            result = job()
        finally:
            self._disk.commit_under_way = False
        try:
            await self._pass("after", lets_go=lets_go)
        finally:
            if then is not None:
                then()
        return result

    async def _pass(self, phase: Phase, *, lets_go: bool) -> None:
        ticks = self._random.choice((0, 1, 1, 2))
        if self.trap is not None and self.trap[0] == phase:
            (_, call), self.trap = self.trap, None
            call()
            ticks = 4
        with trio.CancelScope(shield=not lets_go):
            if ticks:
                await sleep_ticks(ticks)
            else:
                await trio.lowlevel.checkpoint()
