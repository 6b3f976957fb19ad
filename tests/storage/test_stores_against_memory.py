"""Random histories: whatever happens to both, LMDB and PostgreSQL answer as the memory store does."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bimip.domain.core.ids import Offset
from bimip.domain.core.records import Changes, Index, IndexRow, Key, LogTable, Reader, Seq, Table
from bimip.storage.interface import Store
from bimip.storage.lmdb.blocks import BLOCKS
from bimip.storage.lmdb.store import LmdbStore
from bimip.storage.memory import MemoryStore
from bimip.storage.postgres.store import PostgresStore
from tests.kit.postgres import Cluster
from tests.storage.strategies import KEYS, RECORDS

HIGHEST: Key = (2**70,)
TABLES = [Table.USERS, Table.BODIES, Table.SEEN, Table.CHANGES, Table.VERSIONS, Table.RECEIPTS]
TEXT_FIRST = {Table.META, Table.USERS, Table.EVENT_POSITIONS}


def all_of(table: Table) -> tuple[Key, Key]:
    return (), ("\U0010ffff" * 30,) if table in TEXT_FIRST else HIGHEST


small = st.integers(0, 3)
rows = st.builds(Seq, small | st.integers(0, 400), small, small, st.integers(0, 400))
bounds = st.integers(0, 4).flatmap(lambda length: rows.map(lambda row: row[:length])) | rows.map(lambda row: (*row, 0))


def content(
    reader: Reader, tables: Iterable[Table], places: list[tuple[LogTable, Key]], indexes: list[tuple[Index, Key]]
) -> list[Any]:
    found: list[Any] = []
    for table in tables:
        found.append(reader.scan(table, *all_of(table), limit=10_000))
        assert found[-1][::-1] == reader.scan(table, *all_of(table), limit=10_000, reverse=True)
    for place in indexes:
        found.append(reader.find(*place, (), HIGHEST, limit=10_000))
        assert found[-1][::-1] == reader.find(*place, (), HIGHEST, limit=10_000, reverse=True)
    return found + [reader.read(*place, 0, limit=10_000) for place in places]


class Both(RuleBasedStateMachine):
    looked_at: tuple[Table, ...] = tuple(Table)

    def open(self) -> Store:
        return LmdbStore(self.folder)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.model = MemoryStore()
        self.store = self.open()
        self.snapshots = ExitStack()
        self.readers: list[tuple[Reader, Reader]] = []
        self.keys: dict[Table, list[Key]] = {table: [] for table in Table}
        self.heads: dict[tuple[LogTable, Key], int] = {}  # in the open transaction, or committed
        self.committed_heads: dict[tuple[LogTable, Key], int] = {}
        self.indexes: list[tuple[Index, Key]] = []
        self.is_open = False

    @initialize(data=st.data())
    def draw_places(self, data: st.DataObject) -> None:
        for sequence in LogTable:
            for key in data.draw(st.lists(KEYS[sequence], min_size=2, max_size=3, unique=True)):
                self.heads[(sequence, key)] = self.committed_heads[(sequence, key)] = 0
        for index in Index:
            self.indexes += [
                (index, key) for key in data.draw(st.lists(KEYS[index], min_size=2, max_size=2, unique=True))
            ]

    @precondition(lambda self: not self.is_open)
    @rule()
    def begin(self) -> None:
        self.model.begin()
        self.store.begin()
        self.is_open = True

    @precondition(lambda self: self.is_open)
    @rule(data=st.data(), table=st.sampled_from(TABLES))
    def put(self, data: st.DataObject, table: Table) -> None:
        known = self.keys[table]
        key = st.sampled_from(known) if known else st.nothing()
        records = data.draw(st.dictionaries(KEYS[table] | key, st.none() | RECORDS[table], min_size=1, max_size=6))
        known += records
        self.apply(Changes(puts={table: records}))

    @precondition(lambda self: self.is_open)
    @rule(data=st.data(), count=st.integers(1, 30) | st.integers(1, 300))
    def append(self, data: st.DataObject, count: int) -> None:
        changes = Changes()
        for place in data.draw(st.sets(st.sampled_from(sorted(self.heads, key=repr)), min_size=1)):
            few = data.draw(st.lists(RECORDS[place[0]], min_size=1, max_size=3))
            records = (few * count)[:count]
            changes.appends[place] = list(enumerate(records, self.heads[place] + 1))
            self.heads[place] += count
        self.apply(changes)

    @precondition(lambda self: self.is_open)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        place = data.draw(st.sampled_from(sorted(self.heads, key=repr)))
        self.apply(Changes(cuts={place: data.draw(st.integers(0, self.heads[place] + 2))}))

    @precondition(lambda self: self.is_open)
    @rule(data=st.data(), few=st.lists(rows, min_size=1, max_size=5))
    def insert(self, data: st.DataObject, few: list[IndexRow]) -> None:
        places = data.draw(st.sets(st.sampled_from(self.indexes), min_size=1))
        self.apply(Changes(inserts=dict.fromkeys(places, few)))

    @precondition(lambda self: self.is_open)
    @rule(data=st.data(), start=rows, step=st.integers(-3, 3), count=st.integers(1, 30) | st.integers(1, 300))
    def insert_many(self, data: st.DataObject, start: Seq, step: int, count: int) -> None:
        many: list[IndexRow] = [
            start._replace(time=abs(start.time + step * number), offset=Offset(number)) for number in range(count)
        ]
        self.apply(Changes(inserts={data.draw(st.sampled_from(self.indexes)): many}))

    @precondition(lambda self: self.is_open)
    @rule(data=st.data(), below=st.integers(0, 20) | st.integers(0, 500))
    def trim(self, data: st.DataObject, below: int) -> None:
        self.apply(Changes(trims={data.draw(st.sampled_from(self.indexes)): below}))

    def apply(self, changes: Changes) -> None:
        self.model.apply(changes)
        self.store.apply(changes)

    @precondition(lambda self: self.is_open)
    @rule()
    def commit(self) -> None:
        self.model.commit()
        self.store.commit()
        self.committed_heads = dict(self.heads)
        self.is_open = False

    @rule()
    def abort(self) -> None:
        self.model.abort()
        self.store.abort()
        self.heads = dict(self.committed_heads)
        self.is_open = False

    @precondition(lambda self: len(self.readers) < 3)
    @rule()
    def take_a_snapshot(self) -> None:
        self.readers.append(
            (self.snapshots.enter_context(self.model.snapshot()), self.snapshots.enter_context(self.store.snapshot()))
        )  # the invariant asks it at once

    @rule()
    def leave_the_snapshots(self) -> None:
        self.snapshots.close()
        self.readers = []

    @precondition(lambda self: not self.is_open)
    @rule(by_closing=st.booleans())
    def reopen(self, *, by_closing: bool) -> None:
        self.leave_the_snapshots()
        if by_closing:
            self.store.close()
            self.store = self.open()
        else:
            self.store.reopen()

    @rule(data=st.data(), table=st.sampled_from(TABLES), limit=st.integers(0, 5), reverse=st.booleans())
    def scan(self, data: st.DataObject, table: Table, limit: int, *, reverse: bool) -> None:
        known = self.keys[table]
        keys = KEYS[table] | st.sampled_from(known) if known else KEYS[table]
        low, high = data.draw(keys), data.draw(keys)
        with self.model.snapshot() as model, self.store.snapshot() as store:
            for ends in ((low, high), (low[:1], high)):
                expected = model.scan(table, *ends, limit=limit, reverse=reverse)

                assert expected == store.scan(table, *ends, limit=limit, reverse=reverse)
            assert model.get(table, low) == store.get(table, low)

    @rule(data=st.data(), after=st.integers(0, 200), limit=st.integers(0, 60))
    def read(self, data: st.DataObject, after: int, limit: int) -> None:
        place = data.draw(st.sampled_from(sorted(self.heads, key=repr)))
        with self.model.snapshot() as model, self.store.snapshot() as store:
            assert model.read(*place, after, limit=limit) == store.read(*place, after, limit=limit)

    @rule(data=st.data(), low=bounds, high=bounds, limit=st.integers(0, 60), reverse=st.booleans())
    def find(self, data: st.DataObject, low: IndexRow, high: IndexRow, limit: int, *, reverse: bool) -> None:
        place = data.draw(st.sampled_from(self.indexes))
        with self.model.snapshot() as model, self.store.snapshot() as store:
            expected = model.find(*place, low, high, limit=limit, reverse=reverse)

            assert expected == store.find(*place, low, high, limit=limit, reverse=reverse)

    @invariant()
    def every_snapshot_says_the_same(self) -> None:
        places = list(self.heads)
        with self.model.snapshot() as model, self.store.snapshot() as store:
            for expected, found in (*self.readers, (model, store)):
                known = content(expected, self.looked_at, places, self.indexes)

                assert known == content(found, self.looked_at, places, self.indexes)

    def teardown(self) -> None:
        self.snapshots.close()
        self.store.close()
        shutil.rmtree(Path(self.folder))


Both.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBoth = Both.TestCase


class PostgresToo(Both):
    """The same on PostgreSQL: fewer, and of the tables those that histories write, since each question is a way."""

    cluster: Cluster
    looked_at = tuple(TABLES)

    def open(self) -> Store:
        return PostgresStore(self.dsn)

    def __init__(self) -> None:
        self.dsn = self.cluster.make_database()
        super().__init__()

    def teardown(self) -> None:
        super().teardown()
        self.cluster.give_back(self.dsn)


def test_postgres_answers_as_the_memory_store_does(postgres: Cluster) -> None:
    PostgresToo.cluster = postgres
    run_state_machine_as_test(PostgresToo, settings=settings(max_examples=15, stateful_step_count=30, deadline=None))


class Pair(NamedTuple):
    """Both stores, for many histories one after another, each under a key of its own."""

    model: MemoryStore
    store: LmdbStore
    users: Iterator[int]

    def write(self, changes: Changes) -> None:
        for store in (self.model, self.store):
            store.begin()
            store.apply(changes)
            store.commit()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    store = LmdbStore(tmp_path_factory.mktemp("pair"))
    yield Pair(MemoryStore(), store, count(1))
    store.close()


lengths = st.integers(1, 30) | st.integers(1, 300)
sections = st.builds(
    lambda start, step, length: [(at, 0, 0, at) for at in (abs(start + step * n) for n in range(length))],
    st.integers(0, 900),
    st.integers(-3, 3),
    lengths,
)
index_steps = st.lists(
    sections.map(lambda section: ("insert", section))
    | st.lists(rows, max_size=30).map(lambda rows: ("insert", rows))
    | st.integers(0, 900).map(lambda below: ("trim", below)),
    max_size=12,
)


@settings(max_examples=300, deadline=None)
@given(steps=index_steps, data=st.data())
def test_an_index_grows_in_any_order(pair: Pair, steps: list[tuple[str, Any]], data: st.DataObject) -> None:
    place = (Index.SEQS, (next(pair.users), "chat"))
    for what, value in steps:
        pair.write(Changes(inserts={place: value}) if what == "insert" else Changes(trims={place: value}))
        low, high, limit, reverse = data.draw(st.tuples(bounds, bounds, st.integers(0, 300), st.booleans()))
        with pair.model.snapshot() as model, pair.store.snapshot() as store:
            assert model.find(*place, (), HIGHEST, limit=10_000) == store.find(*place, (), HIGHEST, limit=10_000)
            expected = model.find(*place, low, high, limit=limit, reverse=reverse)

            assert expected == store.find(*place, low, high, limit=limit, reverse=reverse)


@pytest.mark.parametrize("sequence", list(LogTable))
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_sequence_grows_and_is_cut_at_any_number(pair: Pair, sequence: LogTable, data: st.DataObject) -> None:
    place = (sequence, (next(pair.users), "chat")[: 1 + (sequence is not LogTable.HISTORY)])
    chunk, full = BLOCKS[sequence].chunk, BLOCKS[sequence].full
    kinds = data.draw(st.lists(RECORDS[sequence], min_size=1, max_size=3))
    head = 0
    for _ in range(data.draw(st.integers(1, 10))):
        if data.draw(st.integers(0, 3)):
            length = data.draw(st.integers(1, 5) | st.sampled_from([chunk - 1, chunk, chunk + 1, full, full + 1]))
            kind = data.draw(st.sampled_from(kinds))
            pair.write(Changes(appends={place: [(number, kind) for number in range(head + 1, head + length + 1)]}))
            head += length
        else:
            pair.write(Changes(cuts={place: data.draw(st.integers(0, head + 2))}))
        after, limit = data.draw(st.integers(0, head)), data.draw(st.integers(0, head))
        with pair.model.snapshot() as model, pair.store.snapshot() as store:
            assert model.read(*place, 0, limit=10_000) == store.read(*place, 0, limit=10_000)
            assert model.read(*place, after, limit=limit) == store.read(*place, after, limit=limit)
