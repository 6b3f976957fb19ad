"""The stores that keep the contract."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from bimip.storage.postgres.store import PostgresStore
from tests.kit.postgres import Cluster
from tests.storage import tracing
from tests.storage.crash_folder import CrashFolder, open_crash_folder

MakeStore = Callable[[int], Store]


@pytest.fixture(params=["memory", "lmdb", "postgres"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeStore]:
    """Make a store with a quota of so many bytes; 0: none."""
    made: list[Store] = []
    lent: list[str] = []

    def make(quota_bytes: int) -> Store:
        store: Store
        if request.param == "memory":
            store = MemoryStore(quota_bytes=quota_bytes)
        elif request.param == "lmdb":
            store = LmdbStore(tmp_path / str(len(made)), quota_bytes=quota_bytes)
        else:
            cluster: Cluster = request.getfixturevalue("postgres")
            lent.append(cluster.make_database())
            store = PostgresStore(lent[-1], quota_bytes=quota_bytes)
        made.append(store)
        return store

    yield make
    for store in made:
        store.close()
    for dsn in lent:
        request.getfixturevalue("postgres").give_back(dsn)


@pytest.fixture
def give_space_back(request: pytest.FixtureRequest) -> Callable[[Store], None]:
    """What an operator does so that room which was freed within a store's files is room for its quota."""

    def give(store: Store) -> None:
        if isinstance(store, PostgresStore):
            cluster: Cluster = request.getfixturevalue("postgres")
            cluster.vacuum()

    return give


@pytest.fixture
def store(make_store: MakeStore) -> Store:
    return make_store(0)


@pytest.fixture(scope="session")
def crash_folder() -> Iterator[CrashFolder]:
    """For tests of crashes and of failing disks. Skipped, with the reason, where processes cannot be traced."""
    if tracing.why_not():
        pytest.skip(tracing.why_not())
    with open_crash_folder() as made:
        yield made


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Show a count, also in a run that shows nothing else."""

    def show(sentence: str) -> None:
        with capsys.disabled():
            print(f"\n    {sentence}")  # noqa: T201 - what such a test did is its result

    return show
