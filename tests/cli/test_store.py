from pathlib import Path

import lmdb
import pytest

from bimip.cli.failures import Failure
from bimip.cli.store import check_store
from bimip.domain.ids import Offset
from bimip.domain.records import Changes, Cursor, Log, Table
from bimip.storage.lmdb import LmdbStore
from tests.harness.world import settings_for_tests


def made(path: Path, changes: Changes) -> None:
    store = LmdbStore(path)
    store.begin()
    store.apply(changes)
    store.commit()
    store.close()


def test_a_good_store_is_called_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, Changes(puts={Table.META: {("starts",): 1}}))
    check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)))

    assert capsys.readouterr().out == f"{tmp_path}: nothing is wrong\n"


def test_damage_is_told_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, Changes(puts={Table.LOGS: {(1, "chat"): Log(Offset(1), Offset(5))}}))
    with pytest.raises(Failure, match="wrong"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)))

    assert "chat" in capsys.readouterr().out


def test_a_store_in_use_and_one_that_is_not_there_are_told_so(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "used")
    with pytest.raises(Failure, match="in use"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path / "used")))
    store.close()
    with pytest.raises(Failure, match="is no folder"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path / "none")))


def test_a_file_that_was_cut_short_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, Changes(puts={Table.META: {("starts",): 1}}))
    file = tmp_path / "data.mdb"
    file.write_bytes(file.read_bytes()[: 3 * 4096])
    with pytest.raises(Failure, match="wrong"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)))

    assert "cut short" in capsys.readouterr().out


def test_a_record_that_cannot_be_decoded_is_told_and_the_rest_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, Changes(puts={Table.CURSORS: {(9, "chat"): Cursor(Offset(5), ())}}))
    with lmdb.open(str(tmp_path), max_dbs=40) as environment:
        users = environment.open_db(b"users")
        with environment.begin(write=True) as transaction:
            transaction.put(b"ann\0", b"", db=users)
    with pytest.raises(Failure, match="wrong"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)))
    told = capsys.readouterr().out

    assert "cannot be decoded" in told
    assert "acknowledges 5" in told
