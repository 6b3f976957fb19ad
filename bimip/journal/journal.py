"""The journal: the one process that decides and owns the write transaction.

Theory of operation. Operations gather in the queue while the last batch is being synced; what has gathered is the next
batch. All of it is decided in one go (plain code, no await), put into one LMDB transaction, and synced in a thread;
only then is every caller given its result, and the users concerned are told what is new. Nobody waits for a timer: an
idle server commits at once. Acks alone have nobody who waits for them, and wait for company, 20 ms at most (queue.py).

Who asks for much does not keep others waiting for long: users take turns where more waits than is decided in one go
(queue.py), and where some had much of the journal's time of late, who had little of it and asks now goes first, in a
batch that ends soon behind that. Where all ask for about as much, batches are as large as they may be.

Where little is to be done, the loop waits for the disk itself, and where there is much, the worker's thread begins the
next transaction while those who waited for the last one are told (transaction.py).

A decision that raises costs its own message an error and nothing else: it is a pure function, so nothing has happened,
and the others of its operation are decided each by itself. A batch that the store cannot take for such a reason is
tried again one message at a time, and the one at fault is refused. What a commit raises that is no StorageError tells
nothing of what is on disk, and ends the incarnation.

When the journal itself ends in the middle of a batch, its successor finds the batch in the queue, outcome unknown,
and tries each alone, in order, each message by itself: all are harmless to repeat. One that takes the journal down
twice is set aside and answered UNKNOWN_OUTCOME. Where an error ended the incarnation the next one begins without the
supervisor, whose restarts are counted: a client that repeats such an operation would spend them for everybody.

Whoever ended before it could tell, or had a commit of unknown outcome, may have left on disk what nobody was told of:
each opening of the store tells everybody to read again.

Epochs. Where the store is not the one that was last served (storage/mark.py), another epoch begins with the start
record: what devices know of the former one is compared with nothing any more. Stamps and the numbers of conversations,
by which clients know what they have, go on behind those that were given.

The disk. Nothing read from the store is told to anybody before a synced start record: a killed process may have left
its last commit in the page cache alone. A full disk refuses what would grow; what else was in the batch is tried again
without that, so that acknowledgements and expiry, which makes room, still go through. After an I/O error the
environment is closed and opened again, with back-off, and meanwhile writes are refused and reads go on. Only the very
first start may fail for the disk's sake, so that an operator is told at once; but where the disk is just full, what is
there is synced without a record, and known devices are let in to read until there is room for one.

Rejected: deciding while the last batch syncs (needs a second overlay that must be decided again when the batch fails;
at saturation the loop is busy anyway), an operation's own transaction (an fsync each), puts in the thread (the
interpreter's lock is handed over at every put), looking again and again instead of sleeping until the thread is done
(no gain that could be measured, for a tenth of a core).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from functools import partial
from typing import NamedTuple, cast

import trio

from bimip.concurrency.shares import HALVING_SECONDS, MUCH_SECONDS, Shares
from bimip.domain.core.clock import millis_of, next_stamp, stamps_from
from bimip.domain.core.decision import Decision, News
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operations import Append, Appended, Fault, Operation, Outcomes, Refused, Result
from bimip.domain.core.records import Changes, DamagedRecordError, Table
from bimip.domain.core.rules import Context, Rules
from bimip.domain.decisions import OPERATIONS, without_writing
from bimip.domain.keeping.timekeeping import Known, time_records
from bimip.domain.messages.expiring import last_stamp
from bimip.histograms import SECONDS, SIZES, Histogram
from bimip.journal.overlay import Overlay, RecordCache
from bimip.journal.queue import OperationQueue, Owner, Ticket, ignore, parts_of
from bimip.journal.transaction import UnfitError, WriteTransaction
from bimip.journal.worker import Worker
from bimip.storage.errors import OutcomeUnknownError, StorageError, StoreFullError, is_passing
from bimip.storage.interface import Store

MAX_BATCH = 4096
"""In messages, by the weight of operations."""
MAX_DECIDING_SECONDS = 0.02
"""Nobody else has a turn while a batch is decided: what is left then waits for the next one, where users take turns."""
LITTLE = 1 / 8
"""Who had less of the journal's time of late than this part of what another had, and asks now, goes first."""
BEHIND_SECONDS = 0.0005
"""Others are decided for so much longer in a batch that somebody waits for who asked for little: it ends soon."""
MAX_TELLING = 4.0
"""Beyond it, how much longer telling takes than deciding is not counted."""
CROWDED_SECONDS = 0.01
"""For the batches behind such a one, until all that waited is decided."""
FEW_SECONDS = 0.003
"""To decide and to tell, where it is a few users who ask for so much: smaller batches cost them, and nobody else."""
FEW = 16
SHORT_SECONDS = 0.001
"""To decide and to tell, for some time after somebody came who asks for little where others ask for much."""
QUIET_SECONDS = 0.002
"""The loop slept as long before a batch: there is little to do, and it may wait for the disk itself."""
REOPEN_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
LOOK_SECONDS = 2.0
MAX_CRASHES = 2
MOST_NAMED = 8
"""Messages of an operation that failed, in the log."""
LEAP = 1 << 20
"""Numbers of conversations that another epoch passes over: they may have been given after the copy was made, also by
an epoch that another start from the same copy began. Nobody's message must reach a conversation that took the number.
"""
LEAP_PER_SECOND = 16
"""And as many for each second since the copy: where it is put back elsewhere, nobody knows what was given meanwhile."""
LAST_LEAP = 1 << 31
"""Beyond it no more are passed over: there are 2**32 of them."""

