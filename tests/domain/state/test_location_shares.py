"""A share is found under its key, whatever its other end is, and one that is damaged shows nothing."""

import pytest

from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import DamagedRecordError, LocationShare
from bimip.domain.state.location_shares import KIND, OtherEnd, With, pack_key, read_share, unpack_key

SHARE = LocationShare(Millis(9), Millis(5))


class View:
    def get(self, _table: object, key: tuple[int, ...]) -> LocationShare | None:
        if key[0] == 2:
            raise DamagedRecordError
        return SHARE if key == (1, With.CONVERSATION, 7) else None


@pytest.mark.parametrize("other", [OtherEnd(With.USER, 2**32 - 1), OtherEnd(With.CONVERSATION, 0)])
def test_a_key_names_the_other_end(other: OtherEnd) -> None:
    assert unpack_key(pack_key(other)) == other


def test_a_share_is_read_by_its_key() -> None:
    other = OtherEnd(With.CONVERSATION, 7)

    assert KIND.read(View(), UserId(1), pack_key(other)) == SHARE  # type: ignore[arg-type]
    assert read_share(View(), UserId(1), OtherEnd(With.USER, 7)) is None  # type: ignore[arg-type]
    assert read_share(View(), UserId(2), other) is None  # type: ignore[arg-type]
