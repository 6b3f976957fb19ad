import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.records import Key, LogTable, Table
from bimip.storage.keys import MAX_KEY_BYTES, PACK, UNPACK, pack_bound, pack_text, unpack_text
from tests.storage.strategies import KEYS, text

BOTH = [*Table, *LogTable]


@pytest.mark.parametrize("table", BOTH)
@given(data=st.data())
def test_a_key_returns(table: Table | LogTable, data: st.DataObject) -> None:
    key = data.draw(KEYS[table])
    found = UNPACK[table](PACK[table](key))

    assert key == found
    assert type(key) is type(found)


@pytest.mark.parametrize("table", BOTH)
@given(data=st.data())
def test_order_is_kept(table: Table | LogTable, data: st.DataObject) -> None:
    keys = data.draw(st.lists(KEYS[table], min_size=2, max_size=20))

    assert sorted(keys) == [UNPACK[table](packed) for packed in sorted(map(PACK[table], keys))]


@pytest.mark.parametrize("table", BOTH)
@given(data=st.data())
def test_no_key_is_the_beginning_of_another(table: Table | LogTable, data: st.DataObject) -> None:
    one, other = PACK[table](data.draw(KEYS[table])), PACK[table](data.draw(KEYS[table]))

    assert one == other or not one.startswith(other)


def beyond(key: Key) -> st.SearchStrategy[Key]:
    """Bounds near a key: it, its beginnings, what follows it, and numbers that no key can hold."""
    beginnings = [key[:length] for length in range(len(key) + 1)]
    ends = [(*key[:-1], end) for end in (-1, 2**32, 2**64, 2**70) if not isinstance(key[-1], str | bytes)]
    return st.sampled_from([*beginnings, (*key, 0), *ends])


@pytest.mark.parametrize("table", list(Table))
@given(data=st.data())
def test_bounds_lie_where_their_tuples_lie(table: Table, data: st.DataObject) -> None:
    key, near = data.draw(KEYS[table]), data.draw(KEYS[table])
    bound = data.draw(beyond(data.draw(st.sampled_from([key, near]))))

    assert (tuple(key) < bound) == (PACK[table](key) < pack_bound(table, bound))


@given(text, text)
def test_text_sorts_and_returns(one: str, other: str) -> None:
    assert one == unpack_text(pack_text(one))
    assert (one < other) == (pack_text(one) < pack_text(other))


@pytest.mark.parametrize("letter", ["a", "\0", "\1", "\2"])
@pytest.mark.parametrize("table", [Table.USERS, Table.META])
def test_255_bytes_of_anything_make_a_key(letter: str, table: Table) -> None:
    assert len(PACK[table]((letter * 255,))) <= MAX_KEY_BYTES
