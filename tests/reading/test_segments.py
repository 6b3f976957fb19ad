"""Entries as they are delivered: put together once for all of a user's devices, whatever they are cut into."""

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.records import Entry
from bimip.reading.segments import Segment, segment_of

ME, OTHER = DeviceId(1), DeviceId(2)


def entry(offset: int, *, origin: DeviceId = ME, addressed: bool = False) -> Entry:
    return Entry(
        Stamp(offset), ConversationId(1), ConversationOffset(offset), UserId(1), origin, addressed, digest=bytes(8)
    )


def segment(first: int, *sizes: int | None) -> Segment:
    """Entries of so many bytes; None: the message is missing."""
    parts = [None if size is None else bytes(size) for size in sizes]
    return segment_of(first, [entry(offset) for offset in range(first, first + len(sizes))], parts)


def test_a_segment_is_put_together_once() -> None:
    one = segment(1, 10, 20)

    assert one.joined() is one.joined()


def test_a_segment_says_who_wrote_it_and_whether_it_goes_to_all_others() -> None:
    several = segment_of(1, [entry(1), entry(2, origin=OTHER)], [b"1", b"2"])

    assert several.plain
    assert several.origins == {ME, OTHER}
    assert not segment(1, 10, None).plain
    assert not segment_of(1, [entry(1), entry(2, addressed=True)], [b"1", b"2"]).plain


@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 2]), st.integers(1, 6)), min_size=1, max_size=12))
def test_places_say_what_each_entry_says(found: list[tuple[int, int]]) -> None:
    """Also where one of another conversation stands where a number is missing: 1, another's, 3."""
    entries = [
        entry(at)._replace(conversation=ConversationId(conversation), conversation_offset=ConversationOffset(place))
        for at, (conversation, place) in enumerate(found, 1)
    ]
    places = segment_of(1, entries, [b"x"] * len(entries)).places()

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
