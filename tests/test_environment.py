"""How the server's parts are opened."""

import sys
from pathlib import Path

import pytest
import structlog.testing

from bimip.config import ConfigError
from bimip.domain.core.records import Changes, Table
from bimip.environment import open_store, report
from bimip.storage.errors import StoreUnreachableError
from bimip.storage.format import FORMAT
from bimip.storage.mark import beside
from bimip.testing.virtual import settings_for_tests
from tests.kit.postgres import Cluster
from tests.scenarios.test_formats import thaw


def test_a_store_of_an_earlier_format_is_said_until_it_is_written_into(tmp_path: Path) -> None:
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(thaw(tmp_path / "store")))
    said = []
    for writes in (False, True, False):
        with structlog.testing.capture_logs() as logs:
            store = open_store(settings)
        said.append([(entry["format"], entry["now"]) for entry in logs if "earlier format" in entry["event"]])
        if writes:
            store.begin()
            store.commit()
        store.close()

    assert said == [[(FORMAT - 1, FORMAT)], [(FORMAT - 1, FORMAT)], []]


@pytest.mark.parametrize("taken", [True, False])
def test_a_mark_that_is_not_beside_the_store_is_said(tmp_path: Path, *, taken: bool) -> None:
    folder = tmp_path / "store"
    if taken:
        beside(folder).mkdir()
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(folder))
    with structlog.testing.capture_logs() as logs:
        open_store(settings).close()

    assert [entry["mark"] for entry in logs] == ([str(folder / "served")] if taken else [])


def test_a_report_says_where_by_what_was_noted_on_its_way() -> None:
    error = ValueError("odd")
    error.add_note("message of 'ann', device 'phone', ref 7, id 'one'")
    with structlog.testing.capture_logs() as lines:
        report("request failed", error)

    assert lines[0]["where"] == "message of 'ann', device 'phone', ref 7, id 'one'"


def test_a_database_is_opened_by_the_settings_and_their_file(postgres: Cluster, tmp_path: Path) -> None:
    dsn = postgres.make_database()
    (tmp_path / "dsn").write_text(f"{dsn}\n")
    settings = settings_for_tests(
        BIMIP_STORE_ENGINE="postgres",
        BIMIP_STORE_DSN_FILE=str(tmp_path / "dsn"),
        BIMIP_STORE_PATH=str(tmp_path / "new" / "store"),
        BIMIP_STORE_QUOTA_BYTES=str(2**46),
    )
    with structlog.testing.capture_logs() as logs:
        store = open_store(settings)
    store.begin()
    store.apply(Changes(puts={Table.EIDS: {(1,): "a"}}))
    store.commit()
    statistics = store.statistics()
    store.close()
    postgres.give_back(dsn)

    assert ["sync" in entry["event"] for entry in logs] == [True]  # the cluster of the tests does not
    assert beside(tmp_path / "new" / "store").exists()
    assert statistics.quota_bytes == 2**46


def test_without_its_library_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bimip.storage.postgres.store", None)
    settings = settings_for_tests(BIMIP_STORE_ENGINE="postgres", BIMIP_STORE_DSN=f"host={tmp_path}")

    with pytest.raises(ConfigError, match=r'pip install "bimip\[postgres\]"'):
        open_store(settings)


@pytest.mark.parametrize(
    ("error", "has_trace"), [(ValueError("odd"), True), (StoreUnreachableError("the database is away"), False)]
)
def test_a_store_that_is_away_is_told_without_a_trace_for_each_who_asks(error: Exception, *, has_trace: bool) -> None:
    with structlog.testing.capture_logs() as lines:
        report("request failed", error)

    assert (lines[0]["exc_info"] is error) == has_trace
