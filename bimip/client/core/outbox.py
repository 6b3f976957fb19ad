"""Messages on their way out: in the order written, a bounded number of them unanswered, until each has its answer.

A message waits in the store (so it outlives the process), is sent on every connection until it is answered, and is
always sent with the same id, which makes sending it again harmless. Its answer is given once: to the `send` that waits
for it, else as an event; only then does the store forget it.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import anyio

from bimip.client.condition import Condition
from bimip.client.errors import ClientError, DuplicateId, Refused, StaleDevices
from bimip.client.events import SendRefused, Sent
from bimip.client.frames import checked
from bimip.client.store import OutboxItem, Store
from bimip.client.wire.bimip import ErrorCode, ErrorMessage, HelloResult, Message, Signal

MAX_IN_FLIGHT = 32
"""Messages unanswered. Below the server's own limit, so that acks and requests never wait behind them."""

TRY_AGAIN = frozenset({ErrorCode.RATE_LIMITED, ErrorCode.UNAVAILABLE, ErrorCode.STORAGE_FULL})
"""Nothing was stored, and there may be room for it later: the message stays in the outbox."""
UNCERTAIN_TRIES = 3
"""A message whose outcome is unknown is sent again, but one that may be what crashes the server not for ever."""

RETRY_AFTER = 1.0  # seconds, when the server does not say


class EmitAnswer(Protocol):
    """Makes an event of an answer that nobody waits for."""

    def __call__(self, event: Sent | SendRefused, /, *, answered: str) -> None: ...


class Waiter:
    """The tasks that wait for one message's answer: one, but for programs that send the same id twice at once."""

    def __init__(self) -> None:
        self.count = 0
        self.done = anyio.Event()
        self.answer: Sent | SendRefused | None = None
        self.failure: ClientError | None = None


