"""The stores that keep the contract."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bimip.storage.interface import Store
from bimip.storage.lmdb import LmdbStore
from bimip.storage.memory import MemoryStore

MakeStore = Callable[[int], Store]


@pytest.fixture(params=["memory", "lmdb"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Make a store with a quota of so many bytes; 0: none."""
    made: list[Store] = []

    def make(quota_bytes: int) -> Store:
        store: Store = (
            MemoryStore(quota_bytes=quota_bytes)
            if request.param == "memory"
            else LmdbStore(tmp_path / str(len(made)), quota_bytes=quota_bytes)
        )
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store(0)
