"""Retention: a process that walks the store, slowly, and has what is older than the history periods removed. It has
checkpoints taken of the logs that have grown, too.

Each step is an operation like any other, decided and written by the journal a slice at a time. Logs go before the
bodies that they refer to; bodies go when the longest period that applies has passed.

Looking for what has expired must cost little where there is much that has not: there is a pause after each slice in
which nothing was found, so that a million message ids, or logs, are half a percent of a processor and not a core for
seconds. An index by time would find them at once, and cost each message a page more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import trio

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import (
    ExpireBodies,
    Expired,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
    Fault,
    NoteTime,
    Operation,
    Refused,
)
from bimip.domain.core.records import DamagedRecordError, Key, LogTable, Reader, Table
from bimip.domain.core.schema import behind
from bimip.domain.keeping.timekeeping import DAY, Known
from bimip.domain.messages.checkpoints import CheckpointTaken, TakeCheckpoint, checkpoints_of, is_due
from bimip.journal.queue import OperationQueue
from bimip.retention.settings import RetentionSettings
from bimip.storage.interface import Store

SCAN = 200
"""Records looked at in one read transaction, so that none is held for long."""
REVOKED_MS = DAY
"""How much longer a revocation is known than its token counts: clocks are set back by a little without a word."""
PAUSE_SECONDS = 0.5
"""After a slice in which nothing had expired."""


@dataclass(slots=True)
class RetentionStatistics:
    rounds: int = 0
    removed: int = 0
    checkpoints: int = 0


class Retention:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        partitions: Sequence[str],
        passed: Callable[[], Millis],
        note_time: Callable[[], Known | None] = lambda: None,
        settings: RetentionSettings,
    ) -> None:
        self._store = store
        self._queue = queue
        self._partitions = partitions
        self._passed = passed
        self._note_time = note_time
        self._settings = settings
        self.statistics = RetentionStatistics()

    async def run(self) -> None:
        while True:
            await trio.sleep(self._settings.every_seconds)
            await self.round()

    async def round(self) -> None:
        """Walk everything once. Cancelling it leaves the rest to the next round, and so does a refusal: a message must
        not go before the logs that refer to it.
        """
        try:
            await self._expire_everything(self._passed())
            await self._take_checkpoints(self._passed())
        except _RefusedError:
            return
        known = self._note_time()
        if known is not None:
            await self._queue.execute(NoteTime(known))
        self.statistics.rounds += 1

    async def _expire_everything(self, now: Millis) -> None:
        periods = {partition: self._settings.history_days.get(partition, 0) for partition in self._partitions}
        before = {partition: _before(now, days) for partition, days in periods.items() if days}
        if before:
            await self._walk(
                Table.LOGS,
                LogTable.ENTRIES,
                lambda key: ExpireLog(key[0], key[1], before[key[1]]) if key[1] in before else None,
            )
        if before and all(periods.values()):
            oldest = min(before.values())
            await self._walk(Table.CONVERSATIONS, LogTable.HISTORY, lambda key: ExpireHistory(key[0], oldest))
            await self._expire(ExpireBodies(oldest))
        await self._expire(ExpireSeen(_before(now, self._settings.dedup_days)))
        await self._expire(ExpireRevoked(Millis(now - REVOKED_MS)))

    async def _walk(
        self, table: Table, sequence: LogTable, expire: Callable[[Key], ExpireLog | ExpireHistory | None]
    ) -> None:
        low: Key | None = ()
        while low is not None:
            due, low = self._due(table, sequence, low, expire)
            for operation in due:
                await self._expire(operation)
            if low is not None and not due:
                await trio.sleep(PAUSE_SECONDS)
            await trio.lowlevel.checkpoint()

    def _due(
        self,
        table: Table,
        sequence: LogTable,
        low: Key,
        expire: Callable[[Key], ExpireLog | ExpireHistory | None],
    ) -> tuple[list[ExpireLog | ExpireHistory], Key | None]:
        """Finds which of the next records begin with something that expired, and where the following ones start."""
        due: list[ExpireLog | ExpireHistory] = []
        with self._store.snapshot() as view:
            found = view.scan(table, low, table.schema.end, limit=SCAN)
            for key, record in found:
                operation = expire(key)
                if operation is not None and self._has_expired(view, sequence, key, record.first, operation.before):
                    due.append(operation)
        if len(found) < SCAN:
            return due, None
        return due, behind(found[-1][0])

    @staticmethod
    def _has_expired(view: Reader, sequence: LogTable, key: Key, first: int, before: Stamp) -> bool:
        """Whether a run begins with something that is older. Of a damaged one nothing is known, and nothing removed."""
        try:
            return any(one.stamp < before for _, one in view.read(sequence, key, first - 1, limit=1))
        except DamagedRecordError:
            return False

    async def _take_checkpoints(self, now: Millis) -> None:
        """Has a checkpoint taken of each log that has grown by enough since its last one."""
        low: Key | None = ()
        while low is not None:
            due, low = self._to_checkpoint(low, now)
            for operation in due:
                result = await self._queue.execute(operation)
                if isinstance(result, Refused) and result.fault is not Fault.INTERNAL:
                    raise _RefusedError
                self.statistics.checkpoints += isinstance(result, CheckpointTaken)
            if low is not None and not due:
                await trio.sleep(PAUSE_SECONDS)
            await trio.lowlevel.checkpoint()

    def _to_checkpoint(self, low: Key, now: Millis) -> tuple[list[TakeCheckpoint], Key | None]:
        settings = self._settings
        every_ms = int(settings.checkpoint_seconds * 1000)
        with self._store.snapshot() as view:
            found = view.scan(Table.LOGS, low, Table.LOGS.schema.end, limit=SCAN)
            due = [
                TakeCheckpoint(*key)
                for key, log in found
                if is_due(log, checkpoints_of(view, *key), now, settings.checkpoint_entries, every_ms)
            ]
        return due, behind(found[-1][0]) if len(found) == SCAN else None

    async def _expire(self, operation: Operation) -> None:
        while True:
            result = await self._queue.execute(operation)
            if isinstance(result, Refused) and result.fault is Fault.INTERNAL:
                return  # damaged, and said: the others go on
            if not isinstance(result, Expired):
                raise _RefusedError
            self.statistics.removed += result.removed
            if not result.more:
                return
            if not result.removed:
                await trio.sleep(PAUSE_SECONDS)
            if result.resume is not None:
                assert isinstance(operation, ExpireSeen | ExpireRevoked)
                operation = operation._replace(start=result.resume)


class _RefusedError(Exception):
    """The journal cannot write now."""


def _before(now: Millis, days: int) -> Stamp:
    return earliest_stamp(Millis(max(0, now - days * DAY)))
