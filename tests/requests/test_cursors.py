"""A cursor is what its client was given, and of a Fetch of the same kind and direction."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.requests.cursors import MAX_BYTES, pack_cursor, unpack_cursor
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

KINDS = st.sampled_from([pb.UNACKNOWLEDGED, pb.LOG, pb.HISTORY, pb.BY_SEQ])
NUMBERS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4).map(tuple)


@given(KINDS, st.booleans(), NUMBERS)
def test_a_cursor_names_the_place_that_it_was_made_of(
    kind: pb.FetchKind,
    backwards: bool,  # noqa: FBT001 - drawn
    numbers: tuple[int, ...],
) -> None:
    cursor = pack_cursor(pb.Fetch(kind=kind, backwards=backwards), numbers)

    assert len(cursor) <= MAX_BYTES
    assert unpack_cursor(pb.Fetch(kind=kind, backwards=backwards, cursor=cursor), len(numbers)) == numbers


@given(st.binary(max_size=80), st.integers(1, 4))
def test_any_bytes_are_a_cursor_or_refused(cursor: bytes, count: int) -> None:
    numbers: tuple[int, ...] = (0,) * count
    with suppress(WireError):
        numbers = unpack_cursor(pb.Fetch(kind=pb.LOG, cursor=cursor), count)

    assert len(numbers) == count
    assert all(0 <= number < 2**64 for number in numbers)


@pytest.mark.parametrize(
    "other",
    [
        pb.Fetch(kind=pb.HISTORY),
        pb.Fetch(kind=pb.LOG, backwards=True),
        pb.Fetch(kind=pb.LOG, cursor=b"x"),
        pb.Fetch(kind=pb.LOG, cursor=b"\x01\x00\xff"),
        pb.Fetch(kind=pb.LOG, cursor=b"\x01\x00" + b"\xff" * 9 + b"\x7f"),
    ],
)
def test_a_cursor_of_another_fetch_is_refused(other: pb.Fetch) -> None:
    other.cursor = other.cursor or pack_cursor(pb.Fetch(kind=pb.LOG), (1,))

    with pytest.raises(WireError) as caught:
        unpack_cursor(other, 1)

    assert (caught.value.code, caught.value.field) == (pb.INVALID, "cursor")
