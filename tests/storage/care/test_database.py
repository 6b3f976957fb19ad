"""What an operator does with a store on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Changes, Table, User
from bimip.storage.care.database import check_database, migrate_database, note_put_back, overview
from bimip.storage.errors import StorageError, StoreDamagedError, StoreLockedError
from bimip.storage.postgres.connection import Connection
from bimip.storage.postgres.schema import NEEDED, Version
from bimip.storage.postgres.statements import MAKE, Statement
from bimip.storage.postgres.store import PostgresStore
from tests.kit.postgres import Cluster


@pytest.fixture
def dsn(postgres: Cluster) -> Iterator[str]:
    name = postgres.make_database()
    yield name
    postgres.give_back(name)


def do(dsn: str, sql: str) -> None:
    connection = Connection(dsn)
    connection.run([(Statement("done", sql), ())], 30)
    connection.close()


def write(dsn: str, changes: Changes) -> None:
    store = PostgresStore(dsn)
    store.begin()
    store.apply(changes)
    store.commit()
    store.close()


ALICE = Changes(
    puts={
        Table.USERS: {("alice",): User(UserId(1), Millis(5))},
        Table.EIDS: {(1,): "alice"},
        Table.META: {("users",): 1},
    }
)


class TestMigrating:
    def test_a_server_asks_for_the_schema_first(self, postgres: Cluster) -> None:
        dsn = postgres.make_database(migrated=False)

        with pytest.raises(StorageError, match="`bimip store migrate` once"):
            PostgresStore(dsn)
        assert migrate_database(dsn) == (None, NEEDED)
        PostgresStore(dsn).close()

    def test_again_changes_nothing(self, dsn: str) -> None:
        write(dsn, ALICE)

        assert migrate_database(dsn) == (NEEDED, NEEDED)
        assert overview(dsn).users == 1

    @pytest.mark.parametrize("column", ["format", "layout"])
    def test_a_later_one_is_refused(self, dsn: str, column: str) -> None:
        do(dsn, f"UPDATE bimip.about SET {column} = {column} + 1")
        try:
            with pytest.raises(StoreDamagedError, match="later bimip"):
                PostgresStore(dsn)
            with pytest.raises(StoreDamagedError, match="later bimip"):
                migrate_database(dsn)
        finally:
            do(dsn, f"UPDATE bimip.about SET {column} = {column} - 1")

    def test_an_earlier_one_becomes_this_one(self, dsn: str) -> None:
        write(dsn, ALICE)
        do(dsn, "UPDATE bimip.about SET format = format - 1")

        with pytest.raises(StorageError, match="back it up, and run `bimip store migrate`"):
            PostgresStore(dsn)
        before, after = migrate_database(dsn)
        assert (before, after) == (Version(NEEDED.format - 1, NEEDED.layout), NEEDED)
        assert overview(dsn).users == 1

    def test_one_that_is_too_old_is_refused(self, dsn: str) -> None:
        do(dsn, "UPDATE bimip.about SET format = 1")
        try:
            with pytest.raises(StoreDamagedError, match="too old"):
                migrate_database(dsn)
        finally:
            do(dsn, f"UPDATE bimip.about SET format = {NEEDED.format}")

    @pytest.mark.parametrize("kind", MAKE, ids=lambda kind: kind.value)
    def test_a_relation_that_is_missing_is_made(self, dsn: str, kind: Table) -> None:
        do(dsn, f'DROP TABLE bimip."{kind.value}"')

        with pytest.raises(StorageError, match="bimip store migrate"):
            PostgresStore(dsn)
        migrate_database(dsn)
        PostgresStore(dsn).close()

    def test_what_fails_changes_nothing(self, postgres: Cluster) -> None:
        dsn = postgres.make_database(migrated=False)
        do(dsn, "CREATE SCHEMA bimip")
        do(dsn, "CREATE VIEW bimip.events AS SELECT 1")

        with pytest.raises(StorageError, match="cannot be made"):
            migrate_database(dsn)
        do(dsn, "DROP VIEW bimip.events")
        assert migrate_database(dsn) == (None, NEEDED)

    def test_not_while_a_server_runs(self, dsn: str) -> None:
        store = PostgresStore(dsn)
        with pytest.raises(StoreLockedError):
            migrate_database(dsn)
        store.close()


def test_who_says_that_it_was_put_back_is_heard(dsn: str, tmp_path: Path) -> None:
    write(dsn, ALICE)
    note_put_back(dsn, "an operator said so")

    store = PostgresStore(dsn, mark_beside=tmp_path / "store")
    assert store.put_back == "an operator said so"
    store.close()
    assert overview(dsn).made == "an operator said so"


def test_an_overview_of_a_running_server_too(dsn: str) -> None:
    store = PostgresStore(dsn)
    meta = {("epoch",): 7, ("starts",): 3, ("users",): 1}
    store.begin()
    store.apply(Changes(puts={**ALICE.puts, Table.META: meta, Table.BODIES: {(5 << 22,): b"a", (9 << 22,): b"b"}}))
    store.commit()

    found = overview(dsn)
    store.close()
    assert (found.epoch, found.starts, found.users, found.devices, found.messages) == (7, 3, 1, 0, 2)
    assert found.newest_message > 0
    assert found.file_bytes >= found.used_bytes > 0


class TestChecking:
    def test_nothing_is_wrong(self, dsn: str) -> None:
        write(dsn, ALICE)

        assert list(check_database(dsn)) == []

    def test_what_does_not_fit_together_is_found(self, dsn: str) -> None:
        write(dsn, Changes(puts={**ALICE.puts, Table.EIDS: {}}))

        assert [finding.where for finding in check_database(dsn)] == ["users"]

    @pytest.mark.parametrize("table", ["eids", "bodies", "conflicts"])
    def test_a_record_that_was_changed_is_found(self, dsn: str, table: str) -> None:
        write(dsn, ALICE)
        do(dsn, rf"INSERT INTO bimip.{table} VALUES ('\x0000000100000001', 'nothing of ours') ON CONFLICT DO NOTHING")

        assert any(table in finding.where for finding in check_database(dsn))
