"""Hello: a device says where it stands, and its word wins over what the server had written down."""

from bimip.domain.core import ranges
from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.ids import Offset
from bimip.domain.core.operation_kind import OperationKind, always
from bimip.domain.core.operations import Acknowledge, OpenPosition, PositionOpened
from bimip.domain.core.records import Cursor, DamagedRecordError, Log, Reader, Table, User
from bimip.domain.core.rules import Context
from bimip.domain.delivery.acknowledging import delivered
from bimip.domain.delivery.cursor import START, advance
from bimip.domain.messages.appending import EMPTY_LOG, unknown_partition

FIRST, HEAD, LAST = 1, 2, 3


def open_position(view: Reader, op: OpenPosition, context: Context) -> Decision:
    if op.partition not in context.rules.partitions:
        return Decision(unknown_partition(op.partition, context))
    log: Log = view.get(Table.LOGS, (op.user, op.partition)) or EMPTY_LOG
    try:
        cursor: Cursor | None = view.get(Table.CURSORS, (op.device, op.partition))
    except DamagedRecordError:
        cursor = START  # where the client has no position either, all that is kept comes again: nothing is skipped
    if op.start:
        return _start(op, log, cursor)
    if not op.same_epoch or op.furthest > log.head:
        return _other_epoch(op, log, cursor)  # also of a device that is not known here: it was, and went by a floor
    if op.position is None:
        if cursor is None:
            return _start(op._replace(start=FIRST if _is_first(view, op) else HEAD), log, None)
        op = op._replace(position=cursor.floor)
    return _position(view, op, log, cursor or START, context)


def _is_first(view: Reader, op: OpenPosition) -> bool:
    """Whether this is the first device that its user ever had: what was written to them before waits for it."""
    user: User | None = view.get(Table.USERS, (view.get(Table.EIDS, (op.user,)),))
    return user is not None and user.first_device == op.device


def _start(op: OpenPosition, log: Log, cursor: Cursor | None) -> Decision:
    """A device without a position. Where a cursor exists, going ahead of it is a skip, and no receipt."""
    oldest = Offset(log.first - 1)
    wanted = {FIRST: oldest, HEAD: log.head, LAST: Offset(max(oldest, log.head - op.last))}[op.start]
    floor = max(cursor.floor if cursor else wanted, wanted)
    skipped = (Offset(cursor.floor + 1), wanted) if cursor and wanted > max(cursor.floor, oldest) else None
    above = ranges.above(cursor.above, floor) if cursor else ()
    return Decision(
        PositionOpened(op.partition, log.first, log.head, floor, wanted, (), skipped),
        Writes(((Table.CURSORS, {(op.device, op.partition): Cursor(floor, above)}),)),
    )


def _other_epoch(op: OpenPosition, log: Log, cursor: Cursor | None) -> Decision:
    """An older store was put back: the device's numbers mean nothing beyond what this store's own floor says, and what
    it holds above them are other entries here.
    """
    floor = cursor.floor if cursor else START.floor
    position = floor if op.position is None else min(op.position, floor)
    puts = () if cursor else ((Table.CURSORS, {(op.device, op.partition): START}),)
    return Decision(PositionOpened(op.partition, log.first, log.head, floor, position, (), None), Writes(puts))


def _position(view: Reader, op: OpenPosition, log: Log, cursor: Cursor, context: Context) -> Decision:
    """Above the floor the position is an acknowledgement; below it, what was sent and lost is sent again."""
    position = Offset(op.position or 0)
    taken = Acknowledge(op.user, op.device, op.partition, position, op.held)
    cursor, entries, rest = advance(view, taken, log, cursor, context.rules)
    puts, news = delivered(view, op.user, entries, context)
    puts.append((Table.CURSORS, {(op.device, op.partition): cursor}))
    floor = max(cursor.floor, position)
    held = ranges.above(op.held, position)
    return Decision(
        PositionOpened(op.partition, log.first, log.head, Offset(floor), position, held, None),
        Writes(puts),
        news,
        rest,
    )


OPERATIONS: dict[type, OperationKind] = {OpenPosition: OperationKind(open_position, needs_no_room=always)}
