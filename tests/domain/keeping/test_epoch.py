"""Which epoch a device is told, by what it says that it knows."""

from typing import Any

import pytest

from bimip.domain.core.ids import DeviceId, Offset, UserId, Version
from bimip.domain.core.operations import OpenPosition
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Changes, Log, State, Table
from bimip.domain.keeping.epoch import NAMES, epoch_for
from tests.domain.support import CHAT, Ledger

USER, PHONE = UserId(1), DeviceId(1)
EPOCH = 7 * NAMES
OTHER = 6 * NAMES


def told(said: int, *openings: OpenPosition, version: int = 0) -> tuple[int, bool]:
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
        return epoch_for(view, USER, said, openings, version)


def opening(position: int | None = None, held: Ranges = (), **fields: Any) -> OpenPosition:
    return OpenPosition(USER, PHONE, CHAT, None if position is None else Offset(position), held, **fields)


@pytest.mark.parametrize("said", [EPOCH, EPOCH + 1, EPOCH + NAMES - 1])
@pytest.mark.parametrize(
    ("openings", "version"),
    [((), 0), ((opening(),), 0), ((opening(12),), 5), ((opening(3, ((11, 12),)),), 1), ((opening(start=1),), 0)],
)
def test_a_device_that_knows_no_more_than_was_given_is_told_the_name_that_it_says(
    said: int, openings: tuple[OpenPosition, ...], version: int
) -> None:
    assert told(said, *openings, version=version) == (said, True)


@pytest.mark.parametrize(
    ("openings", "version"),
    [
        ((opening(13),), 0),
        ((opening(3, ((12, 13),)),), 0),
        ((opening(None, ((13, 14),)),), 0),
        ((), 6),
        ((opening(12), opening(1)._replace(partition="feed")), 5),
    ],
)
def test_a_device_that_is_ahead_is_told_another_epoch_and_once(
    openings: tuple[OpenPosition, ...], version: int
) -> None:
    epoch, same = told(EPOCH, *openings, version=version)

    assert (epoch != EPOCH, same) == (True, False)
    assert told(epoch, opening(12), version=5) == (epoch, True)
    assert told(epoch, *openings, version=version)[0] not in {EPOCH, epoch}


def test_the_names_of_an_epoch_come_round_and_stay_its_own() -> None:
    assert told(EPOCH + NAMES - 1, opening(13)) == (EPOCH, False)


@pytest.mark.parametrize("said", [OTHER, OTHER + NAMES - 1, EPOCH + NAMES, 1])
def test_a_device_of_another_epoch_is_told_the_stores(said: int) -> None:
    assert told(said, opening(12)) == told(said, opening(13)) == (EPOCH, False)


def test_a_device_without_an_epoch_is_told_the_stores() -> None:
    assert told(0, opening(12)) == (EPOCH, True)
    assert told(0, opening(13)) == (EPOCH, False)
