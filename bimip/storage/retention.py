"""Retention: a process that walks the store, slowly, and has what is older than the history periods removed.

Each step is an operation like any other, decided and written by the journal a slice at a time. Logs go before the
bodies that they refer to; bodies go when the longest period that applies has passed.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import trio

from bimip.domain.clock import earliest_stamp
from bimip.domain.ids import Millis, Stamp
from bimip.domain.operations import (
    ExpireBodies,
    Expired,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
    Operation,
)
from bimip.domain.records import Key, Table
from bimip.storage.interface import Store
from bimip.storage.queue import OperationQueue

DAY_MS = 24 * 60 * 60 * 1000
SCAN = 500
"""Records looked at in one read transaction, so that none is held for long."""


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    history_days: Mapping[str, int] = field(default_factory=dict)  # by partition; 0 or absent: for ever
    dedup_days: int = 30
    every_seconds: float = 60.0


@dataclass(slots=True)
class RetentionStatistics:
    rounds: int = 0
    removed: int = 0


class Retention:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        partitions: Sequence[str],
        wall_clock: Callable[[], Millis],
        settings: RetentionSettings,
    ) -> None:
        self._store = store
        self._queue = queue
        self._partitions = partitions
        self._wall_clock = wall_clock
        self._settings = settings
        self.statistics = RetentionStatistics()

    async def run(self) -> None:
        while True:
            await trio.sleep(self._settings.every_seconds)
            await self.round()

    async def round(self) -> None:
        """Walk everything once. Cancelling it leaves the rest to the next round."""
        now = self._wall_clock()
        days = [self._settings.history_days.get(partition, 0) for partition in self._partitions]
        for partition, period in zip(self._partitions, days, strict=True):
            if period:
                await self._expire_logs(partition, _before(now, period))
        if all(days):
            longest = _before(now, max(days))
            async for key in self._keys(Table.CONVERSATIONS):
                await self._expire(ExpireHistory(key[0], longest))
            await self._expire(ExpireBodies(longest))
        await self._expire(ExpireSeen(_before(now, self._settings.dedup_days)))
        await self._expire(ExpireRevoked(now))
        self.statistics.rounds += 1

    async def _expire_logs(self, partition: str, before: Stamp) -> None:
        async for user, name in self._keys(Table.LOGS):
            if name == partition:
                await self._expire(ExpireLog(user, partition, before))

    async def _keys(self, table: Table) -> AsyncIterator[Key]:
        """All keys of a table that is keyed by a number first, each slice in a read transaction of its own."""
        low: Key = (0,)
        while True:
            with self._store.snapshot() as view:
                found = view.scan(table, low, ((1 << 32) - 1,), limit=SCAN)
            for key, _ in found:
                yield key
            if len(found) < SCAN:
                return
            last = found[-1][0]
            low = (*last[:-1], last[-1] + 1) if isinstance(last[-1], int) else (*last[:-1], last[-1] + "\0")
            await trio.lowlevel.checkpoint()

    async def _expire(self, operation: Operation) -> None:
        while True:
            result = await self._queue.execute(operation)
            if not isinstance(result, Expired):
                return  # refused: the next round tries again
            self.statistics.removed += result.removed
            if not result.more:
                return
            if result.resume is not None:
                assert isinstance(operation, ExpireSeen | ExpireRevoked)
                operation = operation._replace(start=result.resume)


def _before(now: Millis, days: int) -> Stamp:
    return earliest_stamp(Millis(max(0, now - days * DAY_MS)))