class Outbox:
    def __init__(self, store: Store, emit: EmitAnswer, clock: Callable[[], float]) -> None:
        self._store = store
        self._emit = emit
        self._clock = clock
        self._waiters: dict[str, Waiter] = {}
        self._in_flight: dict[str, float] = {}  # id -> when it was sent
        self._cursor = 0  # number of the last row sent on this connection
        self._tries: dict[str, int] = {}  # of those whose outcome was unknown
        self.paused_until = 0.0
        self.changed = Condition()

    def put(self, message: Message) -> None:
        """Store a message to be sent. Raises DuplicateId if another with this id waits; the same again is no change.

        Raises InvalidArgument for what cannot be encoded.
        """
        encoded = checked(message)
        row = self._store.outbox_item(message.id)
        if row is None:
            self._store.put(message.id, encoded)
            self.changed.notify_all()
        elif not _same(Message.parse(row.message), message):
            raise DuplicateId(f"a message with the id {message.id!r} and other content waits in the outbox")

    def put_new(self, messages: Iterable[Message]) -> None:
        """Store messages that nobody put before, all or none. Raises InvalidArgument for what cannot be encoded."""
        self._store.put_all([(message.id, checked(message)) for message in messages])
        self.changed.notify_all()

    async def wait(self, message_id: str) -> Sent | SendRefused:
        """Wait for a message's answer. Cancelling leaves the message there; its answer then comes as an event."""
        row = self._store.outbox_item(message_id)
        if row is not None and row.answer is not None:
            self._store.drop(message_id)
            return _event(message_id, HelloResult.parse(row.answer))
        waiter = self._waiters.setdefault(message_id, Waiter())
        waiter.count += 1
        try:
            await waiter.done.wait()
        except BaseException:
            self._leave(message_id, waiter)
            raise
        if waiter.answer is None:
            assert waiter.failure is not None
            raise waiter.failure
        self._store.drop(message_id)
        return waiter.answer

    async def wait_all(self, message_ids: Iterable[str]) -> list[Sent | SendRefused]:
        """Wait for the answers of messages that were put just now. Cancelling leaves those that have none; what has one
        comes as an event.
        """
        waiters = {message_id: self._waiters.setdefault(message_id, Waiter()) for message_id in message_ids}
        for waiter in waiters.values():
            waiter.count += 1
        try:
            for waiter in waiters.values():
                await waiter.done.wait()
            failure = next((waiter.failure for waiter in waiters.values() if waiter.failure is not None), None)
            if failure is not None:
                raise failure  # noqa: TRY301 - as a cancellation: what has an answer comes as an event
        except BaseException:
            for message_id, waiter in waiters.items():
                self._leave(message_id, waiter)
            raise
        for message_id in waiters:
            self._store.drop(message_id)
        return [waiter.answer for waiter in waiters.values() if waiter.answer is not None]

    def _leave(self, message_id: str, waiter: Waiter) -> None:
        waiter.count -= 1
        if waiter.count == 0 and waiter.answer is not None:
            self._emit(waiter.answer, answered=message_id)
        elif waiter.count == 0:
            self._waiters.pop(message_id, None)

    def emit_unclaimed(self) -> None:
        """Make events of the answers that an earlier process got and nobody took."""
        for row in self._store.answered():
            assert row.answer is not None
            self._emit(_event(row.id, HelloResult.parse(row.answer)), answered=row.id)

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

    def next(self, *, max_bytes: int, limit: int = MAX_IN_FLIGHT) -> list[OutboxItem]:
        """Returns the next messages to send, as far as the window and `max_bytes` have room; at least one if any.

        None while the server asked to wait.
        """
        if self._clock() < self.paused_until:
            return []
        batch: list[OutboxItem] = []
        for row in self._store.unanswered(self._cursor, limit):
            if row.id in self._in_flight:
                continue
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
        """Returns when the message was sent that has waited longest for its answer."""
        return min(self._in_flight.values(), default=None)

    def waits_for(self, message_id: str) -> bool:
        """Whether a message with this id is in the outbox and not answered."""
        row = self._store.outbox_item(message_id)
        return row is not None and row.answer is None

    def accepted(self, signal: Signal) -> None:
        self._answer(signal.id, HelloResult(sent=signal))

    def refused(self, message_id: str, error: ErrorMessage) -> None:
        row = self._store.outbox_item(message_id)
        if row is None or row.answer is not None:
            return
        if self._is_final(message_id, error):
            self._answer(message_id, HelloResult(error=error))
            return
        self.paused_until = self._clock() + (error.retry_after_ms / 1000 or RETRY_AFTER)
        self.unsend([row])

    def _is_final(self, message_id: str, error: ErrorMessage) -> bool:
        if error.code is ErrorCode.UNKNOWN_OUTCOME:
            self._tries[message_id] = self._tries.get(message_id, 1) + 1
            return self._tries[message_id] > UNCERTAIN_TRIES
        return error.code not in TRY_AGAIN

    def _answer(self, message_id: str, result: HelloResult) -> None:
        self._in_flight.pop(message_id, None)
        self._tries.pop(message_id, None)
        self.changed.notify_all()
        row = self._store.outbox_item(message_id)
        if row is None or row.answer is not None:
            return  # answered before: a second answer to a message that was sent twice
        self._store.answer(message_id, bytes(result))
        event = _event(message_id, result)
        if (waiter := self._waiters.pop(message_id, None)) is not None:
            waiter.answer = event
            waiter.done.set()
        else:
            self._emit(event, answered=message_id)


def refusal(answer: SendRefused) -> Refused:
    if answer.missing or answer.extra:
        return StaleDevices(answer.code, answer.message, missing=answer.missing, extra=answer.extra)
    return Refused(answer.code, answer.message, field=answer.field)


def _event(message_id: str, result: HelloResult) -> Sent | SendRefused:
    if (error := result.error) is not None:
        missing, extra = (
            tuple((one.eid, one.connection_resource_id or "") for one in told) for told in (error.missing, error.extra)
        )
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


def _same(one: Message, other: Message) -> bool:
    """Compares two messages but for the time at which they were written, as the server does."""
    one.timestamp = other.timestamp
    return bytes(one) == bytes(other)
