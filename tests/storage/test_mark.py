"""Which stores a mark takes for the one that was served last, and that LMDB's store asks it."""

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from bimip.domain.core.records import Changes, Table
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.mark import Mark, beside

Found = tuple[int, int]
"""What a store holds: the opening, the transaction."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def serve(folder: Path, found: Found = (0, 1), *, commits: int = 5, stamp: int = 0) -> Found:
    """Open a store that holds this, and commit. What it holds then."""
    mark = Mark(folder)
    mark.judge(*found)
    mark.begin()
    for number in range(1, commits + 1):
        mark.note(found[1] + number, stamp, 0)
    mark.close()
    return (mark.opening, found[1] + commits) if commits else found


def judge(folder: Path, found: Found) -> str:
    mark = Mark(folder)
    verdict = mark.judge(*found)
    mark.close()
    return verdict


def test_a_missing_mark_says_nothing(folder: Path) -> None:
    assert judge(folder, (0, 1)) == judge(folder, (77, 900)) == ""


def test_the_store_that_was_served_last_is_known_again(folder: Path) -> None:
    found = serve(folder)

    assert judge(folder, found) == ""
    assert judge(folder, serve(folder, found)) == ""


@pytest.mark.parametrize("ahead", [1, 1000])
def test_a_mark_may_be_behind_its_store(folder: Path, ahead: int) -> None:
    """After a loss of power, or where something was repaired."""
    opening, transaction = serve(folder)

    assert judge(folder, (opening, transaction + ahead)) == ""


def test_an_older_copy_is_noticed_by_a_single_transaction(folder: Path) -> None:
    opening, transaction = serve(folder)

    assert "transaction 5, and 6 was served" in judge(folder, (opening, transaction - 1))


def test_a_copy_from_before_the_last_start_is_noticed(folder: Path) -> None:
    before = serve(folder)
    serve(folder, before)

    assert "not the one" in judge(folder, before)
    assert "not the one" in judge(folder, (before[0], before[1] + 1000))  # it went on elsewhere


def test_another_store_and_one_that_never_served_are_noticed(folder: Path) -> None:
    serve(folder)

    assert judge(folder, (12345, 10_000))
    assert judge(folder, (0, 10_000))


def test_what_ended_before_its_first_commit_changes_nothing(folder: Path) -> None:
    found = serve(folder)
    serve(folder, found, commits=0)
    serve(folder, found, commits=0)

    assert judge(folder, found) == ""
    assert judge(folder, (found[0], found[1] - 1))


def test_a_first_commit_that_was_not_noted_is_known_again(folder: Path) -> None:
    found = serve(folder)
    mark = Mark(folder)
    mark.judge(*found)
    mark.begin()
    mark.close()

    assert judge(folder, (mark.opening, found[1] + 1)) == ""


def test_a_copy_stays_one_until_it_has_committed(folder: Path) -> None:
    old = serve(folder)
    newest = serve(folder, old)
    serve(folder, old, commits=0)  # and ended there

    assert judge(folder, old)
    assert judge(folder, newest) == ""

    served = serve(folder, old, commits=1)  # a lower transaction than was served before

    assert judge(folder, served) == ""
    assert judge(folder, newest)


def test_a_copy_whose_first_commit_was_not_noted_is_the_one_that_serves(folder: Path) -> None:
    old = serve(folder)
    serve(folder, old)
    mark = Mark(folder)
    mark.judge(*old)
    mark.begin()
    mark.close()
    committed = mark.opening, old[1] + 1

    assert judge(folder, committed) == ""
    assert judge(folder, serve(folder, committed, commits=0)) == ""


def test_the_newest_stamp_is_kept(folder: Path) -> None:
    serve(folder, stamp=77)

    assert Mark(folder).stamp == 77


@pytest.mark.parametrize("content", [b"x", b"x" * 40, b"x" * 4096, b"bimip.9\n" + bytes(32), b"bimip.1\n"])
def test_a_mark_that_cannot_be_read_is_an_alarm_once(folder: Path, content: bytes) -> None:
    beside(folder).write_bytes(content)

    assert judge(folder, (5, 5))
    assert Mark(folder).stamp == 0
    assert judge(folder, serve(folder, (5, 5))) == ""


@pytest.mark.parametrize("content", [b"", bytes(40)])
def test_an_empty_mark_is_a_missing_one(folder: Path, content: bytes) -> None:
    """As a loss of power leaves a file that was just made."""
    beside(folder).write_bytes(content)

    assert judge(folder, (5, 5)) == ""


@pytest.mark.parametrize("at", range(0, 44, 3))
def test_a_bit_that_is_wrong_in_a_mark_is_an_alarm_and_no_stamp(folder: Path, at: int) -> None:
    """A stamp beyond all others would be the last one ever given."""
    found = serve(folder, stamp=77)
    content = bytearray(beside(folder).read_bytes())
    content[at] ^= 1
    beside(folder).write_bytes(content)

    assert judge(folder, found)
    assert Mark(folder).stamp == 0


def test_its_owner_alone_may_read_it(folder: Path) -> None:
    before = os.umask(0)
    try:
        serve(folder)
    finally:
        os.umask(before)

    assert stat.S_IMODE(beside(folder).stat().st_mode) == 0o600


def as_folder(path: Path) -> None:
    path.mkdir()


def as_link(path: Path) -> None:
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("taken", [as_folder, as_link])
def test_where_nothing_can_be_written_beside_the_store_it_lies_within(
    folder: Path, taken: Callable[[Path], None]
) -> None:
    taken(beside(folder))
    mark = Mark(folder)
    found = serve(folder)

    assert mark.path == folder / "served"
    assert judge(folder, found) == ""
    assert judge(folder, (found[0], found[1] - 1))
    assert not (folder.parent / "elsewhere").exists()


def test_where_it_can_be_written_nowhere_nothing_is_noticed(folder: Path) -> None:
    beside(folder).mkdir()
    (folder / "served").mkdir()
    mark = Mark(folder)

    assert mark.path is None
    assert mark.judge(1, 1) == ""
    with pytest.raises(OSError, match="descriptor"):
        mark.begin()
    mark.note(2, 2, 9)
    mark.close()


def test_a_mark_that_cannot_be_written_any_more_ends_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    mark = Mark(folder)
    mark.judge(0, 1)
    mark.begin()
    monkeypatch.setattr(os, "pwrite", full)
    mark.note(2, 2, 9)
    mark.close()

    assert judge(folder, (mark.opening, 2)) == ""


def commit(store: LmdbStore, stamp: int) -> None:
    """A message of this stamp."""
    store.begin()
    store.apply(Changes(puts={Table.BODIES: {(stamp,): b"a message"}}))
    store.commit()


def served(folder: Path, *stamps: int) -> str:
    """Open a store for service and commit these messages. What it said of itself at first."""
    store = LmdbStore(folder, serves=True)
    found = store.put_back
    for stamp in stamps:
        commit(store, stamp)
    store.close()
    return found


def put_whole_folder(copy: Path, folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


def put_file_over(copy: Path, folder: Path) -> None:
    shutil.copyfile(copy / "data.mdb", folder / "data.mdb")


def put_file_by_name(copy: Path, folder: Path) -> None:
    shutil.copyfile(copy / "data.mdb", folder / "new")
    (folder / "new").rename(folder / "data.mdb")


@pytest.mark.parametrize("put", [put_whole_folder, put_file_over, put_file_by_name])
def test_an_older_copy_that_is_put_back_is_noticed_once(tmp_path: Path, put: Callable[[Path, Path], None]) -> None:
    folder, copy = tmp_path / "store", tmp_path / "copy"
    served(folder, 1, 2)
    shutil.copytree(folder, copy)
    served(folder, 3)
    put(copy, folder)

    assert served(folder)  # and ended before it had committed
    assert served(folder, 4)
    assert served(folder, 5) == served(folder) == ""


def test_a_copy_that_is_one_message_older_is_noticed(tmp_path: Path) -> None:
    folder, copy = tmp_path / "store", tmp_path / "copy"
    store = LmdbStore(folder, serves=True)
    commit(store, 1)
    shutil.copytree(folder, copy)
    commit(store, 2)
    store.close()
    put_whole_folder(copy, folder)

    assert "transaction" in served(folder)


def test_a_store_that_moves_with_its_mark_or_is_as_it_was_is_the_same(tmp_path: Path) -> None:
    folder, copy, elsewhere = tmp_path / "store", tmp_path / "copy", tmp_path / "elsewhere" / "other"
    served(folder, 1, 2)
    shutil.copytree(folder, copy)
    put_whole_folder(copy, folder)

    assert served(folder) == ""

    elsewhere.parent.mkdir()
    shutil.move(folder, elsewhere)
    shutil.move(beside(folder), beside(elsewhere))

    assert served(elsewhere, 3) == ""


def test_a_copy_that_was_served_elsewhere_meanwhile_is_noticed(tmp_path: Path) -> None:
    folder, copy = tmp_path / "store", tmp_path / "copy"
    served(folder, 1, 2)
    shutil.copytree(folder, copy)
    served(folder, 3)
    served(copy, 4, 5, 6, 7, 8)
    put_whole_folder(copy, folder)

    assert served(folder)


def test_an_empty_store_in_the_place_of_one_that_was_served_is_noticed(tmp_path: Path) -> None:
    served(tmp_path / "store", 1)
    shutil.rmtree(tmp_path / "store")

    assert served(tmp_path / "store")


def test_a_store_without_a_mark_is_served_as_it_is(tmp_path: Path) -> None:
    served(tmp_path / "store", 1, 2)
    beside(tmp_path / "store").unlink()

    assert served(tmp_path / "store", 3) == ""
    assert served(tmp_path / "store") == ""


def test_a_mark_from_before_a_loss_of_power_is_no_alarm(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = LmdbStore(folder, serves=True)
    marks = [beside(folder).read_bytes()]
    for stamp in (1, 2, 3):
        commit(store, stamp)
        marks.append(beside(folder).read_bytes())
    store.close()
    for mark in marks[1:]:
        beside(folder).write_bytes(mark)

        assert served(folder) == ""


def test_tools_leave_no_trace(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    served(folder, 1)
    before = beside(folder).read_bytes()
    store = LmdbStore(folder)
    commit(store, 2)  # as a repair would
    store.close()

    assert (store.put_back, beside(folder).read_bytes()) == ("", before)
    assert served(folder) == ""


def test_a_first_commit_that_failed_is_made_up_for_by_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    served(folder, 1)
    store = LmdbStore(folder, serves=True)
    store.begin()
    store.abort()
    commit(store, 2)
    store.close()

    assert served(folder) == ""


CHANGES: dict[str, dict[Table, dict[Any, Any]]] = {
    "a message": {Table.BODIES: {(70,): b"x"}},
    "a start": {Table.META: {("clock",): 70}},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_highest_stamp_that_was_given_is_known_after_an_older_copy_was_put_back(tmp_path: Path, what: str) -> None:
    folder, copy = tmp_path / "store", tmp_path / "copy"
    served(folder, 1)
    shutil.copytree(folder, copy)
    store = LmdbStore(folder, serves=True)
    store.begin()
    store.apply(Changes(puts=CHANGES[what]))
    store.commit()
    store.close()
    put_whole_folder(copy, folder)
    store = LmdbStore(folder, serves=True)

    assert store.newest_served == 70
    store.close()


def test_the_highest_number_of_a_conversation_is_known_after_an_older_copy_was_put_back(tmp_path: Path) -> None:
    folder, copy = tmp_path / "store", tmp_path / "copy"
    served(folder, 1)
    shutil.copytree(folder, copy)
    store = LmdbStore(folder, serves=True)
    store.begin()
    store.apply(Changes(puts={Table.META: {("conversations",): 12}}))
    store.commit()
    store.close()
    put_whole_folder(copy, folder)
    store = LmdbStore(folder, serves=True)

    assert store.newest_conversation == 12
    store.close()


def test_a_mark_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    served(folder, 1)
    whole = beside(folder).read_bytes()
    body = b"bimip.1\n" + whole[8:40]
    beside(folder).write_bytes(body + crc32(body).to_bytes(4, "little") + whole[44:])

    assert served(folder, 2) == ""
    assert beside(folder).read_bytes().startswith(b"bimip.2\n")