FULL = Refused(
    Fault.STORAGE_FULL, "the server's disk or quota is full; nothing was stored, send it again later", "", 5_000
)
UNKNOWN = Refused(
    Fault.UNKNOWN_OUTCOME,
    "whether this was stored is not known; send it again under the same id to find out",
    "",
    1_000,
)
UNAVAILABLE = Refused(Fault.UNAVAILABLE, "the store cannot be written just now; nothing was stored", "", 1_000)
DAMAGED = Refused(
    Fault.INTERNAL, "what the server has stored there is damaged; nothing was stored, and the operator has been told"
)
INTERNAL = Refused(Fault.INTERNAL, "the server failed at this request and stored nothing; the operator has been told")


def named(operation: Operation) -> str:
    """Names an operation for the log: its kind, and the ids of what it would have stored, by which clients know it."""
    ids = [message.id for message in operation.messages] if isinstance(operation, Append) else []
    own = getattr(operation, "id", "") or getattr(operation, "request_id", "")
    more = ids[:MOST_NAMED] or ([own] if own else [])
    user = getattr(operation, "user", None)
    whose = f" of user {user}" if user is not None else ""
    return f"{type(operation).__name__}{whose}" + (f", id {', '.join(map(repr, more))}" if more else "")


class Committed(NamedTuple):
    """The news of a batch, for those who tell it on."""

    news: Sequence[News] = ()
    resync: bool = False  # more may have been committed than was told: read again
    another_epoch: bool = False  # and what was told before may be of another store: begin anew
    has_events: bool = False  # the feed of events has others than before


