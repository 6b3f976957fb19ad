"""A user is erased: nothing of them is found any more, and what others have stays consistent.

    BeginErasing      the name is free, the number is nobody's, devices are closed; it is noted that the rest is to go
    … slices …        conversations (`conversations/erasing.py`), logs, records, devices, in any order, repeatable
    FinishErasing     nothing is left: the note goes

The note in ERASING outlives a crash: whoever finds it goes on (`retention/erasing.py`). From the first transaction on
no interface knows the user; who signs in under the same name is another one, with another number.
"""

from collections.abc import Iterable
from typing import NamedTuple

from bimip.domain.accounts.belongings import DEVICE_TABLES, OWN_TABLES
from bimip.domain.core.decision import Decision, Put, UserErased, Writes
from bimip.domain.core.ids import DeviceId, Offset, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Expired, Fault, Refused
from bimip.domain.core.records import Conflict, DeviceOwner, Erasure, Log, Reader, Table, User
from bimip.domain.core.rules import Context
from bimip.domain.messages.expiring import cut_log

MAX_CONFLICTS = 10_000
"""More than the ledger keeps."""


class BeginErasing(NamedTuple):
    """An operator erases a user."""

    eid: str


class ErasingBegun(NamedTuple):
    user: UserId


def begin_erasing(view: Reader, op: BeginErasing, context: Context) -> Decision:
    known: User | None = view.get(Table.USERS, (op.eid,))
    if known is None:
        return Decision(Refused(Fault.NOT_FOUND, f"there is no user {op.eid!r} here", "eid"))
    puts: list[Put] = [
        (Table.USERS, {(op.eid,): None}),
        (Table.EIDS, {(known.number,): ""}),
        (Table.ERASING, {(known.number,): Erasure(op.eid, context.now)}),
    ]
    return Decision(ErasingBegun(known.number), Writes(puts), [UserErased(known.number)])


class EraseLog(NamedTuple):
    """A log of an erased user goes, a slice at a time."""

    user: UserId
    partition: str


def erase_log(view: Reader, op: EraseLog, context: Context) -> Decision:
    place = (op.user, op.partition)
    log: Log | None = view.get(Table.LOGS, place)
    if log is None or not is_erasing(view, op.user):
        return Decision(Expired(0, more=False))
    first = Offset(min(log.first + context.rules.slice_entries, log.head + 1))
    more = first <= log.head
    decision = cut_log(view, op.user, op.partition, log, first, more=more)
    if not more:
        puts = [*decision.writes.puts, (Table.LOGS, {place: None})]
        decision = decision._replace(writes=decision.writes._replace(puts=puts))
    return decision


class EraseRecords(NamedTuple):
    """Records that are an erased user's alone go, a slice at a time."""

    user: UserId


def erase_records(view: Reader, op: EraseRecords, context: Context) -> Decision:
    if not is_erasing(view, op.user):
        return Decision(Expired(0, more=False))
    return _erase_slice(view, OWN_TABLES, op.user, context) or Decision(Expired(0, more=False))


def _erase_slice(view: Reader, tables: Iterable[Table], number: int, context: Context) -> Decision | None:
    """Erases the next records whose keys begin with a user's or a device's number; None: there are no more."""
    for table in tables:
        found = view.scan(table, (number,), (number + 1,), limit=context.rules.slice_entries)
        if found:
            gone: Put = (table, dict.fromkeys(key for key, _ in found))
            return Decision(Expired(len(found), more=True), Writes((gone,)))
    return None


class EraseDevice(NamedTuple):
    """Records of an erased user's device go, a slice at a time, and at last that it was theirs."""

    user: UserId
    device: DeviceId


def erase_device(view: Reader, op: EraseDevice, context: Context) -> Decision:
    owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (op.device,))
    if owner is None or owner.user != op.user or not is_erasing(view, op.user):
        return Decision(Expired(0, more=False))
    last = Decision(Expired(1, more=False), Writes(((Table.DEVICE_OWNERS, {(op.device,): None}),)))
    return _erase_slice(view, DEVICE_TABLES, op.device, context) or last


class EraseConflicts(NamedTuple):
    """An erased user's writes that lost are forgotten: the ledger is short."""

    user: UserId


def erase_conflicts(view: Reader, op: EraseConflicts, _context: Context) -> Decision:
    ledger: list[tuple[tuple[int], Conflict]] = view.scan(
        Table.CONFLICTS, (0,), Table.CONFLICTS.schema.end, limit=MAX_CONFLICTS
    )
    theirs = [key for key, conflict in ledger if conflict.user == op.user]
    if not theirs or not is_erasing(view, op.user):
        return Decision(Expired(0, more=False))
    return Decision(Expired(len(theirs), more=False), Writes(((Table.CONFLICTS, dict.fromkeys(theirs)),)))


class FinishErasing(NamedTuple):
    """Nothing of an erased user is left, where that is so."""

    user: UserId


class ErasingFinished(NamedTuple):
    is_done: bool  # else something came meanwhile, and is to go as well


def finish_erasing(view: Reader, op: FinishErasing, _context: Context) -> Decision:
    if not is_erasing(view, op.user):
        return Decision(ErasingFinished(is_done=True))
    own = (Table.LOGS, *OWN_TABLES)
    if any(view.scan(table, (op.user,), (op.user + 1,), limit=1) for table in own):
        return Decision(ErasingFinished(is_done=False))
    return Decision(ErasingFinished(is_done=True), Writes(((Table.ERASING, {(op.user,): None}),)))


def is_erasing(view: Reader, user: UserId) -> bool:
    return view.get(Table.ERASING, (user,)) is not None


OPERATIONS: dict[type, OperationKind] = {
    BeginErasing: OperationKind(begin_erasing),
    EraseLog: OperationKind(erase_log),
    EraseRecords: OperationKind(erase_records),
    EraseDevice: OperationKind(erase_device),
    EraseConflicts: OperationKind(erase_conflicts),
    FinishErasing: OperationKind(finish_erasing),
}
