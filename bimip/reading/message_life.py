"""The life of one message, for an operator who is asked why it did not arrive: when it was accepted, what became of it
since, and for each whom it might have reached whether it is in their log, what their devices acknowledged, and which
rule kept it away.

What may be long is read in slices: a recipient at a time, and of a log no more than a search by halves takes.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from google.protobuf.message import DecodeError

from bimip.domain.contacts.access import lets_see
from bimip.domain.conversations.membership import (
    NOBODY,
    author_of,
    is_feed,
    is_unheard,
)
from bimip.domain.core.clock import millis_of, signal_id
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import (
    NEVER,
    Addressed,
    Conversation,
    DamagedRecordError,
    Device,
    DeviceOwner,
    Entry,
    HistoryEntry,
    Log,
    LogTable,
    Member,
    Reader,
    ReceiptKind,
    Runs,
    SentRecord,
    Table,
    User,
)
from bimip.domain.push.subscribing import subscriptions_of
from bimip.domain.state.messages import read_own, read_record
from bimip.domain.state.receipts import part_of
from bimip.names import conversation_id
from bimip.reading.cursors import read_cursor
from bimip.reading.devices import MAX_DEVICES
from bimip.reading.places import locate
from bimip.reading.salvage import UnreadableError, read_entries
from bimip.storage.interface import Store
from bimip.wire import stored

RECIPIENTS_AT_ONCE = 16
"""Whom a slice is about, each by some forty reads."""

Line = Mapping[str, object]


class Life(NamedTuple):
    """One message, as far as all have it alike."""

    stamp: Stamp
    conversation: ConversationId
    place: ConversationOffset
    author: UserId
    origin: DeviceId
    is_addressed: bool
    partitions: Sequence[str]
    """The one of which it is, or those of which it may be."""
    offset: Offset | None
    """In the author's log; None: it is gone from there, or cannot be read."""


class DeviceStanding(NamedTuple):
    """One device of a recipient's, by what is stored."""

    name: str
    standing: str  # a key of WORDS
    last_seen: Millis


WORDS: Mapping[str, str] = {
    "acknowledged": "it acknowledged the message",
    "wrote": "it wrote the message",
    "not_addressed": "the message was addressed to other devices",
    "not_acknowledged": "it has not acknowledged the message",
    "not_in_log": "the message is not in its user's log",
}
"""How a device stands to a message, by what is stored."""

HELD: Mapping[str, str] = {
    "in_log": "it is in their log",
    "erased": "they were erased, or are being erased",
    "blocked": "they had blocked who wrote it",
    "named": "they are only named as a member of the group: they had blocked who added them",
    "joined_later": "they came to the conversation after it",
    "left": "they had left the conversation before it",
    "addressed": "it was addressed to devices, and none of them is theirs",
    "no_contact": "it was written for contacts, and who wrote it does not let them see that now, or did not then",
    "gone": "it is gone from their log: by its age, its time to live, or since all devices had acknowledged it",
    "damaged": "what is stored of them is damaged: `bimip store check` says what",
}
"""Why a message is in somebody's log, or is not."""


def find_sent(store: Store, eid: str, device: str, name: str) -> SentRecord | None:
    """Finds a message by the id under which a device of a user sent it; `device`: empty: any of theirs."""
    with store.snapshot() as view:
        user: User | None = view.get(Table.USERS, (eid,))
        if user is None:
            return None
        if device:
            known: Device | None = view.get(Table.DEVICES, (user.number, device))
            devices = [] if known is None else [known]
        else:
            found = view.scan(Table.DEVICES, (user.number,), (user.number + 1,), limit=MAX_DEVICES)
            devices = [one for _, one in found]
        sent: list[SentRecord | None] = view.get_all(Table.SEEN, [(one.number, name) for one in devices])
    return next((one for one in sent if one is not None), None)


def find_life(store: Store, partitions: Iterable[str], stamp: Stamp, sent: SentRecord | None = None) -> Life | None:
    """Finds a message by its stamp; where its content is gone, by what is still known of its sending (`sent`)."""
    with store.snapshot() as view:
        try:
            body: bytes | None = view.get(Table.BODIES, (stamp,))
        except DamagedRecordError:
            body = None
        found = None if body is None else locate(body)
        if found is None and sent is not None:
            found = sent.conversation, sent.conversation_offset
        if found is None:
            return None
        conversation, place = found
        listed = _listed(view, conversation, place)
        if listed is None or listed.stamp != stamp:
            return None
        candidates = tuple(partitions) if sent is None else (sent.partition,)
        try:
            partition, offset = _find(view, listed.author, candidates, stamp)
        except (DamagedRecordError, UnreadableError):
            partition, offset = "", None
    known = (partition,) if partition else candidates
    return Life(stamp, conversation, place, listed.author, listed.origin, listed.addressed, known, offset)


