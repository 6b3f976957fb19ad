"""The user's devices, as all of them know of each other: which there are, since when, and what people call them.

The server decides what there is. A device's name is its key, so one that went and came again is the same key with a
newer value; of two labels the later one counts, by the server's stamp. When it was last seen is not in here: that
changes with each connection, and whoever wants to know asks for the list.
"""

from typing import NamedTuple

from bimip.domain.core.ids import Millis, Stamp, UserId
from bimip.domain.core.records import DamagedRecordError, Device, Label, Reader, StateKey, Table
from bimip.domain.state.changes import StateKind

TAG = 6


class DeviceValue(NamedTuple):
    """A device, as its siblings know it; of two values of a name the greater one is the newer."""

    created: Millis
    stamp: Stamp  # when it was given its label
    label: str  # what people call it; empty: nothing


def pack_key(name: str) -> StateKey:
    return bytes((TAG,)) + name.encode()


def unpack_key(key: StateKey) -> str:
    return key[1:].decode()


NO_LABEL = Label(Stamp(0), "")


def value_of(view: Reader, device: Device) -> DeviceValue:
    return DeviceValue(device.created, *label_of(view, device))


def label_of(view: Reader, device: Device) -> Label:
    """Reads what people call a device; nothing where that is damaged."""
    try:
        return view.get(Table.LABELS, (device.number,)) or NO_LABEL
    except DamagedRecordError:
        return NO_LABEL


def _read(view: Reader, user: UserId, key: StateKey) -> DeviceValue | None:
    try:
        device: Device | None = view.get(Table.DEVICES, (user, unpack_key(key)))
    except DamagedRecordError:
        return DeviceValue(Millis(0), *NO_LABEL)  # it was not removed
    return None if device is None else value_of(view, device)


KIND = StateKind(TAG, _read, has_removals=True)
