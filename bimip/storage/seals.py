"""A checksum behind each value, over its key and itself: what a disk, a cable or a stray write changed is not served.

LMDB has none of its own. The checksum is a CRC-32 in the order of bytes that makes the CRC of everything a constant, so
to verify a value is one call and no comparison of parts. It begins with the CRC of the key, so that a value which turns
up under another key, whose page was damaged or is another one's, is nobody's.
"""

from collections.abc import Iterable
from struct import Struct
from typing import Final
from zlib import crc32

SEAL_BYTES: Final = 4
_RESIDUE: Final = 0x2144DF1C
"""The CRC-32 of anything with its own CRC behind it, whatever it began with."""

_pack = Struct("<I").pack


class BrokenSealError(Exception):
    """A value is not the one that was put under this key."""

    def __init__(self, key: bytes) -> None:
        super().__init__(f"the value under {key.hex()} is not what was written there")
        self.key = key


def seal(key: bytes, value: bytes) -> bytes:
    return value + _pack(crc32(value, crc32(key)))


def seal_all(rows: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Keys with their values sealed. No function of ours runs for each: every message has several."""
    return [(key, value + _pack(crc32(value, crc32(key)))) for key, value in rows]


def is_whole(key: bytes, sealed: bytes) -> bool:
    return crc32(sealed, crc32(key)) == _RESIDUE


def unseal(key: bytes, sealed: bytes) -> bytes:
    """The value. Raises BrokenSealError."""
    if crc32(sealed, crc32(key)) != _RESIDUE:
        raise BrokenSealError(key)
    return sealed[:-SEAL_BYTES]


def unsealed(rows: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Keys with their values. Raises BrokenSealError."""
    rows = list(rows)
    found = {key: one[:-SEAL_BYTES] for key, one in rows if crc32(one, crc32(key)) == _RESIDUE}
    if len(found) < len(rows):
        raise BrokenSealError(next(key for key, _ in rows if key not in found))
    return found


def unseal_all(keys: Iterable[bytes], sealed: Iterable[bytes | None]) -> list[bytes | None]:
    """Of each the value; None where there is none, or another one than was written."""
    return [
        one[:-SEAL_BYTES] if one is not None and crc32(one, crc32(key)) == _RESIDUE else None
        for key, one in zip(keys, sealed, strict=True)
    ]


def content(sealed: bytes) -> bytes:
    """The value as it stands there, be it whole or not: for what is held against something else."""
    return sealed[:-SEAL_BYTES]
