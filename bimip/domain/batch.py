"""What has been decided and is not on disk yet, as a view over what is.

Every decision of a batch is made against the last snapshot plus the decisions before it. A refused one leaves no trace.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from bimip.domain.ids import Offset, UserId, Version
from bimip.domain.operations import Operation, Result
from bimip.domain.records import Changes, Entry, Index, IndexRow, Key, LogTable, Reader, ReceiptKey, Runs, Table

_MISSING = object()


Put = tuple[Table, dict[Key, Any]]
"""Records of a table by their keys; None as record: delete."""

LogAppend = tuple[LogTable, Key, list[tuple[int, Any]]]
"""A sequence, its key, and the records with their numbers, which follow each other."""

Cut = tuple[LogTable, Key, int]
"""A sequence, its key, and the number below which everything goes."""


Insert = tuple[Index, Key, list[IndexRow]]
"""An index, its key and the rows."""

Trim = tuple[Index, Key, int]
"""An index, its key, and the offset below which its lowest rows go."""


class LogNews(NamedTuple):
    """Entries that a user's log grew by, for those of their devices that are connected."""

    user: UserId
    partition: str
    first: Offset
    entries: list[Entry]  # by one device, and all addressed or none
    bodies: list[bytes]  # of each its stored form


class StateNews(NamedTuple):
    """A change of a user's shadow state, for those of their devices that are connected: only what is new."""

    user: UserId
    version: Version
    key: ReceiptKey
    change: Runs


News = LogNews | StateNews
"""What a decision tells once it is on disk. Each names the user whom it concerns, and is told by its class."""


class Writes(NamedTuple):
    """The writes of a decision. A batch takes the lists over, and lengthens them."""

    puts: Sequence[Put] = ()
    appends: Sequence[LogAppend] = ()
    inserts: Sequence[Insert] = ()
    cuts: Sequence[Cut] = ()
    trims: Sequence[Trim] = ()


NOTHING = Writes()


class Decision(NamedTuple):
    """A rule makes this of an operation."""

    result: Result
    writes: Writes = NOTHING
    news: Sequence[News] = ()
    then: Operation | None = None  # the rest of a long operation, to be decided in a later batch
    needs_room: bool = False  # it makes the store grow: a full one refuses it


class Batch:
    """Implements Reader."""

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
