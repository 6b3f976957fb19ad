"""The tails must answer as the store would, or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId, Version
from bimip.domain.core.records import Entry
from bimip.reading.segments import Item, Segment
from bimip.users.tail import MAX_BYTES, MAX_ENTRIES, MAX_STATES, LogTail, StateTail
from bimip.wire.state import delta_part

ME, OTHER = DeviceId(1), DeviceId(2)


def entry(offset: int, *, origin: DeviceId = ME, addressed: bool = False) -> Entry:
    return Entry(
        Stamp(offset), ConversationId(1), ConversationOffset(offset), UserId(1), origin, addressed, digest=bytes(8)
    )


def segment(first: int, *sizes: int | None) -> Segment:
    """Entries of so many bytes; None: the message is missing."""
    parts = [None if size is None else bytes(size) for size in sizes]
    entries = [entry(offset) for offset in range(first, first + len(sizes))]
    return Segment(first, entries, parts, {ME}, plain=None not in parts)


def tail(head: int = 0, *segments: Segment) -> LogTail:
    made = LogTail(Offset(head))
    for one in segments:
        made.extend(one)
    return made


def items(segments: list[Segment] | None) -> list[Item] | None:
    return None if segments is None else [item for one in segments for item in one.items()]


def offsets(segments: list[Segment] | None) -> list[int] | None:
    return None if segments is None else [item.offset for one in segments for item in one.items()]


@given(
    st.integers(0, 100),
    st.lists(st.lists(st.sampled_from([0, 10, 10, 10, 3000, 70_000]), min_size=1, max_size=90), max_size=6),
    st.integers(0, 500),
)
def test_it_answers_with_what_the_log_has_or_not_at_all(head: int, batches: list[list[int]], after: int) -> None:
    given_tail, log = tail(head), list[Item]()
    for sizes in batches:
        appended = segment(head + len(log) + 1, *sizes)
        log += appended.items()
        given_tail.extend(appended)
    found = given_tail.after(after)

    assert given_tail.head == head + len(log)
    if found is not None:
        assert items(found) == [one for one in log if one.offset > after]
        assert after >= head
    if after >= given_tail.head:
        assert found == []


@given(st.lists(st.lists(st.integers(0, 9000), min_size=1, max_size=9), max_size=100))
def test_it_is_bounded_in_entries_and_in_bytes(batches: list[list[int]]) -> None:
    given_tail = tail()
    for sizes in batches:
        given_tail.extend(segment(given_tail.head + 1, *sizes))

        assert sum(len(one) for one in given_tail._segments) == given_tail._count <= MAX_ENTRIES
        assert sum(one.bytes for one in given_tail._segments) == given_tail._bytes <= MAX_BYTES


def test_what_was_read_when_the_session_began_and_is_told_again_is_passed_over() -> None:
    given_tail = tail(5, segment(2, 10), segment(4, 10, 10, 10))

    assert offsets(given_tail.after(5)) == [6]
    assert given_tail.after(4) is None
    assert given_tail.head == 6


def test_it_keeps_the_newest() -> None:
    given_tail = tail(0, *(segment(number, 10) for number in range(1, MAX_ENTRIES + 4)))

    assert given_tail.after(2) is None
    assert offsets(given_tail.after(MAX_ENTRIES)) == [MAX_ENTRIES + 1, MAX_ENTRIES + 2, MAX_ENTRIES + 3]


def test_what_lies_beyond_a_hole_is_kept_alone() -> None:
    given_tail = tail(0, segment(1, 10), segment(5, 10))

    assert given_tail.after(1) is None
    assert offsets(given_tail.after(4)) == [5]


def test_a_run_larger_than_all_room_is_left_to_the_store() -> None:
    given_tail = tail(0, segment(1, 10), segment(2, MAX_BYTES + 1))

    assert given_tail.head == 2
    assert given_tail.after(1) is None
    assert given_tail.after(2) == []


def test_whoever_stands_within_a_segment_gets_the_rest_of_it() -> None:
    (rest,) = tail(0, segment(1, 10, 20, 30)).after(1) or [segment(9)]

    assert (rest.first, rest.last, rest.sizes, rest.bytes) == (2, 3, [20, 30], 50)
    assert rest.joined() == bytes(50)


@given(st.integers(0, 20), st.lists(st.integers(1, 3), max_size=100), st.integers(0, 250))
def test_state_is_answered_with_every_later_change_or_not_at_all(head: int, steps: list[int], after: int) -> None:
    """Versions may be missing: each change takes the next one of the user, and only the newest of a key stays."""
    state, versions = StateTail(Version(head)), list[int]()
    version = head
    for step in steps:
        version += step
        versions.append(version)
        state.add(Version(version), b"%d" % version)
    found = state.after(after)

    assert state.head == version
    if found is not None:
        assert found == [b"%d" % one for one in versions if one > after]
        assert after >= head
    if after >= state.head:
        assert found == []
    assert len(state._items) <= MAX_STATES


def test_a_delta_is_made_once_for_all_devices_at_a_version() -> None:
    state = StateTail(Version(4))
    state.add(Version(5), b"5")
    state.add(Version(6), b"6")
    first, again, behind = state.delta(4), state.delta(4), state.delta(5)
    state.add(Version(7), b"7")

    assert first == delta_part(4, 6, [b"5", b"6"])
    assert again is first
    assert behind == delta_part(5, 6, [b"6"])
    assert state.delta(5) == delta_part(5, 7, [b"6", b"7"])
    assert state.delta(3) is None


def test_state_that_was_dropped_is_left_to_the_store() -> None:
    state = StateTail(Version(0))
    for version in range(1, MAX_STATES + 3):
        state.add(Version(version), b"%d" % version)

    assert state.after(1) is None
    assert state.after(2) == [b"%d" % version for version in range(3, MAX_STATES + 3)]


def test_a_change_that_was_read_already_is_passed_over() -> None:
    state = StateTail(Version(5))
    state.add(Version(5), b"5")
    state.add(Version(6), b"6")

    assert state.after(5) == [b"6"]
    assert state.after(4) is None