def describe_life(store: Store, life: Life) -> Line:
    """Tells what all have alike of a message."""
    with store.snapshot() as view:
        try:
            body: bytes | None = view.get(Table.BODIES, (life.stamp,))
            message = None if body is None else stored.parse(body)
        except (DamagedRecordError, DecodeError, IndexError):
            body, message = None, None
        known: Conversation | None = view.get(Table.CONVERSATIONS, (life.conversation,))
        record = read_record(view, life.conversation, life.place)
        edited, deleted = (None, None) if record is None else (record.edited, record.deleted)
        return {
            "kind": "message",
            "signal_id": signal_id(life.stamp),
            "signal_offset": life.stamp,
            "id": "" if message is None else message.id,
            "from": _eid(view, life.author),
            "device": _device_name(view, life.origin),
            "conversation": conversation_id(life.conversation),
            "conversation_offset": life.place,
            "partition": life.partitions[0] if len(life.partitions) == 1 else "",
            "accepted": millis_of(life.stamp),
            "bytes": 0 if body is None else len(body),
            "content": _content(message is not None and message.erased, body, is_deleted=bool(deleted)),
            "expires": (message is not None and message.expires_at) or None,
            "edited": millis_of(edited) if edited else None,
            "deleted": millis_of(deleted) if deleted else None,
            "addressed": life.is_addressed,
            "in_conversation": known is not None and life.place >= known.first,
        }


def _content(is_erased: bool, body: bytes | None, *, is_deleted: bool) -> str:  # noqa: FBT001 - as it stands on the wire
    if body is None:
        return "gone"
    return "deleted" if is_deleted else "erased" if is_erased else "kept"


def recipients_of(store: Store, life: Life) -> Iterator[Sequence[UserId]]:
    """Reads in slices whom a message might have reached, its author first: all who are or were in its conversation."""
    with store.snapshot() as view:
        known: Conversation | None = view.get(Table.CONVERSATIONS, (life.conversation,))
    yield [life.author]
    if known is None:
        return
    if known.members and not is_feed(known):
        yield [user for user in known.members if user != life.author]
        return
    after = UserId(-1)
    while True:
        with store.snapshot() as view:
            found = view.scan(
                Table.MEMBERS,
                (life.conversation, after + 1),
                (life.conversation + 1,),
                limit=RECIPIENTS_AT_ONCE,
            )
        if not found:
            return
        after = found[-1][0][1]
        yield [user for (_, user), _ in found if user not in {life.author, NOBODY}]


class RecipientLife(NamedTuple):
    """A message at one of those whom it might have reached."""

    eid: str
    held: str  # a key of HELD
    partition: str = ""  # empty: it is in none of their logs
    offset: Offset | None = None
    receipts: Mapping[str, Millis] = MappingProxyType({})  # by delivered, read, played: when first
    private: bool = False  # the author is not told of some of these
    hidden: bool = False  # by them, for their own devices
    devices: Sequence[DeviceStanding] = ()
    more_devices: bool = False
    waiting_pushes: Sequence[
        str
    ] = ()  # ids of subscriptions for which it is not decided yet whether they are told of it


def read_recipient(store: Store, life: Life, user: UserId) -> RecipientLife:
    """Reads what became of a message at one of those whom it might have reached."""
    with store.snapshot() as view:
        eid = _eid(view, user)
        try:
            return _recipient(view, life, user, eid)
        except (DamagedRecordError, UnreadableError):
            return RecipientLife(eid, "damaged")


def _recipient(view: Reader, life: Life, user: UserId, eid: str) -> RecipientLife:
    partition, offset = _find(view, user, life.partitions, life.stamp)
    held = "in_log" if offset is not None else _held(view, life, user, eid)
    devices: list[tuple[tuple[int, str], Device]] = view.scan(Table.DEVICES, (user,), (user + 1,), limit=MAX_DEVICES)
    addressed: tuple[Addressed, ...] = view.get(Table.ADDRESSED, (life.stamp, user)) or ()
    receipts, private = _receipts(view, life, user)
    own = read_own(view, user, life.conversation, life.place)
    waiting = []
    if offset is not None:
        for key, subscription in subscriptions_of(view, user):
            cursor: int | None = view.get(Table.PUSH_CURSORS, (user, subscription.number, partition))
            if (cursor or 0) < offset and user != life.author:
                waiting.append(key.id)
    return RecipientLife(
        eid,
        held,
        partition,
        offset,
        receipts,
        private,
        own is not None and own.hidden,
        [
            DeviceStanding(name, _standing(view, life, device, (partition, offset), addressed), device.last_seen)
            for (_, name), device in devices
        ],
        len(devices) == MAX_DEVICES,
        waiting,
    )


