"""Checkpoints: where a log and its user's state stood at one moment, so that a device can resume from there.

A checkpoint is taken at the log's head, whose chain stands in the log's own record: it costs one small record, however
long the log is. The newest KEPT of each log stay, together in one record.
"""

from typing import NamedTuple

from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.ids import Offset, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.records import Checkpoint, DamagedRecordError, Log, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.state.changes import state_of

KEPT = 32
"""Of one log."""


class TakeCheckpoint(NamedTuple):
    """The log as it is now is to have a checkpoint."""

    user: UserId
    partition: str


class CheckpointTaken(NamedTuple):
    offset: Offset  # of the newest checkpoint


def take_checkpoint(view: Reader, op: TakeCheckpoint, context: Context) -> Decision:
    place = (op.user, op.partition)
    log: Log = view.get(Table.LOGS, place) or EMPTY_LOG
    known = checkpoints_of(view, op.user, op.partition)
    if not log.head or (known and known[-1].offset >= log.head):
        return Decision(CheckpointTaken(log.head))
    taken = Checkpoint(log.head, log.chain, state_of(view, op.user).head, context.now)
    kept = (*known, taken)[-KEPT:]
    return Decision(CheckpointTaken(log.head), Writes(((Table.CHECKPOINTS, {place: kept}),)))


def checkpoints_of(view: Reader, user: UserId, partition: str) -> tuple[Checkpoint, ...]:
    """Reads a log's checkpoints, ascending; none where they are damaged: others will be taken."""
    try:
        return view.get(Table.CHECKPOINTS, (user, partition)) or ()
    except DamagedRecordError:
        return ()


def is_due(log: Log, known: tuple[Checkpoint, ...], now: int, every_entries: int, every_ms: int) -> bool:
    """Whether a log has grown by enough, or for long enough, to have another checkpoint."""
    if not known:
        return log.head > 0
    last = known[-1]
    grown = log.head - last.offset
    return grown >= every_entries or (grown > 0 and now - last.time >= every_ms)


OPERATIONS: dict[type, OperationKind] = {TakeCheckpoint: OperationKind(take_checkpoint)}
