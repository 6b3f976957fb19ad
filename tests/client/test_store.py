import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bimip.client.errors import StoreError
from bimip.client.store import PendingRead, Store
from bimip.domain.ids import Offset
from bimip.session.position import Position


def test_what_was_written_survives_a_killed_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "phone.db")
    store.put("m1", b"message")
    with store.transaction():
        store.set_position("chat", Position(Offset(5), ((8, 9),)))
        store.set("epoch", 2**64 - 1)
    copy = tmp_path / "after-kill"
    copy.mkdir()
    for file in tmp_path.glob("phone.db*"):  # what the disk has while the process never closed it
        shutil.copy(file, copy)
    store.close()
    restored = Store(copy / "phone.db")

    assert [row.message for row in restored.unanswered(0, 10)] == [b"message"]
    assert restored.position("chat") == Position(Offset(5), ((8, 9),))
    assert int(restored.get("epoch")) == 2**64 - 1
    restored.close()


def test_a_transaction_is_all_or_nothing_and_one_in_another_is_part_of_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012 - the block is what fails
        store.set("a", 1)
        with store.transaction():
            store.set("b", 1)
        raise ZeroDivisionError

    assert (store.get("a"), store.get("b")) == ("", "")
    with store.transaction():
        store.set("a", 2)
    assert store.get("a") == "2"


def test_the_oldest_known_ids_make_room() -> None:
    with closing(Store(remembered_limit=80)) as store:
        for number in range(300):
            store.remember(f"s{number:05d}")
            store.remember(f"s{number:05d}")

        assert store.remembers("s00299")
        assert store.remembers("s00220")
        assert not store.remembers("s00200")


def read_upto(offset: int) -> PendingRead:
    return PendingRead("c1", is_peer=False, upto=offset)


def test_the_furthest_read_counts(store: Store) -> None:
    assert store.add_pending_read(read_upto(5))
    assert not store.add_pending_read(read_upto(4))
    assert store.add_pending_read(read_upto(6))
    store.drop_pending_read(read_upto(5))
    assert store.pending_reads() == [read_upto(6)]
    store.drop_pending_read(read_upto(6))
    assert store.pending_reads() == []


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Dear Sir or Madam, " * 100)

    with pytest.raises(StoreError, match="cannot be used"):
        Store(path)
    with pytest.raises(StoreError, match="cannot be opened for its owner alone: No such file"):
        Store(tmp_path / "no" / "such" / "folder")


def test_a_file_of_a_later_version(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()

    with pytest.raises(StoreError, match="version 99"):
        Store(path)


def test_a_failing_file_says_so(store: Store) -> None:
    store._db.execute("DROP TABLE outbox")

    with pytest.raises(StoreError, match="no such table"):
        store.put("m1", b"")


def test_its_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(tmp_path / "phone.db")
        store.put("m1", b"message")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)

    assert set(modes.values()) == {0o600}
    assert {"phone.db", "phone.db-wal"} <= set(modes)


def test_a_file_that_others_could_read_is_narrowed_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "phone.db"
    Store(path).close()
    path.chmod(0o644)
    for _ in range(2):
        Store(path).close()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [record.getMessage() for record in caplog.records] == [f"{path} could be read by other accounts until now"]


def test_another_opening_in_this_process_is_still_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "phone.db")
    store.put("m1", b"message")

    with pytest.raises(StoreError, match="open in another process"):
        Store(tmp_path / "phone.db")
    store.close()
