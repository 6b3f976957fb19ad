"""Messages and commands on their way out: in the order written, a bounded number of them unanswered, until each has its
answer.

One waits in the store (so it outlives the process), is sent on every connection until it is answered, and is always
sent with the same id, which makes sending it again harmless. Its answer is given once: to the method that waits for
it, else as an event; only then does the store forget it.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import Generic, Protocol, TypeVar

import anyio

from bimip.client.condition import Condition
from bimip.client.core.sealing import Sealing
from bimip.client.errors import ClientError, DuplicateId, Refused, StaleDevices
from bimip.client.events import CommandDone, CommandRefused, SendRefused, Sent
from bimip.client.frames import checked
from bimip.client.outbox_tables import OutboxItem, OutboxTable
from bimip.client.wire.bimip import ErrorCode, ErrorMessage, HelloResult, Identity, Message, Signal

MAX_IN_FLIGHT = 32
"""Messages unanswered. Below the server's own limit, so that acks and requests never wait behind them."""

TRY_AGAIN = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.STORAGE_FULL})
"""Nothing was stored, and there may be room for it later: it stays in the outbox."""
UNCERTAIN_TRIES = 3
"""One whose outcome is unknown is sent again, but one that may be what crashes the server not for ever."""

RETRY_AFTER = 1.0  # seconds, when the server does not say

Answer = Sent | SendRefused | CommandDone | CommandRefused
A = TypeVar("A", bound=Answer)


class EmitAnswer(Protocol):
    """Makes an event of an answer that nobody waits for; `settle` is called when it was taken."""

    def __call__(self, event: Answer, /, *, settle: Callable[[], None]) -> None: ...


class Waiter(Generic[A]):
    """The tasks that wait for one answer: one, but for programs that send the same id twice at once."""

    def __init__(self) -> None:
        self.count = 0
        self.done = anyio.Event()
        self.answer: A | None = None
        self.failure: ClientError | None = None


