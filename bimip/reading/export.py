"""Everything that the server holds about a user, as lines for JSON: what they are given when they ask.

Each line has a `kind`, and `belongings.py` says which table it is of. It is read a slice at a time, each in a snapshot
of its own, while messages arrive: every record is as it was when it was read, and what came or went meanwhile may be
there or not. Bytes are base64, times ISO 8601 in UTC, ids as on the wire.

What others wrote to the user is in it, since the user's logs hold it; who of the others received or read what is not.
"""

from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError

from bimip.domain.accounts.barring import DISABLED, MARK, OF_DEVICE
from bimip.domain.accounts.keys import count_one_time
from bimip.domain.contacts.access import STANDING_NAMES
from bimip.domain.conversations.membership import ROLE_NAMES, author_of, is_feed, was_member_at
from bimip.domain.core.clock import millis_of, signal_id
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import (
    NEVER,
    Conflict,
    Contact,
    Conversation,
    ConversationSettings,
    DamagedRecordError,
    Device,
    DeviceKeys,
    DeviceOwner,
    Group,
    HistoryEntry,
    Intent,
    Key,
    LocationShare,
    Member,
    PushSubscription,
    Reader,
    ReceiptKind,
    Role,
    Runs,
    SentRecord,
    Status,
    Table,
    User,
)
from bimip.domain.core.schema import behind
from bimip.domain.messages.erasing import MAX_ADDRESSED
from bimip.domain.state.devices import label_of
from bimip.domain.state.location_shares import With
from bimip.domain.state.merges import MergeRule
from bimip.domain.state.privacy_exceptions import ExceptionValue
from bimip.domain.state.settings import FIELDS, VISIBLE, Audience, Setting
from bimip.names import conversation_id
from bimip.reading.salvage import UnreadableError, read_entries, read_history
from bimip.storage.interface import Store
from bimip.wire import stored
from bimip.wire.json import message_of

