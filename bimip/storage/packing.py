"""Records as few bytes. A store's format is this file, keys.py and, on LMDB, lmdb/blocks.py: whoever changes one
raises FORMAT in format.py.

Numbers have a fixed width, highest byte first; text and bytes stand at the end, or behind their length.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import accumulate, pairwise, starmap
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import Any

from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import (
    DIGEST_BYTES,
    Addressed,
    Checkpoint,
    Contact,
    Conversation,
    ConversationSettings,
    Cursor,
    DeviceOwner,
    Entry,
    Erasure,
    Group,
    HistoryEntry,
    Index,
    Label,
    LogTable,
    PushSubscription,
    Reaction,
    ReceiptRun,
    Runs,
    SentRecord,
    Seq,
    Standing,
    Table,
)
from bimip.domain.core.schema import Plain
from bimip.domain.state import receipts

_WIDE = 0x80
"""In a record's first byte: its offsets have 64 bits, not 32."""

_PARTITIONS = ("", "chat", "notification", "feed", "sync")
"""Usual names, which cost a byte where each message has one; any other stands as text, under code 0."""
_PARTITION_CODES = {name: code for code, name in enumerate(_PARTITIONS) if code}

Pack = Callable[[Any], bytes]
PackAll = Callable[[Iterable[Any]], Iterable[bytes]]
Unpack = Callable[[bytes], Any]

_NUMBER = Struct(">I")
_LONG = Struct(">Q")
_PAIR = Struct(">QQ")
_GROUP = Struct(">QI")  # and the title and the members behind it
_SEEN = Struct(f">B{DIGEST_BYTES}sQIII")
_WIDE_SEEN = Struct(f">B{DIGEST_BYTES}sQQIQ")
_CURSOR_RANGE = Struct(">QQ")
_RUN = Struct(">BBQ")
_CHECKPOINT = Struct(">Q16sQQ")
_REACTION = Struct(">QIBB")  # stamp, device, removed (1) and unheard (2), length of the emoji
_REGISTER = Struct(">QIQ")  # stamp, device, value
_CONTACT = Struct(">BBQQIB")  # standing, flags, since, stamp and device of the name, length of the request's id
_SUBSCRIPTION = Struct(">QQBHBB")  # number, created, lengths of the four texts and bytes behind it
_ADDRESSED = Struct(">II")  # device, length of the payload + 1; 0: none


