"""Raising a store's format before a server does, so that whoever upgrades sees that it can be, and when."""

from pathlib import Path

from bimip.storage.errors import StorageError
from bimip.storage.format import FORMAT
from bimip.storage.lmdb.store import LmdbStore


def upgrade(store: Path, *, map_bytes: int) -> tuple[int, int]:
    """Writes this program's format into a store of a stopped server. Returns the formats before and after: alike where
    there is nothing to do. Raises StorageError (StoreLockedError: a server runs), and has changed nothing then.
    """
    if not (store / "data.mdb").is_file():
        raise StorageError(f"there is no store in {store}: set store.path to one, or start the server once")
    opened = LmdbStore(store, map_bytes=map_bytes, serves=True)
    try:
        before = opened.format
        if before != FORMAT:
            opened.begin()
            opened.commit()
        return before, opened.format
    finally:
        opened.close()
