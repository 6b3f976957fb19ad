"""Changes as statements: one for each relation and what is done there, whatever the number of records.

Keys are sorted, so that rows which lie together are touched together.
"""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Any, TypeVar

from bimip.domain.core.records import Changes, Key, Kind, LogTable, Table
from bimip.storage.keys import PACK as PACK_KEY
from bimip.storage.keys import PACK_ALL as PACK_KEYS
from bimip.storage.packing import PACK_ALL
from bimip.storage.postgres.connection import Call
from bimip.storage.postgres.rows import LOGS, ROWS, offset_bound
from bimip.storage.postgres.statements import (
    APPEND,
    CUT,
    DELETE,
    INSERT,
    PUT,
    TRIM,
    pack_all,
    pack_longs,
)
from bimip.storage.seals import seal_all

Which = TypeVar("Which", bound=Kind)
What = TypeVar("What")


def calls_of(changes: Changes) -> Iterator[Call]:
    """Puts, then appends, cuts, inserts and trims."""
    for table, records in changes.puts.items():
        yield from _put(table, records)
    for log, runs in by_kind(changes.appends).items():
        yield _append(log, runs)
    for log, cuts in by_kind(changes.cuts).items():
        yield CUT[log], (pack_all([*PACK_KEYS[log](cuts)]), pack_longs([*cuts.values()]))
    for index, inserted in by_kind(changes.inserts).items():
        places = sorted((PACK_KEY[index](key), row) for key, rows in inserted.items() for row in ROWS[index].pack(rows))
        yield INSERT[index], (pack_all([key for key, _ in places]), pack_all([row for _, row in places]))
    for (index, key), below in changes.trims.items():
        yield TRIM[index], (PACK_KEY[index](key), offset_bound(below), ROWS[index].end)


def _put(table: Table, records: Mapping[Key, Any]) -> Iterator[Call]:
    gone = [key for key, record in records.items() if record is None]
    if gone:
        yield DELETE[table], (pack_all(sorted(PACK_KEYS[table](gone))),)
        records = {key: record for key, record in records.items() if record is not None}
    if records:
        packed = zip(PACK_KEYS[table](records), PACK_ALL[table](records.values()), strict=True)
        rows = sorted(seal_all(packed))
        yield PUT[table], (pack_all([key for key, _ in rows]), pack_all([sealed for _, sealed in rows]))


def _append(log: LogTable, runs: Mapping[Key, list[tuple[int, Any]]]) -> Call:
    pack, keys, numbers, records = LOGS[log].pack, list[bytes](), list[int](), list[bytes]()
    for key, run in sorted(((PACK_KEY[log](key), run) for key, run in runs.items()), key=itemgetter(0)):
        keys += [key] * len(run)
        numbers += [number for number, _ in run]
        records += pack(key, run)
    return APPEND[log], (pack_all(keys), pack_longs(numbers), pack_all(records))


def by_kind(changes: Mapping[tuple[Which, Key], What]) -> dict[Which, dict[Key, What]]:
    """Groups changes by log or index; those to which nothing comes are left out."""
    found: dict[Which, dict[Key, What]] = {}
    for (kind, key), change in changes.items():
        if change:
            found.setdefault(kind, {})[key] = change
    return found
