"""What has arrived and what the application has taken of it.

    frames → seen → queue of items → the application → taken → acks, store, the next Hello

An arriving batch moves `seen`, which decides what is new; each item of the queue carries what it *settles*: how far
`taken` moves once the application is done with its event. Done means that it asks for the next one. Only `taken` is
stored, acknowledged and announced in Hello, so an application that dies in the middle of an event gets it again; one
that lives gets everything once. (An application that must not even then see a message twice keeps the last signal_id
beside its own data, in the same transaction.)

Nothing here bounds the queue of messages but the server's window: what is not taken is not acknowledged, and the server
stops. What comes besides messages is bounded here: beyond `MAX_NEWS` such events the newest are dropped (receipts are
in the store anyway).

No decision in here waits, so nothing interleaves with it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bimip.client.arguments import checked_number
from bimip.client.core.copies import Copies
from bimip.client.core.kept import KeptMessages
from bimip.client.core.sealed_messages import SealedMessages
from bimip.client.core.sealing import SEALED, Unsealer
from bimip.client.errors import InvalidArgument, ProtocolViolation, StoreError
from bimip.client.events import (
    EpochChanged,
    Event,
    GapFound,
    Identity,
    PostReceived,
    Received,
    SealedBy,
    UndecryptableMessage,
    Unreadable,
)
from bimip.client.store import Store
from bimip.client.wire.bimip import Body, Gap, Hello, LogState, Message, OffsetRange, Turn
from bimip.client.wire.bimip import Position as WirePosition
from bimip.client.wire.bimip import Snapshot as WireSnapshot
from bimip.client.wire.bimip import Start as WireStart
from bimip.domain.core.ids import Offset
from bimip.domain.core.operations import FRIEND
from bimip.domain.core.ranges import Ranges, from_offsets
from bimip.session.position import HoleError, Position

MAX_NEWS = 10_000
KNOWN_TURNS = frozenset(Turn)
"""A batch with one of a later version is left aside (PROTOCOL.md, "What may change")."""
DeliveredBefore = Callable[[Message], bool]


@dataclass(frozen=True, slots=True)
class StartAt:
    """The place at which a device without a position begins."""

    start: WireStart = WireStart.START_UNSPECIFIED
    last: int = 0  # with LAST: how many
    after_seq: Mapping[str, str] = field(default_factory=dict)  # by partition, in place of these


@dataclass(frozen=True, slots=True)
class InboxItem:
    """An entry of the queue: an event, if any, and what is settled once it has been taken."""

    event: Event | None = None
    generation: int = 0  # of the positions: another epoch's offsets settle nothing
    partition: str = ""
    upto: Offset | None = None  # in turn: everything up to here is taken then
    held: tuple[Offset, ...] = ()  # out of turn
    owes_ack: bool = True
    signal_id: str = ""
    news: bool = False  # it moves no position
    settle: Callable[[], None] | None = None  # the event is the answer to what may leave the outbox then


@dataclass(slots=True)
class PartitionState:
    """How far this device is in one partition, and what it has yet to acknowledge."""

    seen: Position
    taken: Position
    owes_upto: bool = False
    owes_single: tuple[Offset, ...] = ()  # taken out of turn, beyond taken.offset
    taken_since_ack: int = 0


@dataclass(frozen=True, slots=True)
class Ack:
    partition: str
    upto: Offset | None
    offsets: Ranges


class Inbox:
    def __init__(self, store: Store, partitions: Sequence[str], start_at: StartAt, kept: KeptMessages) -> None:
        self._store = store
        self._kept = kept
        self._partitions = tuple(partitions)
        self._start_at = start_at
        self.copies = Copies(store, self._partitions, keeps_links=kept.wanted)
        self._by_partition: dict[str, PartitionState] = {}
        for partition in self._partitions:
            if (position := store.position(partition)) is not None:
                self._by_partition[partition] = PartitionState(position, position)
        self._queue: deque[InboxItem] = deque()
        self._handed: InboxItem | None = None  # the application has it, and has not asked for the next
        self._waiting_ids: set[str] = set()  # signal_ids in the queue and in the application's hands
        self._generation = 0
        self._news = 0
        self.dropped_news = 0
        self.sealed = SealedMessages(store)
        self.unsealer: Unsealer | None = None  # None: encrypted messages come as they are

    # What the application takes.

    def __len__(self) -> int:
        return len(self._queue)

    def is_busy(self) -> bool:
        """Whether the application has something in hands or before it."""
        return bool(self._queue) or self._handed is not None

    def take_next(self) -> Event | None:
        """Settle the last event, with which the application is done, and return the next one, if there is one."""
        with self._store.transaction():
            self.finish()
            while self._queue:
                item = self._queue.popleft()
                if item.event is not None:
                    self._handed = item
                    return item.event
                self._settle(item)
        return None

    def finish(self) -> None:
        """Settle the last event, with which the application is done."""
        if self._handed is not None:
            item, self._handed = self._handed, None
            with self._store.transaction():
                self._settle(item)

    def _settle(self, item: InboxItem) -> None:
        if item.signal_id:
            self._store.remember(item.signal_id)
            self._waiting_ids.discard(item.signal_id)
            if self.unsealer is not None:
                self.unsealer.taken(item.signal_id)
        self._news -= item.news
        self._kept.took(item.event)
        if item.settle is not None:
            item.settle()
        state = self._by_partition.get(item.partition)
        if state is None or item.generation != self._generation or (item.upto is None and not item.held):
            return
        before = state.taken.offset
        if isinstance(item.event, GapFound):
            self.copies.pass_gap(item.partition, item.event.last)
        if item.upto is not None:
            state.taken = state.taken.reach(item.upto)
            state.owes_upto |= item.owes_ack
        state.taken, _ = state.taken.hold(item.held)
        state.owes_single += item.held
        state.taken_since_ack += item.event is not None
        self._store.set_position(item.partition, state.taken)
        self.copies.took(item.partition, before, state.taken.offset)

    def _add(self, item: InboxItem) -> None:
        if item.event is None and not self._queue and self._handed is None:
            self._settle(item)
            return
        if item.news and self._news >= MAX_NEWS:
            self.dropped_news += 1
            return
        self._news += item.news
        if item.signal_id:
            self._waiting_ids.add(item.signal_id)
        if item.event is None and self._queue and _joins(self._queue[-1], item):
            self._queue.pop()  # so that reconnecting again and again does not make it longer
        self._queue.append(item)

    def emit(self, *events: Event, settle: Callable[[], None] | None = None) -> None:
        """Queue events that move no position."""
        for event in events:
            self._add(InboxItem(event, news=True, settle=settle))

    def emit_latest(self, event: Event) -> None:
        """Put an event into the place of the last one, where that is of the same type and waits; else queue it."""
        if self._queue and type(self._queue[-1].event) is type(event):
            self._queue[-1] = replace(self._queue[-1], event=event)
        else:
            self.emit(event)

    def seen(self) -> dict[str, int]:
        """Returns by partition the offset up to which all has arrived."""
        return {partition: state.seen.offset for partition, state in self._by_partition.items()}

    # Acknowledging.

    def most_unacknowledged(self) -> int:
        return max((state.taken_since_ack for state in self._by_partition.values()), default=0)

    def owes(self) -> bool:
        return any(state.owes_upto or state.owes_single for state in self._by_partition.values())

    def acks(self) -> list[Ack]:
        """Returns what was taken and is not acknowledged yet; it counts as acknowledged from now on."""
        acks = []
        for partition, state in self._by_partition.items():
            beyond = [offset for offset in state.owes_single if offset > state.taken.offset]
            upto = state.taken.offset if state.owes_upto or len(beyond) < len(state.owes_single) else None
            if upto or beyond:
                acks.append(Ack(partition, upto, from_offsets(beyond)))
            state.owes_upto, state.owes_single, state.taken_since_ack = False, (), 0
        return acks

    # Where this client is.

    def claims(self) -> list[WireSnapshot]:
        """Returns what Hello says of the copies of the logs."""
        return self.copies.claims({name: state.taken.offset for name, state in self._by_partition.items()})

    def offset_of(self, partition: str) -> int:
        """Returns the offset up to which all was taken; 0 where this client has no position."""
        state = self._by_partition.get(partition)
        return 0 if state is None else state.taken.offset

    def positions(self) -> list[WirePosition]:
        return [self._position(partition) for partition in self._partitions]

    def _position(self, partition: str) -> WirePosition:
        state = self._by_partition.get(partition)
        if state is None:
            start_at = self._start_at
            if seq := start_at.after_seq.get(partition, ""):
                return WirePosition(partition=partition, seq=seq)
            return WirePosition(partition=partition, start=start_at.start, last=start_at.last)
        held = [OffsetRange(from_=first, to=last) for first, last in state.taken.announced()]
        return WirePosition(partition=partition, offset=state.taken.offset, held=held)

    @property
    def identity(self) -> Identity | None:
        return self._store.meta.identity

    @property
    def epoch(self) -> int:
        return self._store.meta.epoch

    # What arrives.

    def welcome(self, hello: Hello) -> bool:
        """Take in the server's Hello. Returns whether its epoch is another one than before."""
        self._check_identity(hello)
        before = self.epoch
        changed = before not in {0, hello.epoch}
        if changed:
            self._forget_positions()
            self.emit(EpochChanged(before, hello.epoch))
        self._store.set_meta(replace(self._store.meta, epoch=hello.epoch))
        self.emit(*self.copies.welcome(hello))
        begun = {log.partition for log in hello.logs if self._begin(log)}
        for gap in hello.gaps:
            self._gap(gap, anew=gap.partition in begun)
        return changed

    def _check_identity(self, hello: Hello) -> None:
        if hello.identity is None or not hello.identity.eid:
            raise ProtocolViolation("the server's Hello does not say who we are")
        found = Identity(hello.identity.eid, hello.identity.connection_resource_id or "")
        if self.identity is None:
            self._store.set_meta(replace(self._store.meta, identity=found))
        elif self.identity != found:
            raise StoreError(f"this file belongs to {self.identity}, and the token to {found}: use a file for each")

    def _forget_positions(self) -> None:
        self._generation += 1
        self._by_partition.clear()
        self._store.drop_positions()
        self.copies.forget()

    def _begin(self, log: LogState) -> bool:
        if log.partition not in self._partitions or log.partition in self._by_partition:
            return False
        position = Position(Offset(log.position))
        self._by_partition[log.partition] = PartitionState(position, position)
        self._store.set_position(log.partition, position)
        return True

    def _gap(self, gap: Gap, *, anew: bool) -> None:
        """Pass a gap that Hello names, in front of all that is delivered now. Until it is taken it may come again."""
        state = self._by_partition.get(gap.partition)
        if state is None or (not _is_new(gap, state.seen) and not anew):
            return
        state.seen = state.seen.skip(gap.from_, gap.to)
        self._add(InboxItem(_found(gap), self._generation, gap.partition, upto=state.seen.offset, owes_ack=False))

    def own_sent(self, partition: str, offset: int, signal_id: str) -> None:
        """Hold a message of this device that is in the log, although no copy comes."""
        self._store.remember(signal_id)
        if (state := self._by_partition.get(partition)) is not None and offset:
            state.seen, _ = state.seen.hold([offset])
            state.taken, _ = state.taken.hold([offset])
            self._store.set_position(partition, state.taken)

    def receive(self, body: Body, *, delivered_before: DeliveredBefore) -> None:
        """Take in a batch. A message that is new by its offset may have been delivered before all the same."""
        if body.turn not in KNOWN_TURNS:
            return
        self.copies.note_batch(body)
        state = self._by_partition.get(body.partition)
        if state is None:
            if body.messages:
                raise ProtocolViolation(f"messages of partition {body.partition!r}, which Hello did not name")
            return
        if body.turn is Turn.IN_TURN:
            self._in_turn(body, state, delivered_before)
        else:
            self._out_of_turn(body, state, delivered_before)

    def _in_turn(self, body: Body, state: PartitionState, delivered_before: DeliveredBefore) -> None:
        arrived = _by_offset(body.messages)
        gaps = [gap for gap in body.gaps if _is_new(gap, state.seen)]
        try:
            state.seen, new = state.seen.join(body.after, body.upto, arrived)
        except (HoleError, ValueError) as problem:
            raise ProtocolViolation(f"{body.partition}: {problem}") from problem
        entries: list[tuple[Offset, Event | None, str]] = [(Offset(gap.to), _found(gap), "") for gap in gaps]
        for offset in new:
            received = self._received(arrived[offset], body, offset, delivered_before)
            entries.append((offset, received, arrived[offset].signal_id))
        for offset, event, signal_id in sorted(entries, key=lambda entry: entry[0]):
            if event is not None:
                self._add(InboxItem(event, self._generation, body.partition, upto=offset, signal_id=signal_id))
        self._add(
            InboxItem(None, self._generation, body.partition, upto=Offset(body.upto), owes_ack=bool(body.messages))
        )

    def _out_of_turn(self, body: Body, state: PartitionState, delivered_before: DeliveredBefore) -> None:
        arrived = _by_offset(body.messages)
        state.seen, new = state.seen.hold(arrived)
        for offset in new:
            event = self._received(arrived[offset], body, offset, delivered_before)
            signal_id = arrived[offset].signal_id if event else ""
            self._add(InboxItem(event, self._generation, body.partition, held=(offset,), signal_id=signal_id))
        # Sent again although taken: the ack is still owed. What waits in the queue is acknowledged when it is taken.
        state.owes_single += tuple(
            Offset(offset) for offset in arrived if offset not in new and state.taken.holds(offset)
        )

    def _received(
        self, message: Message, body: Body, offset: Offset, delivered_before: DeliveredBefore
    ) -> Received | UndecryptableMessage | None:
        signal_id = message.signal_id
        if delivered_before(message) or signal_id in self._waiting_ids or self._store.remembers(signal_id):
            return None
        identity, author = self.identity, message.from_
        own = identity is not None and author is not None and author.eid == identity.eid
        made = PostReceived if message.scope == FRIEND else Received
        sealed_by: SealedBy | None = None
        if message.encryption_type == SEALED and self.unsealer is None:
            self.sealed.note(message)
        elif message.encryption_type == SEALED and self.unsealer is not None and identity is not None:
            opened = self.unsealer.open(message, identity)
            if isinstance(opened, Unreadable):
                return UndecryptableMessage(message, body.partition, offset, opened, own=own)
            message, sealed_by = opened
        redelivered = body.turn is Turn.REDELIVERED
        return made(message, body.partition, offset, redelivered=redelivered, own=own, sealed_by=sealed_by)

    def acknowledge(self, partition: str, offsets: Iterable[int]) -> None:
        """Settle messages that the application got by other means (Fetch, a peer)."""
        single = tuple(Offset(checked_number("offsets", offset)) for offset in offsets)
        state = self._by_partition.get(partition)
        if state is None:
            raise InvalidArgument(f"{partition!r} is none of this client's partitions, or it was never connected")
        self.copies.pass_unseen(partition, single)
        state.seen, _ = state.seen.hold(single)
        state.taken, _ = state.taken.hold(single)
        state.owes_single += single
        self._store.set_position(partition, state.taken)


def _joins(last: InboxItem, item: InboxItem) -> bool:
    """Whether `item`, which has no event, settles what `last`, which has none either, does."""
    if last.event is not None or last.upto is None or item.upto is None:
        return False
    same = (last.partition, last.generation) == (item.partition, item.generation)
    return same and last.upto <= item.upto and last.owes_ack <= item.owes_ack


def _is_new(gap: Gap, position: Position) -> bool:
    return position.skip(gap.from_, gap.to) != position


def _found(gap: Gap) -> GapFound:
    return GapFound(gap.partition, gap.from_, gap.to, gap.reason)


def _by_offset(messages: Iterable[Message]) -> dict[int, Message]:
    arrived = {message.user_offset or 0: message for message in messages}
    if 0 in arrived:
        raise ProtocolViolation("a message without user_offset")
    return arrived
