"""The store that defines how a store behaves, in dictionaries.

It ships, so that users test with it and the simulation runs on it: a commit is what survives `crash`.

Snapshots cost nothing until a commit meets one: then the commit copies everything and leaves the old state to those
who still read it. As a snapshot is short by contract, that is rare, and a commit otherwise changes its state in place.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, TypeVar

from bimip.domain.core.ids import ConversationId, Stamp
from bimip.domain.core.records import Changes, Index, IndexRow, Key, LogTable, Table
from bimip.storage.damage import Damage
from bimip.storage.errors import StorageError, StoreFullError
from bimip.storage.interface import ReadCounts, StoreStatistics

T = TypeVar("T", Key, IndexRow)

_NUMBER_BYTES = 4


class _State:
    """One committed state: a Reader."""

    def __init__(self, reads: ReadCounts) -> None:
        self.readers = 0
        self.reads = reads
        self.records: dict[Table, dict[Key, Any]] = {table: {} for table in Table}
        self.order: dict[Table, list[Key]] = {table: [] for table in Table}
        self.runs: dict[tuple[LogTable, Key], tuple[int, list[Any]]] = {}  # the first's number, the records
        self.rows: dict[tuple[Index, Key], list[IndexRow]] = {}  # ascending

    def copy(self) -> "_State":
        copy = _State(self.reads)
        copy.records = {table: dict(records) for table, records in self.records.items()}
        copy.order = {table: list(order) for table, order in self.order.items()}
        copy.runs = {key: (first, list(run)) for key, (first, run) in self.runs.items()}
        copy.rows = {place: list(rows) for place, rows in self.rows.items()}
        return copy

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - as Reader has it
        self.reads.records += 1
        return self.records[table].get(key)

    def get_all(self, table: Table, keys: Iterable[Key]) -> list[Any]:
        found = list(map(self.records[table].get, keys))
        self.reads.records += len(found)
        return found

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        records = self.records[table]
        found = [(key, records[key]) for key in _between(self.order[table], low, high, limit, reverse=reverse)]
        self.reads.records += len(found)
        return found

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        first, run = self.runs.get((sequence, key), (1, []))
        start = max(0, after + 1 - first)
        found = list(enumerate(run[start : start + limit], first + start))
        self.reads.entries += len(found)
        return found

    def read_packed(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, list[Any]]]:
        found = self.read(sequence, key, after, limit=limit)
        return [(found[0][0], [record for _, record in found])] if found else []

    def salvage(self, sequence: LogTable, key: Key, after: int, *, limit: int, upto: int) -> list[tuple[int, Any]]:  # noqa: ARG002 - as Reader has it
        return self.read(sequence, key, after, limit=limit)  # memory keeps what it was given

    def find(
        self, index: Index, key: Key, low: IndexRow, high: IndexRow, *, limit: int, reverse: bool = False
    ) -> list[IndexRow]:
        found = _between(self.rows.get((index, key), []), low, high, limit, reverse=reverse)
        self.reads.rows += len(found)
        return found

    def head(self, place: tuple[LogTable, Key]) -> int | None:
        """The newest number that is there; None when there is none."""
        if place not in self.runs:
            return None
        first, run = self.runs[place]
        return first + len(run) - 1

    def change(self, changes: Changes) -> None:
        for table, records in changes.puts.items():
            for key, record in records.items():
                self._put(table, key, record)
        for place, added in changes.appends.items():
            if added:
                _, run = self.runs.setdefault(place, (added[0][0], []))
                run.extend(record for _, record in added)
        for place, below in changes.cuts.items():
            self._cut(place, below)
        for index_key, inserted in changes.inserts.items():
            _insert(self.rows.setdefault(index_key, []), inserted)
        for index_key, below in changes.trims.items():
            _trim(self.rows.get(index_key, []), below)

    def _put(self, table: Table, key: Key, record: object) -> None:
        records = self.records[table]
        if record is not None:
            if key not in records:
                insort(self.order[table], key)
            records[key] = record
        elif key in records:
            del records[key]
            del self.order[table][bisect_left(self.order[table], key)]

    def _cut(self, place: tuple[LogTable, Key], below: int) -> None:
        first, run = self.runs.get(place, (1, []))
        kept = run[max(0, below - first) :]
        if kept:
            self.runs[place] = (max(first, below), kept)
        else:
            self.runs.pop(place, None)


def _between(order: list[T], low: T, high: T, limit: int, *, reverse: bool) -> list[T]:
    start, stop = bisect_left(order, low), bisect_left(order, high)
    return order[max(start, stop - limit) : stop][::-1] if reverse else order[start : min(stop, start + limit)]


def _insert(rows: list[IndexRow], added: list[IndexRow]) -> None:
    for row in added:
        at = bisect_left(rows, row)
        if rows[at : at + 1] != [row]:
            rows.insert(at, row)


def _trim(rows: list[IndexRow], below: int) -> None:
    kept = (at for at, row in enumerate(rows) if row[-1] >= below)
    del rows[: next(kept, len(rows))]


def _size_of(value: object) -> int:
    """About how many bytes a key or a record takes: what any store needs at least, in whatever form it keeps them."""
    if isinstance(value, tuple):
        return sum(map(_size_of, value))
    if isinstance(value, bytes):
        return len(value)
    return len(value.encode()) if isinstance(value, str) else _NUMBER_BYTES


class MemoryStore:
    is_remote = False

    def __init__(self, *, quota_bytes: int = 0) -> None:
        """A quota makes every `apply` count everything that is stored, so it is for tests of small stores."""
        self.damage = Damage()
        self.read_counts = ReadCounts()
        self._quota_bytes = quota_bytes
        self._state = _State(self.read_counts)
        self._open: list[Changes] | None = None
        self._heads: dict[tuple[LogTable, Key], int] = {}  # where the open transaction's appends ended
        self._broken = False
        self._closed = False
        self.put_back = ""
        """Set by those who put an older state in place."""
        self.newest_served = Stamp(0)
        self.newest_conversation = ConversationId(0)
        self._lock = Lock()  # between a commit and those who take or leave a snapshot in other threads

    @contextmanager
    def snapshot(self) -> Iterator[_State]:
        self._check_not_closed()
        with self._lock:
            state = self._state
            state.readers += 1
        try:
            yield state
        finally:
            with self._lock:
                state.readers -= 1

    def settle(self) -> None:
        self._check_not_closed()

    def begin(self) -> None:
        self._check_not_closed()
        if self._open is not None:
            raise RuntimeError("a transaction is open already")
        self._open = []

    def apply(self, changes: Changes) -> None:
        if self._open is None or self._broken:
            raise RuntimeError("no transaction is open that could take changes")
        self._broken = True  # until all of it went well
        if changes.needs_room and not self.has_room():
            raise StoreFullError(f"the store's quota of {self._quota_bytes} bytes is used up")
        for place, added in changes.appends.items():
            self._check_appends(place, [number for number, _ in added])
        self._open.append(changes)
        self._broken = False

    def _check_appends(self, place: tuple[LogTable, Key], numbers: list[int]) -> None:
        if not numbers:
            return
        head = self._heads.get(place, self._state.head(place))
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))) or head not in {None, numbers[0] - 1}:
            raise ValueError(f"{place} ends at {head} and cannot go on with {numbers[0]} … {numbers[-1]}")
        self._heads[place] = numbers[-1]

    def commit(self) -> None:
        if self._open is None or self._broken:
            raise RuntimeError("no transaction is open that could be committed")
        with self._lock:
            state = self._state.copy() if self._state.readers else self._state
            for changes in self._open:
                state.change(changes)
            self._state = state
        self.put_back = ""
        self.abort()

    def abort(self) -> None:
        self._open = None
        self._heads = {}
        self._broken = False

    def close(self) -> None:
        self.abort()
        self._closed = True

    def crash(self) -> None:
        """Leaves what a killed process does: the open transaction is gone, and the store waits for `reopen`."""
        self.close()

    def reopen(self) -> None:
        """Reopens the store: what was committed is there again, also after `close` or `crash`."""
        self.close()
        self._closed = False

    def has_room(self) -> bool:
        return not self._quota_bytes or self._used_bytes() < self._quota_bytes

    def statistics(self) -> StoreStatistics:
        used = self._used_bytes()
        return StoreStatistics(used, used, 0, self._quota_bytes)

    def _used_bytes(self) -> int:
        state = self._state
        used = 0
        for records in state.records.values():
            used += sum(_size_of(key) + _size_of(record) for key, record in records.items())
        for _, run in state.runs.values():
            used += len(run) * _size_of(run[0])  # each of a log is as long as the others
        for rows in state.rows.values():
            used += len(rows) * _size_of(rows[0]) if rows else 0
        return used

    def _check_not_closed(self) -> None:
        if self._closed:
            raise StorageError("the store is closed")
