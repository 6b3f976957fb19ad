"""Backups of stores on the disk, of which some are served meanwhile, and how they are put in place."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from bimip.domain.core.clock import earliest_stamp
from bimip.domain.core.ids import Millis
from bimip.domain.core.records import Changes, Table
from bimip.storage.care import backup as backup_module
from bimip.storage.care.backup import DATA, MANIFEST, Manifest, back_up, compact, overview, restore
from bimip.storage.errors import StorageError, StoreDamagedError, StoreFullError, StoreLockedError
from bimip.storage.lmdb.store import LmdbStore

MADE = "2026-11-28T10:00:00+00:00"
WHEN = "20261128T100000Z"


def quiet(_done: int, _total: int) -> None:
    pass


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Iterator[LmdbStore]:
    opened = LmdbStore(folder, serves=True)
    put(opened, 1, 2, 3)
    yield opened
    opened.close()


def put(store: LmdbStore, *stamps: int, size: int = 100) -> None:
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(stamp,): bytes([stamp % 256]) * size for stamp in stamps}}))
    store.commit()


def stamps(folder: Path) -> list[int]:
    store = LmdbStore(folder)
    with store.snapshot() as view:
        found = [key[0] for key, _ in view.scan(Table.BODIES, (0,), (1 << 64,), limit=100_000)]
    store.close()
    return found


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put_back(folder: Path) -> str:
    store = LmdbStore(folder, serves=True)
    store.close()
    return store.put_back


def test_a_backup_holds_what_there_was_and_says_what_it_is(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    store.close()
    told: list[tuple[int, int]] = []
    manifest = back_up(folder, tmp_path / "copies" / "one", made=MADE, progress=lambda *done: told.append(done))
    made = tmp_path / "copies" / "one"

    assert names(made) == [MANIFEST, DATA]
    assert Manifest(**json.loads((made / MANIFEST).read_text())) == manifest
    assert (manifest.made, manifest.bytes) == (MADE, (made / DATA).stat().st_size)
    assert told[-1][0] >= told[-1][1] > 0
    assert stamps(made) == [1, 2, 3]
    assert names(made.parent) == ["one"]


def test_its_owner_alone_may_read_it(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    store.close()
    before = os.umask(0)
    try:
        back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    finally:
        os.umask(before)

    assert {path: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "one", *(tmp_path / "one").iterdir()]} == {
        tmp_path / "one": 0o700,
        tmp_path / "one" / DATA: 0o600,
        tmp_path / "one" / MANIFEST: 0o600,
    }


BACK_UP = f"""
import sys
from pathlib import Path
from bimip.storage.care.backup import back_up
def progress(done, total):
    print(done, flush=True)
    if "wait" in sys.argv: sys.stdin.readline()
