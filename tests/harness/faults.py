"""Parts of the world that fail when they are told to."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import trio

from bimip.domain.operations import Append
from bimip.journal.worker import InlineWorker
from bimip.storage.errors import OutcomeUnknownError, StorageError
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
    ) -> T:
        await trio.lowlevel.cancel_shielded_checkpoint()
        hold = self._holds() if job.__name__ == "_commit_begun" else ""
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


class FlakyStore(MemoryStore):
    """A store whose disk fails in the next commit; or that cannot be reopened a few times."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Literal["", "unknown, stored", "unknown, not stored", "failed"] = ""
        self.failing_reopens = 0
        self.failing_commits = 0
        """After the next."""

    def commit(self) -> None:
        fault, self.fault = self.fault, ""
        if fault and self.failing_commits:
            self.failing_commits -= 1
            self.fault = "failed"
        if fault == "failed":
            self.abort()
            raise StorageError("the disk failed")
        if fault == "unknown, not stored":
            self.abort()
        elif fault == "unknown, stored":
            super().commit()
        else:
            super().commit()
            return
        raise OutcomeUnknownError("the disk failed in the last step")

    def reopen(self) -> None:
        if self.failing_reopens:
            self.failing_reopens -= 1
            raise StorageError("the disk is still gone")
        super().reopen()


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