def _pack_meta(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _unpack_meta(packed: bytes) -> int:
    return int.from_bytes(packed, "big", signed=True)


def _pack_name(name: DeviceOwner) -> bytes:
    return _NUMBER.pack(name.user) + name.name.encode()


def _unpack_name(packed: bytes) -> DeviceOwner:
    return DeviceOwner(_NUMBER.unpack_from(packed)[0], packed[4:].decode())


def _pack_erasure(erasure: Erasure) -> bytes:
    return _LONG.pack(erasure.since) + erasure.eid.encode()


def _unpack_erasure(packed: bytes) -> Erasure:
    return Erasure(packed[_LONG.size :].decode(), _LONG.unpack_from(packed)[0])


def _pack_label(label: Label) -> bytes:
    return _LONG.pack(label.stamp) + label.text.encode()


def _unpack_label(packed: bytes) -> Label:
    return Label(_LONG.unpack_from(packed)[0], packed[_LONG.size :].decode())


def _pack_conversation(conversation: Conversation) -> bytes:
    first, head, members = conversation
    return _conversation(len(members)).pack(first, head, *members)


def _pack_all_conversations(many: Iterable[Conversation]) -> list[bytes]:
    return [_conversation(len(members)).pack(first, head, *members) for first, head, members in many]


@lru_cache
def _conversation(members: int) -> Struct:
    return Struct(f">QQ{members}I")


def _unpack_conversation(packed: bytes) -> Conversation:
    members = tuple(member for (member,) in _NUMBER.iter_unpack(packed[16:]))
    first, head = _PAIR.unpack_from(packed)
    return Conversation(first, head, members)


def _pack_group(group: Group) -> bytes:
    title = group.title.encode()
    named = (0, *group.named) if group.named else ()  # no user has the number 0
    return _GROUP.pack(group.changed, len(title)) + title + b"".join(map(_NUMBER.pack, (*group.members, *named)))


def _unpack_group(packed: bytes) -> Group:
    changed, length = _GROUP.unpack_from(packed)
    end = _GROUP.size + length
    members = tuple(member for (member,) in _NUMBER.iter_unpack(packed[end:]))
    at = members.index(0) if 0 in members else len(members)
    return Group(packed[_GROUP.size : end].decode(), members[:at], changed, members[at + 1 :])


def _pack_addressed(addressed: tuple[Addressed, ...]) -> bytes:
    parts = []
    for device, payload in addressed:
        parts.append(_ADDRESSED.pack(device, 0 if payload is None else len(payload) + 1))
        if payload:
            parts.append(payload)
    return b"".join(parts)


def _unpack_addressed(packed: bytes) -> tuple[Addressed, ...]:
    result = []
    at = 0
    while at < len(packed):
        device, length = _ADDRESSED.unpack_from(packed, at)
        at += 8
        payload = packed[at : at + length - 1] if length else None
        at += len(payload or b"")
        result.append(Addressed(device, payload))
    return tuple(result)


def _pack_all_seen(many: Iterable[SentRecord]) -> list[bytes]:
    """Each message has one, so no function runs for each as long as they are the usual ones."""
    many, code, pack = list(many), _PARTITION_CODES, _SEEN.pack
    try:
        return [
            pack(code[partition], digest, stamp, offset, conversation, place)
            for digest, stamp, partition, offset, conversation, place in many
        ]
    except (KeyError, StructError):
        return [_pack_seen(seen) for seen in many]


def _pack_seen(seen: SentRecord) -> bytes:
    digest, stamp, partition, *place = seen
    code = _PARTITION_CODES.get(partition, 0)
    text = b"" if code else partition.encode()
    try:
        return _SEEN.pack(code, digest, stamp, *place) + text
    except StructError:
        return _WIDE_SEEN.pack(code | _WIDE, digest, stamp, *place) + text


def _unpack_seen(packed: bytes) -> SentRecord:
    struct = _WIDE_SEEN if packed[0] & _WIDE else _SEEN
    code, digest, stamp, offset, conversation, conversation_offset = struct.unpack_from(packed)
    partition = _PARTITIONS[code & ~_WIDE] or packed[struct.size :].decode()
    return SentRecord(digest, stamp, partition, offset, conversation, conversation_offset)


def _pack_cursor(cursor: Cursor) -> bytes:
    floor, above = cursor
    packed = _LONG.pack(floor)
    return packed + b"".join(_CURSOR_RANGE.pack(*each) for each in above) if above else packed


def _unpack_cursor(packed: bytes) -> Cursor:
    return Cursor(_LONG.unpack_from(packed)[0], tuple(_CURSOR_RANGE.iter_unpack(packed[8:])))


def _pack_reactions(reactions: tuple[Reaction, ...]) -> bytes:
    parts: list[bytes] = []
    for emoji, stamp, device, removed, unheard in reactions:
        text = emoji.encode()
        parts += (_REACTION.pack(stamp, device, removed + 2 * unheard, len(text)), text)
    return b"".join(parts)


def _unpack_reactions(packed: bytes) -> tuple[Reaction, ...]:
    found, at = [], 0
    while at < len(packed):
        stamp, device, flags, length = _REACTION.unpack_from(packed, at)
        at += _REACTION.size + length
        found.append(Reaction(packed[at - length : at].decode(), stamp, device, bool(flags & 1), bool(flags & 2)))
    return tuple(found)


def _pack_settings(settings: ConversationSettings) -> bytes:
    *flags, until, draft = settings
    packed = [_REGISTER.pack(one.stamp, one.writer, one.value) for one in (*flags, until)]
    return b"".join((*packed, _REGISTER.pack(draft.stamp, draft.writer, 0), draft.value))


def _unpack_settings(packed: bytes) -> ConversationSettings:
    size = _REGISTER.size
    *flags, until, draft = (_REGISTER.unpack_from(packed, at) for at in range(0, 5 * size, size))
    archived, pinned, unread = (LastWrite(bool(value), *write) for *write, value in flags)
    return ConversationSettings(
        archived, pinned, unread, LastWrite(until[2], *until[:2]), LastWrite(packed[5 * size :], *draft[:2])
    )


def _pack_subscription(subscription: PushSubscription) -> bytes:
    number, created, *texts, p256dh, auth = subscription
    parts = [*[text.encode() for text in texts], p256dh, auth]
    return _SUBSCRIPTION.pack(number, created, *map(len, parts)) + b"".join(parts)


def _unpack_subscription(packed: bytes) -> PushSubscription:
    number, created, *lengths = _SUBSCRIPTION.unpack_from(packed)
    ends = list(accumulate(lengths, initial=_SUBSCRIPTION.size))
    platform, token, p256dh, auth = (packed[start:end] for start, end in pairwise(ends))
    return PushSubscription(number, created, platform.decode(), token.decode(), p256dh, auth)


def _pack_runs(runs: Runs) -> bytes:
    """The runs of a part: its first offset, and places in it. An ack writes them all again, so they are short."""
    if not runs:
        return b""
    start = receipts.part_of(runs[0].first) * receipts.PART + 1
    return _LONG.pack(start) + b"".join([_RUN.pack(first - start, last - start, time) for first, last, time in runs])


def _unpack_runs(packed: bytes) -> Runs:
    if not packed:
        return ()
    (start,) = _LONG.unpack_from(packed)
    return tuple([ReceiptRun(first + start, last + start, time) for first, last, time in _RUN.iter_unpack(packed[8:])])


def _pack_contact(contact: Contact) -> bytes:
    standing, grants, granted, is_mutual, blocked, since, request, (name, stamp, writer), blocked_at = contact
    flags = grants | granted << 1 | is_mutual << 2 | blocked << 3 | (blocked_at > 0) << 4
    packed = request.encode()
    text: str = name
    begun = _LONG.pack(blocked_at) if blocked_at else b""
    return _CONTACT.pack(standing, flags, since, stamp, writer, len(packed)) + begun + packed + text.encode()


def _unpack_contact(packed: bytes) -> Contact:
    standing, flags, since, stamp, writer, length = _CONTACT.unpack_from(packed)
    grants, granted, is_mutual, blocked, is_timed = (bool(flags >> bit & 1) for bit in range(5))
    begin = _CONTACT.size + (_LONG.size if is_timed else 0)
    end = begin + length
    blocked_at: Any = _LONG.unpack_from(packed, _CONTACT.size)[0] if is_timed else 0
    request, name = packed[begin:end].decode(), LastWrite(packed[end:].decode(), stamp, writer)
    return Contact(Standing(standing), grants, granted, is_mutual, blocked, since, request, name, blocked_at)


def _pack_checkpoints(checkpoints: tuple[Checkpoint, ...]) -> bytes:
    return b"".join(starmap(_CHECKPOINT.pack, checkpoints))


def _unpack_checkpoints(packed: bytes) -> tuple[Checkpoint, ...]:
    return tuple(map(Checkpoint._make, _CHECKPOINT.iter_unpack(packed)))


def _plain(struct: Struct, record: type) -> tuple[Pack, Unpack, PackAll]:
    pack, unpack = struct.pack, struct.unpack
    make = partial(tuple.__new__, record)  # twice as fast as the record's own _make
    return (lambda record: pack(*record)), (lambda packed: make(unpack(packed))), partial(starmap, pack)


def _single(struct: Struct) -> tuple[Pack, Unpack, PackAll]:
    return _each(struct.pack, lambda packed: struct.unpack(packed)[0])


def _each(pack: Pack, unpack: Unpack) -> tuple[Pack, Unpack, PackAll]:
    return pack, unpack, partial(map, pack)


def _of(plain: Plain) -> tuple[Pack, Unpack, PackAll]:
    struct = Struct(">" + plain.form)
    return _single(struct) if plain.record is int else _plain(struct, plain.record)


_CODECS: dict[Table, tuple[Pack, Unpack, PackAll]] = {
    **{table: _of(table.schema.plain) for table in Table if table.schema.plain is not None},
    Table.META: _each(_pack_meta, _unpack_meta),
    Table.EIDS: _each(str.encode, bytes.decode),
    Table.ERASING: _each(_pack_erasure, _unpack_erasure),
    Table.LABELS: _each(_pack_label, _unpack_label),
    Table.DEVICE_OWNERS: _each(_pack_name, _unpack_name),
    Table.CONVERSATIONS: (_pack_conversation, _unpack_conversation, _pack_all_conversations),
    Table.GROUPS: _each(_pack_group, _unpack_group),
    Table.BODIES: _each(bytes, bytes),
    Table.ADDRESSED: _each(_pack_addressed, _unpack_addressed),
    Table.SEEN: (_pack_seen, _unpack_seen, _pack_all_seen),
    Table.CURSORS: _each(_pack_cursor, _unpack_cursor),
    Table.CHANGES: _each(bytes, bytes),
    Table.REACTIONS: _each(_pack_reactions, _unpack_reactions),
    Table.CONVERSATION_SETTINGS: _each(_pack_settings, _unpack_settings),
    Table.CONTACTS: _each(_pack_contact, _unpack_contact),
    Table.PUSH_SUBSCRIPTIONS: _each(_pack_subscription, _unpack_subscription),
    Table.RECEIPTS: _each(_pack_runs, _unpack_runs),
    Table.CHECKPOINTS: _each(_pack_checkpoints, _unpack_checkpoints),
    Table.PRIVATE_READS: _each(_pack_runs, _unpack_runs),
}
"""How each record is packed: one that is plain, as its row says."""

PACK: dict[Table, Pack] = {table: pack for table, (pack, _, _) in _CODECS.items()}
UNPACK: dict[Table, Unpack] = {table: unpack for table, (_, unpack, _) in _CODECS.items()}
PACK_ALL: dict[Table, PackAll] = {table: pack_all for table, (_, _, pack_all) in _CODECS.items()}
"""Many records at once: where they are numbers alone, no Python runs for each."""

_ENTRY = f"Q I I I I ? {DIGEST_BYTES}s"
_WIDE_ENTRY = f"Q I Q I I ? {DIGEST_BYTES}s"
_HISTORY_ENTRY = "Q I I ?"
_LINK = "16s"

LOG_FORMS: dict[LogTable, tuple[str, str, type]] = {
    LogTable.ENTRIES: (_ENTRY, _WIDE_ENTRY, Entry),
    LogTable.HISTORY: (_HISTORY_ENTRY, _HISTORY_ENTRY, HistoryEntry),
    LogTable.CHAINS: (_LINK, _LINK, bytes),
}
"""A log's records: their fields as `struct` writes them, and where one holds a number beyond 32 bits; and what they
are."""

ROW_FORMS: dict[Index, tuple[str, type]] = {Index.SEQS: ("QIIQ", Seq)}
"""An index's rows: their numbers as `struct` writes them, so that bytes sort as rows do, and what they are."""