SLICE = 100
"""Records read in one snapshot."""
MESSAGES = 16
"""Messages read in one, which may be large."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Line = dict[str, Any]
Lines = Iterator[list[Line]]
Make = Callable[[Reader, Key, Any], Iterator[Line]]
"""The lines of a record under its key."""


def export_user(store: Store, eid: str) -> Lines | None:
    """Everything about a user, some lines at a time, perhaps none; None: there is no such user."""
    with store.snapshot() as view:
        user: User | None = view.get(Table.USERS, (eid,))
    return None if user is None else _export(store, eid, user)


def _export(store: Store, eid: str, user: User) -> Lines:
    number = user.number
    yield [{"kind": "user", "eid": eid, "created": _time(user.created)}]
    for table, make in _OWN.items():
        yield from _lines_of(store, table, (number,), (number + 1,), make)
    for partition in _partitions(store, number):
        yield from _entries(store, number, partition)
    for found in _slices(store, Table.DEVICE_OWNERS, (), Table.DEVICE_OWNERS.schema.end):
        yield []
        for (device,), owner in found:
            if owner.user == number:
                yield from _device_records(store, number, device, owner.name)
    yield from _lines_of(store, Table.CONFLICTS, (0,), Table.CONFLICTS.schema.end, partial(_conflict, number))
    for found in _slices(store, Table.CONVERSATIONS, (), Table.CONVERSATIONS.schema.end):
        with store.snapshot() as view:
            theirs = [(key[0], known) for key, known in found if _was_in(view, number, key[0], known)]
            lines = [line for one in theirs for line in _or_damaged(_conversation, view, number, *one)]
        yield lines
        for one in theirs:
            yield from _messages(store, number, *one)
            for table, kind in ((Table.RECEIPTS, "receipt"), (Table.PRIVATE_READS, "private_receipt")):
                low, high = (one[0], number), (one[0], number + 1)
                yield from _lines_of(store, table, low, high, partial(_receipt, kind))


def _slices(store: Store, table: Table, low: Key, high: Key) -> Iterator[list[tuple[Key, Any]]]:
    """Reads a part of a table, each slice in a snapshot of its own, which has ended when the slice is there."""
    at: Key | None = low
    while at is not None:
        with store.snapshot() as view:
            found = view.scan(table, at, high, limit=SLICE)
        at = behind(found[-1][0]) if len(found) == SLICE else None
        yield found


def _lines_of(store: Store, table: Table, low: Key, high: Key, make: Make) -> Lines:
    for found in _slices(store, table, low, high):
        with store.snapshot() as view:
            lines = [line for key, record in found for line in _or_damaged(make, view, key, record)]
        yield lines


def _or_damaged(make: Callable[..., Iterator[Line]], *about: Any) -> list[Line]:  # noqa: ANN401 - passed on
    """The lines of a record; where something of it is damaged, a line that says so, and the others go on."""
    try:
        return list(make(*about))
    except DamagedRecordError:
        return [{"kind": "damaged"}]


# What is the user's alone.


def _device(view: Reader, key: Key, device: Device) -> Iterator[Line]:
    label = label_of(view, device)
    yield {
        "kind": "device",
        "name": key[1],
        "created": _time(device.created),
        "last_seen": _time(device.last_seen),
        "label": label.text,
        "labelled": _time_of(label.stamp),
    }


def _log(_view: Reader, key: Key, log: Any) -> Iterator[Line]:  # noqa: ANN401 - a Log
    yield {"kind": "log", "partition": key[1], "first": log.first, "head": log.head, "chain": _bytes(log.chain)}


def _setting(_view: Reader, key: Key, write: LastWrite) -> Iterator[Line]:
    value, stamp, _ = write
    setting = Setting(key[1])
    said = bool(value) if setting is VISIBLE else Audience(value).name
    yield {"kind": "setting", "setting": FIELDS[setting], "value": said, "set": _time_of(stamp)}


def _exception(view: Reader, key: Key, write: LastWrite) -> Iterator[Line]:
    yield {
        "kind": "privacy_exception",
        "eid": view.get(Table.EIDS, (key[1],)),
        "setting": Setting(key[2]).name.lower(),
        "value": ExceptionValue(write.value).name,
        "set": _time_of(write.stamp),
    }


def _intent(_view: Reader, _key: Key, intent: Intent) -> Iterator[Line]:
    status, until, stamp, _ = intent
    yield {"kind": "intent", "status": Status(status).name, "until": _time(until), "said": _time_of(stamp)}


def _read_marker(_view: Reader, key: Key, upto: int) -> Iterator[Line]:
    yield {"kind": "read_marker", "conversation": conversation_id(key[1]), "upto": upto}


def _own_message(_view: Reader, key: Key, own: Any) -> Iterator[Line]:  # noqa: ANN401 - an OwnMessage
    yield {
        "kind": "own_message",
        **_place(key[1], key[2]),
        "hidden": own.hidden,
        "pinned": own.pinned,
        "pinned_at": _time_of(own.pinned_at),
    }


def _kept(_view: Reader, key: Key, kept: ConversationSettings) -> Iterator[Line]:
    yield {
        "kind": "conversation_settings",
        "conversation": conversation_id(key[1]),
        "archived": kept.archived.value,
        "pinned": kept.pinned.value,
        "marked_unread": kept.unread.value,
        "muted_until": _time(kept.muted_until.value),
        "draft": _bytes(kept.draft.value),
        "changed": _time_of(max(write.stamp for write in kept)),
    }


def _contact(view: Reader, key: Key, contact: Contact) -> Iterator[Line]:
    yield {
        "kind": "contact",
        "eid": view.get(Table.EIDS, (key[1],)) or "",
        "name": contact.name.value,
        "named": _time_of(contact.name.stamp),
        "state": STANDING_NAMES[contact.standing],
        "sees_you": contact.grants,
        "seen": contact.granted,
        "mutual": contact.is_mutual,
        "blocked": contact.blocked,
        "request": contact.request,
        "changed": _time(contact.since),
    }


def _location_share(view: Reader, key: Key, share: LocationShare) -> Iterator[Line]:
    is_user = key[1] == With.USER
    yield {
        "kind": "location_share",
        "with": view.get(Table.EIDS, (key[2],)) or "" if is_user else conversation_id(key[2]),
        "since": _time(share.since),
        "expires": _time(share.expires_at),
    }


def _mention(_view: Reader, key: Key, stamp: Stamp) -> Iterator[Line]:
    yield {"kind": "mention", **_place(key[1], key[2]), "signal_id": signal_id(stamp)}


def _state(_view: Reader, _key: Key, state: Any) -> Iterator[Line]:  # noqa: ANN401 - a State
    yield {"kind": "state", "version": state.head, "floor": state.floor}


def _usage(_view: Reader, _key: Key, size: int) -> Iterator[Line]:
    yield {"kind": "usage", "bytes": size}


def _revoked(_view: Reader, key: Key, expires_at: int) -> Iterator[Line]:
    name = key[1]
    if name == DISABLED:
        yield {"kind": "revoked_token", "all": True, "while": "disabled", "since": _time(expires_at)}
    elif name != MARK and name.startswith(MARK):
        device = name.removeprefix(OF_DEVICE) if name.startswith(OF_DEVICE) else ""
        yield {"kind": "revoked_token", "all": True, "device": device, "issued_until": _time(expires_at)}
    elif name != MARK:
        yield {"kind": "revoked_token", "jti": name, "expires": _time(expires_at)}


def _push_subscription(view: Reader, key: Key, subscription: PushSubscription) -> Iterator[Line]:
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (key[1],))
    yield {
        "kind": "push_subscription",
        "device": "" if owner is None else owner.name,
        "id": key[2],
        "platform": subscription.platform,
        "token": subscription.token,
        "p256dh": _bytes(subscription.p256dh),
        "auth": _bytes(subscription.auth),
        "created": _time(subscription.created),
    }


def _device_keys(view: Reader, key: Key, keys: DeviceKeys) -> Iterator[Line]:
    user, device = key
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (device,))
    yield {
        "kind": "device_keys",
        "device": "" if owner is None else owner.name,
        "identity": _bytes(keys.identity),
        "signing": _bytes(keys.signing),
        "published": _time(keys.published),
        "one_time_left": count_one_time(view, user, device),
    }


_OWN: dict[Table, Make] = {
    Table.DEVICES: _device,
    Table.LOGS: _log,
    Table.STATES: _state,
    Table.SETTINGS: _setting,
    Table.PRIVACY_EXCEPTIONS: _exception,
    Table.INTENTS: _intent,
    Table.READ_MARKERS: _read_marker,
    Table.OWN_MESSAGES: _own_message,
    Table.CONVERSATION_SETTINGS: _kept,
    Table.CONTACTS: _contact,
    Table.LOCATION_SHARES: _location_share,
    Table.MENTIONS: _mention,
    Table.USAGE: _usage,
    Table.REVOKED: _revoked,
    Table.DEVICE_KEYS: _device_keys,
    Table.PUSH_SUBSCRIPTIONS: _push_subscription,
}


def _partitions(store: Store, user: UserId) -> list[str]:
    with store.snapshot() as view:
        return [key[1] for key, _ in view.scan(Table.LOGS, (user,), (user + 1,), limit=SLICE)]


def _entries(store: Store, user: UserId, partition: str) -> Lines:
    """The references of a log to messages, which are told with their conversation."""
    after = 0
    while True:
        with store.snapshot() as view:
            logs = view.scan(Table.LOGS, (user, partition), behind((user, partition)), limit=1)
            if not logs or after >= logs[0][1].head:
                return
            log = logs[0][1]
            after = max(after, log.first - 1)
            try:
                found = read_entries(view, user, partition, after, SLICE)
                upto = found[-1][0] if found else log.head
            except UnreadableError as unreadable:
                found, upto = [], unreadable.upto
        after = upto
        yield [
            {
                "kind": "entry",
                "partition": partition,
                "offset": offset,
                "signal_id": signal_id(entry.stamp),
                **_place(entry.conversation, entry.conversation_offset),
                "is_own": entry.author == user,
            }
            for offset, entry in found
        ]


def _device_records(store: Store, user: UserId, number: DeviceId, name: str) -> Lines:
    """Reads what is kept under the number of a device, also of one that was removed."""
    with store.snapshot() as view:
        device: Device | None = view.get(Table.DEVICES, (user, name))
    if device is None or device.number != number:
        yield [{"kind": "removed_device", "name": name}]
    for table, make in _OF_DEVICES.items():
        for found in _slices(store, table, (number,), (number + 1,)):
            yield [make(name, key[1], record) for key, record in found]


def _cursor(device: str, partition: str, cursor: Any) -> Line:  # noqa: ANN401 - a Cursor
    above = [list(each) for each in cursor.above]
    return {"kind": "cursor", "device": device, "partition": partition, "floor": cursor.floor, "above": above}


def _message_id(device: str, name: str, seen: SentRecord) -> Line:
    return {
        "kind": "message_id",
        "device": device,
        "id": name,
        "signal_id": signal_id(seen.stamp),
        "partition": seen.partition,
        "offset": seen.offset,
        **_place(seen.conversation, seen.conversation_offset),
    }


def _command_id(device: str, name: str, record: Any) -> Line:  # noqa: ANN401 - a CommandRecord
    return {
        "kind": "command_id",
        "device": device,
        "id": name,
        "time": _time_of(record.stamp),
        **(_place(record.conversation, record.conversation_offset) if record.conversation else {}),
    }


_OF_DEVICES: dict[Table, Callable[[str, str, Any], Line]] = {
    Table.CURSORS: _cursor,
    Table.SEEN: _message_id,
    Table.COMMANDS: _command_id,
}


def _conflict(user: UserId, _view: Reader, _key: Key, conflict: Conflict) -> Iterator[Line]:
    if conflict.user == user:
        yield {
            "kind": "conflict",
            "time": _time(conflict.time),
            **_place(conflict.conversation, conflict.conversation_offset),
            "rule": MergeRule(conflict.rule).name.lower(),
            "lost": _time_of(conflict.lost),
        }


# What is in conversations with others.


def _was_in(view: Reader, user: UserId, number: ConversationId, known: Conversation) -> bool:
    return user in known.members or view.get(Table.MEMBERS, (number, user)) is not None


def _conversation(view: Reader, user: UserId, number: ConversationId, known: Conversation) -> Iterator[Line]:
    line: Line = {"kind": "conversation", "conversation": conversation_id(number)}
    if is_feed(known):
        yield line | {"feed_of": view.get(Table.EIDS, (author_of(known),)) or ""}
        return
    if known.members:
        peers = [view.get(Table.EIDS, (member,)) or "" for member in known.members if member != user]
        yield line | {"peer": peers[0] if peers else view.get(Table.EIDS, (user,)) or ""}
        return
    group: Group | None = view.get(Table.GROUPS, (number,))
    member: Member | None = view.get(Table.MEMBERS, (number, user))
    if group is not None and member is not None:
        since, upto = member.since, member.upto
        if since == NEVER:  # then the other one says when that began, and, of who was removed, when it ended
            since, upto = (upto, ConversationOffset(0)) if member.role else (ConversationOffset(0), upto)
        yield line | {
            "title": group.title,
            "role": ROLE_NAMES[Role(member.role)],
            "since": since,
            "upto": upto,
            **({"named": True} if member.since == NEVER else {}),
            "changed": _time(member.joined),
        }


def _messages(store: Store, user: UserId, number: ConversationId, known: Conversation) -> Lines:
    """The messages that the user wrote or could see, with what became of them."""
    after = known.first - 1
    while after < known.head:
        with store.snapshot() as view:
            try:
                listed = read_history(view, user, number, after, min(MESSAGES, known.head - after))
                upto = listed[-1][0] if listed else known.head
            except UnreadableError as unreadable:
                listed, upto = [], unreadable.upto
            lines = [line for one in listed for line in _or_damaged(_message, view, user, number, *one)]
        after = upto
        yield lines


def _message(view: Reader, user: UserId, number: ConversationId, place: int, entry: HistoryEntry) -> Iterator[Line]:
    is_own = entry.author == user
    for reaction in view.get(Table.REACTIONS, (number, place, user)) or ():
        yield {
            "kind": "reaction",
            **_place(number, place),
            "emoji": reaction.emoji,
            "time": _time_of(reaction.stamp),
            "removed": reaction.removed,
        }
    theirs = view.get(Table.ADDRESSED, (entry.stamp, user)) or ()
    if not is_own and (not was_member_at(view, user, number, place) or (entry.addressed and not theirs)):
        return
    body: bytes | None = view.get(Table.BODIES, (entry.stamp,))
    if body is not None:
        yield {"kind": "message", **_place(number, place), "is_own": is_own, **_content(body)}
    low, high = ((entry.stamp,), (entry.stamp + 1,)) if is_own else ((entry.stamp, user), (entry.stamp, user + 1))
    for (_, reader), devices in view.scan(Table.ADDRESSED, low, high, limit=MAX_ADDRESSED) if entry.addressed else ():
        for device, payload in devices:
            owner = view.get(Table.DEVICE_OWNERS, (device,))
            yield {
                "kind": "addressed",
                **_place(number, place),
                "eid": view.get(Table.EIDS, (reader,)) or "",
                "device": owner.name if owner is not None and reader == user else "",
                "payload": None if payload is None else _bytes(payload),
            }
    record = view.get(Table.MESSAGE_STATES, (number, place)) if is_own else None
    if record is not None:
        yield {
            "kind": "message_state",
            **_place(number, place),
            "edited": _time_of(record.edited),
            "deleted": _time_of(record.deleted),
            "forwards": record.forwards,
        }


def _content(body: bytes) -> Line:
    """A stored message in ProtoJSON, its times as all others."""
    try:
        message = message_of(stored.parse(body))
    except (DecodeError, IndexError):
        return {"damaged": True}
    for name in ("server_time", "expires_at", "timestamp"):
        if name in message:
            message[name] = _time(int(message[name]))
    return {"message": message}


def _receipt(kind: str, _view: Reader, key: Key, runs: Runs) -> Iterator[Line]:
    yield {
        "kind": kind,
        "conversation": conversation_id(key[0]),
        "receipt": ReceiptKind(key[2]).name,
        "runs": [{"from": first, "to": last, "time": _time(time)} for first, last, time in runs],
    }


def _place(number: int, place: int) -> Line:
    return {"conversation": conversation_id(number), "conversation_offset": place}


def _bytes(value: bytes) -> str:
    return b64encode(value).decode()


def _time_of(stamp: Stamp) -> str | None:
    return _time(millis_of(stamp)) if stamp else None


def _time(millis: int) -> str | None:
    """ISO 8601, in UTC with milliseconds; None for 0, and for a time that no calendar has."""
    try:
        return (_EPOCH + timedelta(milliseconds=millis)).isoformat(timespec="milliseconds") if millis else None
    except OverflowError:
        return None
