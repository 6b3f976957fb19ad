"""Keys as bytes that sort as their tuples do, so that a range of keys is a range of bytes.

Numbers have a fixed width, highest byte first. Text is UTF-8 (which sorts by code point, as Python does) and ends with
a byte 0; a 0 or 1 within it becomes two bytes, 1 1 or 1 2. So no packed text is the beginning of another, whatever
follows it, and 255 bytes of text stay within the 511 that LMDB allows. A tuple that ends early packs to the beginning
of all that continue it, and sorts before them, which is what the bounds of a scan need.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import starmap
from struct import Struct
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing

from bimip.domain.records import Index, Key, ReceiptKey, ReceiptKind, Sequence, Table

MAX_KEY_BYTES = 511

_U8, _U32, _U64, _TEXT, _NAME = "B", "I", "Q", "text", "name"
_RECEIPT = (_U32, _U32, _U8, _U32)  # conversation, member, kind, block or part of one

Kind = Table | Sequence | Index

_SHAPES: dict[Kind, tuple[str, ...]] = {
    Table.META: (_TEXT,),
    Table.USERS: (_TEXT,),
    Table.EIDS: (_U32,),
    Table.DEVICES: (_U32, _TEXT),
    Table.NAMES: (_U32,),
    Table.DIRECT: (_U32, _U32),
    Table.CONVERSATIONS: (_U32,),
    Table.LOGS: (_U32, _NAME),
    Table.BODIES: (_U64,),
    Table.ADDRESSED: (_U64, _U32),
    Table.SEEN: (_U32, _TEXT),
    Table.CURSORS: (_U32, _NAME),
    Table.STATES: (_U32,),
    Table.CHANGES: (_U32, _U64),
    Table.VERSIONS: (_U32, _U8, *_RECEIPT),  # the second number says which kind of state
    Table.RECEIPTS: _RECEIPT,
    Table.STORED: (_U32,),
    Table.REVOKED: (_TEXT,),
    Sequence.ENTRIES: (_U32, _NAME),
    Sequence.HISTORY: (_U32,),
    Sequence.CHAINS: (_U32, _NAME),
    Index.SEQS: (_U32, _NAME),
}
"""A text is always last, so what stands before it is one struct. A name is text of which there are few: partitions."""

RECEIPT_STATE = 1
"""Stands before a packed StateKey, so that another kind of state can stand beside receipts."""

Pack = Callable[[Key], bytes]
PackAll = Callable[[Iterable[Key]], Iterable[bytes]]
Unpack = Callable[[bytes], Key]


def pack_text(text: str) -> bytes:
    raw = text.encode()
    if b"\0" in raw or b"\1" in raw:
        raw = raw.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    return raw + b"\0"


def unpack_text(packed: bytes) -> str:
    raw = packed[:-1]
    if b"\1" in raw:
        raw = raw.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1")
    return raw.decode()


_pack_name = lru_cache(maxsize=256)(pack_text)


def _codec(shape: tuple[str, ...]) -> tuple[Pack, Unpack, PackAll]:
    if shape == (_TEXT,):
        return _each(lambda key: pack_text(key[0]), lambda packed: (unpack_text(packed),))
    if shape[-1] in {_TEXT, _NAME}:
        number = Struct(">I")
        pack, unpack_from = number.pack, number.unpack_from
        pack_last = _pack_name if shape[-1] == _NAME else pack_text
        return (
            lambda key: pack(key[0]) + pack_last(key[1]),
            lambda packed: (unpack_from(packed)[0], unpack_text(packed[4:])),
            lambda keys: [pack(first) + pack_last(last) for first, last in keys],
        )
    numbers = Struct(">" + "".join(shape))
    return (lambda key: numbers.pack(*key)), numbers.unpack, partial(starmap, numbers.pack)


def _each(pack: Pack, unpack: Unpack) -> tuple[Pack, Unpack, PackAll]:
    return pack, unpack, partial(map, pack)


def _version_codec() -> tuple[Pack, Unpack, PackAll]:
    numbers = Struct(">" + "".join(_SHAPES[Table.VERSIONS]))
    pack = numbers.pack

    def unpack(packed: bytes) -> Key:
        user, _, conversation, member, kind, block = numbers.unpack(packed)
        return user, ReceiptKey(conversation, member, ReceiptKind(kind), block)

    return (
        lambda key: pack(key[0], RECEIPT_STATE, *key[1]),
        unpack,
        lambda keys: [pack(user, RECEIPT_STATE, *state) for user, state in keys],
    )


_CODECS = {**{table: _codec(shape) for table, shape in _SHAPES.items()}, Table.VERSIONS: _version_codec()}

PACK: dict[Kind, Pack] = {table: pack for table, (pack, _, _) in _CODECS.items()}
"""Whole keys."""

UNPACK: dict[Kind, Unpack] = {table: unpack for table, (_, unpack, _) in _CODECS.items()}

PACK_ALL: dict[Kind, PackAll] = {table: pack_all for table, (_, _, pack_all) in _CODECS.items()}
"""Many whole keys at once: where they are numbers alone, no Python runs for each."""


def pack_bound(table: Table, key: Key) -> bytes:
    """Where a range of keys begins or ends."""
    if table is Table.VERSIONS and len(key) > 1:
        key = (key[0], RECEIPT_STATE, *key[1], *key[2:])
    return bound_of(_SHAPES[table], key)


def bound_of(shape: Iterable[str], key: Key) -> bytes:
    """Where a range of tuples of that shape begins or ends.

    `key` may end early; go on with a 0 behind its last element, which is right behind the key without it; and its
    numbers may lie outside what a key can hold.
    """
    shape = tuple(shape)
    packed = b""
    for kind, value in zip(shape, key, strict=False):
        if kind in {_TEXT, _NAME}:
            packed += pack_text(value)
        elif value < 0:
            return packed
        else:
            try:
                packed += Struct(">" + kind).pack(value)
            except StructError:  # beyond every key that begins like this one
                return packed + b"\xff" * MAX_KEY_BYTES
    return packed + b"\0" if len(key) > len(shape) else packed
