"""The store's files are their owner's alone."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bimip.storage.errors import StorageError
from bimip.storage.lmdb.store import LmdbStore


@pytest.fixture(params=[0o000, 0o022, 0o077])
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def modes(folder: Path) -> set[tuple[str, int]]:
    return {(path.name, stat.S_IMODE(path.stat().st_mode)) for path in (folder, *folder.iterdir())}


@pytest.mark.usefixtures("_umask")
def test_a_new_store_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    store = LmdbStore(tmp_path / "store")
    store.close()

    assert modes(tmp_path / "store") == {
        ("store", 0o700),
        ("data.mdb", 0o600),
        ("lock.mdb", 0o600),
        ("owner", 0o600),
    }
    assert store.narrowed == []


def test_what_others_could_read_is_narrowed_and_told_once(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    LmdbStore(folder).close()
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)

    narrowed = LmdbStore(folder)
    narrowed.close()
    again = LmdbStore(folder)
    again.close()

    assert {path.name for path in narrowed.narrowed} == {"store", "data.mdb", "lock.mdb", "owner"}
    assert again.narrowed == []
    assert {mode for _, mode in modes(folder)} == {0o700, 0o600}


def test_a_folder_of_another_account_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)

    with pytest.raises(StorageError, match=r"belongs to another account .*run this as that account"):
        LmdbStore(tmp_path / "store")


def test_a_file_system_without_modes_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir(mode=0o755)
    monkeypatch.setattr(Path, "chmod", lambda _path, _mode: None)

    with pytest.raises(StorageError, match="keeps no modes: move the store"):
        LmdbStore(tmp_path / "store")
