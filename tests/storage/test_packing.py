import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.records import Table
from bimip.storage.packing import PACK, PACK_ALL, UNPACK
from tests.storage.strategies import RECORDS


@pytest.mark.parametrize("table", list(Table))
@given(data=st.data())
def test_a_record_returns(table: Table, data: st.DataObject) -> None:
    record = data.draw(RECORDS[table])
    found = UNPACK[table](PACK[table](record))

    assert record == found
    assert type(record) is type(found)


@pytest.mark.parametrize("table", list(Table))
@given(data=st.data())
def test_many_are_packed_as_each_is(table: Table, data: st.DataObject) -> None:
    records = data.draw(st.lists(RECORDS[table], max_size=5))

    assert [PACK[table](record) for record in records] == list(PACK_ALL[table](records))
