"""All that a device knows and decides: frames in, frames out, and no I/O but the store's.

`link.py` carries the frames, `client.py` is what programs see. Each frame is decided in one transaction of the store
and without an await, so a device is never between two states when its connection or its task ends.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import betterproto2

from bimip.client.condition import Condition
from bimip.client.core.calls import Calls
from bimip.client.core.chain import digest_of
from bimip.client.core.commands import MAX_COMMANDS_IN_FLIGHT, CommandOutbox
from bimip.client.core.copies import Stretch
from bimip.client.core.inbox import Inbox, StartAt
from bimip.client.core.kept import KeptMessages
from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.outbox import MAX_IN_FLIGHT, MessageOutbox
from bimip.client.core.presence import Presence
from bimip.client.core.requests import Requests
from bimip.client.core.sealing import SEALED
from bimip.client.core.state import State
from bimip.client.errors import ProtocolViolation
from bimip.client.events import (
    Connected,
    Event,
    LocationTold,
    MessageChanged,
    PeerSignalled,
    ReadAgain,
    Resumed,
    ServerError,
)
from bimip.client.frames import Payload, decode, encode
from bimip.client.outbox_tables import OutboxItem
from bimip.client.store import PendingRead, Store
from bimip.client.wire.bimip import (
    Awareness,
    AwarenessStatus,
    Body,
    CallStep,
    Command,
    Conversation,
    ErrorCode,
    ErrorMessage,
    Fetch,
    FetchKind,
    Hello,
    HelloResult,
    Identity,
    Limits,
    LocationStream,
    Message,
    MessageStatus,
    OffsetRange,
    PeerSignal,
    PingPong,
    PingPongKind,
    Signal,
    StateDelta,
    StateItem,
    Turn,
)
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.clock import signal_id
from bimip.domain.core.ids import Stamp

if TYPE_CHECKING:
    from bimip.client.encryption.encryption import Encryption

HELLO_MESSAGES = 256
HELLO_BYTES = 512 * 1024
"""Of messages written offline; what exceeds it follows as Body."""

MOST_REMEMBERED = 10_000
"""Conversations of which it is remembered how many are in them."""

RECEIPTS_TOGETHER = 256
"""In one frame: every server takes as many."""

DEFAULT_LIMITS = Limits(
    max_message_bytes=64 * 1024, max_frame_bytes=1024 * 1024, window_entries=256, heartbeat_ms=30_000, max_unanswered=64
)

E = TypeVar("E", bound=Event)


class Device:
    def __init__(
        self,
        store: Store,
        partitions: Sequence[str],
        start_at: StartAt,
        agent: str,
        clock: Callable[[], float],
        kept: KeptMessages,
    ) -> None:
        self.store = store
        self.outgoing: deque[bytes] = deque()
        self.changed = Condition()  # something arrived, was taken or is to be sent
        self.kept = kept
        self.inbox = Inbox(store, partitions, start_at, kept)
        on_its_way = Condition()  # what is in the two outboxes, or what became of it
        self.outbox = MessageOutbox(store.outbox, self._emit, clock, on_its_way)
        self.commands = CommandOutbox(store.commands, self._emit, clock, on_its_way)
        self.requests = Requests()
        self.state = State(store, CLIENT_KINDS)
        self.calls = Calls()
        self.presence = Presence(clock)
        self.focus: Awareness | None = None  # what to say of this device on each connection; None: nothing
        self.limits = DEFAULT_LIMITS
        self.encryption: Encryption | None = None
        self.sealed = self.inbox.sealed
        self.is_catching_up = False
        """It does not ask for its logs yet."""
        self.hear_sibling: Callable[[PeerSignalled], bool] = lambda _said: False
        """Takes what a sibling says that is not for the program."""
        self._agent = agent
        self._in_hello: list[OutboxItem] = []
        self._unconfirmed_reads: dict[PendingRead, int] = {}  # -> the heartbeat before which it was sent
        self._heartbeats = 0
        self._reading_again: dict[int, Stretch] = {}  # what was asked for, by ref
        self._resuming: dict[int, str] = {}  # conversations that were opened, as they were named, by ref
        self._member_counts: dict[str, int] = {}
        self._given: dict[int, list[OutboxItem]] = {}  # commands, by the ref of the frame that they went out in
        self.outbox.emit_unclaimed()
        self.commands.emit_unclaimed()

    def encrypt(self, encryption: "Encryption") -> None:
        """Have messages encrypted and decrypted."""
        self.encryption = self.outbox.sealing = self.inbox.unsealer = encryption

    def refuse_unsealed(self, error: ErrorMessage) -> None:
        """Refuse a message that cannot be encrypted."""
        with self.store.transaction():
            self.outbox.refused(error.id, error)
        self.changed.notify_all()

    def _emit(self, event: Event, /, *, settle: Callable[[], None]) -> None:
        self.inbox.emit(event, settle=settle)
        self.changed.notify_all()

    def send(self, payload: Payload, ref: int = 0) -> None:
        self.outgoing.append(encode(payload, ref))
        self.changed.notify_all()

    # The first frames.

    def hello(self) -> bytes:
        """Returns the Hello of this device. Nothing that an earlier connection left half done goes over into it."""
        self.outgoing.clear()
        self.outbox.begin()
        self.commands.begin()
        self._given.clear()
        self.state.connected()
        self._unconfirmed_reads.clear()
        self._reading_again.clear()
        self._resuming.clear()
        self._in_hello = []
        for row in self.outbox.next(max_bytes=HELLO_BYTES, limit=HELLO_MESSAGES):
            if self._is_too_large(row):
                break  # refused when the server's own limit is known
            self._in_hello.append(row)
        self.outbox.sent(self._in_hello)
        return encode(
            Hello(
                partitions=[] if self.is_catching_up else self.inbox.positions(),
                epoch=self.inbox.epoch,
                state_version=self.state.version,
                snapshots=[] if self.is_catching_up else self.inbox.claims(),
                messages=[Message.parse(row.message) for row in self._in_hello],
                agent=self._agent,
            )
        )

    def welcome(self, hello: Hello) -> None:
        """Take in the server's Hello."""
        with self.store.transaction():
            if self.inbox.welcome(hello):
                self.state.forget_version()
                if self.encryption is not None:
                    self.encryption.epoch_changed()
                self.store.drop_pending_reads()  # what was read may have another place there, or none
            self.limits = hello.limits or DEFAULT_LIMITS
            identity = self.inbox.identity
            assert identity is not None
            if not self.is_catching_up:
                self.inbox.emit(Connected(hello.epoch, identity, {log.partition: log.head for log in hello.logs}))
            answered = len(hello.results)
            for row, result in zip(self._in_hello, hello.results, strict=False):
                self._result(row, result)
            self.outbox.unsend(self._in_hello[answered:])
            self._in_hello = []
        if self.encryption is not None:
            self.encryption.connected()
        self.presence.connected()
        if self.focus is not None:
            self.send(self.focus, self.requests.next_ref())
        for mark in self.store.pending_reads():
            self._send_read(mark)
        for peer, call in self.calls.open():
            self.say_of_call(peer, call, CallStep.CALL_RINGING)  # whether the server still knows of it
        self.read_again()
        self.changed.notify_all()

    def _result(self, row: OutboxItem, result: HelloResult) -> None:
        if result.sent is not None:
            result.sent.id = row.id
            self._accepted(result.sent)
        elif result.error is not None:
            self.outbox.refused(row.id, result.error)
        else:
            raise ProtocolViolation("a result in Hello that is neither sent nor error")

    # Everything after.

    def receive(self, frame: bytes) -> None:
        payload, ref = decode(frame)
        if payload is None:
            return  # of a later version
        with self.store.transaction():
            if ref in self._reading_again and isinstance(payload, Body):
                self._read_again(self._reading_again.pop(ref), payload)
            elif not (ref and self.requests.answer(ref, payload)):
                self._take(payload, ref)
            elif isinstance(payload, Body):
                self._state_beside(payload)
        self.changed.notify_all()

    def _take(self, payload: betterproto2.Message, ref: int) -> None:
        match payload:
            case Body():
                self._body(payload, ref)
            case Signal():
                self._signal(payload, ref)
            case ErrorMessage():
                self._error(payload, ref)
            case Command():
                self._done(payload)
            case StateDelta():
                self._state(payload)
            case PingPong():
                self._ping(payload, ref)
            case Hello():
                raise ProtocolViolation("a second Hello")
            case _:
                pass  # what later versions handle

    def note_conversations(self, conversations: Iterable[Conversation]) -> None:
        """Note what an answer told of conversations."""
        if len(self._member_counts) > MOST_REMEMBERED:
            self._member_counts.clear()
        self._member_counts.update({one.id: one.member_count for one in conversations})

    def members_of(self, conversation: str) -> int:
        """Returns how many are in a conversation, as it was told last; 0: it was not."""
        return self._member_counts.get(conversation, 0)

    def _state_beside(self, body: Body) -> None:
        """Merges what is so now of messages that were fetched: the copy may know it by then, or learn it here."""
        for page in body.states:
            self._changed(self.state.items(page.items))

    def _body(self, body: Body, ref: int) -> None:
        for signal in body.signals:
            self._signal(signal, signal.ref)
        self._ephemeral(body)
        if body.turn is not Turn.TURN_FETCH:  # else: the answer to a Fetch that nobody waits for any more
            self._messages(body)
        if body.turn in {Turn.TURN_FETCH, Turn.TURN_RESUME}:
            self._state_beside(body)
        else:
            for page in body.states:
                self._state(page)
        if body.complete and ref in self._resuming:
            self.inbox.emit(Resumed(self._resuming.pop(ref)))
        for command in body.commands:
            self._done(command)
        for error in body.errors:
            if not self.requests.answer(error.ref, error):
                self._error(error, error.ref)

    def _ephemeral(self, body: Body) -> None:
        self.inbox.emit(*map(_located, body.locations))
        said = map(_signalled, body.peer_signals)
        self.inbox.emit(*(one for one in said if not self.hear_sibling(one)))
        if body.awareness or body.awareness_reset:
            self.inbox.emit(*self.presence.take(body.awareness, is_reset=body.awareness_reset))

    def _messages(self, body: Body) -> None:
        self.inbox.receive(body, delivered_before=self._settles_outbox)
        for message in body.messages:
            self.commands.saw(message.signal_offset)
            if message.from_ is not None:
                self.inbox.emit(*self.presence.wrote(message.from_.eid, message.conversation))

    def take_slice(self, body: Body) -> None:
        """Take what a sibling gave, as if the server had sent it."""
        body.turn = Turn.IN_TURN
        with self.store.transaction():
            self.inbox.receive(body, delivered_before=self._settles_outbox)
        self.changed.notify_all()

    def read_again(self) -> None:
        """Ask for what is to be read again, of which nothing is asked yet."""
        asked = {stretch.partition for stretch in self._reading_again.values()}
        for stretch in self.inbox.copies.stretches():
            if stretch.partition not in asked:
                asked.add(stretch.partition)
                ref = self.requests.next_ref()
                self._reading_again[ref] = stretch
                self.send(Fetch(kind=FetchKind.LOG, partition=stretch.partition, offset=stretch.first), ref)

    def _read_again(self, stretch: Stretch, body: Body) -> None:
        for message in body.messages:
            offset = message.user_offset or 0
            if stretch.first <= offset <= stretch.last:
                own = self._is_of_this_user(message)
                if self.encryption is None or message.encryption_type != SEALED:  # else the program had its text once
                    self.inbox.emit(ReadAgain(message, stretch.partition, offset, own))
        self.inbox.copies.read_again(stretch, body)
        self.read_again()

    def _settles_outbox(self, message: Message) -> bool:
        """Whether a message of the log is one of the outbox: its SENT was cut off, and this says as much."""
        if not self._is_ours(message) or not self.outbox.waits_for(message.id):
            return False
        self.store.remember(message.signal_id)
        self._keep_from_log(message)
        self.outbox.accepted(
            Signal(
                id=message.id,
                signal_id=message.signal_id,
                signal_offset=message.signal_offset,
                user_offset=message.user_offset or 0,
                partition=message.partition,
                conversation=message.conversation,
                conversation_offset=message.conversation_offset,
                timestamp=message.server_time,
                duplicate=True,
            )
        )
        return True

    def _keep_from_log(self, message: Message) -> None:
        written = None if self.encryption is None else self.encryption.plain(message.id)
        identity = self.inbox.identity
        if written is not None and self.encryption is not None and identity is not None:
            self.encryption.note_sent(message.id, message.signal_id, message.conversation, identity)
            message = replace(message, payload=written.payload)
        self.kept.keep(message, message.partition, message.user_offset or 0, is_opened=written is not None)

    def _is_of_this_user(self, message: Message) -> bool:
        identity, author = self.inbox.identity, message.from_
        return identity is not None and author is not None and author.eid == identity.eid

    def _is_ours(self, message: Message) -> bool:
        identity, author = self.inbox.identity, message.from_
        if identity is None or author is None:
            return False
        return author.eid == identity.eid and author.connection_resource_id == identity.device

    def _signal(self, signal: Signal, ref: int) -> None:
        if signal.status == MessageStatus.SENT:
            self.requests.message_of(ref)
            self._accepted(signal)
        elif signal.call and (event := self.calls.take(signal)) is not None:
            self.inbox.emit(event)

    def _accepted(self, signal: Signal) -> None:
        self.commands.saw(signal.signal_offset)
        if (row := self.store.outbox.get(signal.id)) is not None:
            message = Message.parse(row.message)
            message.signal_offset = signal.signal_offset
            self.inbox.copies.note(signal.partition, signal.user_offset, message)
            self._keep_own(self._as_written(message, signal), signal)
        self.inbox.own_sent(signal.partition, signal.user_offset, signal.signal_id)
        self.outbox.accepted(signal)

    def _as_written(self, message: Message, signal: Signal) -> Message:
        """Returns a message of this device as it was before it was encrypted, with the digest of what was sent."""
        written = None if self.encryption is None else self.encryption.plain(message.id)
        identity = self.inbox.identity
        if written is None or self.encryption is None or identity is None:
            return message
        self.encryption.note_sent(message.id, signal.signal_id, signal.conversation, identity)
        digest = digest_of(message, signal.partition)
        return replace(written, encryption_type=SEALED, digest=digest, signal_offset=signal.signal_offset)

    def _keep_own(self, message: Message, signal: Signal) -> None:
        """Keeps a message of this device as others see it."""
        if not self.kept.wanted:
            return
        identity = self.inbox.identity
        assert identity is not None
        message.from_ = Identity(eid=identity.eid, connection_resource_id=identity.device)
        message.signal_id, message.user_offset = signal.signal_id, signal.user_offset
        message.conversation, message.conversation_offset = signal.conversation, signal.conversation_offset
        message.partition, message.server_time = signal.partition, signal.timestamp
        self.kept.keep(message, signal.partition, signal.user_offset, is_opened=message.encryption_type == SEALED)

    def _done(self, command: Command) -> None:
        self.commands.saw(command.stamp)
        self.commands.accepted(command)

    def _error(self, error: ErrorMessage, ref: int) -> None:
        if ref in self._given:
            self._not_done(self._given[ref], error)
            return
        message_id = self.requests.message_of(ref) or error.id
        if message_id and self.outbox.waits_for(message_id):
            self.outbox.refused(message_id, error)
        else:
            self.inbox.emit(ServerError(error.code, error.message, error.id or self._resuming.pop(ref, "")))

    def _changed(self, events: Sequence[Event]) -> None:
        events = [self.without_forgeries(event) for event in events]
        self.kept.changed(events)
        self.inbox.emit(*events)

    def without_forgeries(self, event: E) -> E:
        """Leaves away what an encrypted message would be edited to: whoever says so says it in the clear."""
        if self.encryption is None or not isinstance(event, MessageChanged) or event.payload is None:
            return event
        is_sealed = self.encryption.is_sealed(signal_id(Stamp(event.signal_offset)))
        return replace(event, payload=None) if is_sealed else event

    def _not_done(self, given: list[OutboxItem], error: ErrorMessage) -> None:
        """An error that names no command is the answer of all in its frame."""
        for row in given:
            if error.id in {"", row.id}:
                self.commands.refused(row.id, error)

    def _state(self, page: StateDelta) -> None:
        if page.ref:  # the answer to a Fetch of receipts: items of any version
            self._changed(self.state.items(page.items))
        else:
            self._changed(self.state.page(page))

    def take_state(self, items: Sequence[StateItem]) -> None:
        """Merge what an answer told of the state, which its page may tell later."""
        with self.store.transaction():
            self._changed(self.state.items(items))
        self.changed.notify_all()

    def read_state_again(self, page: StateDelta, *, begins: bool) -> None:
        """Merge a page of a whole state that was asked for; the first one, or one that begins it anew, `begins` it."""
        with self.store.transaction():
            self._changed(self.state.read_again(page.items, begins=begins, complete=page.complete))
        self.changed.notify_all()

    def _ping(self, ping: PingPong, ref: int) -> None:
        if ping.kind is PingPongKind.PING:
            self.send(PingPong(kind=PingPongKind.PONG, id=ping.id, timestamp=ping.timestamp), ref)
        elif ping.id == str(self._heartbeats):
            self._confirm_reads()

    # What goes out.

    def send_messages(self) -> bool:
        """Send the next frame of the outbox, if the server may have more unanswered. Returns whether there was one."""
        limit = min(MAX_IN_FLIGHT, max(1, self.limits.max_unanswered // 2))
        found = self.outbox.next(max_bytes=self.limits.max_frame_bytes // 2, limit=limit)
        rows = []
        for row in found:
            if self._is_too_large(row):
                self.outbox.refused(row.id, self._too_large(row))
            else:
                rows.append(row)
        self.outbox.sent(rows)
        if len(rows) == 1:
            ref = self.requests.next_ref()
            self.requests.carried(ref, rows[0].id)
            self.send(Message.parse(rows[0].message), ref)
        elif rows:
            self.send(Body(messages=[Message.parse(row.message) for row in rows]), self.requests.next_ref())
        return bool(found)

    def give_commands(self) -> bool:
        """Send the next frame of commands, as `send_messages` does. Returns whether there was one."""
        limit = min(MAX_COMMANDS_IN_FLIGHT, max(1, self.limits.max_unanswered // 4))
        found = self.commands.next(max_bytes=self.limits.max_frame_bytes // 2, limit=limit)
        rows = [row for row in found if not self._is_too_large(row)]
        for row in found:
            if row not in rows:
                self.commands.refused(row.id, self._too_large(row))
        if rows:
            self.commands.sent(rows)
            ref = self.requests.next_ref()
            self._given = {one: given for one, given in self._given.items() if self.commands.waits_in_flight(given)}
            self._given[ref] = rows
            commands = [Command.parse(row.message) for row in rows]
            self.send(commands[0] if len(rows) == 1 else Body(commands=commands), ref)
        return bool(found)

    def _is_too_large(self, row: OutboxItem) -> bool:
        return len(row.message) > self.limits.max_message_bytes

    def _too_large(self, row: OutboxItem) -> ErrorMessage:
        """Makes the refusal of what is not sent, since the server might end the connection over it, again and again."""
        text = f"The message has {len(row.message)} bytes, the server takes {self.limits.max_message_bytes}."
        return ErrorMessage(code=ErrorCode.TOO_LARGE, message=text, id=row.id)

    def send_acks(self) -> None:
        for ack in self.inbox.acks():
            ranges = [OffsetRange(from_=first, to=last) for first, last in ack.offsets]
            self.send(
                Signal(status=MessageStatus.DELIVERED, partition=ack.partition, upto=ack.upto or 0, offsets=ranges)
            )

    def mark_read(self, mark: PendingRead, *, connected: bool) -> None:
        """Remember what was read, and send the receipt now or once there is a connection."""
        if self.store.add_pending_read(mark) and connected:
            self._send_read(mark)

    def mark_read_many(self, marks: Sequence[PendingRead], *, connected: bool) -> None:
        """Remember what was read of many conversations, and send the receipts as one batch."""
        with self.store.transaction():
            news = [mark for mark in marks if self.store.add_pending_read(mark)]
        if connected:
            for first in range(0, len(news), RECEIPTS_TOGETHER):
                signals = [self._read_signal(mark) for mark in news[first : first + RECEIPTS_TOGETHER]]
                self.send(Body(signals=signals), self.requests.next_ref())

    def _send_read(self, mark: PendingRead) -> None:
        self.send(self._read_signal(mark), self.requests.next_ref())

    def _read_signal(self, mark: PendingRead) -> Signal:
        self._unconfirmed_reads[mark] = self._heartbeats
        signal = Signal(status=MessageStatus.READ, upto=mark.upto)
        if mark.is_peer:
            signal.to = Identity(eid=mark.target)
        else:
            signal.conversation = mark.target
        return signal

    def say_of_call(self, peer: str, call: str, step: CallStep, payload: bytes = b"", ttl_ms: int = 0) -> None:
        """Say something of a call with another user. What is wrong with it is told by a ServerError with its name."""
        status, to = MessageStatus.CALLING, Identity(eid=peer)
        said = Signal(id=call, status=status, to=to, call=call, step=step, payload=payload, ttl_ms=ttl_ms)
        self.send(said, self.requests.next_ref())

    def say_activity(self, to: str, doing: Doing, ttl_ms: int) -> None:
        """Say what this user is doing in a conversation, or with another user."""
        ref = self.requests.next_ref()
        if doing is Doing.RESUME:
            self._resuming[ref] = to
        self.send(Awareness(status=AwarenessStatus(doing), to=Identity(eid=to), ttl_ms=ttl_ms), ref)

    def expire(self) -> None:
        """End what has ended by itself."""
        self.inbox.emit(*self.presence.expire())
        self.changed.notify_all()

    def heartbeat(self) -> None:
        self.kept.expire()
        self._heartbeats += 1
        self.send(PingPong(kind=PingPongKind.PING, id=str(self._heartbeats)))

    def _confirm_reads(self) -> None:
        """Drop the READs that the server has.

        Success is not answered. A heartbeat answered a whole interval after it was sent has to do.
        """
        for mark in [mark for mark, sent in self._unconfirmed_reads.items() if sent < self._heartbeats - 1]:
            del self._unconfirmed_reads[mark]
            self.store.drop_pending_read(mark)


def _located(told: LocationStream) -> LocationTold:
    eid = told.from_.eid if told.from_ is not None else ""
    position = (told.latitude, told.longitude) if told.has_position else None
    where = (position, told.altitude, told.accuracy, told.timestamp) if position else ()
    return LocationTold(eid, told.conversation, told.enabled, told.expires_at, *where)


def _signalled(said: PeerSignal) -> PeerSignalled:
    device = said.from_.connection_resource_id if said.from_ is not None else ""
    return PeerSignalled(device or "", said.kind, said.payload, said.id)
