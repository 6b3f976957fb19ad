"""A snapshot of the database: one transaction that reads, begun with its first question, and what it answers.

It is a REPEATABLE READ transaction, so it sees one state whatever is committed meanwhile. BEGIN goes with the first
question, and COMMIT is sent without waiting for its answer: a snapshot of one question is one way to the server and
back, and one that nothing is asked costs nothing.
"""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Protocol, Self

from psycopg.pq.abc import PGresult

from bimip.domain.core.records import Index, IndexRow, Key, Kind, LogTable, Table
from bimip.storage.damage import Damage
from bimip.storage.errors import StoreDamagedError, StoreUnreachableError
from bimip.storage.interface import ReadCounts
from bimip.storage.keys import PACK as PACK_KEY
from bimip.storage.keys import PACK_ALL as PACK_KEYS
from bimip.storage.keys import UNPACK as UNPACK_KEY
from bimip.storage.keys import pack_bound
from bimip.storage.packing import UNPACK
from bimip.storage.postgres.connection import Call, Connection, FailedStatementError, LostConnectionError, SilentError
from bimip.storage.postgres.rows import LOGS, ROWS
from bimip.storage.postgres.statements import (
    BEGIN,
    COMMIT,
    FIND,
    GET,
    GET_ALL,
    MOST,
    READ,
    SCAN,
    Statement,
    pack_all,
    pack_long,
)
from bimip.storage.seals import content, is_whole

READ_SECONDS = 5.0
DAMAGED = {"XX001", "XX002"}
"""States of errors: PostgreSQL found a damaged page, or a damaged index."""


class Readers(Protocol):
    """Lends connections to those who read."""

    def borrow(self) -> Connection:
        """Raises StorageError."""
        ...

    def give_back(self, connection: Connection) -> None: ...

    def renew(self) -> Connection:
        """A new one in place of one that was lost while nobody used it. Raises StorageError."""
        ...

    def note_lost(self) -> None:
        """The database does not answer: nobody is to wait for it again at once."""
        ...


