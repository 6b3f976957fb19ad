"""Blocks are lists with a beginning, and rows sorted sets, in bytes."""

from collections.abc import Sequence
from itertools import chain
from struct import error as StructError  # noqa: N812 - as the library has it
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.records import Index, IndexRow, LogTable
from bimip.storage.lmdb.blocks import BLOCKS, PAGE_ROOM, ROWS, Blocks
from tests.storage.strategies import RECORDS

FIRSTS = st.integers(1, 2**40)
SEQUENCES = pytest.mark.parametrize("sequence", list(LogTable))
INDEXES = pytest.mark.parametrize("index", list(Index))


def block_of(blocks: Blocks, first: int, records: list[Any]) -> bytes:
    return blocks.extend(blocks.begin(first), list(enumerate(records, first)))


def numbered(first: int, records: Sequence[Any]) -> list[tuple[int, Any]]:
    return list(enumerate(records, first))


def content(blocks: Blocks, block: bytes) -> list[tuple[int, Any]]:
    return numbered(*blocks.read(block, 0, 10_000)) if block else []


@SEQUENCES
@given(data=st.data(), first=FIRSTS)
def test_a_block_is_a_list_with_a_beginning(sequence: LogTable, data: st.DataObject, first: int) -> None:
    blocks, parts = BLOCKS[sequence], data.draw(st.lists(st.lists(RECORDS[sequence], max_size=5), min_size=1))
    block = blocks.begin(first)
    for part in parts:
        block = blocks.extend(block, list(enumerate(part, blocks.span(block)[1])))
    model = list(enumerate(chain(*parts), first))
    number, limit = data.draw(st.integers(first - 3, first + 20)), data.draw(st.integers(0, 10))

    assert blocks.span(block) == (first, first + len(model))
    assert content(blocks, block) == model
    assert numbered(*blocks.read(block, number, limit)) == [row for row in model if row[0] >= number][:limit]


@SEQUENCES
@given(data=st.data(), first=FIRSTS)
def test_what_was_split_is_joined_again(sequence: LogTable, data: st.DataObject, first: int) -> None:
    blocks, records = BLOCKS[sequence], data.draw(st.lists(RECORDS[sequence], min_size=1, max_size=9))
    block = block_of(blocks, first, records)
    number = data.draw(st.integers(first - 2, first + 11))
    older, newer = blocks.split(block, number)

    assert content(blocks, older) == [row for row in content(blocks, block) if row[0] < number]
    assert content(blocks, newer) == [row for row in content(blocks, block) if row[0] >= number]
    assert block == (blocks.join(older, newer) if newer else older)


@SEQUENCES
@given(data=st.data(), first=FIRSTS)
def test_wide_and_narrow_blocks_join(sequence: LogTable, data: st.DataObject, first: int) -> None:
    blocks = BLOCKS[sequence]
    one, other = (data.draw(st.lists(RECORDS[sequence], min_size=1, max_size=4)) for _ in range(2))
    joined = blocks.join(block_of(blocks, first, one), block_of(blocks, first + len(one), other))

    assert content(blocks, joined) == list(enumerate(one + other, first))


@SEQUENCES
def test_pieces_end_where_full_blocks_do(sequence: LogTable) -> None:
    blocks = BLOCKS[sequence]
    record, full = example(sequence), blocks.full
    block = block_of(blocks, 5, [record] * (3 * full))
    pieces = blocks.pieces(block)

    assert [number for number, _ in pieces] == [0, 1, 2, 3]
    assert [blocks.span(piece) for _, piece in pieces] == [
        (5, full),
        (full, 2 * full),
        (2 * full, 3 * full),
        (3 * full, 3 * full + 5),
    ]


def example(sequence: LogTable) -> Any:
    return {
        LogTable.ENTRIES: (1, 2, 3, 4, 5, True, b"contents"),
        LogTable.HISTORY: (1, 2, 3, True),
        LogTable.CHAINS: bytes(16),
    }[sequence]


@SEQUENCES
def test_a_full_block_fills_its_page(sequence: LogTable) -> None:
    blocks = BLOCKS[sequence]
    size = len(block_of(blocks, 1, [example(sequence)] * blocks.full))

    assert 0.97 * PAGE_ROOM < size <= PAGE_ROOM
    assert blocks.full % blocks.chunk == 0


def test_a_wide_block_needs_a_second_page_at_most() -> None:
    blocks = BLOCKS[LogTable.ENTRIES]
    wide = (1, 2, 2**40, 4, 5, True, b"contents")

    assert len(block_of(blocks, 1, [wide] * blocks.full)) <= PAGE_ROOM + 4096


def test_a_number_that_no_record_can_hold_is_refused() -> None:
    with pytest.raises(StructError):
        block_of(BLOCKS[LogTable.ENTRIES], 1, [(1, 2, 2**64, 4, 5, True, b"contents")])


