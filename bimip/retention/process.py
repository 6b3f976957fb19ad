"""Retention: a process that walks the store, slowly, and has what is no longer to be kept removed. It has checkpoints
taken of the logs that have grown, too.

Each step is an operation like any other, decided and written by the journal a slice at a time; `walks.py` is the table
of what is walked and which operations come of it.

Looking for what has expired must cost little where there is much that has not: there is a pause after each slice in
which nothing was found, so that a million message ids, or logs, are half a percent of a processor and not a core for
seconds. An index by time would find them at once, and cost each message a page more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf

import trio

from bimip.concurrency import Watch
from bimip.domain.accounts.registering import NoteSeen, SeenDevice
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Expired, ExpireRevoked, ExpireSeen, Fault, NoteTime, Operation, Refused, Result
from bimip.domain.core.records import Key
from bimip.domain.core.schema import behind
from bimip.domain.keeping.timekeeping import Known
from bimip.domain.messages.checkpoints import CheckpointTaken
from bimip.domain.messages.disappearing import Disappear, due_by, earliest_expiry
from bimip.domain.messages.expiring import ExpireMentions, ExpireThreads
from bimip.journal.queue import OperationQueue
from bimip.retention.settings import RetentionSettings
from bimip.retention.walks import SWEEPS, WALKS, Moment, Walk
from bimip.storage.interface import Store

SCAN = 200
"""Records looked at in one read transaction, so that none is held for long."""
PAUSE_SECONDS = 0.5
"""After a slice in which nothing had expired."""
THOROUGH_ROUNDS = 60
"""One round of so many looks for what is hardly ever there, too."""
AGAIN_SECONDS = 0.5
"""Until a message is tried again that is to disappear and could not be erased."""
ERASED_AT_ONCE = 32
"""Messages that disappear: each is an operation, since all who may see it are told."""
SEEN_AT_ONCE = 100
"""Devices that are noted as seen by one operation."""
SEEN_EVERY_MS = 300_000
"""How often it is noted that a device is connected: after a crash it is known so exactly when it was last seen."""


@dataclass(slots=True)
class RetentionStatistics:
    rounds: int = 0
    removed: int = 0
    checkpoints: int = 0
    erased: int = 0


class Retention:
    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        partitions: Sequence[str],
        passed: Callable[[], Millis],
        nearly_passed: Callable[[], Millis] | None = None,
        note_time: Callable[[], Known | None] = lambda: None,
        connected: Callable[[], Iterable[SeenDevice]] = tuple,
        expiring: Watch | None = None,
        outage_ms: int = 0,
        settings: RetentionSettings,
    ) -> None:
        """`passed` is what periods of days go by, `nearly_passed` what disappears. `expiring` rises when another
        message is to disappear. `outage_ms`: for how long before this server began nobody could be seen.
        """
        self._store = store
        self._queue = queue
        self._partitions = tuple(partitions)
        self._passed = passed
        self._nearly_passed = nearly_passed or passed
        self._note_time = note_time
        self._connected = connected
        self._expiring = expiring
        self._outage_ms = outage_ms
        self._settings = settings
        self.statistics = RetentionStatistics()

    async def run(self) -> None:
        while True:
            await self._wait(self._settings.every_seconds)
            await self.round()

    async def _wait(self, seconds: float) -> None:
        """Waits, and meanwhile erases each message whose time is over when it is."""
        until = trio.current_time() + seconds
        while True:
            version = 0 if self._expiring is None else self._expiring.version
            await self._erase_due()
            now = trio.current_time()
            if now >= until:
                return
            wake_at = min(until, now + self._seconds_to_next())
            if self._expiring is None:
                await trio.sleep_until(wake_at)
            else:
                await self._expiring.wait_changed_since(version, wake_at)

    def _seconds_to_next(self) -> float:
        """Until the next message disappears."""
        with self._store.snapshot() as view:
            expires_at = earliest_expiry(view)
        if expires_at is None:
            return inf
        seconds = (expires_at - self._nearly_passed()) / 1000
        return seconds if seconds > 0 else AGAIN_SECONDS

    async def _erase_due(self) -> None:
        """Erases until nothing is due, or something was refused: it is tried again later."""
        erased = True
        while erased:
            with self._store.snapshot() as view:
                due = due_by(view, self._nearly_passed(), ERASED_AT_ONCE)
            results: list[Result] = []
            async with trio.open_nursery() as nursery:
                for operation in due:
                    nursery.start_soon(self._erase, operation, results)
            erased = bool(due) and all(isinstance(result, Expired) for result in results)

    async def _erase(self, operation: Disappear, results: list[Result]) -> None:
        result = await self._queue.execute(operation)
        if isinstance(result, Expired):
            self.statistics.erased += result.removed
        results.append(result)

    async def round(self) -> None:
        """Walk everything once. Cancelling it leaves the rest to the next round, and so does a refusal: a message must
        not go before the logs that refer to it.
        """
        try:
            await self._note_seen()
            await self._expire_everything(self._passed())
        except _RefusedError:
            return
        known = self._note_time()
        if known is not None:
            await self._queue.execute(NoteTime(known))
        self.statistics.rounds += 1

    async def _note_seen(self) -> None:
        """Notes that devices are connected: one that is for days was last seen now, and not when it connected."""
        before = Millis(self._passed() - SEEN_EVERY_MS)
        connected = iter(self._connected())
        while devices := tuple(islice(connected, SEEN_AT_ONCE)):
            with self._store.snapshot() as view:
                due = tuple(device for device in devices if device.is_due(view, before))
            if due:
                await self._ask(NoteSeen(due))
            await trio.lowlevel.checkpoint()

    async def _expire_everything(self, now: Millis) -> None:
        thorough = self.statistics.rounds % THOROUGH_ROUNDS == 0
        moment = Moment.of(self._settings, self._partitions, now, self._outage_ms, is_thorough=thorough)
        for walk in WALKS:
            if walk.wanted(moment):
                await self._walk(walk, moment)
        for sweep in SWEEPS:
            operation = sweep(moment)
            if operation is not None:
                await self._expire(operation)

    async def _walk(self, walk: Walk, moment: Moment) -> None:
        low: Key | None = ()
        while low is not None:
            due, low = self._due(walk, moment, low)
            for operation in due:
                await self._expire(operation)
            if low is not None and not due:
                await self._wait(PAUSE_SECONDS)
            await trio.lowlevel.checkpoint()

    def _due(self, walk: Walk, moment: Moment, low: Key) -> tuple[list[Operation], Key | None]:
        """Finds for which of the next records an operation is due, and where the following ones start."""
        with self._store.snapshot() as view:
            found = view.scan(walk.table, low, walk.table.schema.end, limit=SCAN)
            due = [one for key, record in found if (one := walk.due(view, moment, key, record)) is not None]
        if len(found) < SCAN:
            return due, None
        return due, behind(found[-1][0])

    async def _expire(self, operation: Operation) -> None:
        while True:
            result = await self._ask(operation)
            if isinstance(result, CheckpointTaken):
                self.statistics.checkpoints += 1
            if not isinstance(result, Expired):
                return
            self.statistics.removed += result.removed
            if not result.more:
                return
            if not result.removed:
                await self._wait(PAUSE_SECONDS)
            if result.resume is not None:
                assert isinstance(operation, ExpireSeen | ExpireRevoked | ExpireMentions | ExpireThreads)
                operation = operation._replace(start=result.resume)

    async def _ask(self, operation: Operation) -> Result:
        """Asks the journal. An operation that is refused as what it is about is damaged, which was said, leaves the
        others to go on.
        """
        result = await self._queue.execute(operation)
        if isinstance(result, Refused) and result.fault is not Fault.INTERNAL:
            raise _RefusedError
        return result


class _RefusedError(Exception):
    """The journal cannot write now."""
