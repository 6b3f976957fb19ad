"""Entries as they are delivered: put together once for all of a user's devices, whatever they are cut into."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.records import Entry
from bimip.reading.segments import Segment, segments_of

ME, OTHER = DeviceId(1), DeviceId(2)


def entry(offset: int, *, origin: DeviceId = ME, addressed: bool = False) -> Entry:
    return Entry(
        Stamp(offset), ConversationId(1), ConversationOffset(offset), UserId(1), origin, addressed, digest=bytes(8)
    )


def segment(first: int, *sizes: int) -> Segment:
    """Entries of so many bytes."""
    entries = [entry(offset) for offset in range(first, first + len(sizes))]
    return Segment(first, entries, [bytes(size) for size in sizes], {ME}, plain=True)


def test_a_segment_is_put_together_once() -> None:
    one = segment(1, 10, 20)

    assert one.joined() is one.joined()


def test_a_segment_says_who_wrote_it() -> None:
    (several,) = segments_of(1, [entry(1), entry(2, origin=OTHER)], [b"1", b"2"])

    assert several.plain
    assert several.origins == {ME, OTHER}


def test_what_is_addressed_or_missing_is_cut_out() -> None:
    entries = [entry(1), entry(2, addressed=True), entry(3), entry(4), entry(5), entry(6)]
    found = segments_of(1, entries, [b"1", b"2", b"3", b"4", None, b"6"])

    assert [(one.first, one.last, one.plain) for one in found] == [
        (1, 1, True),
        (2, 2, False),
        (3, 4, True),
        (5, 5, False),
        (6, 6, True),
    ]
    assert [item.entry for one in found for item in one.items()] == entries


@given(st.lists(st.sampled_from([ME, OTHER, DeviceId(3)]), min_size=1, max_size=12))
def test_a_segment_is_cut_where_what_a_device_wrote_begins_and_ends(origins: list[DeviceId]) -> None:
    entries = [entry(offset, origin=origin) for offset, origin in enumerate(origins, 5)]
    whole = Segment(5, entries, [bytes(offset) for offset in range(len(origins))], set(origins), plain=True)
    found = list(whole.by_author(ME))

    assert [item for one in found for item in one.items()] == list(whole.items())
    assert all(one.origins == {ME} or ME not in one.origins for one in found)
    assert [one.first for one in found] == [5, *[one.last + 1 for one in found[:-1]]]
    assert len(found) == 1 + sum((one == ME) != (other == ME) for one, other in pairwise(origins))


@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 2]), st.integers(1, 6)), min_size=1, max_size=12))
def test_places_say_what_each_entry_says(found: list[tuple[int, int]]) -> None:
    """Also where one of another conversation stands where a number is missing: 1, another's, 3."""
    entries = [
        entry(at)._replace(conversation=ConversationId(conversation), conversation_offset=ConversationOffset(place))
        for at, (conversation, place) in enumerate(found, 1)
    ]
    places = Segment(1, entries, [b"x"] * len(entries), {ME}, plain=True).places()

    assert [(one.conversation, at) for one in places for at in range(one.first, one.last + 1)] == found


def test_consecutive_places_are_one() -> None:
    assert segment(5, *[1] * 7).places() == [(1, 5, 11)]


@given(st.lists(st.integers(0, 50), min_size=1, max_size=9), st.data())
def test_what_is_shortened_begins_alike(sizes: list[int], data: st.DataObject) -> None:
    whole = segment(4, *sizes)
    count = data.draw(st.integers(1, len(sizes)))
    short = whole.shortened(count)

    assert list(short.items()) == list(whole.items())[:count]
    assert (short.first, short.last, short.bytes) == (4, 3 + count, sum(sizes[:count]))
    assert short.joined() == b"".join(bytes(size) for size in sizes[:count])
    assert short.plain
