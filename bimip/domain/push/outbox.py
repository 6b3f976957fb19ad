"""What a subscription is owed: derived, each time anew, from what the store holds anyway.

There is no queue. A subscription has a cursor in each of its user's logs, and what lies behind that, was written by
others, is neither acknowledged nor read by anybody of the user, and is held back by nothing, is owed. So a message to
somebody without subscriptions costs nothing, one that is read or deleted is owed no more from that moment on, and
nothing is lost or sent twice by a crash: what a gateway took is noted behind it, and what was taken and not noted is
sent again under the same id (`notification_id`).

The first few messages of a conversation are pushed one by one, what is more is told together, and not too often: what
was shown of it and is not read stands in PUSH_SHOWN. When that is read, it is to be taken away (CLEAR).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import NamedTuple

from bimip.domain.contacts.access import blocks
from bimip.domain.core.clock import millis_of
from bimip.domain.core.decision import Decision, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import (
    Conversation,
    ConversationSettings,
    Cursor,
    DamagedRecordError,
    Device,
    Entry,
    Key,
    Log,
    LogTable,
    MessageRecord,
    OwnMessage,
    PushShown,
    PushSubscription,
    Reader,
    Table,
)
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import EMPTY_LOG, NOBODY, is_addressed
from bimip.domain.push.subscribing import MAX_SHOWN, SubscriptionKey
from bimip.domain.state.conversation_settings import AS_THEY_WERE, read_settings
from bimip.domain.state.read_markers import read_marker
from bimip.domain.state.receipts import OWN, covers, part_of

LOOK = 64
"""Entries looked at for one notification."""
WORTH_NOTING = 64
"""Entries passed over, of which nothing is pushed, until that is noted: until then they are passed over again."""
MAX_DEVICES = 256
"""Devices of a user whose acknowledgements are looked at."""
ID_BYTES = 16


class NoticeKind(StrEnum):
    MESSAGE = "message"
    SUMMARY = "summary"
    CALL = "call"
    CLEAR = "clear"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class PushRules:
    """How messages are pushed."""

    partitions: tuple[str, ...] = ("chat", "notification")
    burst: int = 3
    """Messages of a conversation that are pushed one by one, until its user reads."""
    collapse_ms: int = 30_000
    """Between two notifications that tell of more."""
    max_age_ms: int = 86_400_000
    """What is older is not pushed any more."""
    mentions_when_muted: bool = True
    clear_on_read: bool = True


class Notice(NamedTuple):
    """One notification."""

    kind: NoticeKind
    partition: str
    conversation: ConversationId
    place: ConversationOffset  # of the newest message that it tells of
    stamp: Stamp  # that message's; of CLEAR 0
    author: UserId
    messages: int  # of the conversation that are shown then


class Plan(NamedTuple):
    """A subscription is to be served so, in one of its user's logs."""

    notice: Notice | None
    upto: Offset  # the cursor, once the notice was taken, or where there is none
    more: bool = False  # entries lie behind those that were looked at
    passed: int = 0  # by how much the cursor is further then
    due_at: Millis | None = None  # something is to be pushed then, and nothing until then


class Looking(NamedTuple):
    """Somebody looks at a subscription, at a time."""

    key: SubscriptionKey
    subscription: PushSubscription
    now: Millis
    inactive: Mapping[DeviceId, Mapping[str, Cursor]] = {}
    """Connected devices before which nobody sits acknowledge for nobody: what counts of each, by partition."""


