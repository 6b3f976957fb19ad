"""`bimip store` where the store is a database."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bimip.cli.failures import Exit, Failure
from bimip.cli.store import (
    check_store,
    compact_store,
    copy_store,
    make_backup,
    migrate_store,
    note_restored,
    restore_backup,
    show_stats,
    upgrade_store,
)
from bimip.config import Settings
from bimip.domain.core.records import Changes, Table
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.postgres.store import PostgresStore
from bimip.testing.virtual import settings_for_tests
from tests.kit.postgres import Cluster

Said = pytest.CaptureFixture[str]


@pytest.fixture
def dsn(postgres: Cluster) -> str:
    return postgres.make_database(migrated=False)


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return settings_for_tests(
        BIMIP_STORE_ENGINE="postgres", BIMIP_STORE_DSN=dsn, BIMIP_STORE_PATH=str(tmp_path / "store")
    )


def test_a_schema_is_made_once(settings: Settings, capsys: Said) -> None:
    for _ in range(2):
        migrate_store(settings)
    migrate_store(settings, as_json=True)

    first, again, told = capsys.readouterr().out.splitlines()
    assert "and before none" in first
    assert "every relation" in again
    assert json.loads(told)["before"] == json.loads(told)["schema"]


def test_what_there_is_is_looked_at(settings: Settings, dsn: str, capsys: Said) -> None:
    migrate_store(settings)
    check_store(settings, repair=False, as_json=False)
    show_stats(settings)
    note_restored(settings)
    note_restored(settings, as_json=True)
    show_stats(settings, as_json=True)

    *said, restored, stats = capsys.readouterr().out.splitlines()
    assert "the database: nothing is wrong" in said
    assert "restored" in json.loads(restored)
    assert "an operator said" in json.loads(stats)["backup"]
    store = PostgresStore(dsn)
    store.begin()
    store.apply(Changes(puts={Table.EIDS: {(1,): "nobody"}}))
    store.commit()
    with pytest.raises(Failure, match=r"in use by process \d+"):
        check_store(settings, repair=False, as_json=False)
    store.close()
    with pytest.raises(Failure, match="2 things are wrong in the database"):
        check_store(settings, repair=False, as_json=True)


def test_a_store_moves_there_and_back(settings: Settings, dsn: str, tmp_path: Path, capsys: Said) -> None:
    migrate_store(settings)
    old = LmdbStore(tmp_path / "store", serves=True)
    old.begin()
    old.apply(Changes(puts={Table.META: {("epoch",): 5}}))
    old.commit()
    old.close()
    copy_store(settings, "postgres")
    (tmp_path / "store").rename(tmp_path / "aside")
    copy_store(settings, "lmdb", as_json=True)

    said = capsys.readouterr()
    assert '1 records copied, read back and compared; set store.engine = "postgres"' in said.out
    assert json.loads(said.out.splitlines()[-1]) == {"copied_to": "lmdb", "records": 1}
    assert "copying meta" in said.err
    assert "reading meta back" in said.err
    with pytest.raises(Failure, match="there already"):
        copy_store(settings, "lmdb")


@pytest.mark.parametrize(
    ("do", "instead"),
    [
        (lambda settings: make_backup(settings, Path("x")), "pg_basebackup"),
        (lambda settings: restore_backup(settings, Path("x")), "bimip store restored"),
        (compact_store, "VACUUM FULL"),
        (upgrade_store, "bimip store migrate"),
        (lambda settings: check_store(settings, repair=True, as_json=False), "put a copy back"),
    ],
)
def test_what_is_not_for_postgres_says_what_is(do: Callable[[Settings], None], instead: str, tmp_path: Path) -> None:
    settings = settings_for_tests(BIMIP_STORE_ENGINE="postgres", BIMIP_STORE_DSN=f"host={tmp_path}")

    with pytest.raises(Failure, match=f"not for PostgreSQL: use .*{instead}"):
        do(settings)


@pytest.mark.parametrize("do", [migrate_store, note_restored])
def test_and_the_other_way_round(do: Callable[[Settings], None]) -> None:
    with pytest.raises(Failure, match='this is for "postgres"') as failed:
        do(settings_for_tests(BIMIP_STORE_ENGINE="lmdb"))
    assert failed.value.code is Exit.SETTINGS


def test_a_database_must_be_named_and_be_there(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"store\.dsn is empty"):
        copy_store(settings_for_tests(BIMIP_STORE_ENGINE="lmdb"), "postgres")
    with pytest.raises(Failure, match="cannot be used"):
        migrate_store(settings_for_tests(BIMIP_STORE_ENGINE="postgres", BIMIP_STORE_DSN=f"host={tmp_path}"))


def test_a_second_server_says_who_is_in_its_way(settings: Settings, dsn: str, tmp_path: Path) -> None:
    migrate_store(settings)
    first = PostgresStore(dsn)
    given = {
        "BIMIP_STORE_ENGINE": "postgres",
        "BIMIP_STORE_DSN": dsn,
        "BIMIP_STORE_PATH": str(tmp_path / "store"),
        "BIMIP_TOKENS_ALGORITHM": "HS256",
        "BIMIP_TOKENS_KEY": "a key of the tests, which nobody has to know",
        "BIMIP_GATEWAY_PORT": "0",
        "BIMIP_CONSOLE_PORT": "0",
    }
    second = subprocess.run(
        [sys.executable, "-m", "bimip", "serve"],
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    first.close()

    assert second.returncode == Exit.FAILED
    assert "the database is in use by process" in second.stderr
    assert "Traceback" not in second.stderr
