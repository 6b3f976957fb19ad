from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.records import Entry, Sequence, Table
from bimip.storage.packing import BLOCK, BLOCKS, PACK, UNPACK
from tests.storage.strategies import RECORDS


@pytest.mark.parametrize("table", list(Table))
@given(data=st.data())
def test_a_record_returns(table: Table, data: st.DataObject) -> None:
    record = data.draw(RECORDS[table])
    found = UNPACK[table](PACK[table](record))

    assert record == found
    assert type(record) is type(found)


@pytest.mark.parametrize("sequence", list(Sequence))
@given(data=st.data())
def test_a_block_is_a_list_with_a_beginning(sequence: Sequence, data: st.DataObject) -> None:
    blocks = BLOCKS[sequence]
    begin = data.draw(st.integers(0, BLOCK - 1))
    block: bytes | None = None
    model: list[Any] = []
    while begin + len(model) < BLOCK and data.draw(st.booleans()):
        added = data.draw(st.lists(RECORDS[sequence], min_size=1, max_size=BLOCK - begin - len(model)))
        block = blocks.extend(block, begin + len(model), added)
        model += added
    if block is None:
        return
    place, limit = data.draw(st.integers(0, BLOCK)), data.draw(st.integers(0, BLOCK))
    kept = model[max(0, place - begin) :]
    cut = blocks.cut(block, place)

    assert begin + len(model) == blocks.end(block)
    assert (max(place, begin), kept[:limit]) == blocks.read(block, place, limit)
    assert bool(kept) == bool(cut)
    assert not kept or blocks.read(cut, 0, BLOCK) == (max(place, begin), kept)


def test_two_full_blocks_and_more_share_a_page() -> None:
    entry = Entry(1, 1, 1, 1, 1, False)  # type: ignore[arg-type] # noqa: FBT003 - only its size counts
    block = BLOCKS[Sequence.ENTRIES].extend(None, 0, [entry] * BLOCK)

    assert len(block) < 4096 // 6
