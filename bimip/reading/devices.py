"""A user's devices, and how far each has acknowledged: what an operator asks."""

from collections.abc import Iterable
from typing import NamedTuple

from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.records import Reader, Table
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.storage.interface import Store

MAX_DEVICES = 1000
"""Shown of one user."""


class Committed(NamedTuple):
    """A device's place in one log: all up to the floor is acknowledged."""

    floor: Offset
    head: Offset


class KnownDevice(NamedTuple):
    name: str
    created: Millis
    last_seen: Millis
    committed: dict[str, Committed]  # by partition; only what it ever named


def read_devices(store: Store, eid: str, partitions: Iterable[str]) -> list[KnownDevice] | None:
    """Reads a user's devices by name; None: there is no such user."""
    with store.snapshot() as view:
        user = view.get(Table.USERS, (eid,))
        if user is None:
            return None
        found = view.scan(Table.DEVICES, (user.number, ""), (user.number + 1, ""), limit=MAX_DEVICES)
        return [
            KnownDevice(
                name, device.created, device.last_seen, _committed_by(view, user.number, device.number, partitions)
            )
            for (_, name), device in found
        ]


def _committed_by(view: Reader, user: UserId, device: DeviceId, partitions: Iterable[str]) -> dict[str, Committed]:
    committed = {}
    for partition in partitions:
        cursor = view.get(Table.CURSORS, (device, partition))
        if cursor is not None:
            log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
            committed[partition] = Committed(cursor.floor, log.head)
    return committed
