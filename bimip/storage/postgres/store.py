# ruff: noqa: S608 - what a statement is made of stands in these files
"""The store on PostgreSQL, for one server at a time.

Writing. Nothing is sent before `commit`: what `apply` was given waits, packed, and then BEGIN, a statement for each
relation that is touched and COMMIT go to the server in one pipeline, so that a batch is one way there and back, made in
the journal's thread. `apply` asks nothing but where logs end that it does not know, since an append that does not
follow is the caller's defect and to be told at once.

What an error in a commit means. The server refused a statement: it skipped what stood behind it, the COMMIT too, so
nothing was stored; where the disk is full that is StoreFullError, which room heals. The connection broke, or no answer
came in time, or the server warned that it no longer waits for its standby: the commit is there or it is not, or not
where it should be, OutcomeUnknownError. A commit is never cancelled. After each but a full disk the store is to be
reopened, which makes a new connection: to another server, where the DSN names several and another one is the primary.

One writer. Whoever serves holds an advisory lock of its session, so a second server is refused at its start. A session
ends with its connection, and its server may not know it yet; so each opening draws a number, writes it into the one
row of `bimip.about`, and every transaction looks there and counts itself. Who was taken over finds another number, and
its transaction fails, whatever it still believes; and as the transaction holds the row's lock, the one who takes over
waits until the last commit of the other has ended.

Reading. Each snapshot borrows a connection, which is to the server that this opening writes to: where a DSN names
several hosts, a former primary that nobody reached may still answer, and would tell what is so no more. The loop waits
for the answer, for READ_SECONDS at most; then it is not tried again for a second, so that a database which hangs leaves
the loop time for others.

Service. A database does not know that it is older than what was served: a mark on this machine tells (mark.py), as for
LMDB, and where there is none, or another machine serves, this does: a dump that was read back lies in other relations
than those in which it was served, or in another cluster. What is copied below PostgreSQL, as a base backup, is the same
to it: `bimip store restored` says so.

Room. The quota counts the files of BIMIP's relations. What is deleted leaves room in them that is used again, and gives
nothing back: a store that is over its quota stays so until VACUUM FULL has made its files anew.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from struct import Struct
from typing import Final

from psycopg.pq.abc import PGresult

from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.records import Changes, Key, LogTable, Table
from bimip.storage.damage import Damage
from bimip.storage.errors import (
    OutcomeUnknownError,
    StorageError,
    StoreFullError,
    StoreLockedError,
    StoreUnreachableError,
)
from bimip.storage.interface import ReadCounts, StoreStatistics
from bimip.storage.keys import PACK_ALL as PACK_KEYS
from bimip.storage.mark import Mark
from bimip.storage.postgres.connection import Call, Connection, FailedStatementError, LostConnectionError
from bimip.storage.postgres.schema import TAKEN_OVER, refuse_another
from bimip.storage.postgres.snapshot import READ_SECONDS, Snapshot
from bimip.storage.postgres.statements import BEGIN, COMMIT, HEADS, Statement, pack_all, read_long
from bimip.storage.postgres.writing import by_kind, calls_of

COMMIT_SECONDS: Final = 30.0
"""Where the standbys are gone, a commit waits for them; whoever waits for longer does not know what came of it."""
OPENING_SECONDS: Final = 10.0
LOCK_SECONDS: Final = 3
"""The session of a server that was killed may live on for a moment."""
PAUSE_SECONDS: Final = 1.0
MAX_IDLE: Final = 4
MAX_HEADS: Final = 50_000
GROWN_BYTES: Final = 16 << 20
"""So much more was written, or an eighth of what is left, and it is looked again how large the store is."""
DISK_FULL: Final = "53100"
LOCK_TIMEOUT: Final = "55P03"
_COMMITTED: Final = b"COMMIT"
_LOCK: Final = 0x62696D6970
_UNSIGNED, _SIGNED = Struct(">Q"), Struct(">q")

_SESSION = """SELECT set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false), set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false), set_config('client_min_messages', 'warning', false),
    set_config('idle_in_transaction_session_timeout', '0', false), set_config('idle_session_timeout', '0', false)"""
"""Plans that no statistics change: every question is one of the primary key."""
_READER = Statement(
    "reader",
    f"""{_SESSION}, set_config('default_transaction_isolation', 'repeatable read', false),
    set_config('default_transaction_read_only', 'on', false),
    set_config('statement_timeout', '{int(READ_SECONDS * 1000)}', false)""",
)
_WRITER = Statement(
    "writer",
    f"""{_SESSION}, set_config('statement_timeout', '0', false),
    set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
    set_config('tcp_keepalives_count', '3', false),
    set_config('default_transaction_isolation', 'read committed', false),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit')
        WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false)""",
)
_WHERE = Statement(
    "where",
    "SELECT pg_is_in_recovery()::int::bigint, (current_setting('transaction_read_only') = 'on')::int::bigint,"
    " (current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on')::int::bigint",
)
_LOCK_TIMEOUT = Statement("lock timeout", f"SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', false)")
_TAKE_LOCK = Statement("lock", f"SELECT pg_advisory_lock({_LOCK})::text")
_HOLDER = Statement(
    "holder",
    f"""SELECT pid::bigint FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND (classid::bigint << 32 | objid::bigint) = {_LOCK}
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())""",
)
_WRITES = Statement("writes", "SELECT writer FROM bimip.about")
_TAKE_OVER = Statement("take over", "UPDATE bimip.about SET writer = $1::bigint")
_ABOUT = Statement(
    "about",
    """SELECT opening, commits, home::bytea, put_back::bytea,
    ((SELECT system_identifier FROM pg_control_system()) || '/' || 'bimip.about'::regclass::oid)::bytea
    FROM bimip.about""",
)
_SIGN = Statement(
    "sign", "UPDATE bimip.about SET opening = $1::bigint, home = convert_from($2::bytea, 'UTF8'), put_back = ''"
)
_BEGIN_COPY = Statement("begin copy", "UPDATE bimip.about SET format = -abs(format)")
_END_COPY = Statement("end copy", "UPDATE bimip.about SET format = abs(format) RETURNING commits")
_COUNT = Statement("count", "SELECT bimip.count_commit($1::bigint)")
SIZE = Statement(
    "size",
    """SELECT sum(CASE relkind WHEN 'i' THEN greatest(pg_relation_size(oid) - current_setting('block_size')::int, 0)
        ELSE pg_relation_size(oid) + coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) END)::bigint,
    sum(CASE relkind WHEN 'r' THEN pg_total_relation_size(oid) ELSE 0 END)::bigint
    FROM pg_class WHERE relnamespace = 'bimip'::regnamespace AND relkind IN ('r', 'i')""",
)


class PostgresStore:
    is_remote = True

    def __init__(
        self,
        dsn: str,
        *,
        mark_beside: Path | None = None,
        quota_bytes: int = 0,
        report_damage: Callable[[str], None] | None = None,
    ) -> None:
        """Opens the store in a database whose schema was made (schema.py).

        `mark_beside`: what was last served is noted beside that path, and looked at. None: neither.

        Raises StoreLockedError, StoreDamagedError, StorageError.
        """
        self._dsn = dsn
        self._mark_beside = mark_beside
        self._quota_bytes = quota_bytes
        self.damage = Damage(report_damage)
        self.read_counts = ReadCounts()
        self.put_back = ""
        self.is_durable = True
        """Whether the server syncs its disk, as far as its settings tell."""
        self._writer: Connection | None = None
        self._lost = ""  # why it is to be reopened
        self._idle: list[Connection] = []
        self._silent_until = 0.0
        self._calls: list[Call] | None = None  # of the open transaction
        self._broken = False
        self._heads: dict[tuple[LogTable, Key], int] = {}  # where logs end, as far as that is known
        self._appended: dict[tuple[LogTable, Key], int] = {}  # by the open transaction
        self._mark: Mark | None = None
        self._opening = 0
        self._signed = False
        self._home = b""
        self._used_bytes = self._file_bytes = 0
        self._written_bytes = GROWN_BYTES  # since they were looked at
        self._newest = self._newest_conversation = 0
        self.reopen()

    @property
    def newest_served(self) -> Stamp:
        return Stamp(self._newest)

    @property
    def newest_conversation(self) -> ConversationId:
        return ConversationId(self._newest_conversation)

    def snapshot(self) -> Snapshot:
        self._check_usable()
        return Snapshot(self, self.damage, self.read_counts)

    def _check_usable(self) -> Connection:
        if self._writer is None and self._lost:
            raise StoreUnreachableError(f"the database cannot be read: {self._lost}")
        if self._writer is None:
            raise StorageError("the store is closed")
        if self._lost:
            raise OutcomeUnknownError(f"the store must be reopened: {self._lost}")
        return self._writer

    def borrow(self) -> Connection:
        with suppress(IndexError):
            return self._idle.pop()
        return self.renew()

    def renew(self) -> Connection:
        if time.monotonic() < self._silent_until:
            raise StoreUnreachableError("the database cannot be read: it did not answer a moment ago")
        try:
            reader = Connection(self._dsn, name="bimip reads", seconds=READ_SECONDS)
            *_, found = reader.run([(_READER, ()), (_WRITES, ())], READ_SECONDS)
        except (LostConnectionError, FailedStatementError) as error:
            self.note_lost()
            raise StoreUnreachableError(f"the database cannot be read: {error}") from error
        if found.get_value(0, 0) != _signed(self._opening):
            reader.close()
            self.note_lost()
            raise StoreUnreachableError("the database cannot be read: this server does not write where it would read")
        reader.opening = self._opening
        return reader

    def give_back(self, connection: Connection) -> None:
        is_current = self._writer is not None and connection.opening == self._opening
        if connection.is_closed or not is_current or len(self._idle) >= MAX_IDLE:
            connection.close()
        else:
            self._idle.append(connection)

    def note_lost(self) -> None:
        self._silent_until = time.monotonic() + PAUSE_SECONDS

    def settle(self) -> None:
        """Checks that it is open: what can be read is in the log of the database already."""
        self._check_usable()

    def begin(self) -> None:
        if self._calls is not None:
            raise RuntimeError("a transaction is open already")
        self._check_usable()
        if len(self._heads) > MAX_HEADS:
            self._heads.clear()
        self._calls = []

    def apply(self, changes: Changes) -> None:
        if self._calls is None or self._broken:
            raise RuntimeError("no transaction is open that could take changes")
        self._broken = True  # until all of it went well
        if changes.needs_room and self._is_over_quota():
            raise StoreFullError(f"the store's quota of {self._quota_bytes} bytes is used up")
        self._check_appends(changes)
        self._calls += calls_of(changes)
        bodies, meta = changes.puts.get(Table.BODIES), changes.puts.get(Table.META, {})
        if bodies:
            self._newest = max(self._newest, next(reversed(bodies))[0])  # in the order in which stamps were given
        self._newest = max(self._newest, meta.get(("clock",)) or 0)
        self._newest_conversation = max(self._newest_conversation, meta.get(("conversations",)) or 0)
        self._broken = False

    def _check_appends(self, changes: Changes) -> None:
        for log, runs in by_kind(changes.appends).items():
            self._learn_heads(log, [key for key in runs if (log, key) not in self._heads])
            for key, run in runs.items():
                first, last = run[0][0], run[-1][0]
                head = self._appended.get((log, key)) or self._heads[(log, key)]
                is_run = [number for number, _ in run] == list(range(first, first + len(run)))
                if not is_run or (head and head != first - 1):
                    raise ValueError(f"{(log, key)} ends at {head} and cannot go on with {first} … {last}")
                self._appended[(log, key)] = last

    def _learn_heads(self, log: LogTable, keys: list[Key]) -> None:
        """Asks where logs end; 0: there is nothing in one."""
        if not keys:
            return
        with self.snapshot() as view:
            found = view.ask(HEADS[log], pack_all(list(PACK_KEYS[log](keys))))
        for row, key in enumerate(keys):
            self._heads[(log, key)] = read_long(found.get_value(row, 0)) or 0

    def commit(self) -> None:
        if self._calls is None or self._broken:
            raise RuntimeError("no transaction is open that could be committed")
        calls, appended = self._calls, self._appended
        self.abort()
        writer = self._check_usable()
        if not calls:
            return
        counted = self._write(writer, calls)
        self._heads |= appended
        self._written_bytes += sum(len(value) for _, values in calls for value in values)
        self.put_back = ""
        self._signed = True
        if self._mark is not None:
            self._mark.note(counted, self._newest, self._newest_conversation)

    def _write(self, writer: Connection, calls: list[Call]) -> int:
        """Commits statements. Returns how many transactions were committed so far."""
        writer.warnings.clear()
        if not self._signed and self._mark is not None:
            with suppress(OSError):  # it cannot be written: at the next start nothing is compared
                self._mark.begin()
        signing: list[Call] = [] if self._signed else [(_SIGN, (_signed(self._opening), self._home))]
        pipeline = [(BEGIN, ()), (_COUNT, (_signed(self._opening),)), *signing, *calls, (COMMIT, ())]
        try:
            results = writer.run(pipeline, COMMIT_SECONDS)
        except LostConnectionError as error:
            self._lost = str(error)
            raise OutcomeUnknownError(f"the database did not say whether it committed: {error}") from error
        except FailedStatementError as error:
            raise self._refusal(error, is_commit=error.failure.place == len(pipeline) - 1) from error
        if writer.warnings or results[-1].command_status != _COMMITTED:
            self._lost = "; ".join(writer.warnings) or "a commit was taken back"
            raise OutcomeUnknownError(f"the database committed with a warning: {self._lost}")
        return read_long(results[1].get_value(0, 0)) or 0

    def _refusal(self, error: FailedStatementError, *, is_commit: bool) -> StorageError:
        """Tells what it means that a statement was refused."""
        if error.failure.state == DISK_FULL and not is_commit:
            return StoreFullError(f"nothing was stored, there is no room: {error}")
        self._lost = str(error)
        if is_commit:
            return OutcomeUnknownError(f"the database failed in a commit: {error}")
        if error.failure.state == TAKEN_OVER:
            return StorageError(f"nothing was stored: {error}")
        return StorageError(f"the database refused to write, and stored nothing: {error}")

    def abort(self) -> None:
        self._calls = None
        self._appended = {}
        self._broken = False

    def close(self) -> None:
        self.abort()
        self._lost = ""
        writer, self._writer = self._writer, None
        idle, self._idle = self._idle, []
        for connection in (*idle, *([writer] if writer is not None else [])):
            connection.close()
        if self._mark is not None:
            self._mark.close()
            self._mark = None

    def reopen(self) -> None:
        self.close()
        self._lost = "it is being opened"
        self._heads = {}
        self._silent_until = 0.0
        writer: Connection | None = None
        try:
            writer = Connection(self._dsn, name="bimip writes")
            self._open(writer)
        except BaseException as error:
            if writer is not None:
                writer.close()
            self._lost = str(error)
            if isinstance(error, (LostConnectionError, FailedStatementError)):
                raise StorageError(f"the database cannot be opened: {error}") from error
            raise
        self._writer, self._lost = writer, ""
        if self._mark_beside is not None:
            self._compare()
        self._written_bytes = GROWN_BYTES

    def _open(self, writer: Connection) -> None:
        """Makes this the server that writes. Raises StorageError, and as connections do."""
        *_, where = writer.run([(_WRITER, ()), (_WHERE, ())], OPENING_SECONDS)
        is_standby, is_read_only, is_durable = (bool(read_long(where.get_value(0, at))) for at in range(3))
        if is_standby or is_read_only:
            what = "a standby" if is_standby else "read-only"
            raise StorageError(
                f"the database is {what}: name the primary in store.dsn, or all and target_session_attrs"
            )
        self.is_durable = is_durable
        refuse_another(writer, OPENING_SECONDS)
        take_lock(writer, OPENING_SECONDS)
        self._opening = int.from_bytes(os.urandom(8), "big") or 1
        self._signed = False
        *_, self._about = writer.run([(_TAKE_OVER, (_signed(self._opening),)), (_ABOUT, ())], OPENING_SECONDS)
        self._home = self._about.get_value(0, 4) or b""

    def _compare(self) -> None:
        """Finds out whether this is what was last served."""
        assert self._mark_beside is not None
        mark = self._mark = Mark(self._mark_beside, self._opening)
        opening, commits = (read_long(self._about.get_value(0, at)) or 0 for at in (0, 1))
        home, said = (self._about.get_value(0, at) or b"" for at in (2, 3))
        elsewhere = "it is a dump that was read back, or another copy" if home and home != self._home else ""
        other = mark.judge(_UNSIGNED.unpack(_SIGNED.pack(opening))[0], commits)
        self.put_back = said.decode() or elsewhere or other
        self._newest = max(self._newest, mark.stamp)
        self._newest_conversation = max(self._newest_conversation, mark.conversation)

    def begin_copy(self) -> None:
        """Marks the store as one that is being copied to, on which no server starts. Raises StorageError."""
        self._say_of_copy(_BEGIN_COPY)

    def end_copy(self, *, beside: Path) -> None:
        """Makes the copy a store, and the one that was last served, as the mark beside that path has it. Raises
        StorageError, OSError.
        """
        found = self._say_of_copy(_END_COPY)
        mark = Mark(beside, self._opening)
        mark.follow(self._opening, read_long(found.get_value(0, 0)) or 0)
        mark.close()

    def _say_of_copy(self, statement: Statement) -> PGresult:
        try:
            return self._check_usable().run([(statement, ())], OPENING_SECONDS)[-1]
        except (LostConnectionError, FailedStatementError) as error:
            raise StorageError(f"the database cannot be written: {error}") from error

    def has_room(self) -> bool:
        self._look_at_size(self._ask_alone(SIZE))
        return not self._quota_bytes or self._used_bytes < self._quota_bytes

    def statistics(self) -> StoreStatistics:
        self._look_at_size(self._ask_alone(SIZE))
        return StoreStatistics(self._used_bytes, self._file_bytes, 0, self._quota_bytes)

    def _ask_alone(self, statement: Statement) -> PGresult:
        with self.snapshot() as view:
            return view.ask(statement)

    def _look_at_size(self, found: PGresult) -> None:
        self._used_bytes, self._file_bytes = (read_long(found.get_value(0, at)) or 0 for at in (0, 1))
        self._written_bytes = 0

    def _is_over_quota(self) -> bool:
        if not self._quota_bytes:
            return False
        left = self._quota_bytes - self._used_bytes
        if self._written_bytes >= min(GROWN_BYTES, max(left, 0) // 8):
            self._look_at_size(self._ask_alone(SIZE))
        return self._used_bytes >= self._quota_bytes


def take_lock(connection: Connection, seconds: float) -> None:
    """Takes the lock of the one who writes. Raises StoreLockedError, and as the connection does."""
    try:
        connection.run([(_LOCK_TIMEOUT, ()), (_TAKE_LOCK, ())], seconds)
    except FailedStatementError as error:
        if error.failure.state != LOCK_TIMEOUT:
            raise
        (holder,) = connection.run([(_HOLDER, ())], seconds)
        process = read_long(holder.get_value(0, 0)) if holder.ntuples else None
        raise StoreLockedError(
            "the database", process, "end the server that writes there, or name another database in store.dsn"
        ) from error


def _signed(number: int) -> bytes:
    """A number of 64 bits as PostgreSQL has it."""
    return _UNSIGNED.pack(number)
