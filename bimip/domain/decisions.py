"""What decides what: the one door from an operation to its decision."""

from collections.abc import Callable
from typing import Any

from bimip.domain import operations as ops
from bimip.domain.acknowledging import acknowledge, receipt
from bimip.domain.appending import append
from bimip.domain.batch import Decision
from bimip.domain.expiring import expire_bodies, expire_history, expire_log, expire_revoked, expire_seen
from bimip.domain.hello import open_position
from bimip.domain.records import Reader, Table
from bimip.domain.registering import forget, is_registered, register, revoke
from bimip.domain.rules import Context
from bimip.domain.timekeeping import time_records


def barrier(_view: Reader, _op: ops.Barrier, _moment: Context) -> Decision:
    return Decision(ops.Done())


def note_time(_view: Reader, op: ops.NoteTime, context: Context) -> Decision:
    known = op.known._replace(told=context.now)  # which may be tried again, later
    return Decision(ops.Done(), ((Table.META, time_records(known, context.stamp())),))


DECIDE: dict[type, Callable[[Reader, Any, Context], Decision]] = {
    ops.Register: register,
    ops.Append: append,
    ops.OpenPosition: open_position,
    ops.Acknowledge: acknowledge,
    ops.Receipt: receipt,
    ops.Revoke: revoke,
    ops.Forget: forget,
    ops.Barrier: barrier,
    ops.NoteTime: note_time,
    ops.ExpireLog: expire_log,
    ops.ExpireHistory: expire_history,
    ops.ExpireBodies: expire_bodies,
    ops.ExpireSeen: expire_seen,
    ops.ExpireRevoked: expire_revoked,
}


def without_writing(view: Reader, operation: ops.Operation, context: Context) -> ops.Result | None:
    """Answers what a store without any room can: who is known comes in, and reads. None: this has to be written."""
    if isinstance(operation, ops.Register) and not is_registered(view, operation):
        return None
    if isinstance(operation, ops.Register | ops.OpenPosition | ops.Barrier):
        return decide(view, operation, context).result
    return None


def decide(view: Reader, operation: ops.Operation, context: Context) -> Decision:
    """Pure: the same view, operation and context give the same decision."""
    return DECIDE[type(operation)](view, operation, context)
