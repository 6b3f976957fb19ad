"""What a user who is erased leaves in conversations: what they wrote loses its content and its author, what they did
there goes, and whom they wrote to stays alone.

Places, stamps and digests stay, so offsets, chains and deduplication of the others stay whole. A message keeps its
author's number, which is nobody's from then on; where the protocol names users it names nobody.

Others are told of each message as if its author had deleted it for everyone. Receipts and reactions of the erased user
are not told one by one: who held some is sent all of their state again, and drops what is not in it.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from bimip.domain.conversations.membership import is_feed, witnesses_of
from bimip.domain.core.decision import BodyNews, Decision, News, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId, Version
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Expired
from bimip.domain.core.records import (
    Conversation,
    DamagedRecordError,
    Erasure,
    Group,
    HistoryEntry,
    Key,
    LogTable,
    Member,
    MessageRecord,
    OwnMessage,
    Reader,
    Table,
)
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import NOBODY, payload_bytes
from bimip.domain.messages.erasing import MAX_ADDRESSED
from bimip.domain.messages.expiring import cut_history, remove_messages
from bimip.domain.messages.leaving import users_of
from bimip.domain.state import private_reads, receipts
from bimip.domain.state.changes import StateChanges, state_of
from bimip.domain.state.merges import merge_messages
from bimip.domain.state.messages import MessageState, pack_key, read_own, read_record

LOOK_AT = 64
"""Messages looked at by one operation."""
TELL = 128
"""Users told by one operation, before the message with which that is exceeded."""
PARTS = 64
"""Receipts that go by one operation, where two are concerned: fewer, where many are."""


class EraseMessages(NamedTuple):
    """Messages that an erased user wrote in a conversation lose their content, and those of others name the user no
    more, from a place on.
    """

    user: UserId
    conversation: ConversationId
    after: int = 0


class MessagesErased(NamedTuple):
    upto: int  # this was looked at
    more: bool
    changed: int = 0  # messages


def erase_messages(view: Reader, op: EraseMessages, context: Context) -> Decision:
    note: Erasure | None = view.get(Table.ERASING, (op.user,))
    known: Conversation | None = view.get(Table.CONVERSATIONS, (op.conversation,))
    if note is None or known is None:
        return Decision(MessagesErased(op.after, more=False))
    after, last = max(op.after, known.first - 1), _last_place(view, op, known)
    slice_end = min(after + LOOK_AT, last)
    listed = _history(view, op.conversation, after, slice_end, context)
    erasing = _Erasing(view, op, known, note, context)
    upto = slice_end
    for place, entry in listed:
        if erasing.told >= TELL:
            upto = place - 1
            break
        erasing.look(ConversationOffset(place), entry)
    result = MessagesErased(upto, upto < last, erasing.changed)
    return Decision(result, Writes(erasing.puts()), erasing.news())


def _last_place(view: Reader, op: EraseMessages, known: Conversation) -> int:
    """Finds where it ends: in a group with the user's last membership, since another may have taken the name."""
    member: Member | None = view.get(Table.MEMBERS, (op.conversation, op.user))
    return known.head if member is None else member.upto or known.head


def _history(
    view: Reader, number: ConversationId, after: int, last: int, context: Context
) -> list[tuple[int, HistoryEntry]]:
    """Reads a slice; where it is damaged, what of it its messages bear out."""
    try:
        found = view.read(LogTable.HISTORY, (number,), after, limit=last - after)
    except DamagedRecordError:
        found = view.salvage(LogTable.HISTORY, (number,), after, limit=last - after, upto=last)
        bodies = view.get_all(Table.BODIES, [(entry.stamp,) for _, entry in found])
        found = [
            (place, entry)
            for (place, entry), body in zip(found, bodies, strict=True)
            if body is not None and context.rules.bodies.locate(body) == (number, place)
        ]
    return [(place, entry) for place, entry in found if place <= last]


