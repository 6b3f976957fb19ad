"""A user's devices, and how far each has acknowledged: what they ask, and an operator."""

from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from bimip.domain.conversations.membership import direct_with
from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.records import DamagedRecordError, Device, Reader, Table, User
from bimip.domain.core.rules import DeviceNames
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.messages.device_lists import may_know_devices
from bimip.domain.state.devices import label_of
from bimip.storage.interface import Store

MAX_DEVICES = 1000
"""Shown of one user."""


class Committed(NamedTuple):
    """A device's place in one log: all up to the floor is acknowledged."""

    floor: Offset
    head: Offset
    first: Offset  # the oldest that is kept

    @property
    def lag(self) -> int:
        """Entries that are kept beyond the floor."""
        return self.head - max(self.floor, self.first - 1)


class KnownDevice(NamedTuple):
    number: DeviceId
    name: str
    label: str
    created: Millis
    last_seen: Millis
    committed: dict[str, Committed]  # by partition; only what it ever named


def read_devices(store: Store, eid: str, partitions: Iterable[str]) -> list[KnownDevice] | None:
    """Reads a user's devices by name; None: there is no such user."""
    with store.snapshot() as view:
        user = view.get(Table.USERS, (eid,))
        return None if user is None else _read(view, user.number, "", MAX_DEVICES, partitions)


def read_devices_behind(
    store: Store, user: UserId, name: str, limit: int, partitions: Iterable[str]
) -> list[KnownDevice]:
    """Reads a user's devices by name, those behind this one, at most so many."""
    with store.snapshot() as view:
        return _read(view, user, f"{name}\0" if name else "", limit, partitions)


def read_names_of(
    store: Store, viewer: UserId, eid: str, name: str, limit: int, policy: DeviceNames
) -> list[str] | None:
    """Reads the names of another user's devices, those behind this one; None: they are not for the viewer to know, or
    there is no such user.
    """
    with store.snapshot() as view:
        number = direct_with(view, viewer, eid)
        user: User | None = view.get(Table.USERS, (eid,))
        if user is None or not may_know_devices(view, viewer, (user.number,), number, policy):
            return None
        low = (user.number, f"{name}\0" if name else "")
        return [key[1] for key, _ in view.scan(Table.DEVICES, low, (user.number + 1, ""), limit=limit)]


def read_device(store: Store, eid: str, name: str) -> tuple[UserId, Device] | None:
    """Reads a device of a user; None: there is no such user, or no such device of theirs."""
    with store.snapshot() as view:
        user: User | None = view.get(Table.USERS, (eid,))
        device: Device | None = None if user is None else view.get(Table.DEVICES, (user.number, name))
        return None if user is None or device is None else (user.number, device)


def device_number(store: Store, user: UserId, name: str) -> DeviceId | None:
    """The number of a user's device; None: they have none of that name."""
    with store.snapshot() as view:
        device: Device | None = view.get(Table.DEVICES, (user, name))
    return None if device is None else device.number


def _read(view: Reader, user: UserId, begin: str, limit: int, partitions: Iterable[str]) -> list[KnownDevice]:
    found: list[tuple[Any, Device]] = view.scan(Table.DEVICES, (user, begin), (user + 1, ""), limit=limit)
    return [
        KnownDevice(
            device.number,
            name,
            label_of(view, device).text,
            device.created,
            device.last_seen,
            _committed_by(view, user, device.number, partitions),
        )
        for (_, name), device in found
    ]


def _committed_by(view: Reader, user: UserId, device: DeviceId, partitions: Iterable[str]) -> dict[str, Committed]:
    """Leaves out what is damaged: the device begins anew there."""
    committed = {}
    for partition in partitions:
        with suppress(DamagedRecordError):
            cursor = view.get(Table.CURSORS, (device, partition))
            if cursor is not None:
                log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
                committed[partition] = Committed(cursor.floor, log.head, log.first)
    return committed
