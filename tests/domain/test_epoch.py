"""Which epoch a device is told, by what it says that it knows."""

from typing import Any

import pytest

from bimip.domain.epoch import NAMES, epoch_for
from bimip.domain.ids import DeviceId, Offset, UserId, Version
from bimip.domain.operations import OpenPosition
from bimip.domain.ranges import Ranges
from bimip.domain.records import Changes, Log, State, Table
from tests.domain.support import CHAT, Ledger

USER, PHONE = UserId(1), DeviceId(1)
EPOCH = 7 * NAMES
OTHER = 6 * NAMES


def told(said: int, *seats: OpenPosition, version: int = 0) -> tuple[int, bool]:
    ledger = Ledger()
    ledger.commit(
        Changes(
            puts={
                Table.META: {("epoch",): EPOCH},
                Table.LOGS: {(USER, CHAT): Log(Offset(1), Offset(12))},
                Table.STATES: {(USER,): State(Version(5), Version(0))},
            }
        )
    )
    with ledger.store.snapshot() as view:
        return epoch_for(view, USER, said, seats, version)


def seat(position: int | None = None, held: Ranges = (), **fields: Any) -> OpenPosition:
    return OpenPosition(USER, PHONE, CHAT, None if position is None else Offset(position), held, **fields)


@pytest.mark.parametrize("said", [EPOCH, EPOCH + 1, EPOCH + NAMES - 1])
@pytest.mark.parametrize(
    ("seats", "version"),
    [((), 0), ((seat(),), 0), ((seat(12),), 5), ((seat(3, ((11, 12),)),), 1), ((seat(start=1),), 0)],
)
def test_a_device_that_knows_no_more_than_was_given_is_told_the_name_that_it_says(
    said: int, seats: tuple[OpenPosition, ...], version: int
) -> None:
    assert told(said, *seats, version=version) == (said, True)


@pytest.mark.parametrize(
    ("seats", "version"),
    [
        ((seat(13),), 0),
        ((seat(3, ((12, 13),)),), 0),
        ((seat(None, ((13, 14),)),), 0),
        ((), 6),
        ((seat(12), seat(1)._replace(partition="feed")), 5),
    ],
)
def test_a_device_that_is_ahead_is_told_another_epoch_and_once(seats: tuple[OpenPosition, ...], version: int) -> None:
    epoch, same = told(EPOCH, *seats, version=version)

    assert (epoch != EPOCH, same) == (True, False)
    assert told(epoch, seat(12), version=5) == (epoch, True)
    assert told(epoch, *seats, version=version)[0] not in {EPOCH, epoch}


def test_the_names_of_an_epoch_come_round_and_stay_its_own() -> None:
    assert told(EPOCH + NAMES - 1, seat(13)) == (EPOCH, False)


@pytest.mark.parametrize("said", [OTHER, OTHER + NAMES - 1, EPOCH + NAMES, 1])
def test_a_device_of_another_epoch_is_told_the_stores(said: int) -> None:
    assert told(said, seat(12)) == told(said, seat(13)) == (EPOCH, False)


def test_a_device_without_an_epoch_is_told_the_stores() -> None:
    assert told(0, seat(12)) == (EPOCH, True)
    assert told(0, seat(13)) == (EPOCH, False)
