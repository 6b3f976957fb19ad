"""Damages a store that nobody has open: what a disk, a cable or a stray write does to it."""

from collections.abc import Callable
from pathlib import Path

import lmdb

from bimip.domain.core.records import Key, Kind
from bimip.storage.keys import KIND_TAG, PACK

Spoil = Callable[[bytes], bytes]


def flip(value: bytes, at: int = 0, bit: int = 0) -> bytes:
    """One bit is another one."""
    at %= len(value)
    return value[:at] + bytes((value[at] ^ 1 << bit,)) + value[at + 1 :]


def spoil(folder: Path, kind: Kind, key: Key, how: Spoil = flip, *, full: int | None = None) -> None:
    """Change the value under a key. `full`: of a sequence, the full block of that number instead of the newest."""
    with lmdb.open(str(folder), max_dbs=64, map_size=1 << 30) as environment:
        is_hot = kind in KIND_TAG and full is None
        database = environment.open_db(b"heads" if is_hot else kind.value.encode(), create=False)
        place = PACK[kind](key) + (b"" if full is None else full.to_bytes(8, "big"))
        with environment.begin(write=True, db=database) as transaction:
            value = transaction.get(place)
            assert value is not None, (kind, key)
            transaction.put(place, how(value))
