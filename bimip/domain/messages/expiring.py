"""What is older than the history period goes, a slice at a time. Offsets that were given are never given again."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from bimip.domain.accounts.barring import MARK
from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, Offset, Stamp, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import (
    ExpireBodies,
    Expired,
    ExpireHistory,
    ExpireLog,
    ExpireRevoked,
    ExpireSeen,
)
from bimip.domain.core.records import Conversation, Entry, Index, Key, Log, LogTable, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.core.schema import behind
from bimip.domain.messages.appending import EMPTY_LOG, payload_bytes
from bimip.domain.messages.chaining import STEP
from bimip.domain.messages.leaving import leave, slice_of, users_of

MAX_ADDRESSED = 1000
"""Users of whom one message may address devices."""


def expire_log(view: Reader, op: ExpireLog, context: Context) -> Decision:
    key = (op.user, op.partition)
    log: Log = view.get(Table.LOGS, key) or EMPTY_LOG
    first, more = _first_kept(view, LogTable.ENTRIES, key, log.first, log.head, op.before, context.rules.slice_entries)
    if first == log.first:
        return Decision(Expired(0, more=False))
    return cut_log(view, op.user, op.partition, log, Offset(first), more=more)


def cut_log(view: Reader, user: UserId, partition: str, log: Log, first: Offset, *, more: bool) -> Decision:
    """Takes the oldest entries from a log, which begins with `first` then."""
    key = (user, partition)
    entries: list[Entry] = [
        entry for _, entry in view.read(LogTable.ENTRIES, key, log.first - 1, limit=first - log.first)
    ]
    puts: list[Put] = [(Table.LOGS, {key: log._replace(first=first)})]
    freed = sum(_stored_bytes(view, entry) for entry in entries if entry.author == user)
    if freed:
        puts.append((Table.USAGE, {(user,): max(0, (view.get(Table.USAGE, (user,)) or 0) - freed)}))
    puts += _release(view, entries)
    return Decision(
        Expired(first - log.first, more),
        Writes(
            puts,
            cuts=((LogTable.ENTRIES, key, first), (LogTable.CHAINS, key, (first - 1) // STEP)),
            trims=((Index.SEQS, key, first),),
        ),
    )


def _stored_bytes(view: Reader, entry: Entry) -> int:
    """Counts the bytes of a message: stored bytes count against their sender alone."""
    stored = len(view.get(Table.BODIES, (entry.stamp,)) or b"")
    if entry.addressed:
        stored += sum(payload_bytes(devices) for _, devices in _addressed(view, entry.stamp))
    return stored


def _addressed(view: Reader, stamp: Stamp) -> list[tuple[Key, Any]]:
    return view.scan(Table.ADDRESSED, (stamp,), (stamp + 1,), limit=MAX_ADDRESSED)


def _release(view: Reader, entries: Sequence[Entry]) -> list[Put]:
    """A log lets go of messages: those that are counted, and that no other log has any more, go with it."""
    counts: list[int | None] = view.get_all(Table.REFERENCES, [(entry.stamp,) for entry in entries])
    left: dict[Key, int | None] = {}
    gone: list[Stamp] = []
    for entry, count in zip(entries, counts, strict=True):
        if count is not None:
            left[entry.stamp,] = count - 1 if count > 1 else None
            if count <= 1:
                gone.append(entry.stamp)
    puts: list[Put] = [(Table.REFERENCES, left)] if left else []
    return puts + remove_messages(view, gone) if gone else puts


def remove_messages(view: Reader, stamps: Sequence[Stamp]) -> list[Put]:
    """Takes messages from the store. The greatest stamp ever given stays known, also where it was one of theirs."""
    addressed: dict[Key, None] = {key: None for stamp in stamps for key, _ in _addressed(view, stamp)}
    clock = max(*stamps, view.get(Table.META, ("clock",)) or 0)
    puts: list[Put] = [
        (Table.BODIES, dict.fromkeys((stamp,) for stamp in stamps)),
        (Table.META, {("clock",): clock}),
    ]
    return [*puts, (Table.ADDRESSED, addressed)] if addressed else puts


def expire_history(view: Reader, op: ExpireHistory, context: Context) -> Decision:
    key = (op.conversation,)
    known: Conversation | None = view.get(Table.CONVERSATIONS, key)
    if known is None:
        return Decision(Expired(0, more=False))
    limit = _slice(view, op.conversation, known, context)
    first, more = _first_kept(view, LogTable.HISTORY, key, known.first, known.head, op.before, limit)
    return cut_history(view, op.conversation, known, first, more=more)


def _slice(view: Reader, number: ConversationId, known: Conversation, context: Context) -> int:
    return slice_of(known, len(users_of(view, number, known)), context.rules.slice_entries)


def cut_history(view: Reader, number: ConversationId, known: Conversation, first: int, *, more: bool) -> Decision:
    """Takes the oldest references from a history, which begins with `first` then, and what stands under them."""
    if first == known.first:
        return Decision(Expired(0, more=False))
    puts: list[Put] = [(Table.CONVERSATIONS, {(number,): known._replace(first=ConversationOffset(first))})]
    puts += leave(view, number, first, known)
    return Decision(Expired(first - known.first, more), Writes(puts, cuts=((LogTable.HISTORY, (number,), first),)))


class TrimHistory(NamedTuple):
    """References at the begin of a conversation's history go, whose messages went with the last log that had them."""

    conversation: ConversationId


