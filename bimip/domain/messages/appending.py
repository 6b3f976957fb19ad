"""Messages enter the logs of everybody concerned: each in all of them or none, once however often it is sent.

An Append is decided as one: what its messages share (the recipient, the conversation, both logs) is looked up and
written once, and only deduplication looks at each.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, repeat
from typing import Any, NamedTuple

from bimip.domain.accounts.registering import allocate, register_user
from bimip.domain.contacts.access import blocks
from bimip.domain.conversations.feeds import open_feed
from bimip.domain.conversations.inbox import come_on_top, link
from bimip.domain.conversations.membership import group_of, is_feed, membership_of, no_conversation, unhear
from bimip.domain.core.clock import millis_of
from bimip.domain.core.decision import Decision, Insert, LogAppend, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import FRIENDS, Append, Appended, Fault, Links, NewMessage, Refused
from bimip.domain.core.records import (
    Addressed,
    Conversation,
    DamagedRecordError,
    Device,
    Entry,
    Expiring,
    HistoryEntry,
    Index,
    IndexRow,
    Key,
    Log,
    LogTable,
    Reader,
    SentRecord,
    Table,
    User,
    maker,
)
from bimip.domain.core.rules import Context
from bimip.domain.messages.device_lists import stale_devices
from bimip.domain.messages.fan_out import fan_out
from bimip.domain.webhooks.feed import EventKind, accepted
from bimip.names import conversation_number, is_conversation_id

QUOTA_RETRY_MS = 3_600_000
"""Room comes as messages expire: rarely."""

LONGEST_TTL_MS = 36_500 * 86_400_000
"""A message that disappears is seen for so long at most, where its partition is kept for ever: a century."""

# As often as here, an enum's members cost more by their class than as names of the module.
BODIES, CONVERSATIONS, DIRECT, LOGS = Table.BODIES, Table.CONVERSATIONS, Table.DIRECT, Table.LOGS
ROSTERS, SEEN, USAGE, USERS = Table.ROSTERS, Table.SEEN, Table.USAGE, Table.USERS
ENTRIES, HISTORY, SEQS = LogTable.ENTRIES, LogTable.HISTORY, Index.SEQS
ACCEPTED = EventKind.ACCEPTED

NOBODY = DeviceId(0)
"""No device has this number."""
NO_USER = UserId(0)

EMPTY_LOG = Log(Offset(1), Offset(0))

_decision, _writes = maker(Decision), maker(Writes)
_appended, _entry, _history_entry, _seen = maker(Appended), maker(Entry), maker(HistoryEntry), maker(SentRecord)


def append(view: Reader, op: Append, context: Context) -> Decision:
    device = op.device
    known: list[SentRecord | None] = view.get_all(SEEN, [(device, message.id) for message in op.messages])
    if not any(known):
        return _append_new(view, op, op.messages, context)
    new = [message for message, seen in zip(op.messages, known, strict=True) if seen is None]
    decision = _append_new(view, op, new, context) if new else Decision(())
    results = iter(_outcomes(decision, len(new)))
    merged = [
        next(results) if seen is None else _again(message, seen, context.now)
        for message, seen in zip(op.messages, known, strict=True)
    ]
    return decision._replace(result=tuple(merged))


def _outcomes(decision: Decision, count: int) -> Iterable[Any]:
    return repeat(decision.result, count) if isinstance(decision.result, Refused) else decision.result


def _append_new(view: Reader, op: Append, messages: Sequence[NewMessage], context: Context) -> Decision:
    """Appends messages that the device did not send before."""
    puts: list[Put] = []
    audience = _audience(view, op, context, puts)
    if isinstance(audience, Refused):
        return Decision(audience)
    number, conversation, readers, deaf, named = audience
    if deaf:
        puts.append(unhear(view, deaf, number, conversation.head + 1, conversation.head + len(messages)))
    everybody = (*readers, deaf) if deaf else readers  # who asks shall not be told of whom a message does not reach
    everybody = (*everybody, *named) if named else everybody
    if op.is_complete and (stale := stale_devices(view, op, number, everybody, context.rules.device_names)):
        return Decision(stale)
    addressed = _addresses(view, op, everybody, {deaf, *named}) if op.addresses else {}
    if isinstance(addressed, Refused):
        return Decision(addressed)
    stamp = context.stamp
    stamps = [stamp() for _ in messages]
    sent = [message.sent for message in messages]
    bodies = context.rules.bodies.encode(sent, stamps, context.now, number, ConversationOffset(conversation.head + 1))
    if op.ttl:
        bodies = [context.rules.bodies.expire(body, Millis(context.now + op.ttl)) for body in bodies]
    stored: int = (view.get(USAGE, (op.user,)) or 0) + sum(map(payload_bytes, addressed.values()))
    most = context.rules.max_stored_bytes
    if 0 < most < stored + sum(map(len, bodies)):
        fitting = sum(size <= most - stored for size in accumulate(map(len, bodies)))
        return _append_fitting(view, op, messages, fitting, context)
    puts.append((USAGE, {(op.user,): stored + sum(map(len, bodies))}))
    puts.append((BODIES, dict(zip(zip(stamps, strict=True), bodies, strict=True))))
    for user, devices in addressed.items():
        puts.append((Table.ADDRESSED, {(stamps[0], user): tuple(devices)}))  # which have a message to themselves
    decision = _write(view, op, messages, context.now, stamps, bodies, audience, addressed, puts)
    if ACCEPTED in context.rules.events:
        puts += accepted(view, op.user, number, conversation.head + 1, stamps, context.now)
    if op.ttl or op.partition in context.rules.until_acked:
        puts += _kept_until(op, audience, stamps, decision.writes.appends, context)
    return decision


def _kept_until(
    op: Append, audience: "_Audience", stamps: Sequence[Stamp], appends: Sequence[LogAppend], context: Context
) -> list[Put]:
    """Notes what says when messages go, where that is not their age."""
    puts: list[Put] = []
    if op.ttl:
        places = enumerate(stamps, audience.conversation.head + 1)
        expiring: dict[Key, Any] = {
            (context.now + op.ttl, stamp): Expiring(audience.number, ConversationOffset(place), op.user)
            for place, stamp in places
        }
        puts.append((Table.EXPIRING, expiring))
    if op.partition in context.rules.until_acked:
        logs = sum(place[0] is ENTRIES for place in appends)
        puts.append((Table.REFERENCES, dict.fromkeys(zip(stamps, strict=True), logs)))
    return puts


def _append_fitting(
    view: Reader, op: Append, messages: Sequence[NewMessage], fitting: int, context: Context
) -> Decision:
    """The first ones, for which there is room. Those behind them are refused."""
    full = over_quota(context.rules.max_stored_bytes)
    if not fitting:
        return Decision(full)
    decision = _append_new(view, op, messages[:fitting], context)
    return decision._replace(result=(*_outcomes(decision, fitting), *repeat(full, len(messages) - fitting)))


def _write(
    view: Reader,
    op: Append,
    messages: Sequence[NewMessage],
    now: Millis,
    stamps: list[Stamp],
    bodies: list[bytes],
    audience: "_Audience",
    addressed: dict[UserId, list[Addressed]],
    puts: list[Put],
) -> Decision:
    user, device, partition = op.user, op.device, op.partition
    conversation, (oldest, head, members), readers, _, _ = audience
    to_some = bool(addressed)
    log: Log = view.get(LOGS, (user, partition)) or EMPTY_LOG
    entries: list[Entry] = []
    history_entries: list[tuple[int, HistoryEntry]] = []
    seen: dict[Key, SentRecord] = {}
    results: list[Appended] = []
    linked: list[tuple[ConversationOffset, Stamp, Links]] = []
    for place, (stamp, (name, digest, _, _, links)) in enumerate(zip(stamps, messages, strict=True), head + 1):
        offset = log.head + place - head
        entries.append(_entry((stamp, conversation, place, user, device, to_some, digest)))
        history_entries.append((place, _history_entry((stamp, user, device, to_some))))
        seen[device, name] = _seen((digest, stamp, partition, offset, conversation, place))
        results.append(_appended((name, partition, stamp, offset, conversation, place, False, now)))
        if links is not None:
            linked.append((ConversationOffset(place), stamp, links))
    puts.append((SEEN, seen))
    last = ConversationOffset(head + len(messages))
    puts.append((CONVERSATIONS, {(conversation,): Conversation(oldest, last, members)}))
    reached = readers if not to_some else sorted(addressed.keys() & {*readers})
    logs = [(one, view.get(LOGS, (one, partition)) or EMPTY_LOG) for one in reached if one != user]
    logs.append((user, log))
    heads, appends, news = fan_out(partition, logs, entries, bodies)
    puts.append((LOGS, heads))
    rows: list[IndexRow] = [
        (*message.seq, device, at) for at, message in enumerate(messages, log.head + 1) if message.seq is not None
    ]
    inserts: list[Insert] = [(SEQS, (user, partition), rows)] if rows else []
    appends.append((HISTORY, (conversation,), history_entries))
    come_on_top(view, puts, news, conversation, stamps[0])
    if linked:
        link(view, puts, conversation, linked, {told[0] for told in news} - {user})
    return _decision((tuple(results), _writes((puts, appends, inserts, (), ())), news, None, True))


def payload_bytes(addressed: Iterable[Addressed]) -> int:
    return sum(len(one.payload or b"") for one in addressed)


def over_quota(most: int) -> Refused:
    sentence = f"you may have {most} bytes stored here, and this would be more; wait until older messages expire"
    return Refused(Fault.STORAGE_FULL, sentence, "", QUOTA_RETRY_MS)


def unknown_partition(name: str, context: Context) -> Refused:
    known = ", ".join(sorted(context.rules.partitions))
    return Refused(Fault.NOT_FOUND, f"there is no partition {name!r} here; use one of: {known}", "partition")


def _again(message: NewMessage, seen: SentRecord, now: Millis) -> Appended | Refused:
    """The stamp tells when it was accepted, unless it ran ahead: then the present is as near as can be said."""
    if seen.digest != message.digest:
        return other_content()
    return Appended(
        message.id,
        seen.partition,
        seen.stamp,
        seen.offset,
        seen.conversation,
        seen.conversation_offset,
        duplicate=True,
        time=min(millis_of(seen.stamp), now),
    )


def _too_long(partition: str, most_ms: int) -> Refused:
    sentence = f"messages of {partition!r} may be seen for {most_ms} ms at most: give no more, or 0"
    return Refused(Fault.INVALID, sentence, "ttl_ms")


def other_content() -> Refused:
    sentence = "this device already sent something else under this id; give everything that it sends an id of its own"
    return Refused(Fault.CONFLICT, sentence, "id")


def no_user(eid: str, field: str) -> Refused:
    sentence = f"there is no user {eid!r} here; check the address: a user exists once they have connected"
    return Refused(Fault.NOT_FOUND, sentence, field)


class _Audience(NamedTuple):
    """A message goes there: the conversation, and those who get it besides its sender, who may be among them."""

    number: ConversationId
    conversation: Conversation
    readers: tuple[UserId, ...]
    deaf: UserId = UserId(0)  # who is to get it, and has blocked the sender; 0: nobody
    named: tuple[UserId, ...] = ()  # who is only named as a member of the group


_reached = maker(_Audience)


def _audience(view: Reader, op: Append, context: Context, puts: list[Put]) -> "_Audience | Refused":
    """Whom a message reaches, and whether its sender may write to them: the door at which that is asked."""
    if op.partition not in context.rules.partitions:
        return unknown_partition(op.partition, context)
    if op.ttl and op.ttl > (most_ms := context.rules.longest_ms.get(op.partition, LONGEST_TTL_MS)):
        return _too_long(op.partition, most_ms)
    if is_conversation_id(op.to):
        return _members(view, op)
    user: User | None = view.get(USERS, (op.to,))
    if user is None:
        if op.to == FRIENDS:
            found = open_feed(view, op.user, context, puts)
            return found if isinstance(found, Refused) else _Audience(*found)
        if not context.rules.accept_unknown_recipients:
            return no_user(op.to, "to.eid")
        user = register_user(view, op.to, context, puts)
    return _direct(view, op.user, user.number, puts)


def _members(view: Reader, op: Append) -> "_Audience | Refused":
    """Whom a message to a conversation reaches. Somebody else's is answered like one that does not exist."""
    number = conversation_number(op.to)
    found = membership_of(view, op.user, number)  # type: ignore[arg-type]  # a number that was named
    if found is None or number is None:
        return no_conversation("name one by the id that its messages carry, or write to a user", "to.eid")
    known = found.conversation
    if is_feed(known):
        sentence = "this is what somebody writes for their friends: write to them, or for yours with scope friend"
        return Refused(Fault.FORBIDDEN, sentence, "to.eid")
    if known.members and _is_left_alone(view, op.user, ConversationId(number), known.members):
        return Refused(Fault.NOT_FOUND, "whom you wrote to here is no user any more", "to.eid")
    if not known.members:
        group = group_of(view, ConversationId(number))
        return _Audience(ConversationId(number), known, group.members, NO_USER, group.named)
    other = next((member for member in known.members if member != op.user), op.user)
    return _heard(view, op.user, other, ConversationId(number), known)


