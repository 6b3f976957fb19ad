import os
import shutil
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from bimip.client.errors import StoreError
from bimip.client.events import Identity
from bimip.client.store import Meta, PendingRead, Store
from bimip.domain.core.ids import Offset
from bimip.session.position import Position

OWNER = Identity("bob@example.org", "phone")


def test_what_was_written_survives_a_killed_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "phone.db")
    store.outbox.put("m1", b"message")
    with store.transaction():
        store.set_position("chat", Position(Offset(5), ((8, 9),)))
        store.set_meta(Meta(OWNER, epoch=2**64 - 1))
    copy = tmp_path / "after-kill"
    copy.mkdir()
    for file in tmp_path.glob("phone.db*"):  # what the disk has while the process never closed it
        shutil.copy(file, copy)
    store.close()
    restored = Store(copy / "phone.db")

    assert [row.message for row in restored.outbox.unanswered(0, 10)] == [b"message"]
    assert restored.position("chat") == Position(Offset(5), ((8, 9),))
    assert restored.meta == Meta(OWNER, epoch=2**64 - 1)
    restored.close()


def test_a_transaction_is_all_or_nothing_and_one_in_another_is_part_of_it(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012 - the block is what fails
        store.set_meta(Meta(epoch=1))
        with store.transaction():
            store.set_position("chat", Position(Offset(5)))
        raise ZeroDivisionError

    assert (store.meta, store.position("chat")) == (Meta(), None)
    with store.transaction():
        store.set_meta(Meta(epoch=2))
    assert store.meta == Meta(epoch=2)


def test_values_of_state_are_found_by_key_and_by_what_keys_begin_with(store: Store) -> None:
    for key in (("c1", 0, "bob"), ("c1", 0, 'a "b"'), ("c1", 0, "ü\U0010ffff"), ("c1", 1, "bob"), ("c10", 0, "bob")):
        store.set_state_value("receipts", key, [list(key)])
    store.set_state_value("others", ("c1", 0, "bob"), 1)

    assert store.state_value("receipts", ("c1", 0, 'a "b"')) == [["c1", 0, 'a "b"']]
    assert store.state_value("receipts", ("c1", 0)) is None
    assert {key[2] for key, _ in store.state_values("receipts", ("c1", 0))} == {"bob", 'a "b"', "ü\U0010ffff"}
    assert len(store.state_values("receipts", ("c1",))) == 4
    assert len(store.state_values("receipts", ())) == 5
    assert store.state_values("receipts", ("c1", 0, "bob")) == []
    store.drop_state_value("receipts", ("c1", 0, "bob"))
    assert store.state_value("receipts", ("c1", 0, "bob")) is None
    assert store.state_value("others", ("c1", 0, "bob")) == 1


def test_older_generations_are_dropped_of_all_kinds(store: Store) -> None:
    for generation, kind in ((1, "receipts"), (1, "others"), (2, "receipts")):
        store.set_meta(Meta(state_generation=generation))
        store.set_state_value(kind, ("c1", generation), generation)

    assert store.drop_state_before(2) == [("others", ("c1", 1), 1), ("receipts", ("c1", 1), 1)]
    assert store.state_values("receipts", ()) == [(("c1", 2), 2)]
    assert store.state_values("others", ()) == []


VERSION_1 = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (partition TEXT PRIMARY KEY, offset INTEGER NOT NULL, held TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, message BLOB NOT NULL, answer BLOB
);
CREATE INDEX unanswered ON outbox (number) WHERE answer IS NULL;
CREATE TABLE known (signal_id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE receipts (
  conversation TEXT, member TEXT, kind INTEGER, block INTEGER, runs TEXT NOT NULL, fresh INTEGER NOT NULL,
  PRIMARY KEY (conversation, block, member, kind)
) WITHOUT ROWID;
CREATE TABLE reads (target TEXT, is_peer INTEGER, upto INTEGER NOT NULL, PRIMARY KEY (target, is_peer)) WITHOUT ROWID;
INSERT INTO meta VALUES
  ('eid', 'bob@example.org'), ('device', 'phone'), ('epoch', '7'), ('state_version', '9'), ('state_fresh', '3');
INSERT INTO positions VALUES ('chat', 5, '[[8, 9]]');
INSERT INTO outbox (id, message) VALUES ('m1', x'00');
INSERT INTO known VALUES ('s1');
INSERT INTO receipts VALUES ('c1', 'bjö"rn', 2, 0, '[[1, 4, 50]]', 3);
INSERT INTO reads VALUES ('c1', 0, 4);
PRAGMA user_version = 1;
"""


def test_a_file_of_version_1_is_made_one_of_today_with_all_that_was_in_it(tmp_path: Path) -> None:
    path = tmp_path / "phone.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript(VERSION_1)
    with closing(Store(path)) as store:
        upgraded = store._db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()

        assert store.meta == Meta(OWNER, epoch=7, state_version=9, state_generation=3)
        assert store.position("chat") == Position(Offset(5), ((8, 9),))
        assert [row.id for row in store.outbox.unanswered(0, 10)] == ["m1"]
        assert store.remembers("s1")
        assert store.pending_reads() == [PendingRead("c1", is_peer=False, upto=4)]
        assert store.state_value("receipts", ("c1", 0, 'bjö"rn', 2)) == [[1, 4, 50]]
        assert [key for key, _ in store.state_values("receipts", ("c1", 0))] == [("c1", 0, 'bjö"rn', 2)]
        assert store.drop_state_before(3) == []
    with closing(Store()) as new:
        made = new._db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    assert [name for name, _ in made] == [name for name, _ in upgraded]
    with closing(Store(path)) as again:
        assert again.meta.epoch == 7


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
        store.outbox.put("m1", b"")


def test_its_files_are_their_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(tmp_path / "phone.db")
        store.outbox.put("m1", b"message")
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
    store.outbox.put("m1", b"message")

    with pytest.raises(StoreError, match="open in another process"):
        Store(tmp_path / "phone.db")
    store.close()