def _standing(
    view: Reader, life: Life, device: Device, place: tuple[str, Offset | None], addressed: Sequence[Addressed]
) -> str:
    partition, offset = place
    if device.number == life.origin:
        return "wrote"
    if offset is None:
        return "not_in_log"
    if life.is_addressed and all(one.device != device.number for one in addressed):
        return "not_addressed"
    cursor = read_cursor(view, device.number, partition)
    is_held = cursor is not None and (offset <= cursor.floor or contains(cursor.above, offset))
    return "acknowledged" if is_held else "not_acknowledged"


def _held(view: Reader, life: Life, user: UserId, eid: str) -> str:
    """Finds which rule keeps a message out of a user's log."""
    if not eid:
        return "erased"
    is_author = user == life.author
    member: Member | None = view.get(Table.MEMBERS, (life.conversation, user))
    if member is not None and not is_author and (why := _outside(member, life.place)):
        return why
    if is_unheard(view, user, life.conversation, life.place):
        return "blocked"
    if life.is_addressed and not is_author and not view.get(Table.ADDRESSED, (life.stamp, user)):
        return "addressed"
    known: Conversation | None = view.get(Table.CONVERSATIONS, (life.conversation,))
    if known is not None and is_feed(known) and not is_author and not lets_see(view, author_of(known), user):
        return "no_contact"
    return "gone"


def _outside(member: Member, place: ConversationOffset) -> str:
    """Finds why a place of a group or a feed is outside of a membership; empty: it is within."""
    if member.since == NEVER:
        return "named"
    if place < member.since:
        return "joined_later"
    return "left" if member.upto and place > member.upto else ""


def _receipts(view: Reader, life: Life, user: UserId) -> tuple[dict[str, Millis], bool]:
    found: dict[str, Millis] = {}
    private = False
    for kind in ReceiptKind:
        for table in (Table.RECEIPTS, Table.PRIVATE_READS):
            place = (life.conversation, user, kind, part_of(life.place))
            runs: Runs = view.get(table, place) or ()
            time = next((run.time for run in runs if run.first <= life.place <= run.last), None)
            if time is not None and kind.name.lower() not in found:
                found[kind.name.lower()] = time
                private = private or table is Table.PRIVATE_READS
    return found, private


def _listed(view: Reader, conversation: ConversationId, place: ConversationOffset) -> HistoryEntry | None:
    try:
        listed: list[tuple[int, HistoryEntry]] = view.read(LogTable.HISTORY, (conversation,), place - 1, limit=1)
    except DamagedRecordError:
        return None
    return listed[0][1] if listed and listed[0][0] == place else None


def _find(view: Reader, user: UserId, partitions: Iterable[str], stamp: Stamp) -> tuple[str, Offset | None]:
    """Finds in which of a user's logs a message is, and where. Raises as `_offset_of` does."""
    for partition in partitions:
        offset = _offset_of(view, user, partition, stamp)
        if offset is not None:
            return partition, offset
    return "", None


def _offset_of(view: Reader, user: UserId, partition: str, stamp: Stamp) -> Offset | None:
    """Searches a log by halves, in which stamps ascend; None: the message is not there. Raises DamagedRecordError, and
    UnreadableError where it may be what cannot be read.
    """
    log: Log | None = view.get(Table.LOGS, (user, partition))
    if log is None:
        return None
    low, high = int(log.first), int(log.head)
    hole: UnreadableError | None = None
    while low <= high:
        middle = (low + high) // 2
        try:
            found: list[tuple[int, Entry]] = read_entries(view, user, partition, middle - 1, 1)
        except UnreadableError as error:
            low, hole = error.upto + 1, error
            continue
        if not found or found[0][1].stamp > stamp:
            high = middle - 1
        elif found[0][1].stamp < stamp:
            low = found[0][0] + 1
        else:
            return Offset(found[0][0])
    if hole is not None:
        raise hole
    return None


def _eid(view: Reader, user: UserId) -> str:
    eid: str | None = view.get(Table.EIDS, (user,))
    return eid or ""


def _device_name(view: Reader, device: DeviceId) -> str:
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (device,))
    return "" if owner is None else owner.name
