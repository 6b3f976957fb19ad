"""Random histories: whatever happens to both, LMDB answers as the memory store does."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bimip.domain.records import Changes, Key, Reader, Sequence, Table
from bimip.storage.lmdb import LmdbStore
from bimip.storage.memory import MemoryStore
from tests.storage.strategies import KEYS, RECORDS

HIGHEST: Key = (2**70,)
TABLES = [Table.USERS, Table.BODIES, Table.SEEN, Table.CHANGES, Table.VERSIONS, Table.RECEIPTS]
TEXT_FIRST = {Table.META, Table.USERS, Table.REVOKED}


def all_of(table: Table) -> tuple[Key, Key]:
    return (), ("\U0010ffff" * 30,) if table in TEXT_FIRST else HIGHEST


def content(reader: Reader, places: list[tuple[Sequence, Key]]) -> list[Any]:
    found: list[Any] = []
    for table in Table:
        found.append(reader.scan(table, *all_of(table), limit=10_000))
        assert found[-1][::-1] == reader.scan(table, *all_of(table), limit=10_000, reverse=True)
    return found + [reader.read(*place, 0, limit=10_000) for place in places]


class Both(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.model = MemoryStore()
        self.store = LmdbStore(self.folder)
        self.snapshots = ExitStack()
        self.readers: list[tuple[Reader, Reader]] = []
        self.keys: dict[Table, list[Key]] = {table: [] for table in Table}
        self.heads: dict[tuple[Sequence, Key], int] = {}  # in the open transaction, or committed
        self.committed_heads: dict[tuple[Sequence, Key], int] = {}
        self.is_open = False

    @initialize(data=st.data())
    def draw_places(self, data: st.DataObject) -> None:
        for sequence in Sequence:
            for key in data.draw(st.lists(KEYS[sequence], min_size=2, max_size=3, unique=True)):
                self.heads[(sequence, key)] = self.committed_heads[(sequence, key)] = 0

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
    @rule(data=st.data(), count=st.integers(1, 30) | st.integers(1, 150))
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
        )

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
            self.store = LmdbStore(self.folder)
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

    @invariant()
    def every_snapshot_says_the_same(self) -> None:
        places = list(self.heads)
        with self.model.snapshot() as model, self.store.snapshot() as store:
            for expected, found in (*self.readers, (model, store)):
                assert content(expected, places) == content(found, places)

    def teardown(self) -> None:
        self.snapshots.close()
        self.store.close()
        shutil.rmtree(Path(self.folder))


Both.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestBoth = Both.TestCase
