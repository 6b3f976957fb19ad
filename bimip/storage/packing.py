"""Records as few bytes. A store's format is this file and keys.py: whoever changes either raises FORMAT.

Numbers have a fixed width, highest byte first; text and bytes stand at the end, or behind their length. The records of
a sequence have one size each and lie in blocks (`Block`), whose place follows from the number.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import starmap
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import Any

from bimip.domain import receipts
from bimip.domain.records import (
    Addressed,
    Conversation,
    Cursor,
    Device,
    DeviceName,
    Entry,
    Log,
    Mention,
    ReceiptKey,
    ReceiptKind,
    Run,
    Runs,
    Seen,
    Sequence,
    State,
    Table,
    User,
)
from bimip.storage.keys import RECEIPT_STATE

FORMAT = 3

BLOCK = 24
"""Records of a sequence in one block. From 16 to 48 the disk bytes of an entry differ by 8 %, and 24 measured best:
larger ones fill pages worse, as a page that grows in the middle of the tree is split between few; smaller ones have
more keys."""

_WIDE = 0x80
"""In a record's first byte: its offsets have 64 bits, not 32."""
_HIGHEST_NARROW = 2**32 - 1

_PARTITIONS = ("", "chat", "notification", "feed", "sync")
"""Usual names, which cost a byte where each message has one; any other stands as text, under code 0."""
_PARTITION_CODES = {name: code for code, name in enumerate(_PARTITIONS) if code}

Pack = Callable[[Any], bytes]
PackAll = Callable[[Iterable[Any]], Iterable[bytes]]
Unpack = Callable[[bytes], Any]

_USER = Struct(">IQ")
_DEVICE = Struct(">IQQ")
_NUMBER = Struct(">I")
_LONG = Struct(">Q")
_PAIR = Struct(">QQ")
_SEEN = Struct(">B16sQIII")
_WIDE_SEEN = Struct(">B16sQQIQ")
_CURSOR_RANGE = Struct(">QQ")
_STATE_KEY = Struct(">BIIBI")
_RUN = Struct(">BBQ")
_ADDRESSED = Struct(">II")  # device, length of the payload + 1; 0: none

_ENTRY = Struct(">QIIII?")
_WIDE_ENTRY = Struct(">QIQII?")
_MENTION = Struct(">QII?")