class _Erasing:
    """Goes through messages of one conversation, and gathers what changes."""

    def __init__(self, view: Reader, op: EraseMessages, known: Conversation, note: Erasure, context: Context) -> None:
        self.told = 0
        self.changed = 0
        self._view = view
        self._op = op
        self._known = known
        self._eid = note.eid
        self._bytes = note.eid.encode()
        self._context = context
        self._changes = StateChanges(view)
        self._usage: dict[UserId, int] = {}
        self._records: dict[Table, dict[Key, Any]] = {}
        self._without_title = _is_deserted(view, op.conversation)

    def look(self, place: ConversationOffset, entry: HistoryEntry) -> None:
        self._take_back(place)
        if entry.addressed:
            self._drop_addressed(entry)
        body: bytes | None = self._view.get(Table.BODIES, (entry.stamp,))
        if body is None:
            return
        if entry.author == self._op.user and entry.origin != NOBODY:
            self._orphan(place, entry, body)
        elif self._bytes in body or (self._without_title and entry.origin == NOBODY):
            self._replace(entry, body, self._context.rules.bodies.unname(body, self._eid, self._without_title))

    def _take_back(self, place: ConversationOffset) -> None:
        """Drops their reactions to others' messages."""
        key = (self._op.conversation, place, self._op.user)
        if self._view.get(Table.REACTIONS, key) is not None:
            self._put(Table.REACTIONS, key, None)

    def _drop_addressed(self, entry: HistoryEntry) -> None:
        """Drops what was addressed to their devices; of what they wrote themselves, what was addressed to anybody's."""
        if entry.author == self._op.user:
            low, high = (entry.stamp,), (entry.stamp + 1,)
            for key, devices in self._view.scan(Table.ADDRESSED, low, high, limit=MAX_ADDRESSED):
                self._put(Table.ADDRESSED, key, tuple(one._replace(payload=None) for one in devices))
        key = (entry.stamp, self._op.user)
        theirs = self._view.get(Table.ADDRESSED, key)
        if theirs is not None:
            self._put(Table.ADDRESSED, key, None)
            self._count_bytes(entry.author, -payload_bytes(theirs))

    def _orphan(self, place: ConversationOffset, entry: HistoryEntry, body: bytes) -> None:
        orphaned = self._context.rules.bodies.orphan(body)
        record = read_record(self._view, self._op.conversation, place)
        if orphaned == body and record is not None and record.deleted:
            return  # that was done before
        self._replace(entry, body, orphaned)
        known = record or MessageRecord(entry.stamp)
        merged = merge_messages(known, known._replace(deleted=self._context.stamp(), deleter=NOBODY))
        self._put(Table.MESSAGE_STATES, (self._op.conversation, place), merged)
        low, high = (self._op.conversation, place), (self._op.conversation, place + 1)
        for key, _ in self._view.scan(Table.REACTIONS, low, high, limit=MAX_ADDRESSED):
            self._put(Table.REACTIONS, key, None)
        for user in witnesses_of(self._view, self._op.conversation, place):
            if user != self._op.user:
                own = read_own(self._view, user, self._op.conversation, place) or OwnMessage(entry.stamp)
                state = MessageState(merged, own, (), None)
                self._changes.tell(user, pack_key(self._op.conversation, place), state)
                self.told += 1

    def _replace(self, entry: HistoryEntry, body: bytes, new: bytes) -> None:
        if new == body:
            return
        self._put(Table.BODIES, (entry.stamp,), new)
        self._count_bytes(entry.author, len(new) - len(body))
        self.changed += 1

    def _count_bytes(self, author: UserId, size: int) -> None:
        if author != self._op.user:
            self._usage[author] = self._usage.get(author, 0) + size

    def _put(self, table: Table, key: Key, record: Any) -> None:  # noqa: ANN401 - each table has its own record
        self._records.setdefault(table, {})[key] = record

    def puts(self) -> list[Put]:
        usage: dict[Key, int] = {
            (user,): max(0, (self._view.get(Table.USAGE, (user,)) or 0) + size) for user, size in self._usage.items()
        }
        puts: list[Put] = [*self._records.items(), *self._changes.puts()]
        return [*puts, (Table.USAGE, usage)] if usage else puts

    def news(self) -> list[News]:
        concerned = users_of(self._view, self._op.conversation, self._known) if self.changed else ()
        return [*(BodyNews(user) for user in concerned), *self._changes.news]


def _is_deserted(view: Reader, number: ConversationId) -> bool:
    """Whether a conversation is a group that nobody is in."""
    group = view.get(Table.GROUPS, (number,))
    return group is not None and not group.members


class EraseReceipts(NamedTuple):
    """Receipts of an erased user in a conversation are forgotten, a slice at a time."""

    user: UserId
    conversation: ConversationId


