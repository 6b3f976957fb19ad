"""The entries of a user's log, as they are delivered."""

from collections.abc import Sequence

from bimip.domain.core.ids import DeviceId, Stamp, UserId
from bimip.domain.core.packed import column
from bimip.domain.core.records import Addressed, Entry, Reader, Table
from bimip.reading.salvage import read_entries_together
from bimip.reading.segments import Segment, segments_of
from bimip.reading.withheld import withhold
from bimip.storage.interface import Store
from bimip.wire.stored import deliver_all

BODIES_AT_ONCE = 16
"""Messages read together, until their bytes are known."""
BODIES_MOST = 64
"""Read together where those before say that there is room for so many."""


def read_segments(store: Store, user: UserId, partition: str, after: int, limit: int, size: int) -> list[Segment]:
    """Reads the next `limit` entries behind an offset, as far as `size` bytes reach and some beyond, at least one.

    Raises UnreadableError.
    """
    segments: list[Segment] = []
    count = BODIES_AT_ONCE
    with store.snapshot() as view:
        for first, entries in read_entries_together(view, user, partition, after, limit):
            parts, size, count = _read_parts(view, user, first, entries, size, count)
            segments += segments_of(first, entries[: len(parts)], parts)
            if size < 0:
                break
    return segments


def _read_parts(
    view: Reader, user: UserId, first: int, entries: Sequence[Entry], size: int, count: int
) -> tuple[list[bytes | None], int, int]:
    """Reads the messages of entries that follow each other, `count` together, until there is no room. Also the room
    that is left, and how many of the next to read together.
    """
    stamps = column(entries, "stamp")
    parts: list[bytes | None] = []
    while len(parts) < len(stamps) and (size >= 0 or not parts):
        begin = len(parts)
        bodies = view.get_all(Table.BODIES, zip(stamps[begin : begin + count], strict=False))
        withhold(view, user, entries[begin : begin + count], bodies)
        found = deliver_all(bodies, first + begin)
        read = sum(map(len, filter(None, found)))
        size -= read
        parts += found
        count = max(BODIES_AT_ONCE, min(size * len(found) // read + 1, BODIES_MOST)) if read else BODIES_AT_ONCE
    return parts, size, count


def read_addressed(store: Store, stamp: Stamp, user: UserId, device: DeviceId) -> Addressed | None:
    """Reads what of a message is addressed to one device of a user."""
    with store.snapshot() as view:
        found: tuple[Addressed, ...] = view.get(Table.ADDRESSED, (stamp, user)) or ()
    return next((one for one in found if one.device == device), None)


def is_expired(store: Store, user: UserId, partition: str, offset: int) -> bool:
    """Whether a log begins behind an offset: what stood there is gone by age, and not damaged."""
    with store.snapshot() as view:
        log = view.get(Table.LOGS, (user, partition))
    return log is not None and offset < log.first
