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

from bimip.domain.core.records import Index, Key, Kind, LogTable, Table
from bimip.domain.core.schema import BYTE, BYTES, NAME, TEXT, Schema

MAX_KEY_BYTES = 511

HOT_TREE = "heads"
"""The tree of what is hot. What is written together lies together: the rows of one user in these tables, and the newest
blocks of their logs, share a tree and mostly a page, and so do those of one conversation. A commit writes each page
that it touches, and in trees of their own a message to somebody touches a dozen that it shares with nobody, where users
are many. All their keys begin with a number, of the user or the conversation, and then a *kind tag*, from their row.
"""

KINDS: tuple[Kind, ...] = (*Table, *LogTable, *Index)
KIND_TAG: dict[Kind, int] = {kind: kind.schema.hot for kind in KINDS if kind.schema.hot}
TAG_AT = 4

_BY_TAG = {tag: kind for kind, tag in KIND_TAG.items()}


def _shape(schema: Schema) -> tuple[str, ...]:
    return (schema.key[0], BYTE, *schema.key[1:]) if schema.hot else schema.key


_SHAPES: dict[Kind, tuple[str, ...]] = {kind: _shape(kind.schema) for kind in KINDS}
"""With the tag, where there is one. A text is always last, so what stands before it is one struct."""

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


def _codec(kind: Kind) -> tuple[Pack, Unpack, PackAll]:
    shape, tag = _SHAPES[kind], KIND_TAG.get(kind)
    if shape == (TEXT,):
        return _each(lambda key: pack_text(key[0]), lambda packed: (unpack_text(packed),))
    if shape[-1] in {TEXT, NAME} and len(shape) > 2 and tag is None:
        return _long_codec(Struct(">" + "".join(shape[:-1])))
    if shape[-1] in {TEXT, NAME}:
        return _text_codec(shape, b"" if tag is None else bytes((tag,)))
    if shape[-1] == BYTES:
        return _bytes_codec(b"" if tag is None else bytes((tag,)))
    numbers = Struct(">" + "".join(shape))
    pack, unpack = numbers.pack, numbers.unpack
    if tag is None:
        return (lambda key: pack(*key)), unpack, partial(starmap, pack)

    def pack_numbers(keys: Iterable[Key]) -> list[bytes]:
        return [pack(number, tag) for (number,) in keys]

    def pack_pairs(keys: Iterable[Key]) -> list[bytes]:
        return [pack(number, tag, second) for number, second in keys]

    return (
        lambda key: pack(key[0], tag, *key[1:]),
        lambda packed: _without_tag(unpack(packed)),
        pack_numbers if len(shape) == 2 else pack_pairs,
    )


def _text_codec(shape: tuple[str, ...], tag: bytes) -> tuple[Pack, Unpack, PackAll]:
    """Makes the codec of keys of a number, a tag if there is one, and text."""
    number = Struct(">I")
    pack, unpack_from, place = number.pack, number.unpack_from, number.size + len(tag)

    def pack_last(text: str) -> bytes:
        return tag + pack_text(text)

    if shape[-1] == NAME:
        pack_last = lru_cache(maxsize=256)(pack_last)
    return (
        lambda key: pack(key[0]) + pack_last(key[1]),
        lambda packed: (unpack_from(packed)[0], unpack_text(packed[place:])),
        lambda keys: [pack(first) + pack_last(last) for first, last in keys],
    )


def _long_codec(numbers: Struct) -> tuple[Pack, Unpack, PackAll]:
    """Makes the codec of keys of several numbers and text."""
    return _each(
        lambda key: numbers.pack(*key[:-1]) + pack_text(key[-1]),
        lambda packed: (*numbers.unpack_from(packed), unpack_text(packed[numbers.size :])),
    )


def _without_tag(key: Key) -> Key:
    return (key[0], *key[2:])


def _each(pack: Pack, unpack: Unpack) -> tuple[Pack, Unpack, PackAll]:
    return pack, unpack, partial(map, pack)


def _bytes_codec(tag: bytes) -> tuple[Pack, Unpack, PackAll]:
    """Makes the codec of keys of a number, a tag if there is one, and bytes."""
    number = Struct(">I")
    pack, unpack_from, place = number.pack, number.unpack_from, number.size + len(tag)
    return (
        lambda key: pack(key[0]) + tag + key[1],
        lambda packed: (unpack_from(packed)[0], packed[place:]),
        lambda keys: [pack(first) + tag + last for first, last in keys],
    )


_CODECS = {kind: _codec(kind) for kind in _SHAPES}

PACK: dict[Kind, Pack] = {kind: pack for kind, (pack, _, _) in _CODECS.items()}
"""Whole keys."""

UNPACK: dict[Kind, Unpack] = {kind: unpack for kind, (_, unpack, _) in _CODECS.items()}

PACK_ALL: dict[Kind, PackAll] = {kind: pack_all for kind, (_, _, pack_all) in _CODECS.items()}
"""Many whole keys at once: where they are numbers alone and have no tag, no Python runs for each."""


def kind_of(tree: str, packed: bytes) -> Kind | None:
    """Tells the kind of what lies under a key of that tree; None: nothing that this version knows."""
    if tree == HOT_TREE:
        return _BY_TAG.get(packed[TAG_AT]) if len(packed) > TAG_AT else None
    return next((kind for kind in KINDS if kind.value == tree), None)


def key_of_block(kind: Kind, packed: bytes) -> bytes:
    """Reads whose a block of a log or an index is: behind that stands, of a full block, which one it is."""
    text = _SHAPES[kind][-1] == NAME
    end = packed.index(0, TAG_AT + 1) + 1 if text else TAG_AT + 1
    return packed[:end]


def pack_bound(table: Table, key: Key) -> bytes:
    """Packs where a range of keys begins or ends."""
    if len(key) > 1 and table in KIND_TAG:
        key = (key[0], KIND_TAG[table], *key[1:])
    return bound_of(_SHAPES[table], key)


def bound_of(shape: Iterable[str], key: Key) -> bytes:
    """Packs where a range of tuples of that shape begins or ends.

    `key` may end early; go on with a 0 behind its last element, which is right behind the key without it; and its
    numbers may lie outside what a key can hold.
    """
    shape = tuple(shape)
    packed = b""
    for kind, value in zip(shape, key, strict=False):
        if kind in {TEXT, NAME}:
            packed += pack_text(value)
        elif kind == BYTES:
            packed += value
        elif value < 0:
            return packed
        else:
            try:
                packed += Struct(">" + kind).pack(value)
            except StructError:  # beyond every key that begins like this one
                return packed + b"\xff" * MAX_KEY_BYTES
    return packed + b"\0" if len(key) > len(shape) else packed
