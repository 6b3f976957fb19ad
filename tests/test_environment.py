"""How the server's parts are opened."""

from pathlib import Path

import pytest
import structlog.testing

from bimip.environment import open_store
from bimip.storage.lmdb.mark import beside
from tests.kit.server import settings_for_tests


@pytest.mark.parametrize("taken", [True, False])
def test_a_mark_that_is_not_beside_the_store_is_said(tmp_path: Path, *, taken: bool) -> None:
    folder = tmp_path / "store"
    if taken:
        beside(folder).mkdir()
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(folder))
    with structlog.testing.capture_logs() as logs:
        open_store(settings).close()

    assert [entry["mark"] for entry in logs] == ([str(folder / "served")] if taken else [])
