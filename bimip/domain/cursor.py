"""How far a device has acknowledged a partition: a floor and a sparse set above it.

Fetching and acknowledging are separate (seed 000): nothing here moves because something was sent.
"""

from typing import NamedTuple

from bimip.domain import ranges
from bimip.domain.appending import EMPTY_LOG, is_owed
from bimip.domain.ids import DeviceId, Offset, UserId
from bimip.domain.ranges import Ranges
from bimip.domain.records import Cursor, Entry, Log, Reader, Sequence, Table

START = Cursor(Offset(0), ())


class Advance(NamedTuple):
    """What an acknowledgement did."""

    cursor: Cursor
    entries: list[tuple[int, Entry]]  # owed, and acknowledged by this device for the first time
    rest: tuple[Offset, Ranges] | None  # the acknowledgement goes on with these, in a later slice


def advance(
    view: Reader, user: UserId, device: DeviceId, partition: str, upto: int, more: Ranges, *, window: int, limit: int
) -> Advance:
    """Acknowledge everything owed up to `upto` and the offsets in `more`, of each no more than `limit` at once.

    What lies beyond the window is not kept; it is acknowledged here all the same, so that it gives its receipts.
    """
    cursor: Cursor = view.get(Table.CURSORS, (device, partition)) or START
    log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
    upto = min(upto, log.head)
    end = min(upto, max(cursor.floor, log.first - 1) + limit)
    fresh: list[tuple[int, Entry]] = []
    if end > cursor.floor:
        fresh = [
            (offset, entry)
            for offset, entry in _entries(view, user, partition, cursor.floor + 1, end)
            if not ranges.contains(cursor.above, offset) and is_owed(view, entry, user, device)
        ]
    floor = max(cursor.floor, end)
    wanted = ranges.subtract(ranges.clip(more, max(floor, upto) + 1, log.head), cursor.above)
    beyond = ranges.lowest(wanted, limit)
    for first, last in beyond:
        fresh += [pair for pair in _entries(view, user, partition, first, last) if is_owed(view, pair[1], user, device)]
    above = ranges.above(ranges.normal((*cursor.above, *beyond)), floor)
    floor = _pass_over(view, user, device, partition, floor, above, log, limit)
    above = ranges.lowest(ranges.above(above, floor), window)
    left = ranges.subtract(wanted, beyond)
    return Advance(Cursor(Offset(floor), above), fresh, (Offset(upto), left) if left or end < upto else None)


def _pass_over(
    view: Reader, user: UserId, device: DeviceId, partition: str, floor: int, above: Ranges, log: Log, limit: int
) -> int:
    """Move the floor over what is acknowledged above it, not owed to this device, or no longer kept."""
    floor = max(floor, log.first - 1)
    while floor < log.head:
        entries = view.read(Sequence.ENTRIES, (user, partition), floor, limit=min(limit, 16))
        for offset, entry in entries:
            if not ranges.contains(above, offset) and is_owed(view, entry, user, device):
                return floor
            floor = offset
        limit -= len(entries)
        if limit <= 0 or not entries:
            break
    return floor


def _entries(view: Reader, user: UserId, partition: str, first: int, last: int) -> list[tuple[int, Entry]]:
    found = view.read(Sequence.ENTRIES, (user, partition), first - 1, limit=last - first + 1)
    return [(offset, entry) for offset, entry in found if offset <= last]
