"""Looking at a store that no server has open."""

from pathlib import Path

from bimip.cli.failures import Exit, Failure
from bimip.config import Settings
from bimip.storage.check_apart import check_apart
from bimip.storage.errors import StorageError


def check_store(settings: Settings) -> None:
    """Print what is wrong, a line each. Fails if anything is."""
    path = settings.store.path
    if not Path(path).is_dir():
        raise Failure(Exit.FAILED, f"{path} is no folder: set store.path to the store, or start the server once")
    count = 0
    try:
        for finding in check_apart(Path(path), settings.store.map_size_bytes):
            count += 1
            print(finding)
    except (StorageError, OSError) as error:
        raise Failure(Exit.FAILED, str(error)) from error
    if count:
        raise Failure(Exit.FAILED, f"{count} things are wrong in {path}; restore a copy, and keep this one to look at")
    print(f"{path}: nothing is wrong")
