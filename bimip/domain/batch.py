"""What has been decided and is not on disk yet, as a view over what is.

Every decision of a batch is made against the last snapshot plus the decisions before it. A refused one leaves no trace.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from bimip.domain.ids import UserId, Version
from bimip.domain.operations import Operation, Result
from bimip.domain.records import Changes, Key, Reader, ReceiptKey, Runs, Sequence, Table

_MISSING = object()


Put = tuple[Table, Key, Any]
"""A table, a key and the record; None as record: delete. Plain tuples, because each message makes a dozen."""

Grow = tuple[Sequence, Key, int, Any]
"""A sequence, its key, the number and the record."""

Cut = tuple[Sequence, Key, int]
"""A sequence, its key, and the number below which everything goes."""


class StateNews(NamedTuple):
    """A change of a user's shadow state, for those of their devices that are connected: only what is new."""

    user: UserId
    version: Version
    key: ReceiptKey
    runs: Runs


class Decision(NamedTuple):
    result: Result
    puts: tuple[Put, ...] | list[Put] = ()
    grows: tuple[Grow, ...] | list[Grow] = ()
    cuts: tuple[Cut, ...] = ()
    news: tuple[StateNews, ...] | list[StateNews] = ()
    then: Operation | None = None  # the rest of a long operation, to be decided in a later batch


class Batch:
    """Implements Reader."""

    def __init__(self, base: Reader, known: Mapping[Table, dict[Key, Any]] | None = None) -> None:
        """`known` are records of the base that are in memory already. What is read of these tables joins them."""
        self.changes = Changes()
        self.news: list[StateNews] = []
        self._base = base
        self._known = known or {}

    def absorb(self, decision: Decision) -> None:
        puts = self.changes.puts
        for table, key, record in decision.puts:
            if table in puts:
                puts[table][key] = record
            else:
                puts[table] = {key: record}
        if decision.grows:
            appends = self.changes.appends
            for sequence, key, number, record in decision.grows:
                appends.setdefault((sequence, key), []).append((number, record))
        if decision.cuts:
            for sequence, key, below in decision.cuts:
                self.changes.cuts[sequence, key] = below
        if decision.news:
            self.news.extend(decision.news)

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - each table has its own record
        records = self.changes.puts.get(table)
        if records is not None:
            record = records.get(key, _MISSING)
            if record is not _MISSING:
                return record
        known = self._known.get(table)
        if known is None:
            return self._base.get(table, key)
        record = known.get(key)
        if record is None:
            record = self._base.get(table, key)
            if record is not None:
                known[key] = record
        return record

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        pending = {k: r for k, r in self.changes.puts.get(table, {}).items() if low <= k < high}
        deleted = sum(record is None for record in pending.values())
        found = dict(self._base.scan(table, low, high, limit=limit + deleted, reverse=reverse))
        found.update(pending)
        return [(key, found[key]) for key in sorted(found, reverse=reverse) if found[key] is not None][:limit]

    def read(self, sequence: Sequence, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
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
