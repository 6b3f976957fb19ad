from collections.abc import Callable
from pathlib import Path

import pytest

from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore

OpenStore = Callable[[], Store]


@pytest.fixture(params=["memory", "lmdb"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens one and the same store again and again: what a server that starts anew finds."""
    if request.param == "lmdb":
        return lambda: LmdbStore(tmp_path / "store", map_bytes=64 << 20)
    kept = MemoryStore()

    def reopen() -> Store:
        kept.reopen()
        return kept

    return reopen
