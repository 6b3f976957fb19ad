"""Copies between engines: everything arrives, nothing else does, and who is served last is known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationOffset, DeviceId, Offset, Stamp, UserId
from bimip.domain.core.records import (
    Changes,
    Conversation,
    Entry,
    HistoryEntry,
    Index,
    Key,
    Log,
    LogTable,
    Reader,
    Seq,
    Table,
)
from bimip.domain.messages.chaining import extend
from bimip.storage.care import check, copying
from bimip.storage.care.copying import copy_to_lmdb, copy_to_postgres
from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.storage.interface import Store
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.postgres.connection import Connection
from bimip.storage.postgres.statements import Statement
from bimip.storage.postgres.store import PostgresStore
from tests.kit.postgres import Cluster
from tests.storage.strategies import KEYS, RECORDS

MAP_BYTES = 1 << 30


@pytest.fixture
def dsn(postgres: Cluster) -> Iterator[str]:
    name = postgres.make_database()
    yield name
    postgres.give_back(name)


def quietly(_what: str, _count: int) -> None: ...


def to_postgres(folder: Path, dsn: str) -> int:
    return copy_to_postgres(folder, dsn, map_bytes=MAP_BYTES, progress=quietly)


def to_lmdb(dsn: str, folder: Path) -> int:
    return copy_to_lmdb(dsn, folder, map_bytes=MAP_BYTES, progress=quietly)


def write(store: Store, *many: Changes) -> None:
    for changes in many:
        store.begin()
        store.apply(changes)
        store.commit()
    store.close()


def entry(number: int) -> Entry:
    at = ConversationOffset(number)
    return Entry(Stamp(number << 22), 3, at, UserId(1), DeviceId(2), addressed=False, digest=bytes(8))  # type: ignore[arg-type]


def conversation(count: int) -> Changes:
    """A log, a history and an index, as long as that."""
    entries = [(number, entry(number)) for number in range(1, count + 1)]
    chain, _ = extend(bytes(16), 0, [one for _, one in entries])
    listed = [(number, HistoryEntry(one.stamp, one.author, one.origin, addressed=False)) for number, one in entries]
    return Changes(
        puts={
            Table.BODIES: {(one.stamp,): b"%d" % number for number, one in entries},
            Table.LOGS: {(1, "chat"): Log(Offset(1), Offset(count), chain)},
            Table.CONVERSATIONS: {(3,): Conversation(ConversationOffset(1), ConversationOffset(count), (UserId(1),))},
        },
        appends={(LogTable.ENTRIES, (1, "chat")): list(entries), (LogTable.HISTORY, (3,)): list(listed)},
        inserts={(Index.SEQS, (1, "chat")): [Seq(number, 0, DeviceId(2), Offset(number)) for number, _ in entries]},
    )


def all_of(store: Store) -> list[object]:
    def read(view: Reader) -> list[object]:
        return [changes for _, changes, _ in copying._contents(view)]

    with store.snapshot() as view:
        found = read(view)
    store.close()
    return found


def test_there_and_back(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "SLICE", 7)
    monkeypatch.setitem(check.PARTS, "logs", lambda _view: iter(()))  # it is no whole store
    write(LmdbStore(tmp_path / "a"), conversation(100))
    before = all_of(LmdbStore(tmp_path / "a"))

    count = to_postgres(tmp_path / "a", dsn)
    assert before == all_of(PostgresStore(dsn))
    assert count == to_lmdb(dsn, tmp_path / "b")
    assert before == all_of(LmdbStore(tmp_path / "b"))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_records_there_are(
    data: st.DataObject, postgres: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dsn, folder = postgres.make_database(), tmp_path_factory.mktemp("copied")
    skipped = {Table.LOGS, Table.CONVERSATIONS}  # which name logs
    puts: dict[Table, dict[Key, object]] = {
        table: data.draw(st.dictionaries(KEYS[table], RECORDS[table], max_size=3))
        for table in Table
        if table not in skipped
    }
    write(LmdbStore(folder / "a"), Changes(puts=puts))

    to_postgres(folder / "a", dsn)
    to_lmdb(dsn, folder / "b")
    assert all_of(LmdbStore(folder / "a")) == all_of(LmdbStore(folder / "b"))
    postgres.give_back(dsn)


class TestServedLast:
    """Devices go on with the copy, and with nothing else."""

    @pytest.fixture
    def served(self, tmp_path: Path) -> Path:
        write(LmdbStore(tmp_path / "store", serves=True), Changes(puts={Table.META: {("epoch",): 5}}))
        return tmp_path / "store"

    def test_the_copy_is_what_was_last_served(self, served: Path, dsn: str) -> None:
        to_postgres(served, dsn)

        store = PostgresStore(dsn, mark_beside=served)
        assert store.put_back == ""
        write(store, Changes(puts={Table.EIDS: {(1,): "a"}}))

    def test_and_the_source_is_no_more(self, served: Path, dsn: str) -> None:
        to_postgres(served, dsn)

        store = LmdbStore(served, serves=True)
        assert store.put_back
        store.close()

    def test_and_so_it_is_back_again(self, served: Path, dsn: str) -> None:
        to_postgres(served, dsn)
        served.rename(served.with_name("aside"))
        write(PostgresStore(dsn, mark_beside=served), Changes(puts={Table.EIDS: {(1,): "a"}}))

        to_lmdb(dsn, served)
        store = LmdbStore(served, serves=True)
        assert store.put_back == ""
        store.close()
        other = PostgresStore(dsn, mark_beside=served)
        assert other.put_back
        other.close()

    def test_what_was_put_back_is_served_before_it_is_copied(self, served: Path, dsn: str, tmp_path: Path) -> None:
        (tmp_path / "store.served").write_bytes(b"nonsense")

        with pytest.raises(StorageError, match="start the server on it once"):
            to_postgres(served, dsn)


class TestRefused:
    def test_a_place_that_holds_something(self, dsn: str, tmp_path: Path) -> None:
        write(LmdbStore(tmp_path / "a"), conversation(1))
        write(PostgresStore(dsn), Changes(puts={Table.EIDS: {(1,): "a"}}))
        (tmp_path / "b").mkdir()
        (tmp_path / "b" / "there").touch()

        with pytest.raises(StorageError, match="holds a store already"):
            to_postgres(tmp_path / "a", dsn)
        PostgresStore(dsn).close()
        with pytest.raises(StorageError, match="there already"):
            to_lmdb(dsn, tmp_path / "b")
        with pytest.raises(StorageError, match="there is no store"):
            to_postgres(tmp_path / "none", dsn)

    def test_a_copy_that_was_not_finished_is_none(
        self, postgres: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dsn = postgres.make_database()
        write(LmdbStore(tmp_path / "a"), conversation(100))
        monkeypatch.setattr(copying, "_picture", broken_at(3))

        with pytest.raises(KeyboardInterrupt):
            to_postgres(tmp_path / "a", dsn)
        with pytest.raises(StoreDamagedError, match="not finished"):
            PostgresStore(dsn)
        with pytest.raises(StoreDamagedError, match="not finished"):
            to_postgres(tmp_path / "a", dsn)

    def test_a_folder_that_was_not_finished_is_none(
        self, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(PostgresStore(dsn), conversation(100))
        monkeypatch.setattr(copying, "_picture", broken_at(3))

        with pytest.raises(KeyboardInterrupt):
            to_lmdb(dsn, tmp_path / "b")
        assert [path.name for path in tmp_path.iterdir() if path.name != "b.served"] == []

    def test_what_reads_back_otherwise_is_no_copy(
        self, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write(LmdbStore(tmp_path / "a"), conversation(3))
        spoil = "CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$"
        connection = Connection(dsn)
        trigger = "CREATE TRIGGER spoils BEFORE INSERT ON bimip.history FOR EACH ROW EXECUTE FUNCTION spoil()"
        connection.run([(Statement("spoil", spoil), ()), (Statement("trigger", trigger), ())], 30)

        try:
            with pytest.raises(StoreDamagedError, match="not what was copied"):
                to_postgres(tmp_path / "a", dsn)
        finally:
            mend = "UPDATE bimip.about SET format = abs(format)"
            connection.run(
                [(Statement("drop", "DROP FUNCTION spoil() CASCADE"), ()), (Statement("mend", mend), ())], 30
            )
            connection.close()

    def test_logs_whose_chains_do_not_fit(self, dsn: str, tmp_path: Path) -> None:
        changes = conversation(3)
        changes.puts[Table.LOGS] = {(1, "chat"): Log(Offset(1), Offset(3), bytes(16))}
        write(LmdbStore(tmp_path / "a"), changes)

        with pytest.raises(StoreDamagedError, match="do not fit together"):
            to_postgres(tmp_path / "a", dsn)
        connection = Connection(dsn)
        connection.run([(Statement("mend", "UPDATE bimip.about SET format = abs(format)"), ())], 30)
        connection.close()


def broken_at(number: int) -> Callable[[Changes], bytes]:
    left = [number]

    def picture(_: Changes) -> bytes:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        return b""

    return picture
