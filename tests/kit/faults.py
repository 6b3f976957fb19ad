"""Parts of the server that fail when they are told to, at points that the product or its interfaces name.

What was armed must have happened when the part is closed: a trap that can never spring shows nothing.
"""

import sys
from collections import Counter
from collections.abc import Callable
from enum import Enum
from types import CodeType, FrameType
from typing import Any, Literal, TypeVar

import trio

from bimip.domain.core.operations import Append
from bimip.domain.core.records import Changes
from bimip.journal.journal import Journal
from bimip.journal.worker import InlineWorker, Point
from bimip.storage.errors import OutcomeUnknownError, StorageError, StoreFullError
from bimip.storage.memory import MemoryStore

T = TypeVar("T")


class Boom(Exception):  # noqa: N818 - a defect has no better name
    """A defect of the server."""


class HeldWorker(InlineWorker):
    """An inline worker that can be made to stay with its next commit, before or after it is on disk.

    Unlike the real one it lets go when it is cancelled there: as if the journal had crashed at that moment.
    """

    def __init__(self) -> None:
        self.hold: Literal["", "before", "after"] = ""
        self.skip = 0  # commits to let pass first
        self.held = trio.Event()

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,
    ) -> T:
        await trio.lowlevel.cancel_shielded_checkpoint()
        hold = self._holds() if point is Point.COMMIT else ""
        if hold == "before":
            await self._stay()
        result = job()
        if hold == "after":
            await self._stay()
        if then is not None:
            then()
        return result

    def _holds(self) -> str:
        if self.hold and self.skip:
            self.skip -= 1
            return ""
        hold, self.hold = self.hold, ""
        return hold

    async def wait_held(self) -> None:
        await self.held.wait()

    async def _stay(self) -> None:
        self.held.set()
        await trio.sleep_forever()

    def close(self) -> None:
        assert not self.hold, f"no commit came that was to be held {self.hold} it was on disk"


class StoreFault(Enum):
    """Where a store fails, and how."""

    DECIDING_READ = "the journal cannot read what it decides on"
    FULL = "there is no room for changes that need some"
    APPLY = "the disk fails as changes are put"
    UNFIT = "changes with entries cannot be packed"
    COMMIT = "a commit fails, and nothing is stored"
    LOST = "a commit's outcome is unknown: nothing is stored"
    STORED = "a commit's outcome is unknown: all is stored"
    REOPEN = "the store cannot be opened again"


COMMITS = (StoreFault.COMMIT, StoreFault.LOST, StoreFault.STORED)


class FaultyStore(MemoryStore):
    """A store that fails where it was armed, once for each time."""

    def __init__(self) -> None:
        super().__init__()
        self.armed: list[StoreFault] = []
        self.sprung: Counter[StoreFault] = Counter()
        self._reopens = False
        self._unreadable: CodeType | None = None
        self._read_error: type[StorageError] = StorageError
        self.failed_reads = 0

    def fail_reads_of(self, function: Callable[..., Any] | None, error: type[StorageError] = StorageError) -> None:
        """Fails all that is read while this function runs; None: nothing any more."""
        self._unreadable = None if function is None else function.__code__
        self._read_error = error

    def _is_unreadable(self) -> bool:
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not self._unreadable:
            frame = frame.f_back
        return frame is not None

    def arm(self, *faults: StoreFault) -> None:
        """Those of the same step happen one after another, in this order."""
        self.armed += faults

    def disarm(self, *faults: StoreFault) -> None:
        """What has not happened by now; by default all of it."""
        self.armed = [fault for fault in self.armed if faults and fault not in faults]

    def _springs(self, *faults: StoreFault) -> StoreFault | None:
        fault = next((fault for fault in self.armed if fault in faults), None)
        if fault is not None:
            self.armed.remove(fault)
            self.sprung[fault] += 1
        return fault

    def snapshot(self) -> Any:
        if self._unreadable is not None and self._is_unreadable():
            self.failed_reads += 1
            raise self._read_error("the disk failed as it was read")
        # By the method itself and not by its name: where it is called otherwise one day, this line fails.
        is_deciding = self.armed and sys._getframe(1).f_code is Journal._decide.__code__
        if is_deciding and self._springs(StoreFault.DECIDING_READ):
            raise StorageError("the disk failed as it was read")
        return super().snapshot()

    def apply(self, changes: Changes) -> None:
        if changes.needs_room and self._springs(StoreFault.FULL):
            raise StoreFullError("no room")
        if self._springs(StoreFault.APPLY):
            raise StorageError("the disk failed")
        if changes.appends and self._springs(StoreFault.UNFIT):
            raise Boom("these changes cannot be packed")
        super().apply(changes)

    def commit(self) -> None:
        fault = self._springs(*COMMITS)
        if fault in {StoreFault.COMMIT, StoreFault.LOST}:
            self.abort()
        else:
            super().commit()
        if fault is StoreFault.COMMIT:
            raise StorageError("the disk failed")
        if fault is not None:
            raise OutcomeUnknownError("the disk failed in the last step")

    def reopen(self) -> None:
        if self._springs(StoreFault.REOPEN):
            raise StorageError("the disk is still gone")
        self._reopens = True  # which closes it, with more to come
        super().reopen()
        self._reopens = False

    def close(self) -> None:
        assert self._reopens or not self.armed, f"what was armed never happened: {self.armed}"
        super().close()


def raising(error: Exception, original: Callable[..., Any], *, times: int = 1) -> Callable[..., Any]:
    """The function, which raises the first few times instead."""
    left = [error] * times

    def call(*args: Any, **kwargs: Any) -> Any:
        if left:
            raise left.pop()
        return original(*args, **kwargs)

    return call


def raising_for(message_id: str, original: Callable[..., Any]) -> Callable[..., Any]:
    """A decision with a defect that shows for one message alone."""

    def decide(view: Any, operation: Append, moment: Any) -> Any:
        if any(new.id == message_id for new in operation.messages):
            raise Boom(message_id)
        return original(view, operation, moment)

    return decide