class Snapshot:
    """A Reader that is its own context."""

    __slots__ = ("_connection", "_damage", "_readers", "_reads")

    def __init__(self, readers: Readers, damage: Damage, reads: ReadCounts) -> None:
        self._readers = readers
        self._damage = damage
        self._reads = reads
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.send([(COMMIT, ())])
            self._readers.give_back(connection)

    def ask(self, statement: Statement, *values: bytes) -> PGresult:
        try:
            if self._connection is None:
                return self._begin((statement, values))
            return self._connection.run([(statement, values)], READ_SECONDS)[-1]
        except LostConnectionError as error:
            self._readers.note_lost()
            raise StoreUnreachableError(f"the database cannot be read: {error}") from error
        except FailedStatementError as error:
            self._leave()
            if error.failure.state in DAMAGED:
                self._damage.note(f"{statement.name}: {error}")
                raise StoreDamagedError(f"the database is damaged: {error}") from error
            raise StoreUnreachableError(f"the database cannot be read: {error}") from error

    def _begin(self, call: Call) -> PGresult:
        self._connection = self._readers.borrow()
        try:
            return self._connection.run([(BEGIN, ()), call], READ_SECONDS)[-1]
        except SilentError:
            raise
        except LostConnectionError:  # the server was restarted meanwhile
            self._connection = self._readers.renew()
            return self._connection.run([(BEGIN, ()), call], READ_SECONDS)[-1]

    def _leave(self) -> None:
        """The transaction failed, and is over: what is asked next begins another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._readers.give_back(connection)

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - as Reader has it
        self._reads.records += 1
        place = PACK_KEY[table](key)
        found = self.ask(GET[table], place)
        sealed = found.get_value(0, 0) if found.ntuples else None
        return None if sealed is None else self._whole(table, key, place, sealed)

    def get_all(self, table: Table, keys: Iterable[Key]) -> list[Any]:
        keys = list(keys)
        self._reads.records += len(keys)
        if not keys:
            return []
        places = list(PACK_KEYS[table](keys))
        found = dict(_pairs(self.ask(GET_ALL[table], pack_all(places))))
        if not found:
            return [None] * len(keys)  # as for messages that are new
        return [
            None if (sealed := found.get(place)) is None else self._whole(table, key, place, sealed)
            for key, place in zip(keys, places, strict=True)
        ]

    def _whole(self, table: Table, key: Key, place: bytes, sealed: bytes) -> Any:  # noqa: ANN401 - as Reader has it
        if is_whole(place, sealed):
            return UNPACK[table](content(sealed))
        damaged = self._broken(table, key)
        if table.schema.may_be_missing:
            return None
        raise damaged

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        unpack_key, unpack, statement = UNPACK_KEY[table], UNPACK[table], SCAN[reverse][table]
        begin, end = pack_bound(table, low), pack_bound(table, high)
        found: list[tuple[Key, Any]] = []
        while len(found) < limit:
            wanted = limit - len(found)
            pairs = _pairs(self.ask(statement, begin, end, pack_long(wanted)))
            found += [(unpack_key(key), unpack(content(one))) for key, one in self._legible(table, pairs)]
            if len(pairs) < wanted:
                break
            begin, end = (begin, pairs[-1][0]) if reverse else (pairs[-1][0] + b"\0", end)
        self._reads.records += len(found)
        return found

    def _legible(self, table: Table, pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        """Finds rows that are what was written. Those that may be missing are not looked at: nobody scans them for what
        they say.
        """
        if table.schema.may_be_missing:
            return pairs
        whole = [pair for pair in pairs if is_whole(*pair)]
        if len(whole) < len(pairs):
            for key, _ in set(pairs) - set(whole):
                self._damage.note(f"{table.value} at {key.hex()}")
        return whole

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        found = LOGS[sequence].read(PACK_KEY[sequence](key), self._numbered(sequence, key, after, limit))
        if None in [record for _, record in found]:
            raise self._broken(sequence, key)
        self._reads.entries += len(found)
        return found

    def read_packed(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, list[Any]]]:
        found = self.read(sequence, key, after, limit=limit)
        return [(found[0][0], [record for _, record in found])] if found else []

    def salvage(self, sequence: LogTable, key: Key, after: int, *, limit: int, upto: int) -> list[tuple[int, Any]]:  # noqa: ARG002 - as Reader has it
        try:
            rows = self._numbered(sequence, key, after, limit)
        except StoreDamagedError:
            return []
        return LOGS[sequence].salvage(rows)

    def _numbered(self, sequence: LogTable, key: Key, after: int, limit: int) -> list[tuple[bytes, bytes]]:
        if limit <= 0:
            return []
        return _pairs(self.ask(READ[sequence], PACK_KEY[sequence](key), pack_long(min(after, MOST)), pack_long(limit)))

    def find(
        self, index: Index, key: Key, low: IndexRow, high: IndexRow, *, limit: int, reverse: bool = False
    ) -> list[IndexRow]:
        if limit <= 0:
            return []
        rows = ROWS[index]
        answer = self.ask(
            FIND[reverse][index], PACK_KEY[index](key), rows.bound(low), rows.bound(high), pack_long(limit)
        )
        found = rows.unpack(_column(answer, 0))
        self._reads.rows += len(found)
        return found

    def _broken(self, kind: Kind, key: Key) -> StoreDamagedError:
        self._damage.note(f"{kind.value} {key}")
        return StoreDamagedError(f"{kind.value} {key} is damaged: run `bimip store check`")


def _column(answer: PGresult, column: int) -> list[bytes]:
    value: Callable[[int, int], bytes | None] = answer.get_value
    return [value(row, column) or b"" for row in range(answer.ntuples)]


def _pairs(answer: PGresult) -> list[tuple[bytes, bytes]]:
    return list(zip(_column(answer, 0), _column(answer, 1), strict=True))
