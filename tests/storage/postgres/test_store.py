"""What the store on PostgreSQL does beyond the contract: its one writer, what its errors mean, and what was served."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bimip.domain.core.records import Changes, Key, LogTable, Table
from bimip.storage.errors import (
    OutcomeUnknownError,
    StorageError,
    StoreDamagedError,
    StoreFullError,
    StoreLockedError,
)
from bimip.storage.postgres import snapshot, store
from bimip.storage.postgres.connection import Connection
from bimip.storage.postgres.statements import Statement
from bimip.storage.postgres.store import PostgresStore
from tests.kit.postgres import Cluster, open_cluster, why_not
from tests.kit.postgres_proxy import PostgresProxy, open_proxy

SECONDS = 30.0


@pytest.fixture
def opened(dsn: str) -> Iterator[PostgresStore]:
    one = PostgresStore(dsn)
    yield one
    one.close()


@pytest.fixture
def proxy(postgres: Cluster) -> Iterator[PostgresProxy]:
    with tempfile.TemporaryDirectory() as folder, open_proxy(Path(folder), postgres.folder) as made:
        yield made


@pytest.fixture(scope="module")
def own() -> Iterator[Cluster]:
    """A server that the tests stop and kill."""
    if why_not():
        pytest.skip(why_not())
    with open_cluster() as cluster:
        yield cluster


def write(to: PostgresStore, eid: str, *, number: int = 1, needs_room: bool = False) -> None:
    to.begin()
    try:
        to.apply(Changes(puts={Table.EIDS: {(number,): eid}}, needs_room=needs_room))
        to.commit()
    finally:
        to.abort()


def read(where: PostgresStore, number: int = 1) -> Any:
    with where.snapshot() as view:
        return view.get(Table.EIDS, (number,))


def do(dsn: str, sql: str) -> None:
    connection = Connection(dsn)
    connection.run([(Statement("done", sql), ())], SECONDS)
    connection.close()


class TestOneWriter:
    def test_a_second_one_is_refused(self, dsn: str, opened: PostgresStore, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StoreLockedError, match=r"in use by process \d+: .*store\.dsn"):
            PostgresStore(dsn)

        write(opened, "goes on")
        assert read(opened) == "goes on"

    def test_who_ended_leaves_room_for_the_next(self, dsn: str, opened: PostgresStore) -> None:
        opened.close()

        another = PostgresStore(dsn)
        write(another, "another")
        another.close()

    def test_who_lost_the_lock_writes_no_more(self, dsn: str, opened: PostgresStore) -> None:
        """As where its session ended on the server, and it does not know."""
        write(opened, "the first")
        do(dsn, "UPDATE bimip.about SET writer = 5")

        with pytest.raises(StorageError, match="another server writes") as refusal:
            write(opened, "too late")
        assert not isinstance(refusal.value, OutcomeUnknownError)
        with pytest.raises(OutcomeUnknownError, match="reopened"):
            opened.begin()
        with pytest.raises(OutcomeUnknownError, match="reopened"):
            read(opened)
        opened.reopen()
        assert read(opened) == "the first"
        write(opened, "again")

    def test_nobody_reads_where_another_one_writes(self, dsn: str, opened: PostgresStore) -> None:
        """As at a former primary, which the DSN names too."""
        write(opened, "there")
        do(dsn, "UPDATE bimip.about SET writer = 5")
        opened._idle.clear()

        with pytest.raises(StorageError, match="does not write where it would read"):
            read(opened)

    def test_a_connection_that_was_lent_before_is_not_lent_again(self, opened: PostgresStore) -> None:
        with opened.snapshot() as view:
            assert view.get(Table.EIDS, (1,)) is None
            opened.reopen()
        assert opened._idle == []
        assert read(opened) is None
        assert len(opened._idle) == 1

    def test_who_takes_over_waits_for_the_last_commit_of_the_other(self, dsn: str, opened: PostgresStore) -> None:
        holder = Connection(dsn)
        holder.run([(Statement("b", "BEGIN"), ()), (Statement("l", "SELECT FROM bimip.about FOR UPDATE"), ())], SECONDS)
        opened.close()

        with pytest.raises(StorageError, match="lock timeout"):
            PostgresStore(dsn)
        holder.close()
        opened.reopen()


class TestOutcomes:
    def test_a_commit_whose_answer_is_lost_is_unknown_and_may_be_there(self, dsn: str, proxy: PostgresProxy) -> None:
        opened = PostgresStore(proxy.dsn(dsn))
        write(opened, "before")
        proxy.cut_at = b"COMMIT"

        with pytest.raises(OutcomeUnknownError, match="did not say"):
            write(opened, "perhaps")
        assert proxy.was_said.is_set()
        proxy.cut_at = b""
        with pytest.raises(OutcomeUnknownError):
            opened.begin()
        opened.reopen()
        assert read(opened) == "perhaps"
        write(opened, "after")
        assert read(opened) == "after"
        opened.close()

    def test_a_commit_that_is_never_answered_is_unknown(
        self, dsn: str, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = PostgresStore(proxy.dsn(dsn))
        monkeypatch.setattr(store, "COMMIT_SECONDS", 0.2)
        proxy.is_silent = True

        with pytest.raises(OutcomeUnknownError, match="does not answer"):
            write(opened, "perhaps")
        opened.close()

    def test_a_question_that_is_never_answered_ends(
        self, dsn: str, proxy: PostgresProxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = PostgresStore(proxy.dsn(dsn))
        monkeypatch.setattr(snapshot, "READ_SECONDS", 0.2)
        monkeypatch.setattr(store, "PAUSE_SECONDS", 3600)
        proxy.is_silent = True

        with pytest.raises(StorageError, match="cannot be read"):
            read(opened)
        with pytest.raises(StorageError, match="a moment ago"):
            read(opened)
        opened.close()

    def test_a_commit_with_a_warning_is_unknown(self, dsn: str, opened: PostgresStore) -> None:
        """As where the server stops waiting for its standby: the commit counts, and is on one machine alone."""
        do(
            dsn,
            "CREATE FUNCTION warn() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NULL; END $$",
        )
        do(
            dsn,
            "CREATE CONSTRAINT TRIGGER warns AFTER INSERT ON bimip.eids DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION warn()",
        )
        try:
            with pytest.raises(OutcomeUnknownError, match="canceling wait"):
                write(opened, "on one machine")
        finally:
            do(dsn, "DROP FUNCTION warn() CASCADE")
        opened.reopen()
        write(opened, "on all")

    @pytest.mark.parametrize(
        ("state", "error"),
        [("53100", StoreFullError), ("53200", StorageError), ("25006", StorageError), ("40001", StorageError)],
    )
    def test_what_the_server_refuses_is_not_stored(
        self, dsn: str, opened: PostgresStore, state: str, error: type[StorageError]
    ) -> None:
        write(opened, "there", number=2)
        do(
            dsn,
            f"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}'; END $$",
        )
        do(dsn, "CREATE TRIGGER refuses BEFORE INSERT ON bimip.eids FOR EACH ROW EXECUTE FUNCTION refuse()")
        try:
            with pytest.raises(StorageError) as refusal:
                write(opened, "no")
        finally:
            do(dsn, "DROP FUNCTION refuse() CASCADE")

        assert type(refusal.value) is error
        if error is not StoreFullError:
            opened.reopen()
        assert read(opened) is None
        write(opened, "now")
        assert (read(opened), read(opened, 2)) == ("now", "there")

    def test_a_server_that_was_restarted_is_found_again(self, own: Cluster) -> None:
        opened = PostgresStore(own.make_database())
        write(opened, "before")
        assert read(opened) == "before"
        own.kill()

        with pytest.raises(StorageError):
            read(opened)
        with pytest.raises(OutcomeUnknownError):
            write(opened, "nowhere")
        with pytest.raises(StorageError, match="cannot be opened"):
            opened.reopen()
        own.start()
        opened.reopen()
        assert read(opened) == "before"
        write(opened, "after")
        opened.close()

    def test_readers_find_a_restarted_server_by_themselves(self, own: Cluster) -> None:
        opened = PostgresStore(own.make_database())
        write(opened, "before")
        assert read(opened) == "before"
        own.kill()
        own.start()

        assert read(opened) == "before"
        opened.close()

    def test_a_server_that_hangs_ends_a_commit(self, own: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        opened = PostgresStore(own.make_database())
        write(opened, "before")
        monkeypatch.setattr(store, "COMMIT_SECONDS", 0.3)
        own.signal(signal.SIGSTOP)
        try:
            with pytest.raises(OutcomeUnknownError, match="does not answer"):
                write(opened, "perhaps")
        finally:
            own.signal(signal.SIGCONT)
        opened.reopen()
        assert read(opened) in {"before", "perhaps"}
        write(opened, "after")
        opened.close()

    def test_a_standby_is_refused(self, dsn: str) -> None:
        with pytest.raises(StorageError, match=r"is read-only: name the primary in store\.dsn"):
            PostgresStore(f"{dsn} options='-c default_transaction_read_only=on'")

    def test_nobody_answers(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="cannot be opened"):
            PostgresStore(f"host={tmp_path} dbname=none")

    @pytest.mark.parametrize("dsn", ["host", "nonsense=1", "postgres://[", "port=x"])
    def test_a_wrong_dsn_is_an_error(self, dsn: str) -> None:
        with pytest.raises(StorageError, match="cannot be opened"):
            PostgresStore(dsn)


class TestDamage:
    @pytest.mark.parametrize(("table", "key"), [("eids", (1,))])
    def test_a_record_that_was_changed_is_told(self, dsn: str, opened: PostgresStore, table: str, key: Key) -> None:
        write(opened, "whole")
        do(dsn, f"UPDATE bimip.{table} SET record = 'other' || record")

        with pytest.raises(StoreDamagedError):
            read(opened)
        with opened.snapshot() as view:
            assert view.scan(Table.EIDS, (), (9,), limit=9) == []
        assert opened.damage.count == 2

    def test_a_record_under_another_key_is_told(self, dsn: str, opened: PostgresStore) -> None:
        write(opened, "whole")
        do(dsn, r"UPDATE bimip.eids SET key = '\x00000002'")

        with pytest.raises(StoreDamagedError):
            read(opened, 2)

    def test_a_scan_goes_on_behind_what_is_damaged(self, dsn: str, opened: PostgresStore) -> None:
        for number in range(1, 8):
            write(opened, str(number), number=number)
        do(dsn, r"UPDATE bimip.eids SET record = '' WHERE key < '\x00000004'")

        with opened.snapshot() as view:
            assert [key for key, _ in view.scan(Table.EIDS, (), (9,), limit=2)] == [(4,), (5,)]
            assert [key for key, _ in view.scan(Table.EIDS, (), (6,), limit=3, reverse=True)] == [(5,), (4,)]


class TestServed:
    """Whether what is opened is what was last served."""

    @pytest.fixture
    def serve(self, dsn: str, tmp_path: Path) -> Iterator[Callable[[], PostgresStore]]:
        """Opens the store; one that was opened before is closed."""
        served: list[PostgresStore] = []

        def again() -> PostgresStore:
            for one in served:
                one.close()
            served.append(PostgresStore(dsn, mark_beside=tmp_path / "store"))
            return served[-1]

        yield again
        for one in served:
            one.close()

    def test_the_same_again_is_the_same(self, serve: Callable[[], PostgresStore]) -> None:
        for number in range(3):
            opened = serve()
            assert opened.put_back == ""
            write(opened, f"a{number}")
            opened.reopen()
            assert opened.put_back == ""
            opened.close()

    def test_an_older_copy_is_noticed_once(self, dsn: str, serve: Callable[[], PostgresStore]) -> None:
        opened = serve()
        write(opened, "a")
        opened.close()
        do(dsn, "UPDATE bimip.about SET commits = commits - 1")

        opened = serve()
        assert "was served" in opened.put_back
        write(opened, "b")
        assert opened.put_back == ""
        opened.close()
        assert serve().put_back == ""

    def test_a_dump_that_was_read_back_is_noticed_without_a_mark(
        self, dsn: str, serve: Callable[[], PostgresStore], tmp_path: Path
    ) -> None:
        opened = serve()
        write(opened, "a")
        opened.close()
        (tmp_path / "store.served").unlink()
        do(dsn, "CREATE TABLE bimip.again (LIKE bimip.about INCLUDING ALL)")
        do(dsn, "INSERT INTO bimip.again SELECT * FROM bimip.about")
        do(dsn, "DROP TABLE bimip.about")
        do(dsn, "ALTER TABLE bimip.again RENAME TO about")

        opened = serve()
        assert "dump" in opened.put_back
        write(opened, "b")
        opened.close()
        assert serve().put_back == ""

    def test_an_operator_says_so(self, dsn: str, serve: Callable[[], PostgresStore]) -> None:
        opened = serve()
        write(opened, "a")
        opened.close()
        do(dsn, "UPDATE bimip.about SET put_back = 'an operator said so'")

        assert serve().put_back == "an operator said so"

    def test_another_store_is_another_one(
        self, postgres: Cluster, serve: Callable[[], PostgresStore], tmp_path: Path
    ) -> None:
        opened = serve()
        write(opened, "a")
        opened.close()
        other = postgres.make_database()

        found = PostgresStore(other, mark_beside=tmp_path / "store")
        assert "not the one" in found.put_back
        found.close()
        postgres.give_back(other)


def test_where_logs_end_is_asked_again_where_it_was_forgotten(
    opened: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MAX_HEADS", 1)
    for number in range(1, 5):
        opened.begin()
        opened.apply(Changes(appends={(LogTable.CHAINS, (user, "chat")): [(number, bytes(16))] for user in (1, 2, 3)}))
        opened.commit()
        assert len(opened._heads) == 3

    opened.begin()
    with pytest.raises(ValueError, match="ends at 4"):
        opened.apply(Changes(appends={(LogTable.CHAINS, (1, "chat")): [(6, bytes(16))]}))
    opened.abort()


def test_the_session_commits_synchronously_whatever_the_server_says(dsn: str, opened: PostgresStore) -> None:
    """The server of these tests is started with synchronous_commit=off."""
    assert opened._writer is not None
    (found,) = opened._writer.run([(Statement("how", "SELECT current_setting('synchronous_commit')"), ())], SECONDS)

    assert found.get_value(0, 0) == b"on"


def test_a_server_that_does_not_sync_is_told_of(opened: PostgresStore) -> None:
    assert not opened.is_durable


def test_a_program_that_is_interrupted_cancels_nothing(dsn: str, postgres: Cluster) -> None:
    """What it waits for is done all the same."""
    program = (
        "import signal, sys, threading, os;"
        "from bimip.storage.postgres.connection import Connection;"
        "from bimip.storage.postgres.statements import Statement;"
        "c = Connection(sys.argv[1]);"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # whoever runs in the background ignores it
        "threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start();"
        "c.run([(Statement('s', 'SELECT pg_sleep(1)'), ()), (Statement('w', sys.argv[2]), ())], 60)"
    )
    insert = "INSERT INTO bimip.eids VALUES ('\\x01', '')"
    ended = subprocess.run([sys.executable, "-c", program, dsn, insert], capture_output=True, text=True, check=False)

    assert "KeyboardInterrupt" in ended.stderr
    waiting = Connection(dsn)
    asked = Statement("there", "SELECT count(*) FROM bimip.eids")
    for _ in range(600):
        (found,) = waiting.run([(asked, ())], SECONDS)
        if found.get_value(0, 0) == (1).to_bytes(8, "big"):
            break
        waiting.run([(Statement("wait", "SELECT pg_sleep(0.05)"), ())], SECONDS)
    else:
        pytest.fail("it was cancelled")
    waiting.close()
