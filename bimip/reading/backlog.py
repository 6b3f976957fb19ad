"""What waits for a device in a log: the messages that it is owed and has not acknowledged, their bytes, and the age of
the oldest. It takes as long as there is much, so it is made in slices, each of which reads a snapshot of its own.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import Cursor, DamagedRecordError, Entry, Log, LogTable, Reader, Table
from bimip.domain.messages.appending import EMPTY_LOG, is_owed
from bimip.storage.interface import Store

LOOK_MOST = 1000
"""Entries of one log that are looked at for one device: what lies behind them is not counted."""
AT_ONCE = 64
"""Entries of one slice."""


class Backlog(NamedTuple):
    messages: int = 0
    bytes: int = 0  # of them, as they are stored
    oldest: Millis | None = None  # when the oldest was accepted; None: there is none
    is_whole: bool = True  # False: there are so many at least, as not all was looked at


def measure_backlog(
    store: Store, user: UserId, device: DeviceId, partition: str, most: int = LOOK_MOST
) -> Generator[None, None, Backlog]:
    """Measures what waits for a device in one log: of at most so many entries, with a pause after each slice."""
    found, after, left = Backlog(), 0, most
    while left > 0:
        with store.snapshot() as view:
            try:
                cursor: Cursor | None = view.get(Table.CURSORS, (device, partition))
                if cursor is None:  # it named no such log, or was removed meanwhile
                    return Backlog()
                log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
                after = max(after, cursor.floor, log.first - 1)
                entries = view.read(LogTable.ENTRIES, (user, partition), after, limit=min(AT_ONCE, left))
                waiting = [
                    entry
                    for offset, entry in entries
                    if not contains(cursor.above, offset) and is_owed(view, entry, user, device)
                ]
                found = _added(found, waiting, sizes_of(view, waiting))
            except DamagedRecordError:  # of what is damaged nothing is known
                return found._replace(is_whole=False)
        yield
        left -= len(entries)
        after = entries[-1][0] if entries else log.head
        if after >= log.head:
            return found
    return found._replace(is_whole=False)


def sizes_of(view: Reader, entries: Sequence[Entry]) -> list[int]:
    """Counts the bytes of messages, as they are stored: none of those that are gone."""
    bodies: list[bytes | None] = view.get_all(Table.BODIES, [(entry.stamp,) for entry in entries])
    return [len(body or b"") for body in bodies]


def _added(found: Backlog, waiting: Sequence[Entry], sizes: Sequence[int]) -> Backlog:
    oldest = found.oldest
    if oldest is None and waiting:
        oldest = millis_of(waiting[0].stamp)
    return Backlog(found.messages + len(waiting), found.bytes + sum(sizes), oldest)
