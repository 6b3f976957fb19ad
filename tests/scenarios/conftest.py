"""Each scenario runs as it stands, and again while the server crashes at random steps.

BIMIP_CRASHES says how many times the latter, each from a seed of its own, which the test's name tells. `uncrashed.py`
says which scenarios. Those that are given a store run on LMDB too, and one of eight on PostgreSQL:
BIMIP_ONE_ON_POSTGRES=1 runs all of them there.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from zlib import crc32

import pytest

from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from bimip.storage.postgres.store import PostgresStore
from bimip.testing.virtual import seeded_scheduler
from tests.conftest import is_crashing
from tests.kit.calls_known import CallsLostError
from tests.kit.crashing_world import Crashes, open_crashing_world
from tests.kit.postgres import Cluster
from tests.scenarios.uncrashed import CRASHED, ONE_OF, UNCRASHED

OpenStore = Callable[[], Store]

SEEDS = int(os.environ.get("BIMIP_CRASHES", "1"))
ONE_ON_POSTGRES = int(os.environ.get("BIMIP_ONE_ON_POSTGRES", "8"))
"""Of so many scenarios one runs on PostgreSQL too; 1: all."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = metafunc.function.__name__
    is_crashed = metafunc.module.__name__.rpartition(".")[2] in CRASHED and name not in UNCRASHED
    seeds = range(1, 1 + SEEDS * is_crashed)
    if "open_store" in metafunc.fixturenames:
        runs = [("memory", 0), ("lmdb", 0), ("postgres", 0), *(("memory", seed) for seed in seeds)]
        names = [f"{store}-crashes{seed}" if seed else store for store, seed in runs]
        metafunc.parametrize(("open_store", "crashes"), runs, ids=names, indirect=True)
    elif is_crashed:
        metafunc.parametrize("crashes", [0, *seeds], ids=lambda seed: f"crashes{seed}" if seed else "", indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a scenario that runs with a hundred values, the server crashes with some, and of all some run on PostgreSQL:
    which ones their names decide.
    """
    items[:] = [item for item in items if not (_is_spared(item) or _is_spared_postgres(item))]


def _is_spared_postgres(item: pytest.Item) -> bool:
    if not isinstance(item, pytest.Function) or not hasattr(item, "callspec"):
        return False
    is_on_postgres = item.callspec.params.get("open_store") == "postgres"
    return is_on_postgres and crc32(item.nodeid.encode()) % ONE_ON_POSTGRES != 0


def _is_spared(item: pytest.Item) -> bool:
    if not is_crashing(item):
        return False
    assert isinstance(item, pytest.Function)
    has_values = bool(item.callspec.params.keys() - {"crashes", "open_store"})
    return has_values and crc32(item.name.encode()) % ONE_OF.get(item.path.stem, 1) != 0


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Iterator[None]:
    """A scenario whose server forgot a call when it crashed ends there: of what comes then the world has seen to it."""
    try:
        return (yield)
    except CallsLostError:
        return None
    except ExceptionGroup as group:
        _, others = group.split(CallsLostError)
        if others is not None:
            raise
        return None


@pytest.fixture
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens one and the same store again and again: what a server that starts anew finds."""
    if request.param == "lmdb":
        yield lambda: LmdbStore(tmp_path / "store", map_bytes=64 << 20)
    elif request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres")
        dsn = cluster.make_database()
        yield lambda: PostgresStore(dsn, mark_beside=tmp_path / "store")
        cluster.give_back(dsn)
    else:
        kept = MemoryStore()

        def reopen() -> Store:
            kept.reopen()
            return kept

        yield reopen


@pytest.fixture(autouse=True)
def crashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    seed = getattr(request, "param", 0)
    if not seed:
        yield
        return
    plan = Crashes(f"{request.node.originalname} {seed}")
    monkeypatch.setattr(request.module, "open_world", partial(open_crashing_world, plan))
    with seeded_scheduler(seed):
        yield
    assert plan.count, "the server did not crash: the scenario is too short, and says why in uncrashed.py"
