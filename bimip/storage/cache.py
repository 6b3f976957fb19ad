"""What the journal reads again and again, as it is on disk, or will be when the batch in work is.

The journal is the only writer, so what it read or decided stays true until it decides again; after a failed commit it
starts over with nothing. Only small records that each message touches are kept: heads, cursors, conversations,
receipts in work, and the newest entries, which acknowledgements ask for a moment after they were written.
"""

from collections.abc import Mapping
from typing import Any, Final

from bimip.domain.records import Changes, Key, LogTable, Reader, Table

LIMITS: Final[Mapping[Table, int]] = {
    Table.USERS: 20_000,
    Table.DIRECT: 20_000,
    Table.CONVERSATIONS: 20_000,
    Table.LOGS: 20_000,
    Table.CURSORS: 20_000,
    Table.STATES: 20_000,
    Table.USAGE: 20_000,
    Table.VERSIONS: 20_000,
    Table.RECEIPTS: 10_000,  # each has up to receipts.PART runs
}
"""Records kept of each table; beyond it the table's are forgotten, and read again as they are needed."""

ENTRIES = 20_000
"""Entries kept of all logs together; beyond it only the newest batch's."""

Tails = dict[tuple[LogTable, Key], list[tuple[int, Any]]]
"""The ends of logs: all entries from some number on."""


class RecordCache:
    def __init__(self) -> None:
        self.records: dict[Table, dict[Key, Any]] = {table: {} for table in LIMITS}
        """For a Batch to look into and add to."""
        self._tails: Tails = {}
        self._entries = 0

    def over(self, base: Reader) -> "TailReader":
        """A snapshot, with the entries that are known of it."""
        for table, records in self.records.items():
            if len(records) > LIMITS[table]:
                records.clear()
        return TailReader(base, self._tails)

    def committed(self, changes: Changes) -> None:
        """These are on disk now. What they put is known: the Batch that decided it wrote it here."""
        if self._entries > ENTRIES:
            self._forget_entries()
        for place, added in changes.appends.items():
            if place[0] is LogTable.ENTRIES:
                self._entries += len(added)
                self._tails.setdefault(place, []).extend(added)
        for place in changes.cuts:
            self._tails.pop(place, None)

    def clear(self) -> None:
        for records in self.records.values():
            records.clear()
        self._forget_entries()

    def _forget_entries(self) -> None:
        self._tails.clear()
        self._entries = 0


class TailReader:
    """Implements Reader."""

    def __init__(self, base: Reader, tails: Tails) -> None:
        self._base = base
        self._tails = tails
        self.get = base.get
        self.get_all = base.get_all
        self.scan = base.scan
        self.find = base.find
        self.salvage = base.salvage

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        tail = self._tails.get((sequence, key))
        if tail:
            skip = after + 1 - tail[0][0]
            if skip >= 0:
                return tail[skip : skip + limit]
        return self._base.read(sequence, key, after, limit=limit)
