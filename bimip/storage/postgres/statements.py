# ruff: noqa: S608 - what a statement is made of stands in these files
"""What is said to PostgreSQL of each table, log and index, and how what goes with it is packed.

Each has a relation of its own, in the schema `bimip`. A key is the bytes of keys.py, which sort as its tuple does: so a
scan is a range of the primary key, and its first four bytes say whose a record is, where its table has a user or a
conversation first. A record is the bytes of packing.py with their seal. Of a log and of an index each record is a row,
under its number or in the order of its numbers: a block of many would be written anew for each that comes.

Many records are arrays: a batch is a statement for each relation that it touches, and a question for many keys is one.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple

from bimip.domain.core.records import Index, Kind, LogTable, Table
from bimip.storage.keys import KINDS

_BYTES_OID: Final = 17
_LONG_OID: Final = 20
_LENGTH = Struct(">i")
_ARRAY = Struct(">5i")  # dimensions, whether there are nulls, the elements' type, their count, the first one's number
_LONG = Struct(">q")
_LONG_ELEMENT = Struct(">iq")
MOST: Final = 2**63 - 1


class Statement(NamedTuple):
    """A statement that each connection prepares once, under its name."""

    name: str
    sql: str


def pack_long(value: int) -> bytes:
    """A number as PostgreSQL has it; what lies beyond is the last that it has."""
    return _LONG.pack(max(-MOST, min(value, MOST)))


def pack_longs(values: Sequence[int]) -> bytes:
    packed = map(_LONG_ELEMENT.pack, (8,) * len(values), values)
    return _ARRAY.pack(1, 0, _LONG_OID, len(values), 1) + b"".join(packed)


def pack_all(values: Sequence[bytes]) -> bytes:
    """Makes an array of bytes."""
    lengths = map(_LENGTH.pack, map(len, values))
    return _ARRAY.pack(1, 0, _BYTES_OID, len(values), 1) + b"".join(
        chain.from_iterable(zip(lengths, values, strict=True))
    )


def read_long(packed: bytes | None) -> int | None:
    return None if packed is None else _LONG.unpack(packed)[0]


def relation(kind: Kind) -> str:
    return f'bimip."{kind.value}"'


def _each(kinds: Iterable[Kind], name: str, sql: str) -> dict[Kind, Statement]:
    """A statement for each; `{it}` is the relation."""
    return {kind: Statement(f"{name} {kind.value}", sql.format(it=relation(kind))) for kind in kinds}


GET = _each(Table, "get", "SELECT record FROM {it} WHERE key = $1::bytea")
GET_ALL = _each(Table, "get all", "SELECT key, record FROM {it} WHERE key = ANY ($1::bytea[])")
_RANGE = "FROM {it} WHERE key >= $1::bytea AND key < $2::bytea ORDER BY key"
SCAN = {
    False: _each(Table, "scan", f"SELECT key, record {_RANGE} LIMIT $3::bigint"),
    True: _each(Table, "scan down", f"SELECT key, record {_RANGE} DESC LIMIT $3::bigint"),
}
"""Up, and down."""
READ = _each(
    LogTable,
    "read",
    "SELECT number, record FROM {it} WHERE key = $1::bytea AND number > $2::bigint ORDER BY number LIMIT $3::bigint",
)
HEADS = _each(
    LogTable,
    "heads",
    "SELECT (SELECT number FROM {it} WHERE key = asked.key ORDER BY number DESC LIMIT 1)"
    " FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (key, place) ORDER BY place",
)
_ROWS = "SELECT row FROM {it} WHERE key = $1::bytea AND row >= $2::bytea AND row < $3::bytea ORDER BY row"
FIND = {
    False: _each(Index, "find", f"{_ROWS} LIMIT $4::bigint"),
    True: _each(Index, "find down", f"{_ROWS} DESC LIMIT $4::bigint"),
}

PUT = _each(
    Table,
    "put",
    "INSERT INTO {it} (key, record) SELECT * FROM unnest($1::bytea[], $2::bytea[])"
    " ON CONFLICT (key) DO UPDATE SET record = EXCLUDED.record",
)
DELETE = _each(Table, "delete", "DELETE FROM {it} WHERE key = ANY ($1::bytea[])")
APPEND = _each(
    LogTable,
    "append",
    "INSERT INTO {it} (key, number, record) SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[])",
)
CUT = _each(
    LogTable,
    "cut",
    "DELETE FROM {it} AS kept USING unnest($1::bytea[], $2::bigint[]) AS cut (key, below)"
    " WHERE kept.key = cut.key AND kept.number < cut.below",
)
INSERT = _each(
    Index,
    "insert",
    "INSERT INTO {it} (key, row) SELECT * FROM unnest($1::bytea[], $2::bytea[]) ON CONFLICT DO NOTHING",
)
OFFSET_BYTES: Final = 8
"""Of an index's row, the last ones: the offset by which it is trimmed."""
TRIM = _each(
    Index,
    "trim",
    "DELETE FROM {it} WHERE key = $1::bytea AND row < coalesce("
    "(SELECT row FROM {it} WHERE key = $1::bytea"
    f" AND substring(row FROM octet_length(row) - {OFFSET_BYTES - 1}) >= $2::bytea ORDER BY row LIMIT 1), $3::bytea)",
)

BEGIN = Statement("begin", "BEGIN")
COMMIT = Statement("commit", "COMMIT")

MAKE: dict[Kind, str] = {
    kind: f"CREATE TABLE {relation(kind)} ({columns})"
    for kinds, columns in (
        (Table, "key bytea PRIMARY KEY, record bytea NOT NULL"),
        (LogTable, "key bytea, number bigint, record bytea NOT NULL, PRIMARY KEY (key, number)"),
        (Index, "key bytea, row bytea, PRIMARY KEY (key, row)"),
    )
    for kind in KINDS
    if isinstance(kind, kinds)
}
"""Makes a kind's relation."""
KEEP_PLAIN: dict[Kind, str] = {
    table: f"ALTER TABLE {relation(table)} ALTER COLUMN record SET STORAGE EXTERNAL"
    for table in (Table.BODIES, Table.ADDRESSED)
}
"""Large records are not compressed: most are not legible to the server, and it costs processor time."""
