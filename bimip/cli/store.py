"""Looking at a store that no server has open."""

from pathlib import Path

from bimip.cli.failures import Exit, Failure
from bimip.config import Settings
from bimip.storage.checking import check
from bimip.storage.errors import StorageError
from bimip.storage.lmdb import LmdbStore


def check_store(settings: Settings) -> None:
    """Print what is wrong, a line each. Fails if anything is."""
    path = settings.store.path
    if not Path(path).is_dir():
        raise Failure(Exit.FAILED, f"{path} is no folder: set store.path to the store, or start the server once")
    try:
        store = LmdbStore(path, map_bytes=settings.store.map_size_bytes)
    except StorageError as error:
        raise Failure(Exit.FAILED, str(error)) from error
    try:
        count = 0
        for finding in check(store):
            count += 1
            print(finding)
    finally:
        store.close()
    if count:
        raise Failure(Exit.FAILED, f"{count} things are wrong in {path}; restore a copy, and keep this one to look at")
    print(f"{path}: nothing is wrong")