@dataclass(slots=True)
class JournalStatistics:
    """Outlive the journal's incarnations, and tell one whether it is the first."""

    started: bool = False
    batches: int = 0
    operations: int = 0
    refused: int = 0
    set_aside: int = 0
    reopened: int = 0
    writable: bool = False
    fault: str = ""  # why it is not writable
    put_back: str = ""  # why another epoch was begun
    batch_operations: Histogram = field(default_factory=lambda: Histogram(SIZES))
    """How many were decided together."""
    commit_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """To put a batch and to sync it, and until the journal went on behind that."""

    def describe(self) -> dict[str, object]:
        """Describes the journal to the operator: all but the histograms."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))
        return {name: value for name, value in values if not isinstance(value, Histogram)}


class Journal:
    """Made anew for every incarnation; what outlives one is in the queue and in the store."""

    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        worker: Worker,
        rules: Rules,
        wall_clock: Callable[[], Millis],
        committed: Callable[[Committed], None],
        report: Callable[[str, BaseException], None],
        known_time: Callable[[], Known] | None = None,
        expiring: Callable[[], None] = lambda: None,
        node: int = 0,
        ack_delay_seconds: float,
        statistics: JournalStatistics | None = None,
    ) -> None:
        self._store = store
        self._queue = queue
        self._worker = worker
        self._rules = rules
        self._wall_clock = wall_clock
        self._known_time = known_time
        self._expiring = expiring
        self._committed = committed
        self._report = report
        self._node = node
        self._ack_delay_seconds = ack_delay_seconds
        self._last = Stamp(0)  # none was given beyond it
        self._cache = RecordCache()
        self._is_readable = False  # without another write: devices compare with its epoch
        self._look_at = 0.0  # whether there is room again
        self._transaction = WriteTransaction(store, worker)
        self._quiet = False  # there is little to do: the loop may wait for the disk itself
        self._deciding_seconds = MAX_DECIDING_SECONDS
        self._decided_in = 0.0  # seconds, the last batch
        self._shares = Shares()  # of the time in which operations are decided, by whose they are
        self._first = 0  # tickets of the batch, of those who had little of it
        self._short_until = 0.0  # batches, so that they find a free journal when they come again
        self._telling = 0.0  # of late, how much longer than deciding it took to answer and to tell
        self._yielded = False  # to other tasks, since the last batch was taken
        self._awaited = True  # by somebody: it is not acknowledgements alone
        self.statistics = statistics or JournalStatistics()

    async def run(self, started: Callable[[], None]) -> None:
        """Serve until cancelled. A cancellation is taken between batches, never within a commit."""
        try:
            await self._start(started)
            while True:
                try:
                    await self._serve()
                except Exception as error:  # noqa: BLE001 - raised again unless there are operations to suspect
                    await self._begin_again(error)
        finally:
            self.statistics.writable = False
            with trio.CancelScope(shield=True):
                await self._transaction.end()

    async def _start(self, started: Callable[[], None]) -> None:
        self._queue.inherit()
        try:
            await self._open()
        except StorageError as error:
            is_full = isinstance(error, StoreFullError) and self._is_readable
            if not self.statistics.started and not is_full:
                raise
            self.statistics.started = True
            started()
            await (self._wait_for_room(error) if is_full else self._recover(error))
        else:
            self.statistics.started = True
            started()

    async def _serve(self) -> None:
        while True:
            if self._queue.suspects:
                await self._settle_suspects()
            begin = self._worker.idle_seconds()
            await self._wait()
            most = CROWDED_SECONDS if self._queue.is_crowded else MAX_DECIDING_SECONDS
            tickets = self._queue.take(MAX_BATCH)
            owners = {ticket.owner for ticket in tickets}
            if len(owners) > 1:
                tickets = self._by_shares(tickets, owners)
            if trio.current_time() < self._short_until:
                most = SHORT_SECONDS / (1 + self._telling)
            elif len(owners) < FEW:
                most = FEW_SECONDS / (1 + self._telling)
            self._deciding_seconds = most
            self._awaited = not all(ticket.lazy for ticket in tickets)
            if self._awaited:
                self._quiet = self._worker.idle_seconds() - begin > QUIET_SECONDS
            self._yielded = False
            await self._write(tickets)
            self._queue.settle()
            if not self._yielded and self._queue.is_urgent:  # what wrote nothing, or inline, waited for nobody
                await trio.lowlevel.checkpoint()

    def _by_shares(self, tickets: list[Ticket], owners: set[Owner]) -> list[Ticket]:
        """Puts those first who had little of the journal's time of late, where others had much."""
        shares, now = self._shares, trio.current_time()
        if now > shares.due:
            shares.age(now)
        most = max([shares.get(owner, 0.0) for owner in owners])
        if most < MUCH_SECONDS or None in owners:  # the server's own may wait for all that came before
            return tickets
        little = {owner for owner in owners if shares.get(owner, 0.0) < most * LITTLE}
        first = [ticket for ticket in tickets if ticket.owner in little]
        if all(ticket.lazy for ticket in first):
            return tickets
        self._first = len(first)
        self._short_until = now + HALVING_SECONDS
        return first + [ticket for ticket in tickets if ticket.owner not in little]

    async def _wait(self) -> None:
        """Waits for operations; and without room for room, because those who would find it may have gone."""
        while self.statistics.fault:
            with trio.move_on_at(self._look_at):
                await self._queue.wait(self._ack_delay_seconds)
            if trio.current_time() < self._look_at:
                return
            self._look_at = trio.current_time() + LOOK_SECONDS
            with suppress(StorageError):
                if await self._worker.run(self._store.has_room):
                    self.statistics.fault = ""
        await self._queue.wait(self._ack_delay_seconds)

    async def _begin_again(self, error: Exception) -> None:
        """Begins again as a successor would, where an operation may be at fault: one client's must not spend all
        restarts.

        Each is tried twice at most, so this comes to an end. Raises the error if there is no operation to suspect.
        """
        if not self._queue.has_suspects:
            raise error
        self._report("the journal failed", error)
        await self._transaction.end()
        self._cache.clear()
        await self._start(lambda: None)

    async def _open(self) -> None:
        """Begin with a synced start record, and with a clock that is ahead of every stamp ever given."""
        with self._store.snapshot() as view:
            self._last = max(last_stamp(view), self._store.newest_served)
            epoch = view.get(Table.META, ("epoch",))
            copied_at = millis_of(view.get(Table.META, ("clock",)) or Stamp(0))
            conversations = max(view.get(Table.META, ("conversations",)) or 0, self._store.newest_conversation)
            starts = view.get(Table.META, ("starts",)) or 0
        self._is_readable = epoch is not None and not self._store.put_back
        stamp = self._last = next_stamp(self._last, self._wall_clock(), self._node)
        meta = {("epoch",): epoch or stamp, ("clock",): stamp, ("starts",): starts + 1}
        if self._known_time is not None:
            meta |= time_records(self._known_time(), stamp)
        put_back = self._store.put_back
        if put_back:
            leap = LEAP + (millis_of(stamp) - copied_at) // 1000 * LEAP_PER_SECOND
            behind = max(conversations, min(conversations + leap, LAST_LEAP))
            meta |= {("epoch",): stamp, ("conversations",): behind}
        await self._commit(Changes(puts={Table.META: meta}))
        if put_back:
            self.statistics.put_back = put_back
            self._report("another epoch begins: what came after this copy is lost", StorageError(put_back))
        self.statistics.writable = True
        self.statistics.fault = ""
        self._tell(Committed(resync=True, another_epoch=bool(put_back)))

    async def _settle_suspects(self) -> None:
        suspects = self._queue.suspects
        while suspects:
            ticket = suspects[0]
            if ticket.answered:
                pass
            elif ticket.crashes >= MAX_CRASHES:
                self.statistics.set_aside += 1
                self._refuse([ticket], UNKNOWN)
                self._report("operation set aside", RuntimeError(f"{named(ticket.operation)} ended the journal"))
            else:
                ticket.crashes += 1
                await self._write([ticket])
            suspects.popleft()

    async def _write(self, tickets: Sequence[Ticket], *, has_room: bool = True) -> None:
        """Decide, put, sync, answer: one batch. Without room, what needs it is refused as FULL."""
        try:
            batch, tickets, results, rest = self._decide(tickets, has_room=has_room)
        except StorageError as error:
            await self._recover(error, tickets, UNAVAILABLE)
            return
        try:
            await self._commit(batch.changes)
        except StoreFullError as error:
            self._report("store full", error)
            self.statistics.fault = str(error)
            self._look_at = trio.current_time() + LOOK_SECONDS
            if has_room and batch.changes.needs_room:
                await self._write(tickets, has_room=False)
            else:
                self._answer_without_writing(tickets)
        except OutcomeUnknownError as error:
            await self._recover(error, tickets, UNKNOWN)
        except StorageError as error:
            await self._recover(error, tickets, UNAVAILABLE)
        except UnfitError as error:
            await self._write_alone(tickets, error)
        else:
            if batch.changes.needs_room:
                self.statistics.fault = ""  # an ack alone proves no room
            if Table.EXPIRING in batch.changes.puts:
                self._expiring()
            has_events = Table.EVENTS in batch.changes.puts
            self._release(tickets, results, rest, Committed(batch.news, has_events=has_events))

    def _decide(
        self, tickets: Sequence[Ticket], *, has_room: bool
    ) -> tuple[Overlay, Sequence[Ticket], list[Result], list[Ticket]]:
        """Decides tickets until the time is up; returns those, their results, and what is left of long ones.

        The others wait again, before all that came meanwhile; so do those of users who have something left, which goes
        first.
        """
        now = self._wall_clock()  # once for all: what is decided together happens at one time
        first = next_stamp(self._last, now, self._node)
        stamps = stamps_from(first)
        context = Context(self._rules, now, stamps.__next__)
        results: list[Result] = []
        rest: list[Ticket] = []
        decided: list[Ticket] = []
        behind: list[Ticket] = []
        busy: set[Owner] = set()
        looked = 0
        clock, shares, first_ones, self._first = self._worker.clock, self._shares, self._first, 0
        before = began = clock()
        until = began + self._deciding_seconds
        with self._store.snapshot() as base:
            batch = Overlay(self._cache.over(base), self._cache.records)
            for ticket in tickets:
                looked += 1
                if busy and ticket.owner in busy:
                    behind.append(ticket)
                    continue
                decision = self._decide_one(batch, ticket.operation, context, has_room=has_room)
                decided.append(ticket)
                results.append(decision.result)
                if decision.then is not None:
                    rest.append(Ticket(decision.then, ignore, owner=ticket.owner, is_rest=True))
                    if ticket.owner is not None:
                        busy.add(ticket.owner)
                at = clock()
                shares[ticket.owner] += at - before
                before = at
                if first_ones and looked >= first_ones:
                    first_ones, until = 0, min(until, at + BEHIND_SECONDS)
                if at > until:
                    break
        self._decided_in = clock() - began
        left = tickets[looked:]
        if behind or left:
            self._queue.give_back([*behind, *left], is_crowded=bool(left))
        unused = next(stamps)
        if unused != first:
            self._last = unused
        return batch, decided, results, rest

    def _decide_one(self, batch: Overlay, operation: Operation, context: Context, *, has_room: bool) -> Decision:
        try:
            decision = OPERATIONS[type(operation)].decide(batch, operation, context)
        except Exception as error:  # pure: nothing has happened, so only this one is refused
            if is_passing(error):
                raise  # no operation is at fault
            is_damage = isinstance(error, DamagedRecordError)  # which the store has said
            split = OPERATIONS[type(operation)].split
            if split and len(parts := split(operation)) > 1:
                return self._decide_each(batch, parts, context, has_room=has_room)
            if not is_damage:
                error.add_note(named(operation))
                self._report("decision failed", error)
            return Decision(DAMAGED if is_damage else INTERNAL)
        if decision.needs_room and not has_room:
            return Decision(FULL)
        batch.absorb(decision)
        return decision

    def _decide_each(self, batch: Overlay, parts: Sequence[Operation], context: Context, *, has_room: bool) -> Decision:
        """One of an operation's elements is at fault: the others are none the worse for that."""
        outcomes: list[Appended | Refused] = []
        for part in parts:
            result = self._decide_one(batch, part, context, has_room=has_room).result
            outcomes += (result,) if isinstance(result, Refused) else cast("Outcomes", result)
        return Decision(tuple(outcomes))

    async def _commit(self, changes: Changes) -> None:
        """On disk when it returns. When it raises StoreFullError or UnfitError nothing was written, and the next batch
        may begin.
        """
        if not (changes.puts or changes.appends or changes.cuts or changes.inserts or changes.trims):
            return
        began = self._worker.clock()
        try:
            self._yielded = await self._transaction.write(
                changes, here=self._quiet and self._awaited, begin_next=not self._quiet
            )
        except BaseException:
            self._cache.clear()  # it knows what was decided
            raise
        self._cache.committed(changes)
        self.statistics.commit_seconds.observe(self._worker.clock() - began)

    async def _write_alone(self, tickets: Sequence[Ticket], error: Exception) -> None:
        if not isinstance(error.__cause__, DamagedRecordError):  # which the store has said
            self._report("batch refused by the store", error)
        parts = [part for ticket in tickets for part in parts_of(ticket)]
        if len(parts) == 1:
            self._refuse(tickets, INTERNAL)
            return
        for part in parts:
            await self._write([part])

    async def _recover(self, error: StorageError, tickets: Sequence[Ticket] = (), why: Refused = UNAVAILABLE) -> None:
        """Close and open the store again until a start record is on disk. Meanwhile everything is refused.

        After a failed meta page LMDB reads nothing either, so it is opened again at once, before anybody is answered or
        a pause is made, and here and not in the thread: reads are made here, and must not meet a closed one.
        """
        self._report("store failed", error)
        self._cache.clear()
        self.statistics.writable = False
        self.statistics.fault = str(error)
        for attempt in range(1 << 62):
            opened = await self._reopens()
            self._refuse(tickets, why)
            tickets = ()
            if opened:
                try:
                    await self._open()
                except StorageError as again:
                    self.statistics.fault = str(again)
                    await self._reopens()
                else:
                    self.statistics.reopened += 1
                    return
            await self._answer_for(
                REOPEN_SECONDS[min(attempt, len(REOPEN_SECONDS) - 1)], partial(self._refuse, why=UNAVAILABLE)
            )

    async def _wait_for_room(self, error: StorageError) -> None:
        """The disk is full, and not even the start record finds room. What is there is read, once it is settled."""
        self._report("store full", error)
        try:
            await self._worker.run(self._store.settle)
            self._tell(Committed(resync=True))
            for attempt in range(1 << 62):
                self.statistics.writable = False
                self.statistics.fault = str(error)
                seconds = REOPEN_SECONDS[min(attempt, len(REOPEN_SECONDS) - 1)]
                await self._answer_for(seconds, self._answer_without_writing)
                with suppress(StoreFullError):
                    await self._open()
                    return
        except StorageError as another:
            await self._recover(another)

    def _answer_without_writing(self, tickets: Sequence[Ticket]) -> None:
        """Nothing has room: what needs none is answered, and the rest refused."""
        context = Context(self._rules, self._wall_clock(), lambda: self._last)
        try:
            with self._store.snapshot() as view:
                found = [without_writing(view, ticket.operation, context) for ticket in tickets]
        except (StorageError, DamagedRecordError):
            found = [None] * len(tickets)
        self._answer(tickets, [FULL if result is None else result for result in found])
        self._tell(Committed())

    async def _reopens(self) -> bool:
        try:
            await self._transaction.reopen_store()
        except StorageError as error:
            self.statistics.fault = str(error)
            return False
        return True

    async def _answer_for(self, seconds: float, answer: Callable[[Sequence[Ticket]], None]) -> None:
        with trio.move_on_after(seconds):
            while True:
                answer(self._queue.take(MAX_BATCH))
                self._queue.settle()
                await self._queue.wait(0)

    def _release(
        self, tickets: Sequence[Ticket], results: Sequence[Result], rest: list[Ticket], committed: Committed
    ) -> None:
        began = self._worker.clock()
        self.statistics.batches += 1
        self.statistics.batch_operations.observe(len(tickets))
        self._answer(tickets, results)
        if rest:
            self._queue.give_back(rest)
        self._tell(committed)
        if self._decided_in > 0:
            telling = (self._worker.clock() - began) / self._decided_in
            self._telling = min(MAX_TELLING, (self._telling + telling) / 2)

    def _refuse(self, tickets: Sequence[Ticket], why: Refused) -> None:
        self._answer(tickets, [why] * len(tickets))
        self._tell(Committed())

    def _tell(self, committed: Committed) -> None:
        """Tells what was committed, also after a refusal: those who were answered have something to send."""
        try:
            self._committed(committed)
        except Exception as error:  # noqa: BLE001 - the batch is on disk: what follows must not make it look otherwise
            self._report("telling a commit failed", error)

    def _answer(self, tickets: Sequence[Ticket], results: Sequence[Result]) -> None:
        self.statistics.operations += len(tickets)
        for ticket, result in zip(tickets, results, strict=True):
            ticket.answered = True
            if isinstance(result, Refused):
                self.statistics.refused += 1
            elif type(result) is tuple:  # one for each element
                self.statistics.refused += sum([type(outcome) is Refused for outcome in result])
            try:
                ticket.reply(result)
            except Exception as error:  # noqa: BLE001 - one caller's reply must not cost the others theirs
                self._report("a reply failed", error)