def plan(view: Reader, looking: Looking, partition: str, rules: PushRules, after: Offset | None = None) -> Plan:
    """Finds the next notification in one log. `after`: up to there it was looked just now, and nothing is owed."""
    user, subscription = looking.key.user, looking.subscription
    log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
    cursor: int = view.get(Table.PUSH_CURSORS, (user, subscription.number, partition)) or 0
    begin = max(cursor, after or 0, log.first - 1)
    try:
        entries = view.read(LogTable.ENTRIES, (user, partition), begin, limit=LOOK)
    except DamagedRecordError:
        return Plan(None, log.head, passed=log.head - cursor)  # its readers are told gaps; nothing of it is pushed
    if not entries:
        return Plan(None, Offset(begin), passed=begin - cursor)
    last = entries[-1][0]
    judge = _Judge(view, looking, partition, rules)
    owed = [(Offset(offset), entry) for offset, entry in entries if judge.owes(offset, entry)]
    due_at: Millis | None = None
    for conversation in dict.fromkeys(entry.conversation for _, entry in owed):
        notice, later = _notice(view, looking, partition, rules, conversation, owed)
        if notice is not None:
            left = [offset for offset, entry in owed if not _is_covered(entry, notice)]
            return Plan(notice, Offset(left[0] - 1 if left else last))
        due_at = later if due_at is None or later is None else min(due_at, later)
    if owed:
        upto = Offset(owed[0][0] - 1)
        return Plan(None, upto, passed=upto - cursor, due_at=due_at)
    return Plan(None, Offset(last), more=last < log.head, passed=last - cursor)


def _notice(
    view: Reader,
    looking: Looking,
    partition: str,
    rules: PushRules,
    conversation: ConversationId,
    owed: list[tuple[Offset, Entry]],
) -> tuple[Notice | None, Millis | None]:
    """Makes the next notification of a conversation; without one, when there will be one."""
    theirs = [one for one in owed if one[1].conversation == conversation]
    shown = shown_of(view, looking, conversation, partition)
    before = shown.messages if shown is not None else 0
    if before + len(theirs) <= rules.burst:
        kind, (_, entry), count = NoticeKind.MESSAGE, theirs[0], before + 1
    else:
        kind, (_, entry), count = NoticeKind.SUMMARY, theirs[-1], before + len(theirs)
        due_at = Millis(shown.time + rules.collapse_ms) if shown is not None else looking.now
        if due_at > looking.now:
            return None, due_at
    place = entry.conversation_offset
    return Notice(kind, partition, conversation, place, entry.stamp, entry.author, count), None


def _is_covered(entry: Entry, notice: Notice) -> bool:
    return entry.conversation == notice.conversation and entry.conversation_offset <= notice.place


def next_clear(view: Reader, looking: Looking) -> Notice | None:
    """Finds a conversation that was read since something of it was shown."""
    low, high = (looking.key.user, looking.subscription.number), (looking.key.user, looking.subscription.number + 1)
    for (_, _, number, partition), shown in view.scan(Table.PUSH_SHOWN, low, high, limit=MAX_SHOWN + 1):
        if is_read(view, looking.key.user, number, shown.last):
            return Notice(NoticeKind.CLEAR, partition, number, shown.last, Stamp(0), UserId(0), 0)
    return None


def shows_anything(view: Reader, user: UserId) -> bool:
    """Whether something was shown to a user that they have not read."""
    return bool(view.scan(Table.PUSH_SHOWN, (user,), (user + 1,), limit=1))


def shown_of(view: Reader, looking: Looking, conversation: ConversationId, partition: str) -> PushShown | None:
    found: PushShown | None = view.get(
        Table.PUSH_SHOWN, (looking.key.user, looking.subscription.number, conversation, partition)
    )
    return found


def is_read(view: Reader, user: UserId, conversation: ConversationId, place: int) -> bool:
    """Whether a user has read a message, on whichever device, whether they tell others of it or not."""
    if read_marker(view, user, conversation) >= place:
        return True
    for table in (Table.RECEIPTS, Table.PRIVATE_READS):
        for kind in OWN:
            try:
                runs = view.get(table, (conversation, user, kind, part_of(place)))
            except DamagedRecordError:
                runs = None
            if runs and covers(runs, place):
                return True
    return False


def quiet_until(kept: ConversationSettings) -> Millis:
    """Tells until when nothing that comes into a conversation is pushed."""
    return Millis(1 << 63 if kept.archived.value else kept.muted_until.value)


