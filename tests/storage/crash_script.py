"""What the processes of these tests do: operations through the real journal, store and thread.

Each result is told by one line, written after the journal gave it: only what stands in a line was acknowledged. The
prepared store has history enough that the script also splits, frees and uses pages again.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Any

import lmdb
import trio
import trio.testing

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, UserId
from bimip.domain.core.operations import (
    Acknowledge,
    Address,
    Append,
    ExpireBodies,
    ExpireHistory,
    ExpireLog,
    ExpireSeen,
    NewMessage,
    Operation,
    Receipt,
    Received,
    Refused,
    Register,
    Registered,
    Result,
    Revoke,
)
from bimip.domain.core.records import Changes, ReceiptKind, Table
from bimip.domain.core.rules import Rules
from bimip.journal.journal import Committed, Journal, JournalStatistics
from bimip.journal.queue import OperationQueue, Ticket
from bimip.journal.worker import InlineWorker, ThreadWorker, Worker
from bimip.storage.errors import OutcomeUnknownError, StorageError
from bimip.storage.lmdb.store import LmdbStore
from tests.domain.support import BODIES, alone

BEGIN = 1_700_000_000_000
DAY = 24 * 60 * 60 * 1000
CHAT = "chat"
PREPARED = 200  # messages
MAP_BYTES = 64 << 20
EXPIRED = earliest_stamp(Millis(BEGIN + 100))
"""Half of the prepared messages are older."""

ANN, BOB, CAROL = UserId(1), UserId(2), UserId(3)
ANN_PHONE, BOB_PHONE, BOB_LAPTOP, CAROL_PHONE = DeviceId(1), DeviceId(2), DeviceId(3), DeviceId(4)
OWNERS = {ANN_PHONE: (ANN, "ann"), BOB_PHONE: (BOB, "bob"), BOB_LAPTOP: (BOB, "bob"), CAROL_PHONE: (CAROL, "carol")}
NUMBERS = {eid: user for user, eid in OWNERS.values()}
TOGETHER = ConversationId(1)  # of Ann and Bob
RECEIVED = (Received(TOGETHER, ConversationOffset(1), ConversationOffset(180)),)


def message(device: DeviceId, name: str, to: str, size: int = 100, **fields: Any) -> Append:
    """Its bytes are like no other's."""
    sent = (f"{name} " * (size // len(name))).encode()
    return Append(OWNERS[device][0], device, to, CHAT, (NewMessage(name, name.encode().ljust(8), sent),), **fields)


def otherwise(append: Append) -> Append:
    """The same id with other content."""
    (post,) = append.messages
    return append._replace(messages=(post._replace(digest=b"other".ljust(8)),))


MESSAGES: dict[str, Append] = {
    append.messages[0].id: append
    for append in (
        message(ANN_PHONE, "m1", "bob"),
        message(ANN_PHONE, "m2", "bob", 9_000),  # beyond a page
        message(ANN_PHONE, "m3", "bob"),
        message(BOB_PHONE, "m4", "ann"),
        message(BOB_LAPTOP, "m5", "ann", 1_500),
        message(CAROL_PHONE, "m6", "ann"),  # a new conversation
        message(ANN_PHONE, "m7", "ann"),  # to oneself
        message(ANN_PHONE, "m8", "bob", addresses=(Address("bob", "laptop", b"for the laptop"),)),
        *(message(ANN_PHONE, f"n{number}", "bob", 300) for number in range(30)),
        message(BOB_PHONE, "last", "ann"),
    )
}

Step = Sequence[tuple[str, Operation]]
STEPS: list[Step] = [
    [("carol", Register("carol", "phone"))],
    [("m1", MESSAGES["m1"])],
    [("m2", MESSAGES["m2"])],
    [
        ("m3", MESSAGES["m3"]),
        ("m4", MESSAGES["m4"]),
        ("m5", MESSAGES["m5"]),
        ("ack bob", Acknowledge(BOB, BOB_PHONE, CHAT, Offset(190))),
        ("m1 again", MESSAGES["m1"]),
        ("m1 otherwise", otherwise(MESSAGES["m1"])),
    ],
    [("ack laptop", Acknowledge(BOB, BOB_LAPTOP, CHAT, Offset(130), ((140, 150), (160, 170))))],
    [("read", Receipt(BOB, ReceiptKind.READ, TOGETHER, "", ConversationOffset(180), (), RECEIVED))],
    [("m6", MESSAGES["m6"])],
    [
        ("expire ann", ExpireLog(ANN, CHAT, EXPIRED)),
        ("expire bob", ExpireLog(BOB, CHAT, EXPIRED)),
        ("expire history", ExpireHistory(TOGETHER, EXPIRED)),
    ],
    [("expire bodies", ExpireBodies(EXPIRED))],
    [("expire seen", ExpireSeen(EXPIRED))],
    [("m7", MESSAGES["m7"]), ("m8", MESSAGES["m8"])],
    [(name, append) for name, append in MESSAGES.items() if name.startswith("n")],
    [("revoke", Revoke(ANN, "a token", Millis(BEGIN + 10 * DAY)))],
    [("last", MESSAGES["last"])],
]


def say(**line: Any) -> None:
    """One line, by one write: what a process that is ended a moment later has told."""
    os.write(1, json.dumps(line).encode() + b"\n")


def say_result(name: str, result: Any) -> None:
    say(name=name, kind=type(result).__name__, **result._asdict())


class SteadyWorker(ThreadWorker):
    """Never works in the loop's thread: strace counts the calls of each thread, and all runs must make the same."""

    may_run_inline = False
    clock = staticmethod(float)  # nor are batches cut where the machine is busy


class UnsafeStore(LmdbStore):
    """For negative controls: a store that does not wait for the disk."""

    def _open_environment(self) -> lmdb.Environment:
        return lmdb.open(
            str(self._folder), map_size=MAP_BYTES, max_dbs=256, max_spare_txns=1, sync=False, metasync=False
        )


class SplitStore(LmdbStore):
    """For negative controls: a store that needs two transactions for the logs of two users."""

    _rest: Changes | None = None

    def apply(self, changes: Changes) -> None:
        if len(changes.appends) > 1:
            place, added = changes.appends.popitem()
            self._rest = Changes(appends={place: added})
        super().apply(changes)

    def commit(self) -> None:
        super().commit()
        if self._rest is not None:
            self.begin()
            super().apply(self._rest)
            self._rest = None
            super().commit()


class DeafStore(LmdbStore):
    """For negative controls: a store that takes every commit for a good one."""

    def commit(self) -> None:
        with suppress(StorageError):
            super().commit()


class HastyStore(LmdbStore):
    """For negative controls: a store that begins with what the page cache shows."""

    def _settle(self, environment: lmdb.Environment) -> None:
        pass


class HastyJournal(Journal):
    """For negative controls: a journal that begins without a start record."""

    async def _open(self) -> None:
        pass


class EagerJournal(Journal):
    """For negative controls: a journal that answers before it commits."""

    async def _write(self, tickets: Sequence[Ticket], *, has_room: bool = True) -> None:
        _, tickets, results, _ = self._decide(tickets, has_room=has_room)
        self._answer(tickets, results)
        for _ in range(5):  # those who were answered tell of it first
            await trio.lowlevel.checkpoint()
        self._cache.clear()  # of what was decided and is to be decided again
        again = [Ticket(ticket.operation, lambda _: None) for ticket in tickets]
        await super()._write(again, has_room=has_room)


STORES: dict[str, type[LmdbStore]] = {
    "unsynced": UnsafeStore,
    "split": SplitStore,
    "deaf": DeafStore,
    "hasty": HastyStore,
    "unsettled": HastyStore,
}
JOURNALS: dict[str, type[Journal]] = {"hasty": HastyJournal, "eager": EagerJournal}


class JournalHost:
    """A journal on a store, and those who submit to it."""

    def __init__(self, store: LmdbStore, worker: Worker, *, day: int, fault: str = "") -> None:
        clock = count(BEGIN + day * DAY, 17)  # a batch looks once: EXPIRED lies in the middle of what is prepared
        self.store = store
        self.queue = OperationQueue()
        self.worker = worker
        self.statistics = JournalStatistics()
        self.faults: list[str] = []
        self.journal = JOURNALS.get(fault, Journal)(
            store=store,
            queue=self.queue,
            worker=worker,
            rules=Rules(bodies=replace(BODIES, encode=lambda sent, *_: list(sent)), window_entries=256),
            wall_clock=lambda: Millis(next(clock)),
            committed=self._committed,
            report=lambda what, error: self.faults.append(f"{what}: {error}"),
            ack_delay_seconds=0,
            statistics=self.statistics,
        )

    def _committed(self, committed: Committed) -> None:
        pass

    async def submit(self, step: Step) -> list[tuple[str, Any]]:
        """All of a step at once, as one batch; returns when all are answered."""
        if not step:
            return []
        results: dict[str, Any] = {}
        done = trio.Event()

        def reply(name: str, result: Result) -> None:
            results[name] = alone(result)
            if len(results) == len(step):
                done.set()

        for name, operation in step:
            self.queue.submit(operation, lambda result, name=name: reply(name, result))  # type: ignore[misc]
        await done.wait()
        return [(name, results[name]) for name, _ in step]


def possible(step: Step, absent: set[str]) -> Step:
    """Without what those who were refused would do: a server asks nobody in who was not registered."""
    return [
        (name, operation)
        for name, operation in step
        if not (isinstance(operation, Append) and OWNERS[operation.device][1] in absent)
    ]


def run(folder: str, *, fault: str = "", reads: bool = False, steps: int = 100, in_thread: bool = False) -> None:
    """The script, on a prepared store.

    `reads`: tell, as soon as the journal has begun, what is there. `in_thread`: the journal's thread opens the store,
    so that all syncs are of one thread (strace counts calls by thread).
    """
    trio.run(_open_and_run, folder, fault, reads, STEPS[:steps], in_thread)


async def _open_and_run(folder: str, fault: str, reads: bool, steps: Sequence[Step], in_thread: bool) -> None:  # noqa: FBT001 - trio.run passes by position
    def open_store() -> LmdbStore:
        for _ in range(100):
            try:
                return STORES.get(fault, LmdbStore)(folder, map_bytes=MAP_BYTES)
            except StorageError as error:
                say(start=f"{type(error).__name__}: {error}")
        os._exit(9)  # what fails for ever fails the test, and does not hang it

    worker = SteadyWorker()
    store = await worker.run(open_store) if in_thread else open_store()
    await _run(JournalHost(store, worker, day=2 if reads else 1, fault=fault), steps, reads=reads)
    worker.close()
    store.close()


async def _run(host: JournalHost, steps: Sequence[Step], *, reads: bool) -> None:
    absent: set[str] = set()
    async with trio.open_nursery() as nursery:
        await nursery.start(keep, host)
        say(begun=True)
        if reads:
            say(told=sorted(told(host.store)))
        for step in steps:
            for name, result in await host.submit(possible(step, absent)):
                say_result(name, result)
                if isinstance(result, Refused):
                    await tell_reads(host.store, name)
                    absent |= {name} if name == "carol" else set()
        await trio.testing.wait_all_tasks_blocked()
        if host.faults:
            say(faults=len(host.faults), reopened=host.statistics.reopened, last=host.faults[-1])
        nursery.cancel_scope.cancel()


async def keep(host: JournalHost, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    """The first start may fail, and is then made again, as a supervisor makes it."""
    started = False
    failures = 0

    def begun() -> None:
        nonlocal started
        started = True
        task_status.started()

    while not started:
        try:
            await host.journal.run(begun)
        except StorageError as error:
            say(start=f"{type(error).__name__}: {error}")
            failures += 1
            if failures == 5:  # the fault is there for ever, and whoever runs the server has been told
                os._exit(0)
            with suppress(StorageError):
                host.store.reopen()


def fill_quota(folder: str) -> None:
    """Messages until one is refused, then an ack, expiry, and the refused one again: tells what changes."""
    store = LmdbStore(folder, map_bytes=MAP_BYTES, quota_bytes=600_000)
    trio.run(_fill_quota, JournalHost(store, SteadyWorker(), day=1))
    store.close()


async def _fill_quota(host: JournalHost) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(keep, host)
        number, kind = 0, ""
        while kind != "Refused":
            big = message(ANN_PHONE, f"big{number}", "bob", 20_000)
            [(_, result)] = await host.submit([(big.messages[0].id, big)])
            if type(result).__name__ != kind:
                say_result(big.messages[0].id, result)
            number, kind = number + 1, type(result).__name__
        now = earliest_stamp(Millis(BEGIN + 100 * DAY))
        expire = [("ann", ExpireLog(ANN, CHAT, now)), ("bob", ExpireLog(BOB, CHAT, now))]
        steps: list[Step] = [
            [("ack", Acknowledge(BOB, BOB_PHONE, CHAT, Offset(PREPARED)))],
            [*expire, ("history", ExpireHistory(TOGETHER, now)), ("bodies", ExpireBodies(now))],
            [(big.messages[0].id, big)],
        ]
        for step in steps:
            say_result(*(await host.submit(step))[-1])
        nursery.cancel_scope.cancel()
    host.worker.close()


async def tell_reads(store: LmdbStore, name: str, *, again: int = 10) -> None:
    """After a refusal: reads go on, and show whether it is there. Where the disk fails once more while the store is
    opened again, in the thread, reads meet that until it is: then one reads again, a moment later.
    """
    try:
        with store.snapshot() as view:
            append = MESSAGES.get(name)
            there = append is not None and view.get(Table.SEEN, (append.device, append.messages[0].id)) is not None
            prepared = len(view.scan(Table.EIDS, (1,), (3,), limit=9)) == 2
        say(refused=name, there=there, reads=prepared)
    except OutcomeUnknownError as error:
        if not again:
            say(refused=name, reads=False, error=str(error))
            return
        await trio.sleep(0.01)
        await tell_reads(store, name, again=again - 1)
    except StorageError as error:
        say(refused=name, reads=False, error=str(error))


def told(store: LmdbStore) -> Iterator[str]:
    with store.snapshot() as view:
        for name, append in MESSAGES.items():
            if view.get(Table.SEEN, (append.device, append.messages[0].id)) is not None:
                yield name


def prepare(folder: str) -> None:
    """What the script finds. Doing it again changes nothing."""
    store = LmdbStore(folder, map_bytes=MAP_BYTES)
    trio.run(_prepare, JournalHost(store, InlineWorker(), day=0))
    store.close()


async def _prepare(host: JournalHost) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(keep, host)
        say(begun=True)
        for eid, device in (("ann", "phone"), ("bob", "phone"), ("bob", "laptop")):
            ((_, result),) = await host.submit([("register", Register(eid, device))])
            assert isinstance(result, Registered)
        for first in range(0, PREPARED, 50):
            await host.submit([(f"p{n}", message(ANN_PHONE, f"p{n}", "bob", 200)) for n in range(first, first + 50)])
            say(prepared=first + 50)
        nursery.cancel_scope.cancel()