def _pack_meta(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _unpack_meta(packed: bytes) -> int:
    return int.from_bytes(packed, "big", signed=True)


def _pack_name(name: DeviceName) -> bytes:
    return _NUMBER.pack(name.user) + name.name.encode()


def _unpack_name(packed: bytes) -> DeviceName:
    return DeviceName(_NUMBER.unpack_from(packed)[0], packed[4:].decode())


def _pack_conversation(conversation: Conversation) -> bytes:
    first, head, members = conversation
    return _conversation(len(members)).pack(first, head, *members)


@lru_cache
def _conversation(members: int) -> Struct:
    return Struct(f">QQ{members}I")


def _unpack_conversation(packed: bytes) -> Conversation:
    members = tuple(member for (member,) in _NUMBER.iter_unpack(packed[16:]))
    first, head = _PAIR.unpack_from(packed)
    return Conversation(first, head, members)


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


def _pack_seen(seen: Seen) -> bytes:
    digest, stamp, partition, offset, conversation, conversation_offset = seen
    code = _PARTITION_CODES.get(partition, 0)
    text = b"" if code else partition.encode()
    if offset <= _HIGHEST_NARROW and conversation_offset <= _HIGHEST_NARROW:
        return _SEEN.pack(code, digest, stamp, offset, conversation, conversation_offset) + text
    return _WIDE_SEEN.pack(code | _WIDE, digest, stamp, offset, conversation, conversation_offset) + text


def _unpack_seen(packed: bytes) -> Seen:
    struct = _WIDE_SEEN if packed[0] & _WIDE else _SEEN
    code, digest, stamp, offset, conversation, conversation_offset = struct.unpack_from(packed)
    partition = _PARTITIONS[code & ~_WIDE] or packed[struct.size :].decode()
    return Seen(digest, stamp, partition, offset, conversation, conversation_offset)


def _pack_cursor(cursor: Cursor) -> bytes:
    floor, above = cursor
    packed = _LONG.pack(floor)
    return packed + b"".join(_CURSOR_RANGE.pack(*each) for each in above) if above else packed


def _unpack_cursor(packed: bytes) -> Cursor:
    return Cursor(_LONG.unpack_from(packed)[0], tuple(_CURSOR_RANGE.iter_unpack(packed[8:])))


def _pack_state_key(key: ReceiptKey) -> bytes:
    return _STATE_KEY.pack(RECEIPT_STATE, *key)


def _unpack_state_key(packed: bytes) -> ReceiptKey:
    _, conversation, member, kind, block = _STATE_KEY.unpack(packed)
    return ReceiptKey(conversation, member, ReceiptKind(kind), block)


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
    return tuple([Run(first + start, last + start, time) for first, last, time in _RUN.iter_unpack(packed[8:])])


def _plain(struct: Struct, make: Callable[[Iterable[Any]], Any]) -> tuple[Pack, Unpack, PackAll]:
    pack = struct.pack
    return (lambda record: pack(*record)), (lambda packed: make(struct.unpack(packed))), partial(starmap, pack)


def _single(struct: Struct) -> tuple[Pack, Unpack, PackAll]:
    return _each(struct.pack, lambda packed: struct.unpack(packed)[0])


def _each(pack: Pack, unpack: Unpack) -> tuple[Pack, Unpack, PackAll]:
    return pack, unpack, partial(map, pack)


_CODECS: dict[Table, tuple[Pack, Unpack, PackAll]] = {
    Table.META: _each(_pack_meta, _unpack_meta),
    Table.USERS: _plain(_USER, User._make),
    Table.EIDS: _each(str.encode, bytes.decode),
    Table.DEVICES: _plain(_DEVICE, Device._make),
    Table.NAMES: _each(_pack_name, _unpack_name),
    Table.DIRECT: _single(_NUMBER),
    Table.CONVERSATIONS: _each(_pack_conversation, _unpack_conversation),
    Table.LOGS: _plain(_PAIR, Log._make),
    Table.BODIES: _each(bytes, bytes),
    Table.ADDRESSED: _each(_pack_addressed, _unpack_addressed),
    Table.SEEN: _each(_pack_seen, _unpack_seen),
    Table.CURSORS: _each(_pack_cursor, _unpack_cursor),
    Table.STATES: _plain(_PAIR, State._make),
    Table.CHANGES: _each(_pack_state_key, _unpack_state_key),
    Table.VERSIONS: _single(_LONG),
    Table.RECEIPTS: _each(_pack_runs, _unpack_runs),
    Table.STORED: _single(_LONG),
    Table.REVOKED: _single(_LONG),
}

PACK: dict[Table, Pack] = {table: pack for table, (pack, _, _) in _CODECS.items()}
UNPACK: dict[Table, Unpack] = {table: unpack for table, (_, unpack, _) in _CODECS.items()}
PACK_ALL: dict[Table, PackAll] = {table: pack_all for table, (_, _, pack_all) in _CODECS.items()}
"""Many records at once: where they are numbers alone, no Python runs for each."""


class Blocks:
    """How a sequence's records lie in blocks: block b holds the numbers from BLOCK * b to BLOCK * b + BLOCK - 1.

    A block is one byte, the place (0 … BLOCK - 1) of its first record, and its records, one behind the other. Only the
    first block of a sequence may begin late (it was cut) and only the last may end early. Records are narrow, until one
    comes that holds a number beyond 32 bits: then its whole block is wide, which the first byte's highest bit tells.
    """

    def __init__(self, narrow: Struct, wide: Struct, make: Callable[[Iterable[Any]], Any]) -> None:
        self._structs = {0: narrow, _WIDE: wide}
        self._make = make
        self.record_bytes = narrow.size

    def extend(self, block: bytes | None, place: int, records: list[Any]) -> bytes:
        """The block with records added behind its last, which is the one before `place`."""
        if block is None:
            block = bytes((place,))
        pack = self._structs[block[0] & _WIDE].pack
        try:
            return block + (pack(*records[0]) if len(records) == 1 else b"".join(starmap(pack, records)))
        except StructError:
            if block[0] & _WIDE:
                raise
        return self.extend(self._widened(block), place, records)

    def _widened(self, block: bytes) -> bytes:
        narrow, wide = self._structs[0], self._structs[_WIDE]
        return bytes((block[0] | _WIDE,)) + b"".join(wide.pack(*record) for record in narrow.iter_unpack(block[1:]))

    def end(self, block: bytes) -> int:
        """The place behind the last record."""
        return (block[0] & ~_WIDE) + (len(block) - 1) // self._structs[block[0] & _WIDE].size

    def cut(self, block: bytes, place: int) -> bytes:
        """The block without the records before `place`; empty when none is left."""
        header, begin = block[0], block[0] & ~_WIDE
        if place <= begin:
            return block
        kept = block[1 + (place - begin) * self._structs[header & _WIDE].size :]
        return bytes((place | header & _WIDE,)) + kept if kept else b""

    def read(self, block: bytes, place: int, limit: int) -> tuple[int, list[Any]]:
        """At most `limit` records from `place` on, and the place of the first."""
        struct = self._structs[block[0] & _WIDE]
        begin = block[0] & ~_WIDE
        place = max(place, begin)
        start = 1 + (place - begin) * struct.size
        stop = min(len(block), start + limit * struct.size)
        return place, list(map(self._make, struct.iter_unpack(memoryview(block)[start:stop])))


BLOCKS: dict[Sequence, Blocks] = {
    Sequence.ENTRIES: Blocks(_ENTRY, _WIDE_ENTRY, Entry._make),
    Sequence.HISTORY: Blocks(_MENTION, _MENTION, Mention._make),
}
