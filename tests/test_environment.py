"""How the server's parts are opened."""

from pathlib import Path

import pytest
import structlog.testing

from bimip.environment import open_store, report
from bimip.storage.format import FORMAT
from bimip.storage.mark import beside
from bimip.testing.virtual import settings_for_tests
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
