"""What the journal decides against: what is on disk, what has been decided since, and what it reads again and again.

Every decision of a batch is made against the last snapshot plus the decisions before it. A refused one leaves no trace.

The journal is the only writer, so what it read or decided stays true until it decides again; after a failed commit it
starts over with nothing. Only small records that each message touches are kept: heads, cursors, conversations,
receipts in work, and the newest entries, which acknowledgements ask for a moment after they were written.
"""

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from bimip.domain.core.decision import Decision, Insert, LogAppend, News
from bimip.domain.core.records import Changes, Index, IndexRow, Key, LogTable, Reader, Table

_MISSING = object()
_RECORD = itemgetter(1)

LIMITS: Final[Mapping[Table, int]] = {table: table.schema.cached for table in Table if table.schema.cached}
"""Records kept of each table; beyond it the table's are forgotten, and read again as they are needed."""

TAILS: Final = {log for log in LogTable if log.schema.cached}
"""Logs of which the ends are kept."""
ENTRIES = LogTable.ENTRIES.schema.cached
"""Entries kept of all logs together; beyond it only the newest batch's."""

Tails = dict[tuple[LogTable, Key], list[tuple[int, Any]]]
"""The ends of logs: all entries from some number on."""


class RecordCache:
    def __init__(self) -> None:
        self.records: dict[Table, dict[Key, Any]] = {table: {} for table in LIMITS}
        """For an Overlay to look into and add to."""
        self._tails: Tails = {}
        self._entries = 0

    def over(self, base: Reader) -> "TailReader":
        """A snapshot, with the entries that are known of it."""
        for table, records in self.records.items():
            if len(records) > LIMITS[table]:
                records.clear()
        return TailReader(base, self._tails)

    def committed(self, changes: Changes) -> None:
        """These are on disk now. What they put is known: the Overlay that decided it wrote it here."""
        if self._entries > ENTRIES:
            self._forget_entries()
        for place, added in changes.appends.items():
            if place[0] in TAILS:
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

    def read_packed(
        self, sequence: LogTable, key: Key, after: int, *, limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        tail = self._tails.get((sequence, key))
        if tail:
            skip = after + 1 - tail[0][0]
            if skip >= 0:
                found = tail[skip : skip + limit]
                return [(after + 1, list(map(_RECORD, found)))] if found else []  # no call more for each ack
        return self._base.read_packed(sequence, key, after, limit=limit)


class Overlay:
    """A view of what is on disk with what has been decided on top of it: a Reader. It gathers the changes and the news
    of one batch.
    """

    def __init__(self, base: Reader, known: Mapping[Table, dict[Key, Any]] | None = None) -> None:
        """`known` are records of the base that are in memory already, None for those that do not exist. What is read
        or decided of these tables joins them, so they are as the store will be: forget them if it never is.
        """
        self.changes = Changes()
        self.news: list[News] = []
        self._base = base
        self._known = known or {}

    def absorb(self, decision: Decision) -> None:
        decided, appends, inserts, cuts, trims = decision.writes
        puts, known = self.changes.puts, self._known
        for table, records in decided:
            if table in puts:
                puts[table].update(records)
            else:
                puts[table] = records
            if table in known:
                known[table].update(records)
        self.news += decision.news
        if appends or inserts:
            self._lengthen(appends, inserts)
        if decision.needs_room:
            self.changes.needs_room = True
        if cuts or trims:
            self.changes.cuts.update({(sequence, key): below for sequence, key, below in cuts})
            self.changes.trims.update({(index, key): below for index, key, below in trims})

    def _lengthen(self, appends: Iterable[LogAppend], inserts: Iterable[Insert]) -> None:
        pending = self.changes.appends
        for sequence, key, added in appends:
            place = (sequence, key)
            if place in pending:
                pending[place] += added
            else:
                pending[place] = added
        for index, key, rows in inserts:
            self.changes.inserts.setdefault((index, key), []).extend(rows)

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - each table has its own record
        known = self._known.get(table)
        if known is not None:
            record = known.get(key, _MISSING)
            if record is _MISSING:
                record = known[key] = self._base.get(table, key)
            return record
        records = self.changes.puts.get(table)
        if records is not None:
            record = records.get(key, _MISSING)
            if record is not _MISSING:
                return record
        return self._base.get(table, key)

    def get_all(self, table: Table, keys: Iterable[Key]) -> list[Any]:
        keys = list(keys)
        if table not in self._known and self.changes.puts.get(table, {}).keys().isdisjoint(keys):
            return self._base.get_all(table, keys)
        return [self.get(table, key) for key in keys]

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        pending = {k: r for k, r in self.changes.puts.get(table, {}).items() if low <= k < high}
        deleted = sum(record is None for record in pending.values())
        found = dict(self._base.scan(table, low, high, limit=limit + deleted, reverse=reverse))
        found.update(pending)
        return [(key, found[key]) for key in sorted(found, reverse=reverse) if found[key] is not None][:limit]

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        changes = self.changes
        place = (sequence, key)
        if changes.cuts:
            after = max(after, changes.cuts.get(place, 0) - 1)
        grown = changes.appends.get(place)
        if grown is None:
            return self._base.read(sequence, key, after, limit=limit)
        skip = after + 1 - grown[0][0]
        if skip >= 0:
            return grown[skip : skip + limit]
        found = self._base.read(sequence, key, after, limit=limit)
        return found + grown[: limit - len(found)] if len(found) < limit else found

    def read_packed(
        self, sequence: LogTable, key: Key, after: int, *, limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        changes = self.changes
        if changes.cuts or (sequence, key) in changes.appends:
            return _together(self.read(sequence, key, after, limit=limit))
        return self._base.read_packed(sequence, key, after, limit=limit)

    def salvage(self, sequence: LogTable, key: Key, after: int, *, limit: int, upto: int) -> list[tuple[int, Any]]:
        """Salvages from what is on disk: what is decided here is not damaged."""
        return self._base.salvage(sequence, key, after, limit=limit, upto=upto)

    def find(
        self, index: Index, key: Key, low: IndexRow, high: IndexRow, *, limit: int, reverse: bool = False
    ) -> list[IndexRow]:
        """Rows that are to be trimmed may be found still: nobody looks for them in the batch that trims them."""
        found = self._base.find(index, key, low, high, limit=limit, reverse=reverse)
        pending = [row for row in self.changes.inserts.get((index, key), ()) if low <= row < high]
        return sorted({*found, *pending}, reverse=reverse)[:limit] if pending else found


def _together(found: list[tuple[int, Any]]) -> list[tuple[int, list[Any]]]:
    return [(found[0][0], list(map(_RECORD, found)))] if found else []