def trim_history(view: Reader, op: TrimHistory, context: Context) -> Decision:
    key = (op.conversation,)
    known: Conversation | None = view.get(Table.CONVERSATIONS, key)
    if known is None:
        return Decision(Expired(0, more=False))
    limit = _slice(view, op.conversation, known, context)
    first: int = known.first
    listed = view.read(LogTable.HISTORY, key, first - 1, limit=limit)
    bodies = view.get_all(Table.BODIES, [(one.stamp,) for _, one in listed])
    for (place, _), body in zip(listed, bodies, strict=True):
        if body is not None:
            break
        first = place + 1
    return cut_history(view, op.conversation, known, first, more=first - known.first == limit)


def _first_kept(
    view: Reader, sequence: LogTable, key: tuple[object, ...], first: int, head: int, before: Stamp, limit: int
) -> tuple[int, bool]:
    """The number of the oldest record that is not older than `before`, and whether a further slice is needed."""
    records = view.read(sequence, key, first - 1, limit=limit)
    for number, record in records:
        if record.stamp >= before:
            return number, False
        first = number + 1
    return first, len(records) == limit and first <= head


def expire_bodies(view: Reader, op: ExpireBodies, context: Context) -> Decision:
    limit = context.rules.slice_entries
    bodies = view.scan(Table.BODIES, (0,), (op.before,), limit=limit)
    addressed = view.scan(Table.ADDRESSED, (0,), (op.before,), limit=limit)
    counted = view.scan(Table.REFERENCES, (0,), (op.before,), limit=limit)
    gone: list[Put] = [
        (table, dict.fromkeys(key for key, _ in found))
        for table, found in ((Table.BODIES, bodies), (Table.ADDRESSED, addressed), (Table.REFERENCES, counted))
        if found
    ]
    if bodies:
        newest: Stamp = bodies[-1][0][0]
        gone.append((Table.META, {("clock",): max(newest, view.get(Table.META, ("clock",)) or 0)}))
    return Decision(Expired(len(bodies), max(len(bodies), len(addressed), len(counted)) == limit), Writes(gone))


def last_stamp(view: Reader) -> Stamp:
    """Reads the greatest stamp ever given. The newest message has it, so no batch writes it down but the one that takes
    that message away, and the start.
    """
    newest = view.scan(Table.BODIES, (), Table.BODIES.schema.end, limit=1, reverse=True)
    return Stamp(max([view.get(Table.META, ("clock",)) or 0, *(stamp for (stamp,), _ in newest)]))


def expire_seen(view: Reader, op: ExpireSeen, context: Context) -> Decision:
    """Deduplication has no index by time: all of it is walked, slowly, which costs no write for what stays."""
    limit = context.rules.slice_entries
    found = view.scan(Table.SEEN, op.start, Table.SEEN.schema.end, limit=limit)
    return expired(Table.SEEN, found, [key for key, seen in found if seen.stamp < op.before], limit)


def expire_revoked(view: Reader, op: ExpireRevoked, context: Context) -> Decision:
    limit = context.rules.slice_entries
    found = view.scan(Table.REVOKED, op.start, Table.REVOKED.schema.end, limit=limit)
    gone = [key for key, expires_at in found if expires_at < op.now and not key[1].startswith(MARK)]
    return expired(Table.REVOKED, found, gone, limit)


class ExpireMentions(NamedTuple):
    """Forgets where users are mentioned in messages that are gone, as ExpireSeen forgets message ids."""

    before: Stamp
    start: Key = (UserId(0),)


def expire_mentions(view: Reader, op: ExpireMentions, context: Context) -> Decision:
    return _expire_links(view, Table.MENTIONS, op, context)


class ExpireThreads(NamedTuple):
    """Forgets which messages that are gone answered another, as ExpireMentions does."""

    before: Stamp
    start: Key = (ConversationId(0),)


def expire_threads(view: Reader, op: ExpireThreads, context: Context) -> Decision:
    return _expire_links(view, Table.THREADS, op, context)


def _expire_links(view: Reader, table: Table, op: ExpireMentions | ExpireThreads, context: Context) -> Decision:
    limit = context.rules.slice_entries
    found = view.scan(table, op.start, table.schema.end, limit=limit)
    return expired(table, found, [key for key, stamp in found if stamp < op.before], limit)


def expired(table: Table, found: list[tuple[Key, Any]], gone: list[Key], limit: int) -> Decision:
    """Takes records of a slice of a table away; the result says where the next one starts."""
    more = len(found) == limit
    puts: list[Put] = [(table, dict.fromkeys(gone))] if gone else []
    return Decision(Expired(len(gone), more, behind(found[-1][0]) if more else None), Writes(puts))


OPERATIONS: dict[type, OperationKind] = {
    ExpireLog: OperationKind(expire_log),
    ExpireHistory: OperationKind(expire_history),
    TrimHistory: OperationKind(trim_history),
    ExpireBodies: OperationKind(expire_bodies),
    ExpireSeen: OperationKind(expire_seen),
    ExpireRevoked: OperationKind(expire_revoked),
    ExpireMentions: OperationKind(expire_mentions),
    ExpireThreads: OperationKind(expire_threads),
}