def _is_left_alone(view: Reader, user: UserId, number: ConversationId, members: tuple[UserId, ...]) -> bool:
    """Whether the other one of a conversation of two was erased: it stays for who is left, to be read."""
    other = next((member for member in members if member != user), None)
    if other is not None:
        return not view.get(Table.EIDS, (other,))
    own: ConversationId | None = view.get(DIRECT, (user, user))
    return own != number


def _addresses(
    view: Reader, op: Append, readers: tuple[UserId, ...], deaf: set[UserId]
) -> dict[UserId, list[Addressed]] | Refused:
    """The devices that a message names, by user.

    Naming one of one's own that does not exist would lose the message silently, so that is refused. Of the others',
    only siblings may know which exist: what names none is kept like the others, for nobody, and nobody can tell. So is
    what is for somebody who has blocked the sender, or who added them to the group (`deaf`).
    """
    reached = {op.user, *readers}
    addressed: dict[UserId, list[Addressed]] = {}
    for address in op.addresses:
        user = view.get(Table.USERS, (address.eid,))
        if user is None or user.number not in reached:
            sentence = f"{address.eid!r} is neither a recipient nor the sender; address only their devices"
            return Refused(Fault.INVALID, sentence, "devices")
        device: Device | None = view.get(Table.DEVICES, (user.number, address.device))
        if device is None and user.number == op.user:
            sentence = (
                f"{address.eid!r} has no device {address.device!r}; leave it out, or address it once it connected"
            )
            return Refused(Fault.NOT_FOUND, sentence, "devices")
        number = NOBODY if device is None or user.number in deaf else device.number
        addressed.setdefault(user.number, []).append(Addressed(number, address.payload))
    return addressed