back_up(Path(sys.argv[1]), Path(sys.argv[2]), made="{MADE}", progress=progress)
"""


def back_up_elsewhere(*words: object) -> "subprocess.Popen[str]":
    """In another process, as LMDB wants it of a store that this one has open."""
    return subprocess.Popen(
        [sys.executable, "-c", BACK_UP, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_store_that_is_served_is_copied_as_of_one_moment(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    put(store, *range(4, 60), size=64 * 1024)
    with back_up_elsewhere(folder, tmp_path / "one", "wait") as copier:
        assert copier.stdout is not None
        copier.stdout.readline()  # it is in the middle
        put(store, *range(60, 80), size=64 * 1024)
        _, errors = copier.communicate("\n" * 1000, timeout=60)

    assert (copier.returncode, errors) == (0, "")
    assert stamps(tmp_path / "one") == list(range(1, 60))


def test_a_write_transaction_that_is_open_keeps_no_backup_waiting(
    store: LmdbStore, folder: Path, tmp_path: Path
) -> None:
    """A busy journal begins the next one ahead, and may hold it for long."""
    store.begin()
    with back_up_elsewhere(folder, tmp_path / "one") as copier:
        _, errors = copier.communicate(timeout=60)
    store.abort()

    assert (copier.returncode, errors) == (0, "")


def test_free_pages_are_not_copied(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    secret = b"deleted long ago"
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(9,): secret * 10_000}}))
    store.commit()
    for stamp in (9, 10, 11):
        store.begin()
        store.apply(Changes(puts={Table.BODIES: {(stamp,): None}}))
        store.commit()
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)

    assert secret in (folder / DATA).read_bytes()
    assert secret not in (tmp_path / "one" / DATA).read_bytes()


@pytest.mark.parametrize("there", ["a file", "a store", "a folder with something"])
def test_nothing_that_is_there_is_written_over(store: LmdbStore, folder: Path, tmp_path: Path, there: str) -> None:
    store.close()
    target = tmp_path / "one"
    if there == "a file":
        target.touch()
    elif there == "a store":
        target = folder
    else:
        (target / "something").mkdir(parents=True)
    with pytest.raises(StorageError, match="is there already"):
        back_up(folder, target, made=MADE, progress=quiet)


def test_where_there_is_no_store_none_is_copied(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no store"):
        back_up(tmp_path / "none", tmp_path / "one", made=MADE, progress=quiet)
    with pytest.raises(StorageError, match="no store"):
        overview(tmp_path / "none")

    assert not (tmp_path / "one").exists()
    assert not (tmp_path / "none").exists()


def test_what_is_no_store_of_ours_is_not_copied(tmp_path: Path) -> None:
    lmdb.open(str(tmp_path / "other")).close()
    with pytest.raises(StoreDamagedError, match="no store of ours"):
        back_up(tmp_path / "other", tmp_path / "one", made=MADE, progress=quiet)


def interrupt(*_arguments: object) -> None:
    raise KeyboardInterrupt


def disk_full(*_arguments: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("step", ["_copy_out", "_declare", "_digest", "_sync", "_sync_folder"])
@pytest.mark.parametrize(("end", "raised"), [(interrupt, KeyboardInterrupt), (disk_full, StorageError)])
def test_what_was_interrupted_leaves_nothing(
    store: LmdbStore,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    end: Callable[..., None],
    raised: type[BaseException],
) -> None:
    store.close()
    before = names(tmp_path)
    monkeypatch.setattr(backup_module, step, end)
    with pytest.raises(raised):
        back_up(folder, tmp_path / "one", made=MADE, progress=quiet)

    assert names(tmp_path) == before


def test_whoever_stops_in_the_middle_of_the_copying_ends_it(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    put(store, *range(4, 60), size=64 * 1024)
    store.close()
    with pytest.raises(KeyboardInterrupt):
        back_up(folder, tmp_path / "one", made=MADE, progress=interrupt)

    assert not [name for name in names(tmp_path) if "one" in name]


def test_what_was_killed_has_no_backups_name(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    put(store, *range(4, 60), size=64 * 1024)
    with back_up_elsewhere(folder, tmp_path / "one", "wait") as copier:
        assert copier.stdout is not None
        copier.stdout.readline()
        copier.kill()
    store.close()
    (left,) = [name for name in names(tmp_path) if "one" in name]

    assert left.startswith(".one.unfinished-")
    with pytest.raises(StorageError, match="no backup"):
        restore(tmp_path / left, folder, when=WHEN, progress=quiet)


def test_pages_that_a_killed_backup_read_are_used_again_when_the_file_has_grown(
    store: LmdbStore, folder: Path, tmp_path: Path
) -> None:
    put(store, *range(4, 60), size=64 * 1024)
    with back_up_elsewhere(folder, tmp_path / "one", "wait") as copier:
        assert copier.stdout is not None
        copier.stdout.readline()
        copier.kill()
    before = store.statistics().file_bytes
    for _ in range(200):
        put(store, 4, size=256 * 1024)  # 50 MiB in all

    assert store.statistics().file_bytes - before < 25 << 20


def test_a_disk_that_is_too_small_is_told_before_anything_is_written(
    store: LmdbStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(StoreFullError, match="has 1 bytes left"):
        back_up(folder, tmp_path / "two", made=MADE, progress=quiet)
    with pytest.raises(StoreFullError, match="make room"):
        restore(tmp_path / "one", folder, when=WHEN, progress=quiet)

    assert not (tmp_path / "two").exists()
    assert put_back(folder) == ""


def test_a_backup_takes_the_place_of_the_store_which_is_kept(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    newer = LmdbStore(folder, serves=True)
    put(newer, 4, 5)
    newer.close()
    old = restore(tmp_path / "one", folder, when=WHEN, progress=quiet)

    assert old == folder / f"replaced-{WHEN}"
    assert (stamps(folder), stamps(old)) == ([1, 2, 3], [1, 2, 3, 4, 5])
    assert MADE in put_back(folder)
    assert not list(folder.glob("restoring-*"))


@pytest.mark.parametrize("served_before", [True, False])
def test_a_backup_says_what_it_is_however_it_came_there_and_until_it_has_served(
    store: LmdbStore, folder: Path, tmp_path: Path, *, served_before: bool
) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    place = folder if served_before else tmp_path / "elsewhere"
    place.mkdir(exist_ok=True)
    shutil.copy(tmp_path / "one" / DATA, place / DATA)

    assert MADE in put_back(place)
    assert MADE in put_back(place)

    serving = LmdbStore(place, serves=True)
    put(serving, 4)

    assert serving.put_back == ""

    serving.close()

    assert put_back(place) == ""


def test_a_backup_is_put_where_there_was_no_store(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)

    assert restore(tmp_path / "one", tmp_path / "new" / "store", when=WHEN, progress=quiet) is None
    assert stamps(tmp_path / "new" / "store") == [1, 2, 3]


def test_a_backup_can_be_put_back_twice(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    for number in range(2):
        restore(tmp_path / "one", folder, when=f"{WHEN}{number}", progress=quiet)

        assert MADE in put_back(folder)
        assert stamps(folder) == [1, 2, 3]


def test_the_store_of_a_running_server_is_not_touched(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    with back_up_elsewhere(folder, tmp_path / "one") as copier:
        copier.communicate(timeout=60)
    with pytest.raises(StoreLockedError, match="in use"):
        restore(tmp_path / "one", folder, when=WHEN, progress=quiet)
    put(store, 4)
    store.close()

    assert stamps(folder) == [1, 2, 3, 4]


def flip_a_bit(made: Path) -> None:
    content = bytearray((made / DATA).read_bytes())
    content[len(content) // 2] ^= 1
    (made / DATA).write_bytes(content)


def cut_short(made: Path) -> None:
    os.truncate(made / DATA, (made / DATA).stat().st_size - 4096)


def lose_the_data(made: Path) -> None:
    (made / DATA).unlink()


def lose_the_manifest(made: Path) -> None:
    (made / MANIFEST).unlink()


def change_the_manifest(made: Path, **fields: Any) -> None:
    told = json.loads((made / MANIFEST).read_text())
    (made / MANIFEST).write_text(json.dumps(told | fields))


def of_another_format(made: Path) -> None:
    change_the_manifest(made, format=999)


def of_another_digest(made: Path) -> None:
    change_the_manifest(made, sha256="0" * 64)


def with_another_field(made: Path) -> None:
    change_the_manifest(made, x=1)


def without_sense(made: Path) -> None:
    (made / MANIFEST).write_bytes(b"\xff{")


def that_is_a_list(made: Path) -> None:
    (made / MANIFEST).write_bytes(b"[1]")


@pytest.mark.parametrize(
    "spoil",
    [
        flip_a_bit,
        cut_short,
        lose_the_data,
        lose_the_manifest,
        of_another_format,
        of_another_digest,
        with_another_field,
        without_sense,
        that_is_a_list,
    ],
)
def test_what_is_no_whole_backup_is_refused_and_the_store_stays(
    store: LmdbStore, folder: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    before = names(folder)
    spoil(tmp_path / "one")
    with pytest.raises(StorageError):
        restore(tmp_path / "one", folder, when=WHEN, progress=quiet)

    assert names(folder) == before
    assert put_back(folder) == ""
    assert stamps(folder) == [1, 2, 3]


@pytest.mark.parametrize("step", ["_copy_in", "_exchange", "_sync_folder"])
def test_a_restore_that_is_interrupted_leaves_a_whole_store(
    store: LmdbStore, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.close()
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)
    with monkeypatch.context() as patch:
        patch.setattr(backup_module, step, interrupt)
        with pytest.raises(KeyboardInterrupt):
            restore(tmp_path / "one", folder, when=WHEN, progress=quiet)

    assert stamps(folder) == [1, 2, 3]
    assert put_back(folder) == ""

    (folder / "restoring-left").mkdir()  # by one that was killed
    restore(tmp_path / "one", folder, when=f"{WHEN}2", progress=quiet)

    assert MADE in put_back(folder)
    assert not list(folder.glob("restoring-*"))


def test_the_overview_tells_what_a_store_holds(store: LmdbStore, folder: Path, tmp_path: Path) -> None:
    newest = earliest_stamp(Millis(1_700_000_000_000))
    store.begin()
    store.apply(Changes(puts={Table.META: {("epoch",): 77, ("starts",): 3}, Table.BODIES: {(newest,): b"x"}}))
    store.commit()
    used = store.statistics().used_bytes
    store.close()
    found = overview(folder)
    back_up(folder, tmp_path / "one", made=MADE, progress=quiet)

    assert (found.made, found.epoch, found.starts, found.messages, found.users) == ("", 77, 3, 4, 0)
    assert found.newest_message == 1_700_000_000_000
    assert found.used_bytes == used < found.file_bytes
    assert overview(tmp_path / "one").made == MADE


def test_the_overview_of_an_empty_store(folder: Path) -> None:
    LmdbStore(folder).close()

    assert (overview(folder).messages, overview(folder).newest_message) == (0, 0)


def test_a_compacted_store_is_the_same_one_without_what_was_deleted(store: LmdbStore, folder: Path) -> None:
    secret = b"the secret that was deleted " * 100
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(stamp,): secret for stamp in range(10, 200)}}))
    store.commit()
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(stamp,): None for stamp in range(10, 200)}}))
    store.commit()
    store.close()
    before = (folder / DATA).read_bytes()
    sizes = compact(folder, progress=quiet)

    assert secret in before
    assert secret not in (folder / DATA).read_bytes()
    assert sizes == (len(before), (folder / DATA).stat().st_size)
    assert sizes[1] < sizes[0]
    assert stamps(folder) == [1, 2, 3]
    assert not [name for name in names(folder) if name.startswith("compacting")]
    assert put_back(folder) == ""  # no other epoch begins


def test_a_store_that_was_put_back_stays_one_when_it_is_compacted(
    store: LmdbStore, folder: Path, tmp_path: Path
) -> None:
    older = tmp_path / "older"
    shutil.copytree(folder, older)
    put(store, 4)
    store.close()
    shutil.copy(older / DATA, folder / DATA)
    compact(folder, progress=quiet)

    assert put_back(folder) != ""


def test_the_store_of_a_running_server_is_not_compacted(store: LmdbStore, folder: Path) -> None:
    before = (folder / DATA).read_bytes()
    with pytest.raises(StoreLockedError):
        compact(folder, progress=quiet)

    assert (folder / DATA).read_bytes() == before
