"""A user's inbox: their conversations in the order of what happened last in each, and where they are mentioned.

The order is kept without a write for each message. A message into the conversation that is on top already changes
nothing: whoever became the top later has what is newer. So what is written is the stamp with which a conversation
*became* the top, and of two conversations the one that became it later is the one in which something happened later.
Two people who write to each other cost one look for each log and operation; only where a user's conversations take
turns is each turn written.

    INBOXES   (user) -> which conversation is on top
    RECENT    (user, stamp) -> the conversation that became the top with that message
    RISEN     (user, conversation) -> that stamp: the reverse

Logs that are older than this are gone through once, when their user asks for their inbox: `FillInbox`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bimip.domain.core.decision import Decision, LogNews, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, Stamp, UserId
from bimip.domain.core.operation_kind import OperationKind, always
from bimip.domain.core.operations import Links
from bimip.domain.core.records import DamagedRecordError, Inbox, Key, LogTable, Reader, Table, User
from bimip.domain.core.rules import Context

INBOXES, RECENT, RISEN = Table.INBOXES, Table.RECENT, Table.RISEN

NO_INBOX = Inbox(ConversationId(0), is_whole=False)
"""Of a user to whom nothing happened since there are inboxes."""
MAX_LOGS = 64
"""Of one user."""


class FillInbox(NamedTuple):
    """A user's logs are gone through for conversations that their inbox does not have, the newest entries first."""

    user: UserId
    partition: str = ""  # where the next slice is; empty: in the first log
    before: int = 0  # in front of this offset; 0: at the head


class InboxFilled(NamedTuple):
    looked: int
    rest: FillInbox | None  # None: all is done


def come_on_top(
    view: Reader, puts: list[Put], news: Sequence[LogNews], conversation: ConversationId, stamp: Stamp
) -> None:
    """A conversation comes on top in the inboxes of all whose logs a message reached, where it is not already."""
    risen = []
    for told in news:
        try:
            inbox = view.get(INBOXES, (told[0],)) or NO_INBOX
        except DamagedRecordError:
            inbox = NO_INBOX
        if inbox[0] != conversation:  # as seldom between two who write to each other
            risen.append(told[0])
    if risen:
        _rise(view, puts, risen, conversation, stamp)


def _rise(view: Reader, puts: list[Put], users: Iterable[UserId], conversation: ConversationId, stamp: Stamp) -> None:
    recent: dict[Key, ConversationId | None] = {}
    risen: dict[Key, Stamp] = {}
    inboxes: dict[Key, Inbox] = {}
    for user in users:
        old = _risen(view, user, conversation)
        if old:
            recent[user, old] = None
        recent[user, stamp] = conversation
        risen[user, conversation] = stamp
        inboxes[user,] = Inbox(conversation, is_whole=not needs_filling(view, user))
    puts += ((RECENT, recent), (RISEN, risen), (INBOXES, inboxes))


def needs_filling(view: Reader, user: UserId) -> bool:
    """Whether a user's logs may hold conversations that their inbox does not have."""
    try:
        known: Inbox | None = view.get(INBOXES, (user,))
    except DamagedRecordError:
        return True
    return not known.is_whole if known is not None else _has_entries(view, user)


def fill_inbox(view: Reader, op: FillInbox, context: Context) -> Decision:
    """Goes through one slice. The stamp of a conversation's newest message does as well as that with which it became
    the top: all that happened between was in that conversation.
    """
    if _inbox(view, op.user).is_whole:
        return Decision(InboxFilled(0, None))
    logs = view.scan(Table.LOGS, (op.user,), (op.user + 1,), limit=MAX_LOGS)
    partitions = {key[1]: log for key, log in logs}
    partition = op.partition or min(partitions, default="")
    log = partitions.get(partition)
    looked, before = 0, 0
    found: dict[ConversationId, Stamp] = {}
    if log is not None:
        before = op.before or log.head + 1
        after = max(log.first - 1, before - 1 - context.rules.slice_entries)
        try:
            entries = view.read(LogTable.ENTRIES, (op.user, partition), after, limit=before - 1 - after)
        except DamagedRecordError:
            entries = []  # what is whole of them is found by those behind and before
        looked, before = len(entries), after + 1
        found = {entry.conversation: entry.stamp for _, entry in entries if entry.stamp}
        if after >= log.first:
            rest = FillInbox(op.user, partition, before)
            return Decision(InboxFilled(looked, rest), Writes(_placed(view, op.user, found)))
    later = min((name for name in partitions if name > partition), default="")
    puts = _placed(view, op.user, found)
    if later:
        return Decision(InboxFilled(looked, FillInbox(op.user, later)), Writes(puts))
    top = _inbox(view, op.user).top
    puts.append((INBOXES, {(op.user,): Inbox(top, is_whole=True)}))
    return Decision(InboxFilled(looked, None), Writes(puts))


def _placed(view: Reader, user: UserId, newest: dict[ConversationId, Stamp]) -> list[Put]:
    """Puts conversations where they belong, as far as it is not known that something happened there later."""
    recent: dict[Key, ConversationId | None] = {}
    risen: dict[Key, Stamp] = {}
    for conversation, stamp in newest.items():
        old = _risen(view, user, conversation)
        if old < stamp:
            if old:
                recent[user, old] = None
            recent[user, stamp] = conversation
            risen[user, conversation] = stamp
    return [(RECENT, recent), (RISEN, risen)] if risen else []


def _risen(view: Reader, user: UserId, conversation: ConversationId) -> Stamp:
    try:
        return view.get(RISEN, (user, conversation)) or Stamp(0)
    except DamagedRecordError:
        return Stamp(0)  # its row stays behind, and is passed over: see `reading/inbox.py`


def _inbox(view: Reader, user: UserId) -> Inbox:
    try:
        return view.get(INBOXES, (user,)) or NO_INBOX
    except DamagedRecordError:
        return NO_INBOX


def _has_entries(view: Reader, user: UserId) -> bool:
    logs = view.scan(Table.LOGS, (user,), (user + 1,), limit=MAX_LOGS)
    return any(log.head for _, log in logs)


def link(
    view: Reader,
    puts: list[Put],
    conversation: ConversationId,
    linked: Sequence[tuple[ConversationOffset, Stamp, Links]],
    reached: set[UserId],
) -> None:
    """Notes which messages mention whom of those whom they reach, and which answer another."""
    threads: dict[Key, Stamp] = {}
    mentions: dict[Key, Stamp] = {}
    for place, stamp, links in linked:
        if 0 < links.parent < stamp:  # what it names was there before: so it goes when that has gone
            threads[conversation, links.parent, place] = stamp
        for eid in links.mentions:
            user: User | None = view.get(Table.USERS, (eid,))
            if user is not None and user.number in reached:
                mentions[user.number, conversation, place] = stamp
    puts += [put for put in ((Table.THREADS, threads), (Table.MENTIONS, mentions)) if put[1]]


OPERATIONS: dict[type, OperationKind] = {FillInbox: OperationKind(fill_inbox, needs_no_room=always)}
