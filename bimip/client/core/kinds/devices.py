"""The devices of this user, as all of them know of each other: the newest of each name, and its latest label."""

from typing import Any

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import DeviceChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import DeviceState

Known = tuple[int, int, str]
"""When it came, and what people call it, behind the server's stamp of that."""


class DevicesKind(Kind[DeviceState, Known]):
    field = "device"

    def key(self, item: DeviceState) -> StateKey | None:
        return (item.name,)

    def value(self, item: DeviceState) -> Known:
        return item.created, item.stamp, item.label

    def merge(self, known: Known, arrived: Known) -> Known:
        return max(known, arrived)

    def event(self, key: StateKey, before: Known | None, now: Known | None) -> DeviceChanged | None:
        if before == now:
            return None
        created, _, label = now or before or (0, 0, "")
        return DeviceChanged(str(key[0]), created, label, is_gone=now is None)

    def load(self, stored: Any) -> Known:  # noqa: ANN401 - as in Kind
        created, stamp, label = stored
        return int(created), int(stamp), str(label)


DEVICES = DevicesKind()


def devices_of(store: Store) -> dict[str, tuple[int, str]]:
    """Returns by name when each device came, and what people call it."""
    rows = sorted(Table(store, DEVICES).under(()))
    return {str(name): (created, label) for (name,), (created, _, label) in rows}
