"""What a whole user has committed: the lowest offset that all their live devices have acknowledged.

A device is *live* while it was seen within the offline period; one that was away for longer holds nothing back, and
neither does one that never named the partition. Under the policy `until-acked` an entry may go once all live devices
have it; without any live device nothing goes so, and the history period alone decides.
"""

from typing import NamedTuple

from bimip.domain.core.decision import Decision
from bimip.domain.core.ids import DeviceId, Millis, Offset, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Expired
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import Cursor, DamagedRecordError, Device, Log, LogTable, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import EMPTY_LOG, is_owed
from bimip.domain.messages.expiring import cut_log

MOST_DEVICES = 1000
"""Devices of a user of which the lowest offset is looked for. Beyond that the history period alone decides."""
LEAST_LOOK = 16
"""Entries looked at behind the floor of each device: it passes over those that are not owed."""


class ExpireCommitted(NamedTuple):
    """One log lets go of what all live devices of its user have acknowledged."""

    user: UserId
    partition: str
    seen_since: Millis  # devices that were seen since then are live


def expire_committed(view: Reader, op: ExpireCommitted, context: Context) -> Decision:
    log: Log = view.get(Table.LOGS, (op.user, op.partition)) or EMPTY_LOG
    limit = context.rules.slice_entries
    if op.partition not in context.rules.until_acked:
        return Decision(Expired(0, more=False))
    upto = committed_offset(view, op.user, op.partition, op.seen_since, limit)
    if upto is None or upto < log.first:
        return Decision(Expired(0, more=False))
    first = Offset(min(upto + 1, log.first + limit))
    return cut_log(view, op.user, op.partition, log, first, more=first <= upto)


def committed_offset(
    view: Reader, user: UserId, partition: str, seen_since: Millis, limit: int = LEAST_LOOK
) -> Offset | None:
    """The lowest offset that all live devices of a user have committed in a log; None: no live device says.

    About `limit` entries are looked at in all, so it may be further.
    """
    standings = find_standings(view, user, partition, seen_since, limit)
    return min((one.passed for one in standings or ()), default=None)


class Standing(NamedTuple):
    """A live device's place in a log: it has passed all up to there, and holds back what lies behind."""

    name: str
    device: Device
    passed: Offset


def find_standings(
    view: Reader, user: UserId, partition: str, seen_since: Millis, limit: int = LEAST_LOOK
) -> list[Standing] | None:
    """Finds where each live device of a user stands that ever named a log; None: they have too many to look at."""
    log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
    devices = view.scan(Table.DEVICES, (user,), (user + 1,), limit=MOST_DEVICES + 1)
    if len(devices) > MOST_DEVICES:
        return None
    live = [
        (key[1], device, cursor)
        for key, device in devices
        if device.last_seen >= seen_since and (cursor := _cursor(view, device, partition))
    ]
    look = max(LEAST_LOOK, limit // max(1, len(live)))
    return [
        Standing(name, device, _passed(view, user, device.number, partition, cursor, log, look))
        for name, device, cursor in live
    ]


def _cursor(view: Reader, device: Device, partition: str) -> Cursor | None:
    """Reads where a device stands; at the start where that is damaged, so that it holds back everything."""
    try:
        cursor: Cursor | None = view.get(Table.CURSORS, (device.number, partition))
    except DamagedRecordError:
        return Cursor(Offset(0), ())
    return cursor


def _passed(
    view: Reader, user: UserId, device: DeviceId, partition: str, cursor: Cursor, log: Log, limit: int
) -> Offset:
    """A device's floor, and beyond it over what is not owed to it, as far as that was looked at: who writes and is
    written nothing acknowledges nothing.
    """
    floor = max(cursor.floor, Offset(log.first - 1))
    try:
        entries = view.read(LogTable.ENTRIES, (user, partition), floor, limit=limit)
    except DamagedRecordError:
        return floor
    for offset, entry in entries:
        if is_owed(view, entry, user, device) and not contains(cursor.above, offset):
            break
        floor = Offset(offset)
    return floor


OPERATIONS: dict[type, OperationKind] = {ExpireCommitted: OperationKind(expire_committed)}
