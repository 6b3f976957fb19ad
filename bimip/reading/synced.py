"""How far a device is with what each of its user's other devices wrote: the `lastSynced` of a client-first device.

Nothing keeps it: it is read off the log, where every entry names the device that wrote it, and the device's own floor.
The newest entries tell it mostly. Where a device wrote last long ago, or never, the log is walked down, so many entries
for an answer, and the client says whether it wants to know more. Rejected: a record of each device's newest entry,
which every message would have to write.
"""

from dataclasses import dataclass
from operator import itemgetter

from bimip.domain.core.ids import DeviceId
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import Cursor, Device, Entry, Reader, Table
from bimip.domain.delivery.cursor import START
from bimip.domain.messages.appending import EMPTY_LOG, is_owed
from bimip.reading.cursors import read_cursor
from bimip.reading.fetches import PageStart, Viewer
from bimip.reading.pages import Page, Scan
from bimip.reading.salvage import UnreadableError, read_entries
from bimip.storage.interface import Store
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored
from bimip.wire.errors import WireError

SLICE = 256
"""Entries looked at in one turn: their messages are not read."""
MOST = 4096
"""For one answer."""
ENTRIES_LIKE_ONE = 8
"""So many of them cost about what one entry with its message does."""


@dataclass(slots=True)
class Synced:
    """The findings about one origin."""

    head: int = 0
    upto: int = 0
    missing: int = 0
    stamp: int = 0  # of the message at `upto`


def scan_synced(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans the user's log down for what the device that is meant has of each other one. Raises WireError."""
    with store.snapshot() as view:
        first, head, _ = view.get(Table.LOGS, (viewer.user, fetch.partition)) or EMPTY_LOG
        device = _meant(view, viewer, fetch)
        origins = _others(view, viewer, device, limit)
        cursor = read_cursor(view, device, fetch.partition) or START
    at = head if begin.offset is None else min(begin.offset, head)
    found: dict[DeviceId, Synced] = {}
    left = MOST
    while at >= first and left > 0 and not _is_settled(found, origins):
        after = max(first - 1, at - SLICE)
        with store.snapshot() as view:
            for offset, entry in _entries(view, viewer, fetch.partition, after, at):
                if entry.author == viewer.user and entry.origin in origins:
                    _note(view, viewer, device, cursor, found.setdefault(entry.origin, Synced()), offset, entry)
        left -= at - after
        yield (at - after) // ENTRIES_LIKE_ONE + 1
        at = after
    complete = at < first or _is_settled(found, origins)
    return Page([], at, complete, parts=_parts(store, found, origins))


def _meant(view: Reader, viewer: Viewer, fetch: pb.Fetch) -> DeviceId:
    """Reads which device is asked about: the one that asks, or the one of its user that `to` names."""
    name = fetch.to.connection_resource_id
    named: Device | None = view.get(Table.DEVICES, (viewer.user, name)) if name else None
    if (name and named is None) or fetch.to.eid not in {"", viewer.eid}:
        sentence = "you have no such device; `Devices` LIST names them"
        raise WireError(pb.NOT_FOUND, sentence, field="to")
    return named.number if named else viewer.device


def _others(view: Reader, viewer: Viewer, device: DeviceId, limit: int) -> dict[DeviceId, str]:
    low, high = (viewer.user, ""), (viewer.user + 1, "")
    known = view.scan(Table.DEVICES, low, high, limit=limit + 1)
    others = {record.number: name for (_, name), record in known if record.number != device}
    return dict(list(others.items())[:limit])


def _entries(view: Reader, viewer: Viewer, partition: str, after: int, upto: int) -> list[tuple[int, Entry]]:
    """Reads entries in (after, upto], the newest first. What is damaged is passed over."""
    try:
        found = read_entries(view, viewer.user, partition, after, upto - after)
    except UnreadableError:
        return []
    return [(offset, entry) for offset, entry in reversed(found) if offset <= upto]


def _note(
    view: Reader, viewer: Viewer, device: DeviceId, cursor: Cursor, known: Synced, offset: int, entry: Entry
) -> None:
    known.head = max(known.head, offset)
    if offset <= cursor.floor:
        if not known.upto:
            known.upto, known.stamp = offset, entry.stamp
    elif not contains(cursor.above, offset) and is_owed(view, entry, viewer.user, device):
        known.missing += 1


def _is_settled(found: dict[DeviceId, Synced], origins: dict[DeviceId, str]) -> bool:
    """Whether of each origin something is at or below the floor: what lies further down tells nothing more."""
    return len(found) == len(origins) and all(one.upto for one in found.values())


def _parts(store: Store, found: dict[DeviceId, Synced], origins: dict[DeviceId, str]) -> list[bytes]:
    by_name = sorted(((origins[number], one) for number, one in found.items()), key=itemgetter(0))
    with store.snapshot() as view:
        bodies = view.get_all(Table.BODIES, [(one.stamp,) for _, one in by_name])
    return [
        frames.synced_part(
            pb.Synced(
                origin=name,
                upto=one.upto,
                head=one.head,
                missing=one.missing,
                seq="" if body is None else stored.parse(body).seq,
            )
        )
        for (name, one), body in zip(by_name, bodies, strict=True)
    ]
