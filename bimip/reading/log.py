"""The entries of a user's log, as they are delivered."""

from bimip.domain.core.ids import DeviceId, Stamp, UserId
from bimip.domain.core.records import Addressed, Entry, Table
from bimip.reading.salvage import read_entries
from bimip.reading.segments import Segment, segment_of
from bimip.reading.withheld import withhold
from bimip.storage.interface import Store
from bimip.wire.stored import EDITED_TAG, deliver, deliver_all

BODIES_AT_ONCE = 16
"""Messages read together, until their bytes are known."""


def read_segments(store: Store, user: UserId, partition: str, after: int, limit: int, size: int) -> list[Segment]:
    """Reads the next `limit` entries behind an offset, as far as `size` bytes reach and the one that is too much.

    Raises UnreadableError.
    """
    with store.snapshot() as view:
        found = read_entries(view, user, partition, after, limit)
        parts: list[bytes | None] = []
        while len(parts) < len(found) and (size >= 0 or not parts):
            slice_ = found[len(parts) : len(parts) + BODIES_AT_ONCE]
            bodies = view.get_all(Table.BODIES, [(entry.stamp,) for _, entry in slice_])
            if EDITED_TAG in b"".join(filter(None, bodies)):  # nothing of ours runs for each
                withhold(view, user, [entry for _, entry in slice_], bodies)
            for part in _delivered(slice_, bodies):
                parts.append(part)
                if part is not None:
                    size -= len(part)
                    if size < 0:
                        break
    return _segments_of(found[: len(parts)], parts)


def _delivered(found: list[tuple[int, Entry]], bodies: list[bytes | None]) -> list[bytes | None]:
    first, last = found[0][0], found[-1][0]
    if last - first == len(found) - 1:
        return deliver_all(bodies, first)
    return [body and deliver(body, offset) for (offset, _), body in zip(found, bodies, strict=True)]


def _segments_of(found: list[tuple[int, Entry]], parts: list[bytes | None]) -> list[Segment]:
    """One segment, but where some between are lost."""
    if not found:
        return []
    first, last = found[0][0], found[-1][0]
    if last - first == len(found) - 1:
        return [segment_of(first, [entry for _, entry in found], parts)]
    return [segment_of(offset, [entry], [part]) for (offset, entry), part in zip(found, parts, strict=True)]


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
