# ruff: noqa: S608 - what a statement is made of stands in these files
"""The database's schema: what is made in it, which one this program needs, and how an earlier one becomes that.

All of it lies in the schema `bimip`. A relation for each kind comes from the schema page (domain/core/schema.py); the
one row of `bimip.about` says of which format the records are (storage/format.py), of which *layout* the relations,
which server may write, and what was served last. Only `bimip store migrate` changes any of it: a server that finds
another format or layout than its own, or a relation missing, says so and does not start.
"""

from typing import Final, NamedTuple

from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.storage.format import EARLIER, FORMAT
from bimip.storage.keys import KINDS
from bimip.storage.postgres.connection import Connection, FailedStatementError
from bimip.storage.postgres.statements import BEGIN, COMMIT, KEEP_PLAIN, MAKE, Statement, pack_long, read_long

LAYOUT: Final = 1
SECONDS: Final = 60.0
"""A migration may take as long: each statement of it, once it began."""
TAKEN_OVER: Final = "BM001"
"""The state of an error that `bimip.count_commit` raises: another server has begun to write since."""

_BASE: Final = (
    """CREATE TABLE bimip.about (
        single boolean PRIMARY KEY DEFAULT true CHECK (single),
        format bigint NOT NULL,
        layout bigint NOT NULL,
        writer bigint NOT NULL DEFAULT 0,
        opening bigint NOT NULL DEFAULT 0,
        commits bigint NOT NULL DEFAULT 0,
        home text NOT NULL DEFAULT '',
        put_back text NOT NULL DEFAULT ''
    ) WITH (fillfactor = 10)""",
    # In every transaction: the row's lock is what whoever takes over waits for, and finds the commit counted or not.
    f"""CREATE FUNCTION bimip.count_commit(server bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE counted bigint;
        BEGIN
            UPDATE bimip.about SET commits = commits + 1 WHERE writer = server RETURNING commits INTO counted;
            IF counted IS NULL THEN
                RAISE EXCEPTION 'another server writes to this database now' USING ERRCODE = '{TAKEN_OVER}';
            END IF;
            RETURN counted;
        END $$""",
)
STEPS: Final[dict[int, tuple[str, ...]]] = {1: _BASE}
"""What leads from the layout before to each. Relations of kinds that are missing are made behind them."""

_IS_MADE = Statement("is made", "SELECT (to_regclass('bimip.about') IS NOT NULL)::int::bigint")
_READ = Statement("read schema", "SELECT format, layout FROM bimip.about")
_RELATIONS = Statement(
    "relations",
    "SELECT c.relname::bytea FROM pg_class c WHERE c.relnamespace = 'bimip'::regnamespace AND relkind = 'r'",
)
_MAKE_SCHEMA = Statement("make schema", "CREATE SCHEMA IF NOT EXISTS bimip")
_MAKE_ABOUT = Statement("make about", "INSERT INTO bimip.about (format, layout) VALUES ($1::bigint, $2::bigint)")
_RAISE = Statement("raise", "UPDATE bimip.about SET format = $1::bigint, layout = $2::bigint")


class Version(NamedTuple):
    format: int
    layout: int

    def __str__(self) -> str:
        return f"format {self.format}, layout {self.layout}"


NEEDED: Final = Version(FORMAT, LAYOUT)


def read_version(connection: Connection, seconds: float) -> Version | None:
    """Tells which schema a database has; None: none. Raises as the connection does."""
    (made,) = connection.run([(_IS_MADE, ())], seconds)
    if not read_long(made.get_value(0, 0)):
        return None
    (found,) = connection.run([(_READ, ())], seconds)
    if not found.ntuples:
        return None
    return Version(*(read_long(found.get_value(0, column)) or 0 for column in (0, 1)))


def refuse_another(connection: Connection, seconds: float) -> None:
    """Raises StoreDamagedError where a database has not the schema that this program needs."""
    found = read_version(connection, seconds)
    if found is None:
        raise StorageError("the database has no schema of BIMIP yet: run `bimip store migrate` once")
    _refuse_unusable(found)
    if found != NEEDED or missing_relations(connection, seconds):
        raise StorageError(
            f"the database has {found}, and this program needs {NEEDED}: back it up, and run `bimip store migrate`"
        )


def missing_relations(connection: Connection, seconds: float) -> list[str]:
    (found,) = connection.run([(_RELATIONS, ())], seconds)
    there = {(found.get_value(row, 0) or b"").decode() for row in range(found.ntuples)}
    return [kind.value for kind in KINDS if kind.value not in there]


def migrate(connection: Connection) -> tuple[Version | None, Version]:
    """Makes the schema that this program needs, in one transaction. Returns the one before, and the one that is there.

    The caller holds the lock of who writes. Raises StoreDamagedError, StorageError, and as the connection does.
    """
    before = read_version(connection, SECONDS)
    if before is not None:
        _refuse_unusable(before)
        if before.format != FORMAT and before.format not in EARLIER:
            raise StoreDamagedError(f"the database has {before}: it is too old; run the bimip that wrote it")
    steps = [sql for layout, step in STEPS.items() if layout > (before.layout if before else 0) for sql in step]
    made = [_MAKE_SCHEMA] if before is None else []
    made += [Statement(f"step {number}", sql) for number, sql in enumerate(steps)]
    missing = missing_relations(connection, SECONDS) if before else [kind.value for kind in KINDS]
    made += [Statement(f"make {kind.value}", sql) for kind, sql in MAKE.items() if kind.value in missing]
    made += [Statement(f"keep {kind.value}", sql) for kind, sql in KEEP_PLAIN.items()]
    version = (_MAKE_ABOUT if before is None else _RAISE, [*map(pack_long, NEEDED)])
    try:
        connection.run([(BEGIN, ()), *((one, ()) for one in made), version, (COMMIT, ())], SECONDS)
    except FailedStatementError as error:
        raise StorageError(f"the schema cannot be made: {error}") from error
    return before, NEEDED


def _refuse_unusable(found: Version) -> None:
    if found.format < 0:
        raise StoreDamagedError(
            "the database holds a copy that was not finished: DROP SCHEMA bimip CASCADE, run `bimip store migrate`, and"
            " copy again"
        )
    if found.format > NEEDED.format or found.layout > NEEDED.layout:
        raise StoreDamagedError(
            f"the database has {found}, this program {NEEDED}: a later bimip migrated it; run that one,"
            " or restore a backup that was made before"
        )
