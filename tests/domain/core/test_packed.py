"""Records that lie packed are the records that were packed, one by one and field by field."""

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.packed import Layout, Packed, column, distinct
from bimip.domain.core.records import DIGEST_BYTES, Entry

LAYOUT = Layout(f"Q I I I I ? {DIGEST_BYTES}s", Entry)
NUMBERS = ("stamp", "conversation", "conversation_offset", "author", "origin", "addressed")
ENTRIES = st.builds(
    Entry,
    st.integers(0, 2**64 - 1),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 1, 257]),
    st.integers(0, 2),
    st.booleans(),
    st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES),
)


def packed(entries: list[Entry]) -> Packed:
    return Packed(b"".join(LAYOUT.struct.pack(*entry) for entry in entries), LAYOUT)


@given(st.lists(ENTRIES, max_size=9), st.data())
def test_they_are_a_sequence_of_what_was_packed(entries: list[Entry], data: st.DataObject) -> None:
    found = packed(entries)
    part = data.draw(st.slices(len(entries)).filter(lambda one: one.step in {None, 1}))

    assert len(found) == len(entries)
    assert list(found) == entries
    assert all(type(one) is Entry for one in found)
    assert [found[at] for at in range(-len(entries), len(entries))] == entries * 2
    assert list(found[part]) == entries[part]


@given(st.lists(ENTRIES, max_size=9))
def test_a_field_of_each_is_what_each_says(entries: list[Entry]) -> None:
    for field in NUMBERS:
        expected = [getattr(entry, field) for entry in entries]

        assert list(column(packed(entries), field)) == list(column(entries, field)) == expected
        assert distinct(packed(entries), field) == distinct(entries, field) == set(expected)


def test_bytes_are_records_too() -> None:
    assert list(Packed(b"onetwo", Layout("3s", bytes))) == [b"one", b"two"]
