"""A store filled without a server: operations straight into the journal, which decides and writes them as ever."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path
from random import Random

import trio

from bimip.config import Settings
from bimip.domain.contacts.roster import ChangeContact, ContactAction
from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.operations import Append, NewMessage, Operation, Register, Registered, Result
from bimip.domain.core.records import DIGEST_BYTES
from bimip.environment import wall_clock
from bimip.journal.journal import Committed, Journal
from bimip.journal.queue import OperationQueue
from bimip.journal.worker import InlineWorker
from bimip.parts import rules_of
from bimip.storage.lmdb.store import LmdbStore
from scripts.benchmarks.wire import Author

NEIGHBOURS = 10
"""Whom a user writes to: this many others."""
BATCH = 2_000
BEGAN = 1_700_000_000_000
"""The time in a message's `seq`."""


class Filling:
    """Users, messages between them, and who are contacts."""

    def __init__(self, store: LmdbStore, queue: OperationQueue, seed: int = 0) -> None:
        self.store = store
        self.users: list[tuple[UserId, DeviceId]] = []
        self.messages = 0
        self._queue = queue
        self._random = Random(seed)
        self._authors: dict[int, Author] = {}

    @property
    def entries(self) -> int:
        """Each message is one in two logs."""
        return 2 * self.messages

    async def register(self, count: int) -> None:
        first = len(self.users)
        operations = [Register(eid_of(number), "phone") for number in range(first, first + count)]
        for result in await self._execute(operations):
            assert isinstance(result, Registered)
            self.users.append((result.user, result.device))

    async def append(self, count: int) -> None:
        """One message after the other, from anybody to one of their neighbours."""
        await self._execute(self._append() for _ in range(count))

    async def converse(self, one: int, other: int, count: int, *, both: bool) -> None:
        """`count` messages, all from `other` to `one`, or, with `both`, from each in turn; the last one to `one`."""
        ways = [(one, other), (other, one)] if both else [(other, one)]
        await self._execute(self._post(*ways[(number - count) % len(ways)]) for number in range(count))

    async def befriend(self, contacts: int) -> None:
        """Each user and `contacts` others, who come before and after them, see each other."""
        count, names = len(self.users), [eid_of(number) for number in range(len(self.users))]
        pairs = [(one, (one + step) % count) for step in range(1, contacts // 2 + 1) for one in range(count)]
        await self._execute(
            self._change(way[0], names[way[1]], action)
            for one, other in pairs
            for way, action in (((one, other), ContactAction.REQUEST), ((other, one), ContactAction.ACCEPT))
        )

    def _change(self, who: int, eid: str, action: ContactAction) -> ChangeContact:
        user, device = self.users[who]
        named = f"{action.name} {eid}"
        digest = blake2b(named.encode(), digest_size=DIGEST_BYTES).digest()
        return ChangeContact(user, device, named, digest, action, eid, is_mutual=True)

    def some(self, count: int) -> list[UserId]:
        return [self._random.choice(self.users)[0] for _ in range(count)]

    def _append(self) -> Append:
        draw = self._random
        sender = draw.randrange(len(self.users))
        return self._post(sender, (sender + draw.randrange(1, NEIGHBOURS + 1)) % len(self.users))

    def _post(self, sender: int, to: int) -> Append:
        user, device = self.users[sender]
        number = self.messages
        self.messages += 1
        author = self._authors.setdefault(to, Author(0, eid_of(to)))
        post = NewMessage(f"m{number}", number.to_bytes(DIGEST_BYTES, "big"), author.message(number), (BEGAN, number))
        return Append(user, device, eid_of(to), "chat", (post,))

    async def _execute(self, operations: Iterable[Operation]) -> list[Result]:
        results: list[Result] = []
        waiting: list[Operation] = []
        for operation in operations:
            waiting.append(operation)
            if len(waiting) == BATCH:
                results += await self._batch(waiting)
                waiting = []
        return results + (await self._batch(waiting) if waiting else [])

    async def _batch(self, operations: list[Operation]) -> list[Result]:
        results: list[Result] = []
        for operation in operations[:-1]:
            self._queue.submit(operation, results.append)
        last = await self._queue.execute(operations[-1])
        return [*results, last]


@asynccontextmanager
async def open_filling(folder: Path) -> AsyncIterator[Filling]:
    """In `folder`/store, where a server that is started on the folder finds it."""
    (folder / "store").mkdir()
    store = LmdbStore(str(folder / "store"), map_bytes=1 << 40, quota_bytes=0)
    queue = OperationQueue()
    settings = Settings()
    journal = Journal(
        store=store,
        queue=queue,
        worker=InlineWorker(),
        rules=rules_of(settings),
        wall_clock=wall_clock,
        committed=_ignore,
        report=_raise,
        ack_delay_seconds=settings.journal.ack_delay_seconds,
    )
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(_run, journal)
            yield Filling(store, queue)
            nursery.cancel_scope.cancel()
    finally:
        store.close()


def fill_both(folder: Path, users: int, entries: int) -> None:
    """Conversations of two, in whose logs each wrote every second entry."""

    async def fill() -> None:
        async with open_filling(folder) as filling:
            await filling.register(2 * users)
            for user in range(users):
                await filling.converse(2 * user, 2 * user + 1, entries, both=True)

    trio.run(fill)


async def _run(journal: Journal, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
    await journal.run(task_status.started)


def _ignore(_committed: Committed) -> None:
    pass


def _raise(what: str, error: BaseException) -> None:
    raise RuntimeError(what) from error


def eid_of(number: int) -> str:
    return f"u{number:06d}"
