"""An operator is told of each device what it has acknowledged, and of a user who does not exist that there is none."""

from bimip.domain.core.ids import DeviceId, Millis, Offset
from bimip.domain.core.records import Cursor, Device, Log, Table, User
from bimip.reading.devices import read_devices
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
            Table.LOGS: {(ANN, "chat"): Log(Offset(1), Offset(9))},
        }
    )

    assert read_devices(store, "ann", ["chat", "feed"]) == [
        ("laptop", 4, 5, {}),
        ("phone", 2, 3, {"chat": (4, 9)}),
    ]


def test_nobody_has_no_devices() -> None:
    assert read_devices(store_with(), "nobody", ["chat"]) is None