class Outbox(Generic[A]):
    """Keeps items of one kind until they are answered. `changed` is shared with the other kind, which waits for it."""

    def __init__(self, table: OutboxTable, emit: EmitAnswer, clock: Callable[[], float], changed: Condition) -> None:
        self.changed = changed
        self.paused_until = 0.0
        self._table = table
        self._emit = emit
        self._clock = clock
        self._waiters: dict[str, Waiter[A]] = {}
        self._in_flight: dict[str, float] = {}  # id -> when it was sent
        self._cursor = 0  # number of the last row sent on this connection
        self._tries: dict[str, int] = {}  # of those whose outcome was unknown

    @abstractmethod
    def _event(self, item_id: str, answer: bytes) -> A:
        """Reads an answer as it is stored."""

    @abstractmethod
    def _refusal(self, error: ErrorMessage) -> bytes:
        """Writes an error as it is stored."""

    def _put(self, items: Iterable[tuple[str, bytes]]) -> None:
        self._table.put_all(items)
        self.changed.notify_all()

    async def wait(self, item_id: str) -> A:
        """Wait for an answer. Cancelling leaves the item there; its answer then comes as an event."""
        [answer] = await self.wait_all([item_id])
        return answer

    async def wait_all(self, item_ids: Iterable[str]) -> list[A]:
        """Wait for the answers of items that were put. Cancelling leaves those that have none; what has one comes as an
        event.
        """
        waiters = {item_id: self._waiter(item_id) for item_id in item_ids}
        for waiter in waiters.values():
            waiter.count += 1
        try:
            for waiter in waiters.values():
                await waiter.done.wait()
            failure = next((waiter.failure for waiter in waiters.values() if waiter.failure is not None), None)
            if failure is not None:
                raise failure  # noqa: TRY301 - as a cancellation: what has an answer comes as an event
        except BaseException:
            for item_id, waiter in waiters.items():
                self._leave(item_id, waiter)
            raise
        for item_id in waiters:
            self._table.drop(item_id)
        return [waiter.answer for waiter in waiters.values() if waiter.answer is not None]

    def _waiter(self, item_id: str) -> Waiter[A]:
        row = self._table.get(item_id)
        if row is None or row.answer is None:
            return self._waiters.setdefault(item_id, Waiter[A]())
        answered = Waiter[A]()
        answered.answer = self._event(item_id, row.answer)
        answered.done.set()
        return answered

    def _leave(self, item_id: str, waiter: Waiter[A]) -> None:
        waiter.count -= 1
        if waiter.count == 0 and waiter.answer is not None:
            self._emit(waiter.answer, settle=partial(self._table.drop, item_id))
        elif waiter.count == 0:
            self._waiters.pop(item_id, None)

    def emit_unclaimed(self) -> None:
        """Make events of the answers that an earlier process got and nobody took."""
        for row in self._table.answered():
            assert row.answer is not None
            self._emit(self._event(row.id, row.answer), settle=partial(self._table.drop, row.id))

    def fail(self, failure: ClientError) -> None:
        """Fail all who wait for an answer; what they sent stays in the store."""
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters.values():
            waiter.failure = failure
            waiter.done.set()

    # What one connection does with it.

    def begin(self) -> None:
        """Begin a new connection, on which nothing has been sent. A wait that the server named goes on."""
        self._in_flight.clear()
        self._cursor = 0

    def next(self, *, max_bytes: int, limit: int) -> list[OutboxItem]:
        """Returns the next ones to send, as far as the window and `max_bytes` have room; at least one if any.

        None while the server asked to wait.
        """
        if self._clock() < self.paused_until:
            return []
        batch: list[OutboxItem] = []
        for row in self._table.unanswered(self._cursor, limit):
            if row.id in self._in_flight:
                continue
            if not row.message:
                break  # it is not encrypted yet, and what was written behind it waits
            max_bytes -= len(row.message) + 8
            if batch and (max_bytes < 0 or len(self._in_flight) + len(batch) >= limit):
                break
            batch.append(row)
        return batch if len(self._in_flight) < limit else []

    def sent(self, rows: Iterable[OutboxItem]) -> None:
        now = self._clock()
        for row in rows:
            self._cursor = max(self._cursor, row.number)
            self._in_flight[row.id] = now

    def unsend(self, rows: Iterable[OutboxItem]) -> None:
        """Send these again: they were not taken up."""
        for row in rows:
            self._in_flight.pop(row.id, None)
            self._cursor = min(self._cursor, row.number - 1)
        self.changed.notify_all()

    def oldest_in_flight(self) -> float | None:
        """Returns when that was sent which has waited longest for its answer."""
        return min(self._in_flight.values(), default=None)

    def waits_in_flight(self, rows: Iterable[OutboxItem]) -> bool:
        """Whether one of these was sent on this connection and has no answer."""
        return any(row.id in self._in_flight for row in rows)

    def waits_for(self, item_id: str) -> bool:
        """Whether one with this id is there and not answered."""
        row = self._table.get(item_id)
        return row is not None and row.answer is None

    def refused(self, item_id: str, error: ErrorMessage) -> None:
        row = self._table.get(item_id)
        if row is None or row.answer is not None:
            return
        if self._is_final(item_id, error):
            self._answer(item_id, self._refusal(error))
            return
        self.paused_until = self._clock() + (error.retry_after_ms / 1000 or RETRY_AFTER)
        self.unsend([row])

    def _is_final(self, item_id: str, error: ErrorMessage) -> bool:
        if error.code is ErrorCode.UNKNOWN_OUTCOME:
            self._tries[item_id] = self._tries.get(item_id, 1) + 1
            return self._tries[item_id] > UNCERTAIN_TRIES
        return error.code not in TRY_AGAIN

    def _answer(self, item_id: str, answer: bytes) -> None:
        self._in_flight.pop(item_id, None)
        self._tries.pop(item_id, None)
        self.changed.notify_all()
        row = self._table.get(item_id)
        if row is None or row.answer is not None:
            return  # answered before: a second answer to what was sent twice
        self._table.answer(item_id, answer)
        event = self._event(item_id, answer)
        if (waiter := self._waiters.pop(item_id, None)) is not None:
            waiter.answer = event
            waiter.done.set()
        else:
            self._emit(event, settle=partial(self._table.drop, item_id))


