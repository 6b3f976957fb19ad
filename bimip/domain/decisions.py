"""What decides what: the one door from an operation to its decision."""

from bimip.domain.accounts import barring, erasing, keys, registering
from bimip.domain.awareness import locations, missed_calls
from bimip.domain.commands import command
from bimip.domain.contacts import changing_settings, roster
from bimip.domain.conversations import erasing as erasing_there
from bimip.domain.conversations import groups, inbox
from bimip.domain.core import operations as ops
from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.operation_kind import OperationKind, always
from bimip.domain.core.records import Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.delivery import acknowledging, hello
from bimip.domain.keeping.timekeeping import time_records
from bimip.domain.messages import appending, checkpoints, committed, disappearing, expiring
from bimip.domain.push import outbox, subscribing
from bimip.domain.state import intents, pruning, read_markers
from bimip.domain.webhooks import feed


def barrier(_view: Reader, _op: ops.Barrier, _moment: Context) -> Decision:
    return Decision(ops.Done())


def note_time(_view: Reader, op: ops.NoteTime, context: Context) -> Decision:
    known = op.known._replace(told=context.now)  # which may be tried again, later
    return Decision(ops.Done(), Writes(((Table.META, time_records(known, context.stamp())),)))


OPERATIONS: dict[type, OperationKind] = {
    ops.Barrier: OperationKind(barrier, is_barrier=True, needs_no_room=always),
    ops.NoteTime: OperationKind(note_time),
    **registering.OPERATIONS,
    **barring.OPERATIONS,
    **keys.OPERATIONS,
    **erasing.OPERATIONS,
    **erasing_there.OPERATIONS,
    **appending.OPERATIONS,
    **inbox.OPERATIONS,
    **hello.OPERATIONS,
    **acknowledging.OPERATIONS,
    **read_markers.OPERATIONS,
    **changing_settings.OPERATIONS,
    **intents.OPERATIONS,
    **command.OPERATIONS,
    **expiring.OPERATIONS,
    **checkpoints.OPERATIONS,
    **groups.OPERATIONS,
    **roster.OPERATIONS,
    **committed.OPERATIONS,
    **disappearing.OPERATIONS,
    **pruning.OPERATIONS,
    **subscribing.OPERATIONS,
    **outbox.OPERATIONS,
    **missed_calls.OPERATIONS,
    **locations.OPERATIONS,
    **feed.OPERATIONS,
}


def without_writing(view: Reader, operation: ops.Operation, context: Context) -> ops.Result | None:
    """Answers what a store without any room can: who is known comes in, and reads. None: this has to be written."""
    kind = OPERATIONS[type(operation)]
    if kind.needs_no_room is None or not kind.needs_no_room(view, operation):
        return None
    return kind.decide(view, operation, context).result


def decide(view: Reader, operation: ops.Operation, context: Context) -> Decision:
    """Pure: the same view, operation and context give the same decision."""
    return OPERATIONS[type(operation)].decide(view, operation, context)
