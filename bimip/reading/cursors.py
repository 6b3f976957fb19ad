"""How far a device has acknowledged its user's logs."""

from collections.abc import Iterable, Mapping

from bimip.domain.core.ids import DeviceId
from bimip.domain.core.records import Cursor, DamagedRecordError, Reader, Table
from bimip.storage.interface import Store


def read_cursors(store: Store, device: DeviceId, partitions: Iterable[str]) -> Mapping[str, Cursor]:
    """Reads it, by partition. Where nothing was acknowledged, or that is damaged, there is none."""
    with store.snapshot() as view:
        found = {partition: read_cursor(view, device, partition) for partition in partitions}
    return {partition: cursor for partition, cursor in found.items() if cursor is not None}


def read_cursor(view: Reader, device: DeviceId, partition: str) -> Cursor | None:
    try:
        found: Cursor | None = view.get(Table.CURSORS, (device, partition))
    except DamagedRecordError:
        return None
    return found