class TestGrow:
    """The short way takes what is simple and leaves alone what is not."""

    @pytest.mark.parametrize(
        ("held", "first", "last"),
        [
            (range(1, 5), 5, 5),
            (range(1, 5), 5, 19),
            (range(20, 21), 21, 39),
            (range(25, 30), 30, 39),
        ],
    )
    def test_what_stays_in_the_chunk_is_taken(self, held: range, first: int, last: int) -> None:
        blocks, entry = BLOCKS[LogTable.ENTRIES], example(LogTable.ENTRIES)
        newest = {b"place": block_of(blocks, held[0], [entry] * len(held))}
        run = [(number, entry) for number in range(first, last + 1)]

        assert blocks.grow(newest, [b"place"], [run]) == []
        assert content(blocks, newest[b"place"]) == [(number, entry) for number in range(held[0], last + 1)]

    @pytest.mark.parametrize(
        ("held", "numbers"),
        [
            (range(0), [1]),
            (range(1, 5), [5, *range(6, 21)]),
            (range(1, 20), [20]),
            (range(1, 5), [4]),
            (range(1, 5), [6]),
            (range(1, 5), [5, 7]),
        ],
        ids=["nothing there", "more than a chunk", "a full chunk", "again", "a gap", "a hole"],
    )
    def test_what_is_not_simple_is_left(self, held: range, numbers: list[int]) -> None:
        blocks, entry = BLOCKS[LogTable.ENTRIES], example(LogTable.ENTRIES)
        newest = {b"place": block_of(blocks, held[0], [entry] * len(held))} if held else {}
        before, run = dict(newest), [(number, entry) for number in numbers]

        assert blocks.grow(newest, [b"place"], [run]) == [(b"place", run)]
        assert newest == before

    @pytest.mark.parametrize(("there", "added"), [(2**40, 1), (1, 2**40)], ids=["block", "record"])
    def test_wide_ones_are_left(self, there: int, added: int) -> None:
        blocks, entry = BLOCKS[LogTable.ENTRIES], example(LogTable.ENTRIES)
        newest = {b"place": block_of(blocks, 1, [(1, 2, there, *entry[3:])])}
        run = [(2, (1, 2, added, *entry[3:]))]

        assert blocks.grow(newest, [b"place"], [run]) == [(b"place", run)]


@INDEXES
@given(data=st.data())
def test_packed_rows_sort_as_rows_do_and_return(index: Index, data: st.DataObject) -> None:
    rows, model = ROWS[index], data.draw(st.lists(RECORDS[index], max_size=20))
    ordered = rows.ordered(b"".join(rows.pack_all(model)))

    assert rows.unpack(ordered) == sorted(set(model))
    assert all(isinstance(row, type(model[0])) for row in rows.unpack(ordered))


@INDEXES
@given(data=st.data())
def test_bounds_of_rows_lie_where_their_tuples_lie(index: Index, data: st.DataObject) -> None:
    rows, row, near = ROWS[index], data.draw(RECORDS[index]), data.draw(RECORDS[index])
    chosen = tuple(data.draw(st.sampled_from([row, near])))
    ends = [(*chosen[:length], end) for length in range(len(chosen)) for end in (-1, 0, 2**32, 2**64, 2**70)]
    bound: IndexRow = data.draw(st.sampled_from([chosen[:length] for length in range(5)] + [(*chosen, 0), *ends]))
    (packed,) = rows.pack_all([row])

    assert (tuple(row) < bound) == (packed < rows.bound(bound))


def packed_rows(index: Index, offsets: list[int]) -> list[bytes]:
    return list(ROWS[index].pack_all((time, 0, 0, time) for time in offsets))


@INDEXES
def test_a_full_block_of_rows_fills_its_page(index: Index) -> None:
    assert 0.97 * PAGE_ROOM < ROWS[index].full * ROWS[index].row_bytes <= PAGE_ROOM


@INDEXES
def test_rows_at_the_end_fill_blocks(index: Index) -> None:
    rows, full = ROWS[index], ROWS[index].full
    held, added = packed_rows(index, [*range(full - 1)]), packed_rows(index, [*range(full, 2 * full)])
    found = [rows.split(block) for block in rows.merged(b"".join(held), added)]

    assert found == [[*held, added[0]], added[1:]]


@INDEXES
def test_rows_in_between_make_halves(index: Index) -> None:
    rows, full = ROWS[index], ROWS[index].full
    held, added = packed_rows(index, [*range(0, 2 * full, 2)]), packed_rows(index, [1, 2, 3])
    found = [rows.split(block) for block in rows.merged(b"".join(held), added)]

    assert list(chain(*found)) == sorted({*held, *added})
    assert [len(part) for part in found] == [full // 2 + 1, full // 2 + 1]
