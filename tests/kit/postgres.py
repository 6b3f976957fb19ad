"""A PostgreSQL of the tests' own: in a temporary folder, on a socket there, for as long as they run.

    with open_cluster() as cluster:
        store = PostgresStore(cluster.make_database())

It runs as somebody else where the tests run as root, which PostgreSQL refuses. It does not sync its disk, unless that
is asked for: a killed process loses nothing by that, and no test here takes a machine's power.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import count
from pathlib import Path

from psycopg import pq

from bimip.storage.keys import KINDS
from bimip.storage.postgres.connection import Connection
from bimip.storage.postgres.schema import migrate
from bimip.storage.postgres.statements import Statement, relation

SECONDS = 120.0
_PLACES = "/usr/lib/postgresql"
_OWNERS = ("postgres", "nobody")

WIPE = Statement(
    "wipe",
    "".join(
        [
            "DO $$ BEGIN ",
            *(f"IF EXISTS (SELECT FROM {relation(kind)}) THEN TRUNCATE {relation(kind)}; END IF; " for kind in KINDS),
            "UPDATE bimip.about SET opening = 0, commits = 0, home = '', put_back = ''; END $$",
        ]
    ),
)
"""Empties a store, and gives back what its files took."""
_END_OTHERS = Statement(
    "end others",
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
)
"""A test that failed leaves a store open, and the next one is not to fail for it."""


@cache
def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None: there are none here."""
    found = shutil.which("initdb")
    if found:
        return Path(found).resolve().parent
    versions = sorted(Path(_PLACES).glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


def why_not() -> str:
    """Why there can be no PostgreSQL here; empty: there can."""
    if programs() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and _owner() is None:
        return f"PostgreSQL does not run as root, and there is no account of {' or '.join(_OWNERS)}"
    return ""


@cache
def _owner() -> pwd.struct_passwd | None:
    """Who runs it where the tests run as root."""
    known = {account.pw_name: account for account in pwd.getpwall()}
    return next((known[name] for name in _OWNERS if name in known), None)


class Cluster:
    def __init__(self, folder: Path, *, syncs: bool = False) -> None:
        self.folder = folder
        self._syncs = syncs
        self._numbers = count()
        self._free: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "--pgdata", "data", "--auth=trust", "--username=bimip", "--no-sync", "--locale=C.UTF-8")
        self.start()

    def _command(self, program: str, *words: str) -> list[str]:
        folder = programs()
        assert folder is not None
        return [str(folder / program), *words]

    def _as_owner(self) -> dict[str, int | list[int]]:
        owner = _owner() if os.geteuid() == 0 else None
        if owner is None:
            return {}
        os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        return {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}

    def _run(self, program: str, *words: str) -> None:
        command = self._command(program, *words)
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=SECONDS, **self._as_owner())  # type: ignore[call-overload]

    def start(self, *more: str) -> None:
        """Starts the server, and waits until it takes connections."""
        given = ["listen_addresses=", f"unix_socket_directories={self.folder}", "autovacuum=off", "shared_buffers=32MB"]
        given += [] if self._syncs else ["fsync=off", "full_page_writes=off", "synchronous_commit=off"]
        words = [word for setting in (*given, *more) for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self._command("postgres", "-D", "data", *words),
                cwd=self.folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                **self._as_owner(),  # type: ignore[call-overload]
            )
        while pq.PGconn.ping(self.dsn("postgres").encode()) != pq.Ping.OK:
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            try:
                self._process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue

    def kill(self) -> None:
        """Ends the server and all that it started at once, as a loss of the machine does but for its disk."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        children = _children_of(self._process.pid)
        os.kill(self._process.pid, number)
        for child in children:  # each is the leader of a group of its own
            try:
                os.kill(child, number)
            except ProcessLookupError:
                continue

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # the server's "fast"
            self._process.wait()

    def dsn(self, name: str) -> str:
        return f"host={self.folder} user=bimip dbname={name}"

    def ask(self, sql: str, name: str = "postgres") -> None:
        """Has the server do something that has no answer."""
        connection = Connection(self.dsn(name))
        try:
            connection.run([(Statement("asked", sql), ())], SECONDS)
        finally:
            connection.close()

    def vacuum(self) -> None:
        """Makes the files of all databases anew, without what was deleted."""
        self._run("vacuumdb", "--all", "--full", "--quiet", f"--host={self.folder}", "--username=bimip")

    def make_database(self, *, migrated: bool = True) -> str:
        """Makes a database, and returns its DSN."""
        if migrated and self._free:
            return self._free.pop()
        name = f"store{next(self._numbers)}"
        self.ask(f"CREATE DATABASE {name}")
        if migrated:
            connection = Connection(self.dsn(name))
            try:
                migrate(connection)
            finally:
                connection.close()
        return self.dsn(name)

    def give_back(self, dsn: str) -> None:
        """Takes back a database that `make_database` made, to lend it again."""
        connection = Connection(dsn)
        try:
            connection.run([(_END_OTHERS, ()), (WIPE, ())], SECONDS)
        finally:
            connection.close()
        self._free.append(dsn)


def _children_of(process: int) -> list[int]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(child) for child in found.split()]


@contextmanager
def open_cluster(*, syncs: bool = False) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="bimip-postgres-"))
    cluster = None
    try:
        cluster = Cluster(folder, syncs=syncs)
        yield cluster
    finally:
        if cluster is not None:
            cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
