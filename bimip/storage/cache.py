"""The records that the journal reads again and again, as they are on disk.

The journal is the only writer, so what it read or wrote stays true until it writes again; after a failed commit it
starts over with nothing. Only small records that each message touches are kept: heads, cursors, conversations,
receipts in work.
"""

from collections.abc import Mapping
from typing import Any, Final

from bimip.domain.records import Changes, Key, Reader, Table

LIMITS: Final[Mapping[Table, int]] = {
    Table.USERS: 20_000,
    Table.DIRECT: 20_000,
    Table.CONVERSATIONS: 20_000,
    Table.LOGS: 20_000,
    Table.CURSORS: 20_000,
    Table.STATES: 20_000,
    Table.STORED: 20_000,
    Table.VERSIONS: 20_000,
    Table.RECEIPTS: 1_000,  # a block has up to 256 runs
}
"""Records kept of each table; beyond it the table's are forgotten, and read again as they are needed."""


class RecordCache:
    def __init__(self) -> None:
        self._tables: dict[Table, dict[Key, Any]] = {table: {} for table in LIMITS}

    def over(self, base: Reader) -> "CachedReader":
        """A snapshot, with what is known of it."""
        return CachedReader(base, self._tables)

    def committed(self, changes: Changes) -> None:
        """These are on disk now."""
        for table, records in self._tables.items():
            changed = changes.puts.get(table)
            if changed:
                records.update(changed)
            if len(records) > LIMITS[table]:
                records.clear()

    def clear(self) -> None:
        for records in self._tables.values():
            records.clear()


class CachedReader:
    """Implements Reader."""

    def __init__(self, base: Reader, tables: Mapping[Table, dict[Key, Any]]) -> None:
        self._base = base
        self._tables = tables
        self.scan = base.scan
        self.read = base.read

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - each table has its own record
        records = self._tables.get(table)
        if records is None:
            return self._base.get(table, key)
        record = records.get(key)
        if record is None:
            record = self._base.get(table, key)
            if record is not None:
                records[key] = record
        return record
