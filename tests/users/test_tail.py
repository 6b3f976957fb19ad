"""The tails must answer as the store would, or not at all."""

from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.ids import ConversationId, ConversationOffset, DeviceId, Offset, Stamp, UserId, Version
from bimip.domain.records import Entry
from bimip.users.tail import MAX_BYTES, MAX_ENTRIES, Item, LogTail, StateTail
from bimip.wire.state import delta_part


def item(offset: int, size: int = 10) -> Item:
    entry = Entry(Stamp(offset), ConversationId(1), ConversationOffset(offset), UserId(1), DeviceId(1), addressed=False)
    return Item(Offset(offset), entry, bytes(size))


def tail(head: int = 0) -> LogTail:
    return LogTail(Offset(head))


@given(
    st.integers(0, 100),
    st.lists(st.lists(st.sampled_from([0, 10, 10, 10, 3000, 70_000]), max_size=40), max_size=6),
    st.integers(0, 300),
    st.integers(1, 70),
)
def test_it_answers_with_what_the_log_has_or_not_at_all(
    head: int, batches: list[list[int]], after: int, limit: int
) -> None:
    given_tail, log = tail(head), list[Item]()
    for sizes in batches:
        items = [item(head + len(log) + number, size) for number, size in enumerate(sizes, 1)]
        log += items
        given_tail.extend(items)
    found = given_tail.after(after, limit)

    assert given_tail.head == head + len(log)
    if found is not None:
        assert found == [one for one in log if one.offset > after][:limit]
        assert after >= head
    if after >= given_tail.head:
        assert found == []


@given(st.lists(st.integers(0, 9000), max_size=100))
def test_it_is_bounded_in_entries_and_in_bytes(sizes: list[int]) -> None:
    given_tail = tail()
    for number, size in enumerate(sizes, 1):
        given_tail.extend([item(number, size)])

        assert len(given_tail._items) <= MAX_ENTRIES
        assert sum(len(one.part or b"") for one in given_tail._items) == given_tail._bytes <= MAX_BYTES


def test_what_was_read_when_the_session_began_and_is_told_again_is_passed_over() -> None:
    given_tail = tail(head=5)
    given_tail.extend([item(4), item(5), item(6)])

    assert given_tail.after(5, 9) == [item(6)]
    assert given_tail.after(4, 9) is None
    assert given_tail.head == 6


def test_it_keeps_the_newest() -> None:
    given_tail = tail()
    given_tail.extend([item(number) for number in range(1, MAX_ENTRIES + 4)])

    assert given_tail.after(2, 9) is None
    assert given_tail.after(3, 2) == [item(4), item(5)]


def test_an_entry_larger_than_all_room_is_left_to_the_store() -> None:
    given_tail = tail()
    given_tail.extend([item(1), item(2, MAX_BYTES + 1)])

    assert given_tail.head == 2
    assert given_tail.after(1, 9) is None
    assert given_tail.after(2, 9) == []


def test_an_entry_whose_message_is_not_known_takes_no_room() -> None:
    given_tail = tail()
    given_tail.extend([item(1)._replace(part=None)])

    assert given_tail.after(0, 9) == [item(1)._replace(part=None)]


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
    assert len(state._items) <= MAX_ENTRIES


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
    for version in range(1, MAX_ENTRIES + 3):
        state.add(Version(version), b"%d" % version)

    assert state.after(1) is None
    assert state.after(2) == [b"%d" % version for version in range(3, MAX_ENTRIES + 3)]


def test_a_change_that_was_read_already_is_passed_over() -> None:
    state = StateTail(Version(5))
    state.add(Version(5), b"5")
    state.add(Version(6), b"6")

    assert state.after(5) == [b"6"]
    assert state.after(4) is None
