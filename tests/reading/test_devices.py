"""An operator is told of each device what it has acknowledged, and of a user who does not exist that there is none."""

import pytest

from bimip.domain.core.ids import DeviceId, Millis, Offset, Stamp
from bimip.domain.core.records import Cursor, Device, Label, Log, Table, User
from bimip.reading.devices import (
    Committed,
    KnownDevice,
    device_number,
    read_device,
    read_devices,
    read_devices_behind,
)
from tests.reading.support import ANN, BOB, LAPTOP, PHONE, store_with


def test_devices_come_by_name_with_what_they_acknowledged() -> None:
    store = store_with(
        {
            Table.USERS: {("ann",): User(ANN, Millis(1))},
            Table.DEVICES: {
                (ANN, "phone"): Device(PHONE, Millis(2), Millis(3)),
                (ANN, "laptop"): Device(LAPTOP, Millis(4), Millis(5)),
                (BOB, "phone"): Device(DeviceId(21), Millis(6), Millis(7)),
            },
            Table.CURSORS: {(PHONE, "chat"): Cursor(Offset(4), ())},
            Table.LABELS: {(LAPTOP,): Label(Stamp(1), "at work")},
            Table.LOGS: {(ANN, "chat"): Log(Offset(3), Offset(9))},
        }
    )

    assert read_devices(store, "ann", ["chat", "feed"]) == [
        KnownDevice(LAPTOP, "laptop", "at work", Millis(4), Millis(5), {}),
        KnownDevice(PHONE, "phone", "", Millis(2), Millis(3), {"chat": Committed(Offset(4), Offset(9), Offset(3))}),
    ]
    assert [one.name for one in read_devices_behind(store, ANN, "", 1, ["chat"])] == ["laptop"]
    assert [one.name for one in read_devices_behind(store, ANN, "laptop", 9, ["chat"])] == ["phone"]
    assert (device_number(store, ANN, "phone"), device_number(store, ANN, "watch")) == (PHONE, None)


@pytest.mark.parametrize(("floor", "first", "lag"), [(0, 1, 9), (4, 1, 5), (9, 1, 0), (2, 7, 3), (2, 10, 0)])
def test_a_device_lags_by_what_is_kept_beyond_its_floor(floor: int, first: int, lag: int) -> None:
    assert Committed(Offset(floor), Offset(9), Offset(first)).lag == lag


def test_nobody_has_no_devices() -> None:
    assert read_devices(store_with(), "nobody", ["chat"]) is None


def test_a_device_is_read_by_its_users_eid_and_its_name() -> None:
    phone = Device(PHONE, Millis(2), Millis(3))
    store = store_with({Table.USERS: {("ann",): User(ANN, Millis(1))}, Table.DEVICES: {(ANN, "phone"): phone}})

    assert read_device(store, "ann", "phone") == (ANN, phone)
    assert read_device(store, "ann", "watch") is None
    assert read_device(store, "bob", "phone") is None
