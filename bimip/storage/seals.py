"""A checksum behind each value, over its key and itself: what a disk, a cable or a stray write changed is not served.

LMDB has none of its own. The checksum is a CRC-32 in the order of bytes that makes the CRC of everything a constant, so
to verify a value is one call and no comparison of parts. It begins with the CRC of the key, so that a value which turns
up under another key, whose page was damaged or is another one's, is nobody's.
"""

from collections.abc import Iterable, Sequence
from operator import add, itemgetter
from struct import Struct
from typing import Final, cast
from zlib import crc32

SEAL_BYTES: Final = 4
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything with its own CRC behind it, whatever it began with."""

_pack = Struct("<I").pack
_key, _value = itemgetter(0), itemgetter(1)
_strip = itemgetter(slice(None, -SEAL_BYTES))


class BrokenSealError(Exception):
    """A value is not the one that was put under this key."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"the value under {key.hex()} is not what was written there")
        self.key = key


def seal(key: bytes, value: bytes) -> bytes:
    return value + _pack(crc32(value, crc32(key)))


def seal_all(rows: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Keys with their values sealed. Nothing of ours runs for each, here and below: every message has several."""
    rows = list(rows)
    checksums = map(crc32, map(_value, rows), map(crc32, map(_key, rows)))
    return zip(map(_key, rows), map(add, map(_value, rows), map(_pack, checksums)), strict=True)


def is_whole(key: bytes, sealed: bytes) -> bool:
    return crc32(sealed, crc32(key)) == _RESIDUE


def unseal(key: bytes, sealed: bytes) -> bytes:
    """The value. Raises BrokenSealError."""
    if crc32(sealed, crc32(key)) != _RESIDUE:
        raise BrokenSealError(key)
    return sealed[:-SEAL_BYTES]


def unsealed(rows: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Keys with their values. Raises BrokenSealError."""
    sealed = dict(rows)
    if not _are_whole(sealed, sealed.values()):
        raise BrokenSealError(next(key for key, one in sealed.items() if not is_whole(key, one)))
    return dict(zip(sealed, map(_strip, sealed.values()), strict=True))


def unseal_all(keys: Sequence[bytes], sealed: Sequence[bytes | None]) -> list[bytes | None]:
    """Takes the seals off; None where there is no value, or another one than was written."""
    if not any(sealed):
        return list(sealed)  # as for messages that are new
    if all(sealed):
        all_there = cast("Sequence[bytes]", sealed)
        if _are_whole(keys, all_there):
            return list(map(_strip, all_there))
    return [
        one[:-SEAL_BYTES] if one is not None and is_whole(key, one) else None
        for key, one in zip(keys, sealed, strict=True)
    ]


def _are_whole(keys: Iterable[bytes], sealed: Iterable[bytes]) -> bool:
    return set(map(crc32, sealed, map(crc32, keys))) <= {_RESIDUE}


def content(sealed: bytes) -> bytes:
    """The value as it stands there, be it whole or not: for what is held against something else."""
    return sealed[:-SEAL_BYTES]
