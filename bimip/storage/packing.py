"""Records as few bytes. A store's format is this file and keys.py: whoever changes either raises FORMAT.

Numbers have a fixed width, highest byte first; text and bytes stand at the end, or behind their length. The records of
a sequence have one size each and lie in blocks (`Block`), whose place follows from the number.
"""

from collections.abc import Callable, Iterable
from struct import Struct
from typing import Any

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

FORMAT = 1

BLOCK = 64
"""Records of a sequence in one block. Two full blocks of entries fill a page of 4 KiB to 93 %."""

Pack = Callable[[Any], bytes]
Unpack = Callable[[bytes], Any]

_USER = Struct(">IQ")
_DEVICE = Struct(">IQQ")
_NUMBER = Struct(">I")
_LONG = Struct(">Q")
_PAIR = Struct(">QQ")
_SEEN = Struct(">16sQQIQ")
_CURSOR_RANGE = Struct(">QQ")
_STATE_KEY = Struct(">BIIBI")
_RUN = Struct(">QQQ")
_ADDRESSED = Struct(">II")  # device, length of the payload + 1; 0: none

_ENTRY = Struct(">QIQII?")
_MENTION = Struct(">QI?")


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
    return _PAIR.pack(first, head) + b"".join(map(_NUMBER.pack, members))


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
    return _SEEN.pack(digest, stamp, offset, conversation, conversation_offset) + partition.encode()


def _unpack_seen(packed: bytes) -> Seen:
    digest, stamp, offset, conversation, conversation_offset = _SEEN.unpack_from(packed)
    return Seen(digest, stamp, packed[_SEEN.size :].decode(), offset, conversation, conversation_offset)


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
    return b"".join(_RUN.pack(*run) for run in runs)


def _unpack_runs(packed: bytes) -> Runs:
    return tuple(map(Run._make, _RUN.iter_unpack(packed)))


def _plain(struct: Struct, make: Callable[[Iterable[Any]], Any]) -> tuple[Pack, Unpack]:
    return (lambda record: struct.pack(*record)), (lambda packed: make(struct.unpack(packed)))


def _single(struct: Struct) -> tuple[Pack, Unpack]:
    return struct.pack, (lambda packed: struct.unpack(packed)[0])


_CODECS: dict[Table, tuple[Pack, Unpack]] = {
    Table.META: (_pack_meta, _unpack_meta),
    Table.USERS: _plain(_USER, User._make),
    Table.EIDS: (str.encode, bytes.decode),
    Table.DEVICES: _plain(_DEVICE, Device._make),
    Table.NAMES: (_pack_name, _unpack_name),
    Table.DIRECT: _single(_NUMBER),
    Table.CONVERSATIONS: (_pack_conversation, _unpack_conversation),
    Table.LOGS: _plain(_PAIR, Log._make),
    Table.BODIES: (bytes, bytes),
    Table.ADDRESSED: (_pack_addressed, _unpack_addressed),
    Table.SEEN: (_pack_seen, _unpack_seen),
    Table.CURSORS: (_pack_cursor, _unpack_cursor),
    Table.STATES: _plain(_PAIR, State._make),
    Table.CHANGES: (_pack_state_key, _unpack_state_key),
    Table.VERSIONS: _single(_LONG),
    Table.RECEIPTS: (_pack_runs, _unpack_runs),
    Table.REVOKED: _single(_LONG),
}

PACK: dict[Table, Pack] = {table: pack for table, (pack, _) in _CODECS.items()}
UNPACK: dict[Table, Unpack] = {table: unpack for table, (_, unpack) in _CODECS.items()}


class Blocks:
    """How a sequence's records lie in blocks: block b holds the numbers from 64 * b to 64 * b + 63.

    A block is one byte, the place (0 … 63) of its first record, and its records, one behind the other. Only the first
    block of a sequence may begin late (it was cut) and only the last may end early.
    """

    def __init__(self, struct: Struct, make: Callable[[Iterable[Any]], Any]) -> None:
        self._struct = struct
        self._make = make
        self.record_bytes = struct.size

    def extend(self, block: bytes | None, place: int, records: Iterable[Any]) -> bytes:
        """The block with records added behind its last, which must be the one before `place`."""
        pack = self._struct.pack
        added = b"".join([pack(*record) for record in records])
        if block is None:
            return bytes((place,)) + added
        if self.end(block) != place:
            raise ValueError(f"the sequence goes on at place {self.end(block)} of its block, not {place}")
        return block + added

    def end(self, block: bytes) -> int:
        """The place behind the last record."""
        return block[0] + (len(block) - 1) // self._struct.size

    def cut(self, block: bytes, place: int) -> bytes:
        """The block without the records before `place`; empty when none is left."""
        if place <= block[0]:
            return block
        kept = block[1 + (place - block[0]) * self._struct.size :]
        return bytes((place,)) + kept if kept else b""

    def read(self, block: bytes, place: int, limit: int) -> tuple[int, list[Any]]:
        """At most `limit` records from `place` on, and the place of the first."""
        place = max(place, block[0])
        size = self._struct.size
        start = 1 + (place - block[0]) * size
        stop = min(len(block), start + limit * size)
        return place, list(map(self._make, self._struct.iter_unpack(memoryview(block)[start:stop])))


BLOCKS: dict[Sequence, Blocks] = {
    Sequence.ENTRIES: Blocks(_ENTRY, Entry._make),
    Sequence.HISTORY: Blocks(_MENTION, Mention._make),
}