def _direct(view: Reader, one: UserId, other: UserId, puts: list[Put]) -> "_Audience | Refused":
    """The conversation of two; it exists by being used."""
    pair = (one, other) if one < other else (other, one)
    number: ConversationId | None = view.get(DIRECT, pair)
    if number is not None:
        known: Conversation = view.get(CONVERSATIONS, (number,))
        try:
            if view.get(ROSTERS, (one,)) is None and view.get(ROSTERS, (other,)) is None:  # as between most
                return _reached((number, known, (other,), NO_USER, ()))
        except DamagedRecordError:
            pass  # which says nothing of what stands between these two
        return _heard(view, one, other, number, known)
    number = ConversationId(allocate(view, "conversations", puts))
    puts.append((DIRECT, {pair: number}))
    members = tuple(sorted({one, other}))
    return _heard(view, one, other, number, Conversation(ConversationOffset(1), ConversationOffset(0), members))


def _heard(
    view: Reader, one: UserId, other: UserId, number: ConversationId, known: Conversation
) -> "_Audience | Refused":
    """Whom a message to another user reaches. Where they have blocked who writes it, nobody, and nobody is told so: it
    stands in the sender's log and in the conversation, as one to somebody who is away.
    """
    if blocks(view, one, other):
        return Refused(Fault.FORBIDDEN, "you have blocked them: unblock them first", "to.eid")
    if blocks(view, other, one):
        return _Audience(number, known, (), other)
    return _reached((number, known, (other,), NO_USER, ()))


def is_owed(view: Reader, entry: Entry, user: UserId, device: DeviceId) -> bool:
    """Whether an entry of the user's log is for this device; its own are not: it gets the SENT instead of an echo."""
    if entry.origin == device:
        return False
    return not entry.addressed or is_addressed(view, entry.stamp, user, device)


def is_addressed(view: Reader, stamp: Stamp, user: UserId, device: DeviceId) -> bool:
    return any(one.device == device for one in view.get(Table.ADDRESSED, (stamp, user)) or ())


def _weight(operation: Append) -> int:
    return len(operation.messages)


def _size(operation: Append) -> int:
    addressed = sum([len(address.payload or b"") for address in operation.addresses])
    return addressed + sum([len(message[2]) for message in operation.messages])


def _split(operation: Append) -> list[Append]:
    return [operation._replace(messages=(message,)) for message in operation.messages]


OPERATIONS: dict[type, OperationKind] = {
    Append: OperationKind(append, overtakes=True, weight=_weight, size=_size, split=_split)
}