def erase_receipts(view: Reader, op: EraseReceipts, _context: Context) -> Decision:
    known: Conversation | None = view.get(Table.CONVERSATIONS, (op.conversation,))
    if known is None or view.get(Table.ERASING, (op.user,)) is None:
        return Decision(Expired(0, more=False))
    users = users_of(view, op.conversation, known)
    limit = max(1, 2 * PARTS // max(1, len(users)))
    low, high = (op.conversation, op.user), (op.conversation, op.user + 1)
    for table, tag in ((Table.RECEIPTS, receipts.TAG), (Table.PRIVATE_READS, private_reads.TAG)):
        found = [key for key, _ in view.scan(table, low, high, limit=limit)]
        if found:
            puts: list[Put] = [(table, dict.fromkeys(found)), *_untold(view, users, tag, found)]
            return Decision(Expired(len(found), more=True), Writes(puts))
    return Decision(Expired(0, more=False))


def _untold(view: Reader, users: Sequence[UserId], tag: int, parts: Iterable[Key]) -> Iterator[Put]:
    """Takes the blocks of receipts out of the state of whoever was told of them."""
    blocks = {(*key[:3], key[3] // receipts.PARTS) for key in parts}
    places = [(user, receipts.KEY.pack(tag, *block)) for block in sorted(blocks) for user in users]
    versions = view.get_all(Table.VERSIONS, places)
    told = {place: version for place, version in zip(places, versions, strict=True) if version is not None}
    if told:
        yield Table.VERSIONS, dict.fromkeys(told)
        yield Table.CHANGES, dict.fromkeys((place[0], version) for place, version in told.items())


class DropAlone(NamedTuple):
    """A conversation of an erased user with nobody else goes, a slice at a time: there is nobody left to see it."""

    user: UserId
    conversation: ConversationId


def drop_alone(view: Reader, op: DropAlone, context: Context) -> Decision:
    known: Conversation | None = view.get(Table.CONVERSATIONS, (op.conversation,))
    if known is None or known.members != (op.user,) or view.get(Table.ERASING, (op.user,)) is None:
        return Decision(Expired(0, more=False))
    upto = min(known.first - 1 + context.rules.slice_entries, known.head)
    listed = _history(view, op.conversation, known.first - 1, upto, context)
    stamps = [entry.stamp for _, entry in listed]
    decision = cut_history(view, op.conversation, known, upto + 1, more=upto < known.head)
    threads = view.scan(Table.THREADS, (op.conversation,), (op.conversation + 1,), limit=context.rules.slice_entries)
    puts = list(decision.writes.puts)
    if view.get(Table.DIRECT, (op.user, op.user)) == op.conversation:
        puts.append((Table.DIRECT, {(op.user, op.user): None}))
    if stamps:
        puts += [*remove_messages(view, stamps), (Table.REFERENCES, dict.fromkeys((stamp,) for stamp in stamps))]
    if threads:
        puts.append((Table.THREADS, dict.fromkeys(key for key, _ in threads)))
    removed = Expired(len(stamps) + len(threads), more=upto < known.head or bool(threads))
    return decision._replace(result=removed, writes=decision.writes._replace(puts=puts))


class RestartStates(NamedTuple):
    """Users are sent all of their state again: something of it is no more, and nobody told them what."""

    states: tuple[tuple[UserId, Version], ...]  # each with the version where their state stood; behind it, it was done


def restart_states(view: Reader, op: RestartStates, _context: Context) -> Decision:
    changes = StateChanges(view)
    for user, head in op.states:
        if state_of(view, user).floor <= head:
            changes.restart_at_next(user)
    return Decision(Done(), Writes(changes.puts()), changes.news)


class ForgetMember(NamedTuple):
    """An erased user is in a conversation no more, and that they ever were is forgotten."""

    user: UserId
    conversation: ConversationId


def forget_member(view: Reader, op: ForgetMember, _context: Context) -> Decision:
    known: Conversation | None = view.get(Table.CONVERSATIONS, (op.conversation,))
    if known is None or view.get(Table.ERASING, (op.user,)) is None:
        return Decision(Done())
    puts: list[Put] = [(Table.MEMBERS, {(op.conversation, op.user): None})]
    if _is_deserted(view, op.conversation):
        group: Group = view.get(Table.GROUPS, (op.conversation,))
        puts.append((Table.GROUPS, {(op.conversation,): group._replace(title="")}))
    others = tuple(member for member in known.members if member != op.user)
    if others and others != known.members:
        pair = known.members[::-1] if is_feed(known) else known.members
        puts += [
            (Table.CONVERSATIONS, {(op.conversation,): known._replace(members=others)}),
            (Table.DIRECT, {pair: None}),
        ]
    return Decision(Done(), Writes(puts))


def is_in(view: Reader, user: UserId, number: ConversationId, known: Conversation) -> bool:
    """Whether there is still something of an erased user in a conversation."""
    if known.members == (user,):
        return known.first <= known.head or view.get(Table.DIRECT, (user, user)) == number
    return user in known.members or view.get(Table.MEMBERS, (number, user)) is not None


OPERATIONS: dict[type, OperationKind] = {
    EraseMessages: OperationKind(erase_messages),
    EraseReceipts: OperationKind(erase_receipts),
    DropAlone: OperationKind(drop_alone),
    RestartStates: OperationKind(restart_states),
    ForgetMember: OperationKind(forget_member),
}