def notification_id(user: UserId, subscription: Stamp, notice: Notice) -> str:
    """Makes the id of a notification: the same when it is sent again."""
    about = f"{user}/{subscription}/{notice.stamp}"  # no other message has that, also where a copy was put back
    if notice.kind is NoticeKind.CLEAR:
        about = f"{user}/{subscription}/{notice.partition}/{notice.conversation}/{notice.place}/clear"
    return blake2b(about.encode(), digest_size=ID_BYTES).hexdigest()


def collapse_key(user: UserId, notice: Notice) -> str:
    """Makes what all notifications of a conversation share: a newer one takes the place of an older one."""
    about = f"{user}/{notice.conversation}/{notice.partition}"
    return blake2b(about.encode(), digest_size=ID_BYTES).hexdigest()


class _Judge:
    """Says which entries of a log are owed to a subscription."""

    def __init__(self, view: Reader, looking: Looking, partition: str, rules: PushRules) -> None:
        self._view = view
        self._looking = looking
        self._user = looking.key.user
        self._rules = rules
        self._oldest = max(looking.now - rules.max_age_ms, looking.subscription.created)
        self._cursors = _cursors(view, looking, partition)
        self._partition = partition
        self._shown: dict[ConversationId, int] = {}
        self._quiet: dict[ConversationId, Millis] = {}
        self._blocked: dict[UserId, bool] = {}

    def owes(self, offset: int, entry: Entry) -> bool:
        """The questions that cost least come first."""
        if entry.author == self._user or millis_of(entry.stamp) < self._oldest:
            return False
        if entry.origin == NOBODY and self._is_group(entry.conversation):  # what happened in a group is not pushed
            return False
        if entry.addressed and not is_addressed(self._view, entry.stamp, self._user, self._looking.key.device):
            return False
        if self._is_acknowledged(offset, entry) or entry.conversation_offset <= self._shown_in(entry.conversation):
            return False
        return not self._is_held_back(entry) and not self._is_done_with(entry)

    def _is_group(self, conversation: ConversationId) -> bool:
        known: Conversation | None = self._view.get(Table.CONVERSATIONS, (conversation,))
        return known is None or not known.members

    def _is_acknowledged(self, offset: int, entry: Entry) -> bool:
        """Whether any device has it. One to which it was not addressed passed over it."""
        return any(
            (offset <= cursor.floor or contains(cursor.above, offset))
            and (not entry.addressed or is_addressed(self._view, entry.stamp, self._user, device))
            for device, cursor in self._cursors.items()
        )

    def _shown_in(self, conversation: ConversationId) -> int:
        place = self._shown.get(conversation)
        if place is None:
            shown = shown_of(self._view, self._looking, conversation, self._partition)
            place = self._shown[conversation] = 0 if shown is None else shown.last
        return place

    def _is_held_back(self, entry: Entry) -> bool:
        """Whether the user wants to hear nothing of it: it came while they had muted or archived the conversation."""
        conversation = entry.conversation
        quiet = self._quiet.get(conversation)
        if quiet is None:
            kept = read_settings(self._view, self._user, conversation) or AS_THEY_WERE
            quiet = self._quiet[conversation] = quiet_until(kept)
        if entry.author not in self._blocked:
            self._blocked[entry.author] = blocks(self._view, self._user, entry.author)
        if self._blocked[entry.author]:
            return True
        if millis_of(entry.stamp) >= quiet:
            return False
        mention = (self._user, conversation, entry.conversation_offset)
        return not (self._rules.mentions_when_muted and self._view.get(Table.MENTIONS, mention))

    def _is_done_with(self, entry: Entry) -> bool:
        """Whether it was read, or is to be seen no more."""
        place = (entry.conversation, entry.conversation_offset)
        known: MessageRecord | None = self._view.get(Table.MESSAGE_STATES, place)
        own: OwnMessage | None = self._view.get(Table.OWN_MESSAGES, (self._user, *place))
        if (known is not None and known.deleted) or (own is not None and own.hidden):
            return True
        return is_read(self._view, self._user, *place) or self._view.get(Table.BODIES, (entry.stamp,)) is None


