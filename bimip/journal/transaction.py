"""The store's write transaction: one at a time, and always ended in the thread that began it, as LMDB demands.

It is begun and committed both *here*, in the loop's thread, or both *there*, in the worker's (worker.py says what that
gives, and what it may cost); that of a store over a network always there. Where there is much to do, the worker begins
the next one as soon as the last is committed, while those who waited for that are told. So a transaction is in one of
four phases:

    NONE      -> HERE, THERE    begun for a batch
    HERE      -> NONE           committed or aborted, in the loop's thread
    THERE     -> NONE           committed or aborted, in the worker's
    THERE     -> OPENING        committed, and the worker begins the next one behind it
    OPENING   -> THERE          it has; NONE where that failed: the next batch's trouble, which begins anew
"""

from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto

from bimip.domain.core.records import Changes
from bimip.journal.worker import Point, Worker
from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.storage.interface import Store


class UnfitError(Exception):
    """The store cannot take these changes, whatever its state is: a defect in what was decided. Nothing was stored."""


class Phase(Enum):
    NONE = auto()
    HERE = auto()
    THERE = auto()
    OPENING = auto()


class WriteTransaction:
    def __init__(self, store: Store, worker: Worker) -> None:
        self._store = store
        self._worker = worker
        self._phase = Phase.NONE

    async def write(self, changes: Changes, *, here: bool, begin_next: bool) -> bool:
        """Writes and commits changes. They are on disk when it returns.

        `here`: in the caller's thread, if the disk is quick and no transaction is open there. Returns whether others
        had a turn meanwhile. When it raises StoreFullError or UnfitError nothing was written, and the next changes may
        come; other errors are StorageErrors.
        """
        committed = False
        try:
            if self._phase is Phase.NONE or self._phase is Phase.OPENING:
                may_be_here = here and not self._store.is_remote and self._worker.may_run_inline
                phase = Phase.HERE if may_be_here else Phase.THERE
                await self._worker.run(self._begin_in(phase), inline=phase is Phase.HERE)
            await self._apply(changes)
            is_here = self._phase is Phase.HERE
            then = self._begin_next if begin_next else None
            await self._worker.run(self._commit_before(then), then, inline=is_here, point=Point.COMMIT)
            committed = True
        finally:
            if not committed and self._phase is Phase.OPENING:
                self._phase = Phase.NONE
        return not is_here

    async def end(self) -> None:
        """Aborts what is open, in its thread, behind whatever the worker is at."""
        await self._worker.run(self._abort, inline=self._phase is Phase.HERE)

    async def reopen_store(self) -> None:
        """Closes the store and opens it again: one on this machine in the loop's thread, so that nobody reads meanwhile
        and is refused. Raises StorageError.
        """
        if self._phase is not Phase.NONE:
            await self.end()
        await self._worker.run(self._store.reopen, inline=not self._store.is_remote)

    def _begin_in(self, phase: Phase) -> Callable[[], None]:
        def begin() -> None:
            self._store.abort()  # whoever was before may have ended without a word, in the middle of a transaction
            self._store.begin()
            self._phase = phase

        return begin

    def _commit_before(self, then: Callable[[], None] | None) -> Callable[[], None]:
        def commit() -> None:
            self._phase = Phase.NONE if then is None else Phase.OPENING
            self._store.commit()

        return commit

    def _begin_next(self) -> None:
        opened = Phase.NONE
        with suppress(Exception):
            self._store.begin()
            opened = Phase.THERE
        self._phase = opened

    def _abort(self) -> None:
        self._phase = Phase.NONE
        self._store.abort()

    async def _apply(self, changes: Changes) -> None:
        try:
            self._store.apply(changes)
        except StoreDamagedError as error:  # one place's trouble: what else is in the batch goes on
            await self.end()
            raise UnfitError(str(error)) from error
        except StorageError:
            await self.end()
            raise
        except Exception as error:
            await self.end()
            raise UnfitError(f"{type(error).__name__}: {error}") from error
