"""A journal with everything that outlives it, on a store and a worker that can be made to fail."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import trio

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operations import Acknowledge, Append, NewMessage, Operation, Register, Registered, Result
from bimip.domain.core.records import DIGEST_BYTES, Changes, Entry, Key, LogTable, Table
from bimip.domain.core.rules import Rules
from bimip.journal.journal import Committed, Journal, JournalStatistics
from bimip.journal.queue import OperationQueue
from bimip.journal.worker import InlineWorker, Point, Worker
from bimip.storage.errors import StorageError
from bimip.storage.memory import MemoryStore
from tests.domain.support import BODIES, alone

T = TypeVar("T")

BEGIN = 1_700_000_000_000
CHAT = "chat"


def encode(
    sent: Iterable[bytes],
    _stamps: Iterable[Stamp],
    _time: Millis,
    _conversation: ConversationId,
    _first: ConversationOffset,
) -> list[bytes]:
    bodies = list(sent)
    if b"undecidable" in bodies:
        raise ZeroDivisionError
    return bodies


def has_body(changes: Changes, body: bytes) -> bool:
    return body in changes.puts.get(Table.BODIES, {}).values()


class FragileStore(MemoryStore):
    """Calls what a test wants to happen before and after each step."""

    def __init__(self, *, quota_bytes: int = 0) -> None:
        super().__init__(quota_bytes=quota_bytes)
        self.before: Callable[[str, Changes | None], None] = lambda _step, _changes: None
        self.after: Callable[[str, Changes | None], None] = lambda _step, _changes: None
        self.commits = 0
        self._last: Changes | None = None

    def _do(self, step: str, do: Callable[[], None]) -> None:
        self.before(step, self._last)
        do()
        self.after(step, self._last)

    def begin(self) -> None:
        self._do("begin", super().begin)

    def apply(self, changes: Changes) -> None:
        self._last = changes
        self._do("apply", lambda: MemoryStore.apply(self, changes))

    def commit(self) -> None:
        try:
            self._do("commit", super().commit)
        except StorageError:
            self.abort()  # the transaction is over either way
            raise
        self.commits += 1

    def reopen(self) -> None:
        self._do("reopen", super().reopen)


class CountingWorker(InlineWorker):
    """Runs inline; a gate holds jobs up, as a slow disk does."""

    def __init__(self) -> None:
        self.gate = trio.Event()
        self.gate.set()
        self.visits = 0

    async def run(
        self,
        job: Callable[[], T],
        then: Callable[[], object] | None = None,
        *,
        inline: bool = False,
        point: Point = Point.OTHER,
    ) -> T:
        with trio.CancelScope(shield=True):
            await self.gate.wait()
        self.visits += 1
        return await super().run(job, then, inline=inline, point=point)


class JournalHost:
    def __init__(self, store: FragileStore | None = None, worker: Worker | None = None, **rules: Any) -> None:
        self.store = store or FragileStore()
        self.queue = OperationQueue()
        self.worker = worker or CountingWorker()
        self.rules = Rules(bodies=replace(BODIES, encode=encode), **{"window_entries": 256} | rules)
        self.statistics = JournalStatistics()
        self.wall_clock: Callable[[], Millis] = lambda: Millis(BEGIN + int(trio.current_time() * 1000))
        self.told: list[Committed] = []
        self.reports: list[tuple[str, BaseException]] = []
        self.answers: dict[str, list[Result]] = {}
        self.committed: Callable[[Committed], None] = self.told.append
        self.incarnations = 0

    def journal(self) -> Journal:
        return Journal(
            store=self.store,
            queue=self.queue,
            worker=self.worker,
            rules=self.rules,
            wall_clock=self.wall_clock,
            committed=self.committed,
            report=lambda what, error: self.reports.append((what, error)),
            ack_delay_seconds=0.02,
            statistics=self.statistics,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """One incarnation."""
        self.incarnations += 1
        await self.journal().run(task_status.started)

    async def keep_running(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """As a supervisor does. A journal that ends more than ten times is a failed test."""
        for _ in range(10):
            self.incarnations += 1
            try:
                await self.journal().run(task_status.started)
            except RuntimeError as error:
                self.reports.append(("journal ended", error))
            task_status = trio.TASK_STATUS_IGNORED
        raise AssertionError("the journal ended again and again")

    @asynccontextmanager
    async def open(self, *, kept: bool = False) -> AsyncIterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.keep_running if kept else self.run)
            yield
            nursery.cancel_scope.cancel()

    def submit(self, name: str, operation: Operation) -> None:
        """Its answers are in `answers[name]`, however many there are."""
        answers = self.answers.setdefault(name, [])
        self.queue.submit(operation, lambda result: answers.append(alone(result)))

    async def execute(self, operation: Operation) -> Any:
        return alone(await self.queue.execute(operation))

    def answer(self, name: str) -> Any:
        """The only one."""
        (answer,) = self.answers[name]
        return answer

    async def device(self, eid: str) -> Registered:
        result = await self.queue.execute(Register(eid, "phone"))
        assert isinstance(result, Registered)
        return result

    async def pair(self) -> tuple[Registered, Registered]:
        return await self.device("ann"), await self.device("bob")

    def get(self, table: Table, *key: Any) -> Any:
        with self.store.snapshot() as view:
            return view.get(table, key)

    def entries(self, user: UserId) -> list[tuple[int, Entry]]:
        with self.store.snapshot() as view:
            return view.read(LogTable.ENTRIES, (user, CHAT), 0, limit=10_000)

    def bodies(self, user: UserId) -> list[bytes]:
        """What a log says, in its order."""
        with self.store.snapshot() as view:
            found: list[tuple[int, Entry]] = view.read(LogTable.ENTRIES, (user, CHAT), 0, limit=10_000)
            return [view.get(Table.BODIES, (entry.stamp,)) for _, entry in found]

    def keys(self, table: Table, low: Key, high: Key) -> list[Key]:
        with self.store.snapshot() as view:
            return [key for key, _ in view.scan(table, low, high, limit=10_000)]


def message(sender: Registered, name: str, to: str = "bob", *, sent: bytes | None = None) -> Append:
    post = NewMessage(name, name.encode().ljust(DIGEST_BYTES), name.encode() if sent is None else sent)
    return Append(sender.user, sender.device, to, CHAT, (post,))


def ack(reader: Registered, upto: int) -> Acknowledge:
    return Acknowledge(reader.user, DeviceId(reader.device), CHAT, Offset(upto))