def _cursors(view: Reader, looking: Looking, partition: str) -> Mapping[DeviceId, Cursor]:
    """Reads how far the user's devices have acknowledged a log, while somebody sat before them."""
    user = looking.key.user
    devices: list[tuple[Key, Device]] = view.scan(Table.DEVICES, (user,), (user + 1,), limit=MAX_DEVICES)
    found: dict[DeviceId, Cursor] = {}
    for _, device in devices:
        attended = looking.inactive.get(device.number)
        cursor = _cursor(view, device.number, partition) if attended is None else attended.get(partition)
        if cursor is not None:
            found[device.number] = cursor
    return found


def _cursor(view: Reader, device: DeviceId, partition: str) -> Cursor | None:
    try:
        found: Cursor | None = view.get(Table.CURSORS, (device, partition))
    except DamagedRecordError:
        return None
    return found


class NotePushed(NamedTuple):
    """A gateway took a notification, or will never: it is not sent again, and what it told of is shown."""

    key: SubscriptionKey
    number: Stamp  # the subscription's
    notice: Notice
    upto: Offset  # its cursor


def note_pushed(view: Reader, op: NotePushed, context: Context) -> Decision:
    if not _is_same(view, op.key, op.number):
        return Decision(Done())
    notice = op.notice
    place = (op.key.user, op.number, notice.conversation, notice.partition)
    known: PushShown | None = view.get(Table.PUSH_SHOWN, place)
    shown: dict[tuple[object, ...], PushShown | None] = {}
    if notice.kind is NoticeKind.CLEAR:
        if known is None or known.last > notice.place:
            return Decision(Done())
        shown[place] = None
    else:
        if known is None:
            shown |= dict.fromkeys(_oldest_shown(view, op.key.user, op.number))
        if known is None or known.last < notice.place:
            shown[place] = PushShown(notice.place, notice.messages, context.now)
    return Decision(Done(), Writes([(Table.PUSH_SHOWN, shown), *_moved(view, op, notice.partition, op.upto)]))


class PassPushed(NamedTuple):
    """Nothing of a log is owed to a subscription up to there."""

    key: SubscriptionKey
    number: Stamp
    partition: str
    upto: Offset


def pass_pushed(view: Reader, op: PassPushed, _context: Context) -> Decision:
    if not _is_same(view, op.key, op.number):
        return Decision(Done())
    return Decision(Done(), Writes(_moved(view, op, op.partition, op.upto)))


def _moved(view: Reader, op: NotePushed | PassPushed, partition: str, upto: Offset) -> list[Put]:
    """Moves a cursor, never back, and never beyond its log."""
    place = (op.key.user, op.number, partition)
    log: Log = view.get(Table.LOGS, (op.key.user, partition)) or EMPTY_LOG
    upto = Offset(min(upto, log.head))
    return [(Table.PUSH_CURSORS, {place: upto})] if upto > (view.get(Table.PUSH_CURSORS, place) or 0) else []


def _oldest_shown(view: Reader, user: UserId, number: Stamp) -> Iterator[tuple[object, ...]]:
    """Names what is forgotten of what was shown, for one more."""
    found = view.scan(Table.PUSH_SHOWN, (user, number), (user, number + 1), limit=MAX_SHOWN + 1)
    if len(found) >= MAX_SHOWN:
        yield min(found, key=lambda one: one[1].time)[0]


def _is_same(view: Reader, key: SubscriptionKey, number: Stamp) -> bool:
    """Whether a subscription is there still: what is its own would outlive it."""
    try:
        known: PushSubscription | None = view.get(Table.PUSH_SUBSCRIPTIONS, tuple(key))
    except DamagedRecordError:
        return False
    return known is not None and known.number == number


OPERATIONS: dict[type, OperationKind] = {NotePushed: OperationKind(note_pushed), PassPushed: OperationKind(pass_pushed)}
