"""A message enters the logs of everybody concerned: all of them or none, once however often it is sent."""

from collections.abc import Iterable

from bimip.domain.batch import Decision, Grow, Put
from bimip.domain.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.operations import Append, Appended, Fault, Refused
from bimip.domain.records import (
    Addressed,
    Conversation,
    Entry,
    Log,
    Mention,
    Reader,
    Seen,
    Sequence,
    Table,
    User,
)
from bimip.domain.registering import allocate, register_user
from bimip.domain.rules import Moment

QUOTA_RETRY_MS = 3_600_000
"""Room comes as messages expire: rarely."""

# As often as here, an enum's members cost more by their class than as names of the module.
BODIES, CONVERSATIONS, DIRECT, LOGS = Table.BODIES, Table.CONVERSATIONS, Table.DIRECT, Table.LOGS
SEEN, STORED, USERS = Table.SEEN, Table.STORED, Table.USERS
ENTRIES, HISTORY = Sequence.ENTRIES, Sequence.HISTORY

EMPTY_LOG = Log(Offset(1), Offset(0))


def append(view: Reader, op: Append, moment: Moment) -> Decision:
    seen: Seen | None = view.get(SEEN, (op.device, op.id))
    if seen is not None:
        return _again(op, seen)
    if op.partition not in moment.rules.partitions:
        return Decision(unknown_partition(op.partition, moment))
    puts: list[Put] = []
    recipient = _recipient(view, op, moment, puts)
    if isinstance(recipient, Refused):
        return Decision(recipient)
    addressed = _addresses(view, op, recipient)
    if isinstance(addressed, Refused):
        return Decision(addressed)
    number, conversation = _direct(view, op.user, recipient, puts)
    place = ConversationOffset(conversation.head + 1)
    stamp = moment.stamp()
    to_some = bool(addressed)
    entry = Entry(stamp, number, place, op.user, op.device, to_some)
    grows: list[Grow] = [(HISTORY, (number,), place, Mention(stamp, op.user, op.device, to_some))]
    offset = _lengthen(view, op.user, entry, op.partition, puts, grows)
    if recipient != op.user and (not to_some or recipient in addressed):
        _lengthen(view, recipient, entry, op.partition, puts, grows)
    body = moment.rules.encode(op.sent, stamp, number, place)
    stored: int = (view.get(STORED, (op.user,)) or 0) + len(body)
    for user, devices in addressed.items():
        stored += payload_bytes(devices)
        puts.append((Table.ADDRESSED, (stamp, user), tuple(devices)))
    if 0 < moment.rules.max_stored_bytes < stored:
        return Decision(_over_quota(moment.rules.max_stored_bytes))
    puts += (
        (STORED, (op.user,), stored),
        (BODIES, (stamp,), body),
        (CONVERSATIONS, (number,), Conversation(conversation.first, place, conversation.members)),
        (SEEN, (op.device, op.id), Seen(op.digest, stamp, op.partition, offset, number, place)),
    )
    return Decision(Appended(op.id, op.partition, stamp, offset, number, place, False), puts, grows)  # noqa: FBT003 - a record's field


def _lengthen(view: Reader, user: UserId, entry: Entry, partition: str, puts: list[Put], grows: list[Grow]) -> Offset:
    """The entry becomes the newest of a user's log: at this offset."""
    place = (user, partition)
    log: Log = view.get(LOGS, place) or EMPTY_LOG
    offset = Offset(log.head + 1)
    puts.append((LOGS, place, Log(log.first, offset)))
    grows.append((ENTRIES, place, offset, entry))
    return offset


def payload_bytes(addressed: Iterable[Addressed]) -> int:
    return sum(len(one.payload or b"") for one in addressed)


def _over_quota(most: int) -> Refused:
    sentence = f"you may have {most} bytes stored here, and this would be more; wait until older messages expire"
    return Refused(Fault.STORAGE_FULL, sentence, "", QUOTA_RETRY_MS)


def unknown_partition(name: str, moment: Moment) -> Refused:
    known = ", ".join(sorted(moment.rules.partitions))
    return Refused(Fault.NOT_FOUND, f"there is no partition {name!r} here; use one of: {known}", "partition")


def _again(op: Append, seen: Seen) -> Decision:
    if seen.digest != op.digest:
        sentence = "this device already sent another message under this id; give every message an id of its own"
        return Decision(Refused(Fault.CONFLICT, sentence, "id"))
    answer = Appended(
        op.id, seen.partition, seen.stamp, seen.offset, seen.conversation, seen.conversation_offset, duplicate=True
    )
    return Decision(answer)


def _recipient(view: Reader, op: Append, moment: Moment, puts: list[Put]) -> UserId | Refused:
    user: User | None = view.get(USERS, (op.to,))
    if user is not None:
        return user.number
    if not moment.rules.accept_unknown_recipients:
        sentence = f"there is no user {op.to!r} here; check the address: a user exists once they have connected"
        return Refused(Fault.NOT_FOUND, sentence, "to.eid")
    return register_user(view, op.to, moment, puts)


def _addresses(view: Reader, op: Append, recipient: UserId) -> dict[UserId, list[Addressed]] | Refused:
    """The devices that a message names, by user. Naming one that does not exist would lose the message silently."""
    addressed: dict[UserId, list[Addressed]] = {}
    for address in op.addresses:
        user = view.get(Table.USERS, (address.eid,))
        if user is None or user.number not in {recipient, op.user}:
            sentence = f"{address.eid!r} is neither the recipient nor the sender; address only their devices"
            return Refused(Fault.INVALID, sentence, "devices")
        device = view.get(Table.DEVICES, (user.number, address.device))
        if device is None:
            sentence = (
                f"{address.eid!r} has no device {address.device!r}; leave it out, or address it once it connected"
            )
            return Refused(Fault.NOT_FOUND, sentence, "devices")
        addressed.setdefault(user.number, []).append(Addressed(DeviceId(device.number), address.payload))
    return addressed


def _direct(view: Reader, one: UserId, other: UserId, puts: list[Put]) -> tuple[ConversationId, Conversation]:
    """The conversation of two; it exists by being used."""
    pair = (one, other) if one < other else (other, one)
    number: ConversationId | None = view.get(DIRECT, pair)
    if number is not None:
        return number, view.get(CONVERSATIONS, (number,))
    number = ConversationId(allocate(view, "conversations", puts))
    puts.append((DIRECT, pair, number))
    return number, Conversation(ConversationOffset(1), ConversationOffset(0), tuple(sorted({one, other})))


def is_owed(view: Reader, entry: Entry, user: UserId, device: DeviceId) -> bool:
    """Whether an entry of the user's log is for this device; its own are not: it gets the SENT instead of an echo."""
    if entry.origin == device:
        return False
    return not entry.addressed or is_addressed(view, entry.stamp, user, device)


def is_addressed(view: Reader, stamp: Stamp, user: UserId, device: DeviceId) -> bool:
    return any(one.device == device for one in view.get(Table.ADDRESSED, (stamp, user)) or ())
