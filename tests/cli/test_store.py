import json
import os
import signal
from pathlib import Path

import lmdb
import pytest

from bimip.cli.failures import Exit, Failure
from bimip.cli.store import check_store, compact_store, make_backup, restore_backup, show_stats, upgrade_store
from bimip.domain.core.ids import Offset
from bimip.domain.core.records import Changes, Cursor, Log, Table, User
from bimip.storage.care import backup
from bimip.storage.format import FORMAT
from bimip.storage.lmdb.store import LmdbStore
from bimip.testing.virtual import settings_for_tests
from tests.scenarios.test_formats import thaw
from tests.storage.spoil import spoil


def made(path: Path, changes: Changes) -> None:
    store = LmdbStore(path)
    store.begin()
    store.apply(changes)
    store.commit()
    store.close()


def test_a_good_store_is_called_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, Changes(puts={Table.META: {("starts",): 1}}))
    check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)), repair=False, as_json=False)

    assert capsys.readouterr().out == f"{tmp_path}: nothing is wrong\n"


def test_damage_is_told_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, Changes(puts={Table.LOGS: {(1, "chat"): Log(Offset(1), Offset(5))}}))
    with pytest.raises(Failure, match="wrong"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)), repair=False, as_json=False)

    assert "chat" in capsys.readouterr().out


def test_a_store_in_use_and_one_that_is_not_there_are_told_so(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "used")
    with pytest.raises(Failure, match="in use"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path / "used")), repair=False, as_json=False)
    store.close()
    with pytest.raises(Failure, match="is no folder"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path / "none")), repair=False, as_json=False)


def test_a_store_is_backed_up_and_the_backup_put_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "store", Changes(puts={Table.META: {("starts",): 1}}))
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(tmp_path / "store"))
    make_backup(settings, tmp_path / "one")
    copied = capsys.readouterr()
    restore_backup(settings, tmp_path / "one")
    restored = capsys.readouterr()
    show_stats(settings)
    stats = capsys.readouterr().out

    assert copied.out.startswith(f"{tmp_path / 'one'}: ")
    assert "100 % of" in copied.err
    assert "in place; the server begins another epoch" in restored.out
    assert f"lies in {tmp_path / 'store' / 'replaced-'}" in restored.out
    assert "not served yet" in stats
    assert "starts          1" in stats


def test_a_store_is_compacted_in_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path / "store", Changes(puts={Table.META: {("starts",): 1}}))
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(tmp_path / "store"))
    compact_store(settings)
    printed = capsys.readouterr().out
    compact_store(settings, as_json=True)
    found = json.loads(capsys.readouterr().out)
    check_store(settings, repair=False, as_json=False)

    assert "what was deleted is nowhere in it" in printed
    assert found["bytes"] <= found["bytes_before"]


def test_a_store_is_upgraded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(thaw(tmp_path / "store")))
    upgrade_store(settings)
    first = capsys.readouterr().out
    upgrade_store(settings)
    second = capsys.readouterr().out
    upgrade_store(settings, as_json=True)

    assert first.endswith(f": format {FORMAT}, and {FORMAT - 1} before; an earlier bimip refuses it from now on\n")
    assert second.endswith(f": it has format {FORMAT}, nothing is to be done\n")
    assert json.loads(capsys.readouterr().out) == {
        "store": str(tmp_path / "store"),
        "format_before": FORMAT,
        "format": FORMAT,
    }


def test_what_cannot_be_copied_or_put_back_is_a_sentence(tmp_path: Path) -> None:
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(tmp_path / "store"))
    with pytest.raises(Failure, match="no store"):
        make_backup(settings, tmp_path / "one")
    with pytest.raises(Failure, match="no store"):
        compact_store(settings)
    with pytest.raises(Failure, match="no store"):
        show_stats(settings)
    with pytest.raises(Failure, match="no backup"):
        restore_backup(settings, tmp_path / "one")
    store = LmdbStore(tmp_path / "store")
    with pytest.raises(Failure, match="no backup"):
        restore_backup(settings, tmp_path)
    store.close()


def test_a_store_in_memory_has_no_backups(tmp_path: Path) -> None:
    for command in (make_backup, restore_backup):
        with pytest.raises(Failure, match="nothing on disk") as failed:
            command(settings_for_tests(), tmp_path / "one")

        assert failed.value.code == Exit.SETTINGS


def test_sigterm_ends_a_backup_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "store", Changes(puts={Table.META: {("starts",): 1}}))
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(backup, "_declare", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(KeyboardInterrupt):
        make_backup(
            settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(tmp_path / "store")), tmp_path / "one"
        )

    assert [path.name for path in tmp_path.iterdir()] == ["store"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_screen_that_is_gone_does_not_end_a_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(tmp_path / "store", Changes(puts={Table.META: {("starts",): 1}}))
    with (tmp_path / "screen").open("w") as screen:
        monkeypatch.setattr("sys.stderr", screen)
    settings = settings_for_tests(BIMIP_STORE_ENGINE="lmdb", BIMIP_STORE_PATH=str(tmp_path / "store"))
    make_backup(settings, tmp_path / "one")

    assert (tmp_path / "one").is_dir()


def test_a_file_that_was_cut_short_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, Changes(puts={Table.META: {("starts",): 1}}))
    file = tmp_path / "data.mdb"
    file.write_bytes(file.read_bytes()[: 3 * 4096])
    with pytest.raises(Failure, match="wrong"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)), repair=False, as_json=False)

    assert "cut short" in capsys.readouterr().out


def test_a_record_that_is_not_what_was_written_is_told_and_the_rest_is_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, Changes(puts={Table.CURSORS: {(9, "chat"): Cursor(Offset(5), ())}}))
    with lmdb.open(str(tmp_path), max_dbs=40) as environment:
        users = environment.open_db(b"users")
        with environment.begin(write=True) as transaction:
            transaction.put(b"ann\0", b"", db=users)
    with pytest.raises(Failure, match="wrong"):
        check_store(settings_for_tests(BIMIP_STORE_PATH=str(tmp_path)), repair=False, as_json=False)
    told = capsys.readouterr().out

    assert "is not what was written" in told
    assert "acknowledges 5" in told


def test_what_others_tell_is_made_again_and_the_rest_is_said_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path, Changes(puts={Table.USERS: {("ann",): User(1, 5, 1)}, Table.EIDS: {(1,): "ann"}}))  # type: ignore[arg-type]
    spoil(tmp_path, Table.EIDS, (1,))
    settings = settings_for_tests(BIMIP_STORE_PATH=str(tmp_path))
    with pytest.raises(Failure, match="wrong"):
        check_store(settings, repair=False, as_json=True)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with pytest.raises(Failure, match="wrong"):  # the user is there again, and the counter never was
        check_store(settings, repair=True, as_json=False)
    said = capsys.readouterr().out

    assert {"where": "eids", "key": [1]}.items() <= told[0].items()
    assert "--repair makes it again" in told[0]["what"]
    assert "eids (1,): made again from the user's record" in said
    assert said.count("eids") == 2  # as damaged and as made again
