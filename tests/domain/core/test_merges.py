from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import DeviceId, Stamp
from bimip.domain.core.merges import LastWrite, clamped, later

writes = st.builds(
    LastWrite, st.integers(0, 2), st.integers(0, 3).map(Stamp), st.integers(0, 2).map(DeviceId)
)  # few, so that they meet
stamps = st.integers(1, 2**64 - 1).map(Stamp)


def write(value: int, stamp: int, writer: int = 1) -> LastWrite:
    return LastWrite(value, Stamp(stamp), DeviceId(writer))


@given(writes, writes)
def test_merging_commutes(one: LastWrite, other: LastWrite) -> None:
    assert later(one, other) == later(other, one)


@given(writes, writes, writes)
def test_merging_associates(one: LastWrite, other: LastWrite, third: LastWrite) -> None:
    assert later(later(one, other), third) == later(one, later(other, third))


@given(writes, writes)
def test_merging_again_changes_nothing(one: LastWrite, other: LastWrite) -> None:
    assert later(one, one) == one
    assert later(later(one, other), other) == later(one, other)


def test_the_later_stamp_wins_then_the_higher_device_then_the_greater_value() -> None:
    assert later(write(0, 2), write(1, 1, 9)) == write(0, 2)
    assert later(write(0, 1, 2), write(1, 1, 1)) == write(0, 1, 2)
    assert later(write(0, 1), write(1, 1)) == write(1, 1)


@given(stamps, stamps)
def test_no_stamp_counts_that_is_ahead_of_the_present(given: Stamp, present: Stamp) -> None:
    assert clamped(given, present) == min(given, present)
    assert clamped(Stamp(0), present) == present