class MessageOutbox(Outbox[Sent | SendRefused]):
    """The messages."""

    sealing: Sealing | None = None

    def put_to_seal(self, messages: Iterable[Message]) -> None:
        """Store messages that are encrypted before they are sent, all or none. Raises as `put` does."""
        assert self.sealing is not None
        new: list[Message] = []
        for message in messages:
            checked(message)
            row = self._table.get(message.id)
            known = None if row is None else self.sealing.plain(message.id)
            if row is None:
                new.append(message)
            elif known is None or not _same(known, message):
                raise DuplicateId(f"a message with the id {message.id!r} and other content waits in the outbox")
        with self._table.synced():
            for message in new:
                self._table.put(message.id, b"")
                self.sealing.put_plain(message)
        self.changed.notify_all()

    def next(self, *, max_bytes: int, limit: int) -> list[OutboxItem]:
        """Returns the next ones to send. What is encrypted is the last of them, and what is behind it waits for its
        answer: it may have to be encrypted anew, and would be overtaken.
        """
        if self.sealing is None:
            return super().next(max_bytes=max_bytes, limit=limit)
        if any(self._is_sealed(item_id) for item_id in self._in_flight):
            return []
        found = super().next(max_bytes=max_bytes, limit=limit)
        sealed = next((at for at, row in enumerate(found) if self._is_sealed(row.id)), len(found))
        return found[: sealed + 1]

    def _is_sealed(self, item_id: str) -> bool:
        return self.sealing is not None and self.sealing.plain(item_id) is not None

    def refused(self, item_id: str, error: ErrorMessage) -> None:
        """Take in an error. One for a list of devices has the message encrypted for others, where it is encrypted."""
        row = self._table.get(item_id)
        if self.sealing is not None and row is not None and row.answer is None:
            missing, extra = _devices(error.missing), _devices(error.extra)
            if self.sealing.seal_again(item_id, missing, extra, error.field):
                self.unsend([row])
                return
        super().refused(item_id, error)

    def put(self, message: Message) -> None:
        """Store a message to be sent. Raises DuplicateId if another with this id waits; the same again is no change.

        Raises InvalidArgument for what cannot be encoded.
        """
        encoded = checked(message)
        row = self._table.get(message.id)
        if row is None:
            self._put([(message.id, encoded)])
        elif not _same(Message.parse(row.message), message):
            raise DuplicateId(f"a message with the id {message.id!r} and other content waits in the outbox")

    def put_new(self, messages: Iterable[Message]) -> None:
        """Store messages that nobody put before, all or none. Raises InvalidArgument for what cannot be encoded."""
        self._put([(message.id, checked(message)) for message in messages])

    def accepted(self, signal: Signal) -> None:
        self._answer(signal.id, bytes(HelloResult(sent=signal)))

    def _refusal(self, error: ErrorMessage) -> bytes:
        return bytes(HelloResult(error=error))

    def _event(self, item_id: str, answer: bytes) -> Sent | SendRefused:
        return _of_message(item_id, HelloResult.parse(answer))


def refusal(answer: SendRefused | CommandRefused) -> Refused:
    if isinstance(answer, SendRefused) and (answer.missing or answer.extra):
        return StaleDevices(answer.code, answer.message, missing=answer.missing, extra=answer.extra)
    return Refused(answer.code, answer.message, field=answer.field)


def _of_message(message_id: str, result: HelloResult) -> Sent | SendRefused:
    if (error := result.error) is not None:
        missing, extra = _devices(error.missing), _devices(error.extra)
        return SendRefused(message_id, error.code, error.message, error.field, missing, extra)
    signal = result.sent or Signal()
    return Sent(
        id=message_id,
        signal_offset=signal.signal_offset,
        signal_id=signal.signal_id,
        user_offset=signal.user_offset,
        conversation=signal.conversation,
        conversation_offset=signal.conversation_offset,
        time=signal.timestamp,
        duplicate=signal.duplicate,
        partition=signal.partition,
    )


def _devices(told: Iterable[Identity]) -> tuple[tuple[str, str], ...]:
    return tuple((one.eid, one.connection_resource_id or "") for one in told)


def _same(one: Message, other: Message) -> bool:
    """Compares two messages but for the time at which they were written, as the server does."""
    one.timestamp = other.timestamp
    return bytes(one) == bytes(other)
