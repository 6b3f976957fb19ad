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
    with store.snapshot() as view:
        for first, entries in read_entries_together(view, user, partition, after, limit):
            parts = _read_parts(view, user, first, entries, size)
            found = segments_of(first, entries[: len(parts)], parts)
            segments += found
            size -= sum([segment.bytes for segment in found])
            if size < 0:
                break
    return segments


def _read_parts(view: Reader, user: UserId, first: int, entries: Sequence[Entry], size: int) -> list[bytes | None]:
    """The messages of entries that follow each other, until there is no room."""
    stamps = column(entries, "stamp")
    parts: list[bytes | None] = []
    count = BODIES_AT_ONCE
    while len(parts) < len(stamps) and (size >= 0 or not parts):
        begin = len(parts)
        bodies = view.get_all(Table.BODIES, zip(stamps[begin : begin + count], strict=False))
        withhold(view, user, entries[begin : begin + count], bodies)
        parts += deliver_all(bodies, first + begin)
        read = sum(map(len, filter(None, bodies)))
        size -= read
        count = max(BODIES_AT_ONCE, min(size * len(bodies) // read + 1, BODIES_MOST)) if read else BODIES_AT_ONCE
    return parts


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
