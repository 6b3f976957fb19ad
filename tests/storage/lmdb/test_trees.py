"""What lies in the trees, besides the answers that they give: nothing twice, in its place, no block too large."""

from collections.abc import Iterator
from typing import Any

import lmdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.domain.core.records import Index, IndexRow, Key, LogTable
from bimip.storage.lmdb.blocks import BLOCKS, PAGE_ROOM, ROWS
from bimip.storage.lmdb.trees import IndexTrees, LogTrees
from bimip.storage.seals import seal_all, unseal

KEY: Key = (7, "chat")
ROW_BYTES, FULL = ROWS[Index.SEQS].row_bytes, ROWS[Index.SEQS].full
ENTRY = (1, 2, 3, 4, 5, True, b"contents")
CHUNK_ENTRIES, FULL_ENTRIES = BLOCKS[LogTable.ENTRIES].chunk, BLOCKS[LogTable.ENTRIES].full

Transaction = Any


class Environment:
    """Two pairs of trees, written by transactions that are never committed."""

    def __init__(self, folder: str) -> None:
        self.lmdb = lmdb.open(folder, max_dbs=4, map_size=64 << 20)
        names = (b"newest seqs", b"seqs", b"newest entries", b"entries")
        newest, full, newest_entries, full_entries = (self.lmdb.open_db(name) for name in names)
        self.index = IndexTrees(Index.SEQS, newest, full)
        self.sequence = LogTrees(LogTable.ENTRIES, newest_entries, full_entries)

    def begin(self) -> Transaction:
        return self.lmdb.begin(write=True)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    made = Environment(str(tmp_path_factory.mktemp("trees")))
    yield made
    made.lmdb.close()


def content(transaction: Transaction, database: Any) -> list[tuple[bytes, bytes]]:
    return [(key, unseal(key, sealed)) for key, sealed in transaction.cursor(database)]


def rows_of(times: list[int]) -> list[IndexRow]:
    return [(time, 0, 0, time) for time in times]


def insert(environment: Environment, transaction: Transaction, *batches: list[int]) -> None:
    for batch in batches:
        with transaction.cursor(environment.index.newest) as cursor:
            cursor.putmulti(seal_all(environment.index.insert(transaction, cursor, {KEY: rows_of(batch)})))


def full_sizes(environment: Environment, transaction: Transaction) -> list[int]:
    return [len(block) // ROW_BYTES for _, block in content(transaction, environment.index.full)]


times = st.integers(0, 500)
sections = st.builds(
    lambda start, step, count: [abs(start + step * number) for number in range(count)],
    times,
    st.integers(-2, 2),
    st.integers(1, 200),
)


@settings(deadline=None)
@given(steps=st.lists(sections | st.lists(times, max_size=30) | times.map(lambda below: below), max_size=10))
def test_full_blocks_are_sorted_disjoint_and_no_larger_than_a_page(environment: Environment, steps: list[Any]) -> None:
    transaction = environment.begin()
    for step in steps:
        if isinstance(step, int):
            environment.index.trim(transaction, KEY, step)
        else:
            insert(environment, transaction, step)
    blocks = content(transaction, environment.index.full)
    newest = content(transaction, environment.index.newest)
    transaction.abort()
    rows = [row for _, block in blocks for row in ROWS[Index.SEQS].split(block)]

    assert [key[-ROW_BYTES:] for key, _ in blocks] == [block[:ROW_BYTES] for _, block in blocks]
    assert rows == sorted(set(rows))
    assert all(len(block) <= PAGE_ROOM for _, block in blocks)
    assert all(len(block) < ROWS[Index.SEQS].chunk_bytes for _, block in newest)


def test_an_index_that_grows_at_its_end_fills_every_page(environment: Environment) -> None:
    with environment.begin() as transaction:
        insert(environment, transaction, *([time] for time in range(3 * FULL)))
        sizes = full_sizes(environment, transaction)
        transaction.abort()

    assert sizes[:-1] == [FULL] * (len(sizes) - 1)
    assert sum(sizes) > 3 * FULL - ROWS[Index.SEQS].chunk_bytes // ROW_BYTES


@pytest.mark.parametrize("again", [[FULL - 1] * 30, [FULL] * 30, list(range(FULL - 30, FULL)), list(range(99))])
def test_what_comes_again_is_not_kept_twice(environment: Environment, again: list[int]) -> None:
    """Also where blocks meet."""
    with environment.begin() as transaction:
        insert(environment, transaction, list(range(2 * FULL)))
        before = content(transaction, environment.index.full)
        insert(environment, transaction, again)
        after = content(transaction, environment.index.full)
        transaction.abort()

    assert len(before) == 2
    assert before == after


def test_late_rows_are_written_to_their_places_together(environment: Environment) -> None:
    """A device whose clock is ahead makes all others late: they too wait in the newest block."""
    with environment.begin() as transaction:
        insert(environment, transaction, list(range(1000, 1000 + FULL)))
        before = content(transaction, environment.index.full)
        insert(environment, transaction, *([time] for time in range(20)))
        after = content(transaction, environment.index.full)
        transaction.abort()

    assert before == after


@settings(deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.just("append"), st.integers(1, 30) | st.integers(1, 300))
        | st.tuples(st.just("cut"), st.integers(0, 900)),
        max_size=10,
    )
)
def test_a_sequence_lies_in_full_blocks_and_a_newest(environment: Environment, steps: list[tuple[str, int]]) -> None:
    blocks, trees, head, first = BLOCKS[LogTable.ENTRIES], environment.sequence, 0, 1
    transaction = environment.begin()
    for what, number in steps:
        if what == "append":
            with transaction.cursor(trees.newest) as cursor:
                run = [(head + each, ENTRY) for each in range(1, number + 1)]
                cursor.putmulti(seal_all(trees.append(transaction, cursor, {KEY: run})))
            head += number
        else:
            first = max(first, min(number, head + 1))
            trees.cut(transaction, KEY, first)
    full = [(key, blocks.span(block)) for key, block in content(transaction, trees.full)]
    newest = [blocks.span(block) for _, block in content(transaction, trees.newest)]
    transaction.abort()
    spans = [span for _, span in full] + newest

    assert [int.from_bytes(key[-8:], "big") for key, _ in full] == [begin // FULL_ENTRIES for _, (begin, _) in full]
    assert all(end <= (begin // FULL_ENTRIES + 1) * FULL_ENTRIES for begin, end in spans)
    assert all(end - begin <= CHUNK_ENTRIES for begin, end in newest)
    assert [begin for begin, _ in spans] == [first, *(end for _, end in spans)][: len(spans)]
    assert not spans or spans[-1][1] == head + 1
    assert bool(spans) == (first <= head)
