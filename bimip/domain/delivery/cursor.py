"""How far a device has acknowledged a partition: a floor and a sparse set above it.

Fetching and acknowledging are separate: nothing here moves because something was sent.
"""

from collections.abc import Iterator, Sequence

from bimip.domain.core import ranges
from bimip.domain.core.ids import DeviceId, Offset
from bimip.domain.core.operations import Acknowledge
from bimip.domain.core.packed import column, distinct
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Cursor, DamagedRecordError, Entry, HistoryEntry, Log, LogTable, Reader, maker
from bimip.domain.core.rules import Rules
from bimip.domain.messages.appending import ENTRIES, is_owed

_cursor = maker(Cursor)

START = Cursor(Offset(0), ())

AHEAD = 16
"""Entries read beyond what is acknowledged: the floor passes over those that are not owed."""


def advance(
    view: Reader, op: Acknowledge, log: Log, cursor: Cursor, rules: Rules
) -> tuple[Cursor, list[Sequence[Entry]], Acknowledge | None]:
    """Acknowledge everything owed up to `upto` and the offsets in `ranges`, of each no more than a slice at once.

    The cursor then, what was owed and is acknowledged by this device for the first time, perhaps with what it wrote
    itself in between, and the rest of the operation, for a later slice. What lies beyond the window is not kept; it is
    acknowledged here all the same, so that it gives its receipts.
    """
    limit = rules.slice_entries
    upto = min(log.head, op.upto)
    floor = max(cursor.floor, log.first - 1)
    end = min(upto, floor + limit)
    taken = cursor.above
    beyond: Ranges = ()
    left: Ranges = ()
    if op.ranges:
        wanted = ranges.subtract(ranges.clip(op.ranges, max(floor, upto) + 1, log.head), taken)
        beyond = ranges.lowest(wanted, limit)
        left = ranges.subtract(wanted, beyond)
        taken = ranges.normal((*taken, *beyond))
    floor, fresh = _walk(view, op, floor, end, log.head, taken, limit)
    for part in _stretches(beyond) if beyond else ():
        first, last = part[0][0], part[-1][1]
        found, _ = _read(view, op, first - 1, last - first + 1, log.head)
        fresh += [
            [
                entry
                for offset, entry in enumerate(entries, begin)
                if ranges.contains(part, offset) and is_owed(view, entry, op.user, op.device)
            ]
            for begin, entries in found
        ]
    above = ranges.lowest(ranges.above(taken, floor), rules.window_entries) if taken else ()
    rest = op._replace(upto=upto, ranges=left) if left or end < upto else None
    return _cursor((floor, above)), fresh, rest


def _stretches(wanted: Ranges) -> Iterator[Ranges]:
    """Ranges that lie near each other: reading what is between them costs less than a read for each."""
    part: list[ranges.Range] = []
    for one in wanted:
        if part and one[0] - part[-1][1] > AHEAD:
            yield tuple(part)
            part = []
        part.append(one)
    if part:
        yield tuple(part)


def _read(
    view: Reader, op: Acknowledge, after: int, limit: int, head: int
) -> tuple[Sequence[tuple[int, Sequence[Entry]]], bool]:
    """Entries of the log, those together that lie together, and whether nothing of them is damaged.

    What is damaged, and not in its conversation's history as it is here, is passed over: it gives no receipt.
    """
    place = (op.user, op.partition)
    try:
        return view.read_packed(ENTRIES, place, after, limit=limit), True
    except DamagedRecordError:
        suspects: list[tuple[int, Entry]] = view.salvage(ENTRIES, place, after, limit=limit, upto=head)
        return [(offset, [entry]) for offset, entry in suspects if _is_in_history(view, entry)], False


def _is_in_history(view: Reader, entry: Entry) -> bool:
    stamp, conversation, place, author, origin, addressed, _ = entry
    try:
        found = view.read(LogTable.HISTORY, (conversation,), place - 1, limit=1)
    except DamagedRecordError:
        return False
    return found == [(place, HistoryEntry(stamp, author, origin, addressed))]


def _walk(
    view: Reader, op: Acknowledge, floor: int, end: int, head: int, taken: Ranges, limit: int
) -> tuple[int, list[Sequence[Entry]]]:
    """Move the floor to `end`, and over what is taken above it, not owed to this device, or no longer kept.

    The floor, and what it found owed on its way and not taken before.
    """
    user, device = op.user, op.device
    fresh: list[Sequence[Entry]] = []
    end = max(end, floor)
    while floor < head and floor <= end + limit:
        found, is_whole = _read(view, op, floor, max(end - floor, 0) + AHEAD, head)
        for first, entries in found:
            if is_whole and not taken and distinct(entries, "addressed") == {False}:
                # As nearly always: nothing of ours runs for each, since an ack comes with each frame.
                passed, stops = _pass_plain(first, entries, end, device, fresh)
                floor = max(floor, passed)  # what was passed over beyond `end` stays so
                if stops:
                    return floor, fresh
                continue
            owed: list[Entry] = []
            fresh.append(owed)
            for offset, entry in enumerate(entries, first):
                if is_owed(view, entry, user, device) and not (taken and ranges.contains(taken, offset)):
                    if offset > end:
                        return floor, fresh
                    owed.append(entry)
                floor = offset
        if not found:
            break
    return max(floor, end), fresh


def _pass_plain(
    first: int, entries: Sequence[Entry], end: int, device: DeviceId, fresh: list[Sequence[Entry]]
) -> tuple[int, bool]:
    """Pass over entries that go to every device which did not write them, and add those up to `end` to what is fresh.
    The floor then, and whether what follows it is owed.
    """
    last = first + len(entries) - 1
    if last <= end:
        fresh.append(entries)
        return last, False
    begin = max(end + 1 - first, 0)
    if begin:
        fresh.append(entries[:begin])
    for at, origin in enumerate(column(entries[begin:], "origin"), begin):
        if origin != device:
            return first + at - 1 if at > begin else end, True
    return last, False
