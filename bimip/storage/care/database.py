"""What an operator does with a store on PostgreSQL: make its schema, look at it, say that it was put back.

PostgreSQL's own tools make copies and put them back: see the README. Whatever writes here takes the lock of the one who
writes, so it is refused while a server runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.records import Key, Reader, Table
from bimip.domain.core.schema import behind
from bimip.storage.care.backup import Overview
from bimip.storage.care.check import PARTS, SLICE, Finding, Tolerant
from bimip.storage.errors import StorageError
from bimip.storage.keys import PACK, UNPACK
from bimip.storage.packing import UNPACK as UNPACK_RECORD
from bimip.storage.postgres.connection import Connection, FailedStatementError, LostConnectionError
from bimip.storage.postgres.schema import NEEDED, Version, migrate, refuse_another
from bimip.storage.postgres.statements import GET, Statement, read_long, relation
from bimip.storage.postgres.store import SIZE, PostgresStore, take_lock
from bimip.storage.seals import unseal

SECONDS: Final = 3600.0
"""Counting reads every row, and nobody waits for it."""

_PUT_BACK = Statement("put back", "UPDATE bimip.about SET put_back = convert_from($1::bytea, 'UTF8')")
_SAID = Statement("said", "SELECT put_back::bytea FROM bimip.about")
_NEWEST = Statement("newest", f"SELECT key FROM {relation(Table.BODIES)} ORDER BY key DESC LIMIT 1")  # noqa: S608


def migrate_database(dsn: str) -> tuple[Version | None, Version]:
    """Makes the schema that this program needs. Returns the one before, and the one that is there. Raises
    StorageError (StoreLockedError: a server runs), and has changed nothing then.
    """
    with _connected(dsn) as connection:
        take_lock(connection, SECONDS)
        return migrate(connection)


def note_put_back(dsn: str, what: str) -> None:
    """Says that this is not what was last served: the next server begins another epoch. Raises StorageError."""
    with _connected(dsn) as connection:
        take_lock(connection, SECONDS)
        refuse_another(connection, SECONDS)
        connection.run([(_PUT_BACK, (what.encode(),))], SECONDS)


def overview(dsn: str) -> Overview:
    """Looks at a database, of a running server too. Raises StorageError."""
    with _connected(dsn) as connection:
        refuse_another(connection, SECONDS)

        def number(name: str) -> int:
            place = PACK[Table.META]((name,))
            (found,) = connection.run([(GET[Table.META], (place,))], SECONDS)
            sealed = found.get_value(0, 0) if found.ntuples else None
            return 0 if sealed is None else int(UNPACK_RECORD[Table.META](unseal(place, sealed)))

        def count(table: Table) -> int:
            counting = Statement(f"count {table.value}", f"SELECT count(*) FROM {relation(table)}")  # noqa: S608
            (found,) = connection.run([(counting, ())], SECONDS)
            return read_long(found.get_value(0, 0)) or 0

        size, newest, said = connection.run([(SIZE, ()), (_NEWEST, ()), (_SAID, ())], SECONDS)
        stamp: Stamp = UNPACK[Table.BODIES](newest.get_value(0, 0) or b"")[0] if newest.ntuples else Stamp(0)
        return Overview(
            format=NEEDED.format,
            made=(said.get_value(0, 0) or b"").decode(),
            epoch=number("epoch"),
            starts=number("starts"),
            users=count(Table.USERS),
            devices=count(Table.DEVICES),
            messages=count(Table.BODIES),
            newest_message=Millis(millis_of(stamp)) if stamp else Millis(0),
            used_bytes=read_long(size.get_value(0, 0)) or 0,
            file_bytes=read_long(size.get_value(0, 1)) or 0,
        )


def check_database(dsn: str) -> Iterator[Finding]:
    """Finds everything that is wrong, one at a time. Raises StorageError (StoreLockedError: a server runs)."""
    places: list[str] = []
    store = PostgresStore(dsn, report_damage=places.append)
    try:
        with store.snapshot() as view:
            for table in Table:
                _read_all(view, table)
                yield from _told(places)
            for part in PARTS.values():
                yield from part(Tolerant(view))
                yield from _told(places)
    finally:
        store.close()


def _told(places: list[str]) -> Iterator[Finding]:
    found, places[:] = list(places), []
    for place in found:
        yield Finding(place, (), "is not what was written")


def _read_all(view: Reader, table: Table) -> None:
    """Reads a table, so that whatever is damaged in it is told."""
    low: Key = ()
    while found := view.scan(table, low, table.schema.end, limit=SLICE):
        low = behind(found[-1][0])
        if table.schema.may_be_missing:  # which a scan does not look at
            view.get_all(table, [key for key, _ in found])


@contextmanager
def _connected(dsn: str) -> Iterator[Connection]:
    connection: Connection | None = None
    try:
        connection = Connection(dsn, name="bimip store")
        yield connection
    except (LostConnectionError, FailedStatementError) as error:
        raise StorageError(f"the database cannot be used: {error}") from error
    finally:
        if connection is not None:
            connection.close()
