"""Whether what a store holds fits together: what no operation, crash or error may ever leave behind.

    for finding in check(store): ...

It reads everything, in one snapshot: run it where waiting hurts nobody, and not beside a busy journal for long, since
pages that are freed meanwhile cannot be used again. Its memory does not grow with the store.

What it looks for: logs and histories without gaps between their first and their head; an entry's message, its place in
the conversation and its counterparts in the other members' logs (both logs or none); rows of a log's index that name
entries of the device that they tell; numbers that are pairwise the reverse of each other (users, devices, versions);
counters ahead of everything that was ever drawn from them; cursors that stay behind the heads.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import Any, NamedTuple

from bimip.domain.accounts.belongings import BELONGINGS, Whose
from bimip.domain.conversations.membership import is_feed, is_unheard, readers_of
from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.ranges import Ranges, above, intersect, normal
from bimip.domain.core.records import (
    NEVER,
    Contact,
    Conversation,
    Cursor,
    DamagedRecordError,
    Device,
    DeviceKeys,
    DeviceOwner,
    Entry,
    HistoryEntry,
    Index,
    IndexRow,
    Key,
    Log,
    LogTable,
    Member,
    Reader,
    Role,
    Roster,
    Runs,
    SentRecord,
    Standing,
    State,
    StateKey,
    Status,
    Table,
)
from bimip.domain.core.schema import behind
from bimip.domain.messages.appending import EMPTY_LOG
from bimip.domain.messages.chaining import STEP, chain_at, extend
from bimip.domain.state import (
    contacts,
    conversation_settings,
    groups,
    intents,
    location_shares,
    messages,
    privacy_exceptions,
    private_reads,
    read_markers,
    receipts,
    settings,
)
from bimip.domain.state.changes import state_of
from bimip.domain.state.kinds import has_removals, kind_of
from bimip.domain.state.location_shares import OtherEnd, With
from bimip.domain.state.receipts import part_of
from bimip.domain.webhooks.feed import head_of
from bimip.storage.interface import Store

SLICE = 1000
_HIGHEST_ROW = (1 << 64,)
_FOR_EVER = 1 << 64


class Finding(NamedTuple):
    where: str  # the table or sequence
    key: Key
    what: str

    def __str__(self) -> str:
        return f"{self.where} {self.key}: {self.what}"


Part = Callable[[Reader], Iterator[Finding]]


def check(store: Store) -> Iterator[Finding]:
    """Everything that is wrong, one at a time; nothing when all is well."""
    with store.snapshot() as view:
        for part in PARTS.values():
            yield from part(view)


class Tolerant:
    """Implements Reader: what is damaged is missing. It was told of as such already."""

    def __init__(self, view: Reader) -> None:
        self._view = view
        self.scan = view.scan
        self.salvage = view.salvage

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - as Reader has it
        with suppress(DamagedRecordError):
            return self._view.get(table, key)
        return None

    def get_all(self, table: Table, keys: Iterable[Key]) -> list[Any]:
        return [self.get(table, key) for key in keys]

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        with suppress(DamagedRecordError):
            return self._view.read(sequence, key, after, limit=limit)
        return []

    def read_packed(
        self, sequence: LogTable, key: Key, after: int, *, limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        with suppress(DamagedRecordError):
            return self._view.read_packed(sequence, key, after, limit=limit)
        return []

    def find(
        self, index: Index, key: Key, low: IndexRow, high: IndexRow, *, limit: int, reverse: bool = False
    ) -> list[IndexRow]:
        with suppress(DamagedRecordError):
            return self._view.find(index, key, low, high, limit=limit, reverse=reverse)
        return []


def rows(view: Reader, table: Table) -> Iterator[tuple[Key, Any]]:
    """All of a table, a slice at a time."""
    low: Key = ()
    while True:
        found = view.scan(table, low, table.schema.end, limit=SLICE)
        yield from found
        if len(found) < SLICE:
            return
        low = behind(found[-1][0])


def run(view: Reader, sequence: LogTable, key: Key, *, after: int = 0) -> Iterator[tuple[int, Any]]:
    """All records of one sequence, also those that lie before its first and should not be there."""
    while found := view.read(sequence, key, after, limit=SLICE):
        yield from found
        after = found[-1][0]


def _found(view: Reader, index: Index, key: Key) -> Iterator[IndexRow]:
    """All rows of one index."""
    low: IndexRow = ()
    while found := view.find(index, key, low, _HIGHEST_ROW, limit=SLICE):
        yield from found
        low = behind(found[-1])


def _users(view: Reader) -> Iterator[Finding]:
    for key, user in rows(view, Table.USERS):
        if view.get(Table.EIDS, (user.number,)) != key[0]:
            yield Finding("users", key, f"the number {user.number} leads back to somebody else")
    for key, eid in rows(view, Table.EIDS):
        if not eid:
            continue  # the user was erased
        user = view.get(Table.USERS, (eid,))
        if user is None or user.number != key[0]:
            yield Finding("eids", key, f"{eid!r} is not that number")


def _erasing(view: Reader) -> Iterator[Finding]:
    for key, note in rows(view, Table.ERASING):
        if view.get(Table.EIDS, key) != "":
            yield Finding("erasing", key, f"{note.eid!r} is being erased, and still has a name")


def _devices(view: Reader) -> Iterator[Finding]:
    for key, device in rows(view, Table.DEVICES):
        if view.get(Table.DEVICE_OWNERS, (device.number,)) != key:
            yield Finding("devices", key, f"the number {device.number} leads back to another device")
        if view.get(Table.EIDS, (key[0],)) is None:
            yield Finding("devices", key, "belongs to nobody")
    for key, _ in rows(view, Table.LABELS):
        owner = view.get(Table.DEVICE_OWNERS, key)
        labelled: Device | None = None if owner is None else view.get(Table.DEVICES, tuple(owner))
        if labelled is None or labelled.number != key[0]:
            yield Finding("labels", key, "is of a device that is not there")


def _keys(view: Reader) -> Iterator[Finding]:
    for key, _ in rows(view, Table.DEVICE_KEYS):
        owner = view.get(Table.DEVICE_OWNERS, (key[1],))
        known: Device | None = None if owner is None else view.get(Table.DEVICES, tuple(owner))
        if owner is None or owner.user != key[0] or known is None or known.number != key[1]:
            yield Finding("devicekeys", key, "are of a device that is not there")
    for key, _ in rows(view, Table.ONE_TIME_KEYS):
        keys: DeviceKeys | None = view.get(Table.DEVICE_KEYS, key[:2])
        if keys is None:
            yield Finding("onetimekeys", key, "is of a device that has no keys")
        elif key[2] > keys.last:
            yield Finding("onetimekeys", key, f"was never published: the last one is {keys.last}")


def _push(view: Reader) -> Iterator[Finding]:
    numbers: set[tuple[UserId, int]] = set()
    for key, subscription in rows(view, Table.PUSH_SUBSCRIPTIONS):
        user, device, _ = key
        owner = view.get(Table.DEVICE_OWNERS, (device,))
        known: Device | None = None if owner is None else view.get(Table.DEVICES, tuple(owner))
        if owner is None or owner.user != user or known is None or known.number != device:
            yield Finding("pushsubscriptions", key, "is of a device that is not there")
        if (user, subscription.number) in numbers:
            yield Finding("pushsubscriptions", key, f"has the number {subscription.number}, as another one has")
        numbers.add((user, subscription.number))
    for key, upto in rows(view, Table.PUSH_CURSORS):
        user, number, partition = key
        log: Log = view.get(Table.LOGS, (user, partition)) or EMPTY_LOG
        if (user, number) not in numbers:
            yield Finding("pushcursors", key, "is of a subscription that is not there")
        elif upto > log.head:
            yield Finding("pushcursors", key, f"stands at {upto}, in a log that ends with {log.head}")
    for key, shown in rows(view, Table.PUSH_SHOWN):
        user, number, conversation, _ = key
        found: Conversation | None = view.get(Table.CONVERSATIONS, (conversation,))
        if (user, number) not in numbers:
            yield Finding("pushshown", key, "is of a subscription that is not there")
        elif found is None or shown.last > found.head:
            yield Finding("pushshown", key, f"says that {shown.last} was shown, which was never given")


def _events(view: Reader) -> Iterator[Finding]:
    head = head_of(view)
    for key, event in rows(view, Table.EVENTS):
        if key[0] > head:
            yield Finding("events", key, f"was never given: the feed ends with {head}")
        if view.get(Table.EIDS, (event.user,)) is None:
            yield Finding("events", key, f"is of {event.user}, who is nobody")
    for key, upto in rows(view, Table.EVENT_POSITIONS):
        if upto > head:
            yield Finding("eventpositions", key, f"stands at {upto}, and the feed ends with {head}")


def _conversations(view: Reader) -> Iterator[Finding]:
    for key, number in rows(view, Table.DIRECT):
        conversation: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
        if conversation is None or conversation.members != tuple(sorted(set(key))):
            yield Finding("direct", key, f"conversation {number} is not theirs")
    for key, conversation in rows(view, Table.CONVERSATIONS):
        yield from _gapless(view, LogTable.HISTORY, key, conversation.first, conversation.head)
        finder = _Finder(view, _spans(view, key[0], conversation))
        for place, listed in run(view, LogTable.HISTORY, key):
            yield from _listed(view, finder, (*key, place), listed)


def _listed(view: Reader, finder: "_Finder", where: Key, listed: HistoryEntry) -> Iterator[Finding]:
    members, place = finder.members, where[-1]
    if listed.author not in members and view.get(Table.EIDS, (listed.author,)) != "":
        yield Finding("history", where, f"written by {listed.author}, who is no member")
    if not _has_body(view, listed.stamp):
        if any(finder.held(member, listed.stamp) for member in members):
            yield Finding("history", where, f"the message {listed.stamp} is missing")
        return  # else it went with the last log that had it
    for member, (since, upto) in members.items():
        if place < since:
            continue  # it may have been a member before, and gone in between
        if is_unheard(view, member, where[0], place):
            continue  # whether it is in their log tells which came first, the message or the block
        to_some = listed.addressed and member != listed.author
        expected = place <= upto and (not to_some or bool(view.get(Table.ADDRESSED, (listed.stamp, member))))
        held = finder.held(member, listed.stamp)
        if held is not None and held != expected:
            yield Finding("history", where, f"{'missing from' if expected else 'also in'} the log of user {member}")


def _spans(view: Reader, number: ConversationId, conversation: Conversation) -> dict[UserId, tuple[int, int]]:
    """Reads from where to where in a conversation each member is one, those included who were; but for who is being
    erased: their logs go.
    """
    spans = {user: (1, _FOR_EVER) for user in conversation.members if user}
    if is_feed(conversation) or not spans:
        spans |= {user: (member.since, member.upto or _FOR_EVER) for user, member in readers_of(view, number)}
    return {user: span for user, span in spans.items() if view.get(Table.EIDS, (user,)) != ""}


def _was_in(view: Reader, user: UserId, number: ConversationId, conversation: Conversation) -> bool:
    return user in conversation.members or view.get(Table.MEMBERS, (number, user)) is not None


def _scan(view: Reader, table: Table, low: Key, high: Key) -> Iterator[tuple[Key, Any]]:
    while found := view.scan(table, low, high, limit=SLICE):
        yield from found
        low = behind(found[-1][0])


def _groups(view: Reader) -> Iterator[Finding]:
    for key, group in rows(view, Table.GROUPS):
        number = key[0]
        conversation: Conversation | None = view.get(Table.CONVERSATIONS, key)
        if conversation is None or conversation.members:
            yield Finding("groups", key, "is no conversation of a group")
            continue
        found = {one[1]: member for one, member in _scan(view, Table.MEMBERS, (number,), (number + 1,))}
        if not 1 <= group.changed <= conversation.head:
            yield Finding("groups", key, f"changed at {group.changed}, and it ends with {conversation.head}")
        present = tuple(sorted(user for user, member in found.items() if member.role and member.since != NEVER))
        named = tuple(sorted(user for user, member in found.items() if member.role and member.since == NEVER))
        if (present, named) != (group.members, group.named):
            line = f"has the members {group.members} and names {group.named}"
            yield Finding("groups", key, f"{line}, and {present} and {named} say that they are")
        if present and not any(member.role == Role.OWNER for member in found.values()):
            yield Finding("groups", key, "has no owner")
        for user, member in found.items():
            yield from _member(view, (number, user), member, conversation.head)
    for key, member in rows(view, Table.MEMBERS):
        known: Conversation | None = view.get(Table.CONVERSATIONS, (key[0],))
        if known is not None and is_feed(known):
            yield from _span(view, key, member, known.head)
        elif view.get(Table.GROUPS, (key[0],)) is None:
            yield Finding("members", key, "is of no group")


def _member(view: Reader, key: Key, member: Member, head: int) -> Iterator[Finding]:
    number, user = key
    yield from _span(view, key, member, head)
    if member.role and member.since != NEVER and view.get(Table.VERSIONS, (user, groups.pack_key(number))) is None:
        yield Finding("members", key, "has no version: devices are not told of the group")


def _span(view: Reader, key: Key, member: Member, head: int) -> Iterator[Finding]:
    began = min(member.upto, head) if member.since == NEVER else member.since
    is_ended = bool(member.upto) and member.since != NEVER
    if not 1 <= began <= head or member.upto > head or (member.since != NEVER and is_ended == bool(member.role)):
        yield Finding("members", key, f"goes from {member.since} to {member.upto}, and the conversation ends at {head}")
    if view.get(Table.EIDS, (key[1],)) is None:
        yield Finding("members", key, "is nobody")


def _has_body(view: Reader, stamp: int) -> bool:
    """Or had one that expired: messages go by age, the oldest first."""
    if view.get(Table.BODIES, (stamp,)) is not None:
        return True
    oldest = view.scan(Table.BODIES, (), Table.BODIES.schema.end, limit=1)
    return not oldest or stamp < oldest[0][0][0]


class _Finder:
    """Finds the messages of one conversation in the logs of its members, in their order: mostly the next entry."""

    def __init__(self, view: Reader, members: Mapping[UserId, tuple[int, int]]) -> None:
        """`members`: those who are or were, and from where to where their last membership goes."""
        self.members = members
        self._view = view
        self._next: dict[Key, int] = {}

    def held(self, user: UserId, stamp: int) -> bool | None:
        """Whether one of the user's logs has that message; None where it may have been there and expired."""
        unknown = False
        for key, log in self._view.scan(Table.LOGS, (user,), (user + 1,), limit=SLICE):
            offset = self._next.get(key, log.first)
            if _stamp_at(self._view, key, offset) != stamp:
                stamp_at = partial(_stamp_at, self._view, key)
                offset = bisect_left(range(log.head + 1), stamp, lo=log.first, key=stamp_at)
            if _stamp_at(self._view, key, offset) == stamp:
                self._next[key] = offset + 1
                return True
            unknown |= log.first > 1 and offset == log.first
        return None if unknown else False


def _stamp_at(view: Reader, key: Key, offset: int) -> int:
    found: list[tuple[int, Entry]] = view.read(LogTable.ENTRIES, key, offset - 1, limit=1)
    return found[0][1].stamp if found and found[0][0] == offset else 1 << 64


def _logs(view: Reader) -> Iterator[Finding]:
    for key, log in rows(view, Table.LOGS):
        if view.get(Table.EIDS, (key[0],)) is None:
            yield Finding("logs", key, "belongs to nobody")
        yield from _gapless(view, LogTable.ENTRIES, key, log.first, log.head)
        for offset, entry in run(view, LogTable.ENTRIES, key):
            yield from _entry(view, (*key, offset), entry)
        yield from _seqs(view, key, log)
        yield from _chain(view, key, log)


def _seqs(view: Reader, key: Key, log: Log) -> Iterator[Finding]:
    """Rows of entries that are gone may still be there."""
    before: IndexRow = ()
    for row in _found(view, Index.SEQS, key):
        *_, device, offset = row
        if row <= before:
            yield Finding("seqs", key, f"{row} follows {before}")
        if offset > log.head:
            yield Finding("seqs", key, f"offset {offset} was never given")
        elif offset >= log.first:
            entry: Entry | None = _at(view, LogTable.ENTRIES, key, offset)
            if entry is None or entry.origin != device:
                yield Finding("seqs", key, f"the log has {entry} at offset {offset}, which is not of device {device}")
        before = row


def _chain(view: Reader, key: Key, log: Log) -> Iterator[Finding]:
    """Checks a log's hash chain, from the first value that all entries behind it are kept of, to the head."""
    for number, _ in view.read(LogTable.CHAINS, key, log.head // STEP, limit=1):
        yield Finding("chains", key, f"has a value {number}, and the log ends with {log.head}")
    begin = -(-(log.first - 1) // STEP)
    chain = bytes(16) if begin == 0 else _at(view, LogTable.CHAINS, key, begin)
    offset = begin * STEP
    if chain is None and offset <= log.head:
        yield Finding("chains", key, f"the value {begin} is missing")
    while chain is not None and (found := view.read(LogTable.ENTRIES, key, offset, limit=SLICE)):
        chain, kept = extend(chain, offset, [entry for _, entry in found])
        offset = found[-1][0]
        for number, link in kept:
            if _at(view, LogTable.CHAINS, key, number) != link:
                yield Finding("chains", key, f"the value {number} is not that of the entries up to {number * STEP}")
    if chain is not None and offset == log.head and chain != log.chain:
        yield Finding("logs", key, "its chain is not that of its entries")


def _entry(view: Reader, where: Key, entry: Entry) -> Iterator[Finding]:
    if not _has_body(view, entry.stamp):
        yield Finding("entries", where, f"the message {entry.stamp} is missing")
    conversation: Conversation | None = view.get(Table.CONVERSATIONS, (entry.conversation,))
    if conversation is None:
        yield Finding("entries", where, f"there is no conversation {entry.conversation}")
        return
    if entry.conversation_offset < conversation.first:
        return
    listed = _at(view, LogTable.HISTORY, (entry.conversation,), entry.conversation_offset)
    if listed != HistoryEntry(entry.stamp, entry.author, entry.origin, entry.addressed):
        yield Finding("entries", where, f"conversation {entry.conversation} has {listed} in its place")


def _at(view: Reader, sequence: LogTable, key: Key, number: int) -> Any:  # noqa: ANN401 - a sequence's record
    found = view.read(sequence, key, number - 1, limit=1)
    return found[0][1] if found and found[0][0] == number else None


def _gapless(view: Reader, sequence: LogTable, key: Key, first: int, head: int) -> Iterator[Finding]:
    """Numbers follow each other from the first to the head, and so do stamps."""
    expected, before = first, 0
    for number, record in run(view, sequence, key):
        if number != expected:
            yield Finding(sequence.value, key, f"{number} follows {expected - 1}")
        if record.stamp <= before:
            yield Finding(sequence.value, key, f"{number} is older than the one before it")
        expected, before = number + 1, record.stamp
    if expected != head + 1:
        yield Finding(sequence.value, key, f"ends with {expected - 1} and not with its head {head}")


def _seen(view: Reader) -> Iterator[Finding]:
    for key, seen in rows(view, Table.SEEN):
        owner = view.get(Table.DEVICE_OWNERS, (key[0],))
        log = None if owner is None else view.get(Table.LOGS, (owner.user, seen.partition))
        if owner is None or log is None or seen.offset > log.head:
            yield Finding("seen", key, f"offset {seen.offset} was never given")
        elif seen.offset >= log.first:
            yield from _seen_entry(key, seen, _at(view, LogTable.ENTRIES, (owner.user, seen.partition), seen.offset))


def _seen_entry(key: Key, seen: SentRecord, entry: Entry | None) -> Iterator[Finding]:
    place = (seen.stamp, seen.conversation, seen.conversation_offset)
    if entry is None or (entry.stamp, entry.conversation, entry.conversation_offset) != place:
        yield Finding("seen", key, f"the log has {entry} at offset {seen.offset}")


def _cursors(view: Reader) -> Iterator[Finding]:
    for key, cursor in rows(view, Table.CURSORS):
        device, partition = key
        owner = view.get(Table.DEVICE_OWNERS, (device,))
        log: Log | None = None if owner is None else view.get(Table.LOGS, (owner.user, partition))
        yield from _cursor(key, cursor, 0 if log is None else log.head)


def _cursor(key: Key, cursor: Cursor, head: int) -> Iterator[Finding]:
    furthest = max([cursor.floor, *(last for _, last in cursor.above)])
    if furthest > head:
        yield Finding("cursors", key, f"acknowledges {furthest}, and the log ends with {head}")
    if cursor.above != above(normal(cursor.above), cursor.floor):
        yield Finding("cursors", key, f"{cursor.above} are no ranges above {cursor.floor}")


def _states(view: Reader) -> Iterator[Finding]:
    for key, changed in rows(view, Table.CHANGES):
        user, version = key
        state: State | None = view.get(Table.STATES, (user,))
        if state is None or version > state.head:
            yield Finding("changes", key, "lies beyond the state's head")
        if view.get(Table.VERSIONS, (user, changed)) != version:
            yield Finding("changes", key, f"{changed.hex()} has another version")
        yield from _changed(view, key, changed)
    for key, version in rows(view, Table.VERSIONS):
        user, changed = key
        if view.get(Table.CHANGES, (user, version)) != changed:
            yield Finding("versions", key, f"version {version} is another change")


def _changed(view: Reader, where: Key, packed: StateKey) -> Iterator[Finding]:
    try:
        kind = kind_of(packed)
        value = (kind.stored or kind.read)(view, where[0], packed)
    except (KeyError, IndexError, StructError):
        yield Finding("changes", where, f"{packed.hex()} is the key of no kind of state that this program knows")
    else:
        if value in {None, ()} and not has_removals(packed):
            yield Finding("changes", where, f"{packed.hex()} does not exist")


def _receipts(view: Reader) -> Iterator[Finding]:
    for key, runs in rows(view, Table.RECEIPTS):
        yield from _runs(view, Table.RECEIPTS, key, runs)


def _runs(view: Reader, table: Table, key: Key, runs: Runs) -> Iterator[Finding]:
    conversation: Conversation | None = view.get(Table.CONVERSATIONS, (key[0],))
    before = 0
    for run in runs:
        if not before < run.first <= run.last or {part_of(run.first), part_of(run.last)} != {key[3]}:
            yield Finding(table.value, key, f"{run} is out of place")
        before = run.last
    if conversation is None or before > conversation.head:
        yield Finding(table.value, key, f"claims {before}, which was never given")


def _private_reads(view: Reader) -> Iterator[Finding]:
    """Their key is of the reader's state alone, and what is in them is told to nobody else."""
    table = Table.PRIVATE_READS
    for key, runs in rows(view, table):
        yield from _runs(view, table, key, runs)
        conversation, member, kind, part = key
        public: Runs = view.get(Table.RECEIPTS, key) or ()
        if both := intersect(_ranges(runs), _ranges(public)):
            yield Finding(table.value, key, f"{both} are told to others as well")
        if view.get(Table.SETTINGS, (member, settings.SEND)) is None:
            yield Finding(table.value, key, "is forgotten: the setting that it follows from has no record")
        packed = receipts.KEY.pack(private_reads.TAG, conversation, member, kind, part // receipts.PARTS)
        if view.get(Table.VERSIONS, (member, packed)) is None:
            yield Finding(table.value, key, "has no version: devices are not told of it")


def _ranges(runs: Runs) -> Ranges:
    return tuple((run.first, run.last) for run in runs)


def _settings(view: Reader) -> Iterator[Finding]:
    for key, write in rows(view, Table.SETTINGS):
        user, setting = key
        values = {0, 1} if setting == settings.VISIBLE else set(settings.Audience)
        if setting not in set(settings.Setting) or write.value not in values:
            yield Finding("settings", key, f"{write} is nothing that can be set")
        if write != settings.ASSUMED and view.get(Table.VERSIONS, (user, settings.KEY)) is None:
            yield Finding("settings", key, "has no version: devices are not told of it")


def _privacy_exceptions(view: Reader) -> Iterator[Finding]:
    for key, write in rows(view, Table.PRIVACY_EXCEPTIONS):
        user, other, setting = key
        if setting not in privacy_exceptions.EXCEPTED or write.value not in set(privacy_exceptions.ExceptionValue):
            yield Finding("privacyexceptions", key, f"{write} is nothing that can be set")
        if view.get(Table.SETTINGS, (user, setting)) is None:
            yield Finding("privacyexceptions", key, "has no effect: its setting has no record beside it")
        is_kept = write.value != privacy_exceptions.NONE
        if is_kept and view.get(Table.VERSIONS, (user, privacy_exceptions.pack_key(other))) is None:
            yield Finding("privacyexceptions", key, "has no version: devices are not told of it")


def _intents(view: Reader) -> Iterator[Finding]:
    for key, intent in rows(view, Table.INTENTS):
        if intent.status not in {Status.ONLINE, Status.AWAY, Status.BUSY, Status.DND}:
            yield Finding("intents", key, f"{intent} is nothing that a user can say of themselves")
        if view.get(Table.VERSIONS, (key[0], intents.KEY)) is None:
            yield Finding("intents", key, "has no version: devices are not told of it")


def _read_markers(view: Reader) -> Iterator[Finding]:
    for key, upto in rows(view, Table.READ_MARKERS):
        user, number = key
        conversation: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
        if conversation is None or not _was_in(view, user, number, conversation):
            yield Finding("readmarkers", key, "is of a conversation that its user is not in")
        elif upto > conversation.head:
            yield Finding("readmarkers", key, f"says that {upto} was read, which was never given")
        if view.get(Table.VERSIONS, (user, read_markers.pack_key(number))) is None:
            yield Finding("readmarkers", key, "has no version: devices are not told of it")


def _checkpoints(view: Reader) -> Iterator[Finding]:
    for key, checkpoints in rows(view, Table.CHECKPOINTS):
        log: Log = view.get(Table.LOGS, key) or EMPTY_LOG
        before = 0
        for one in checkpoints:
            if not before < one.offset <= log.head:
                yield Finding("checkpoints", key, f"{one.offset} is out of place, in a log that ends with {log.head}")
            elif chain_at(view, key[0], key[1], one.offset) not in {None, one.chain}:
                yield Finding("checkpoints", key, f"the one at {one.offset} has another chain than the log")
            before = one.offset


def _message_states(view: Reader) -> Iterator[Finding]:
    for key, record in rows(view, Table.MESSAGE_STATES):
        conversation, place = key
        listed = view.read(LogTable.HISTORY, (conversation,), place - 1, limit=1)
        if not listed or listed[0][0] != place or listed[0][1].stamp != record.message:
            yield Finding("messagestates", key, "is of a message that is not there")
    for key, reactions in rows(view, Table.REACTIONS):
        if view.get(Table.MESSAGE_STATES, key[:2]) is None:
            yield Finding("reactions", key, "is of a message to which nothing happened")
        if len({one.emoji for one in reactions}) != len(reactions):
            yield Finding("reactions", key, "holds an emoji twice")
    for key, _ in rows(view, Table.OWN_MESSAGES):
        user, conversation, place = key
        if view.get(Table.VERSIONS, (user, messages.pack_key(conversation, place))) is None:
            yield Finding("ownmessages", key, "has no version: devices are not told of it")


def _conversation_settings(view: Reader) -> Iterator[Finding]:
    for key, _ in rows(view, Table.CONVERSATION_SETTINGS):
        user, number = key
        conversation: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
        if conversation is None or not _was_in(view, user, number, conversation):
            yield Finding("conversationsettings", key, "is of a conversation that its user is not in")
        if view.get(Table.VERSIONS, (user, conversation_settings.pack_key(number))) is None:
            yield Finding("conversationsettings", key, "has no version: devices are not told of it")


def _contacts(view: Reader) -> Iterator[Finding]:
    owner, counted = UserId(0), Roster()
    for key, contact in rows(view, Table.CONTACTS):
        yield from _contact(view, key, contact)
        if key[0] != owner:
            yield from _roster(view, owner, counted)
            owner, counted = key[0], Roster()
        counted = counted.with_one(contact)
    yield from _roster(view, owner, counted)
    for key, _ in rows(view, Table.ROSTERS):
        if not view.scan(Table.CONTACTS, key, (key[0] + 1,), limit=1):
            yield Finding("rosters", key, "counts contacts, and there are none")


def _contact(view: Reader, key: Key, contact: Contact) -> Iterator[Finding]:
    owner, peer = key
    other: Contact = view.get(Table.CONTACTS, (peer, owner)) or Contact()
    if (contact.grants, contact.granted) != (other.granted, other.grants):
        yield Finding("contacts", key, f"{contact} contradicts {other}")
    if contact.standing == Standing.ASKED and other.standing != Standing.REQUESTED:
        yield Finding("contacts", key, f"was asked, and {other} never did")
    if contact == Contact() or owner == peer or not view.get(Table.EIDS, (owner,)):
        yield Finding("contacts", key, "says nothing, of oneself, or for nobody")
    if view.get(Table.VERSIONS, (owner, contacts.pack_key(peer))) is None:
        yield Finding("contacts", key, "has no version: devices are not told of it")


def _roster(view: Reader, owner: UserId, counted: Roster) -> Iterator[Finding]:
    known = view.get(Table.ROSTERS, (owner,)) or Roster()
    if known != counted:
        yield Finding("rosters", (owner,), f"counts {known}, and there are {counted}")


def _location_shares(view: Reader) -> Iterator[Finding]:
    for key, share in rows(view, Table.LOCATION_SHARES):
        user, other = key[0], OtherEnd(With(key[1]), key[2])
        if view.get(Table.LOCATION_ENDS, (share.expires_at, *key)) is None:
            yield Finding("locationshares", key, "does not end by itself")
        if view.get(Table.VERSIONS, (user, location_shares.pack_key(other))) is None:
            yield Finding("locationshares", key, "has no version: devices are not told of it")


def _unheard(view: Reader) -> Iterator[Finding]:
    for key, last in rows(view, Table.UNHEARD):
        user, number, first = key
        known: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
        if known is None or user not in known.members:
            yield Finding("unheard", key, "is of no conversation of two that its user is in")
        elif not 1 <= first <= last <= known.head:
            yield Finding("unheard", key, f"goes to {last}, and the conversation ends with {known.head}")


def _expiring(view: Reader) -> Iterator[Finding]:
    for key, place in rows(view, Table.EXPIRING):
        known: Conversation | None = view.get(Table.CONVERSATIONS, (place.conversation,))
        if known is None or place.conversation_offset > known.head:
            yield Finding("expiring", key, "names a place of a conversation that was never given")
            continue
        listed = _at(view, LogTable.HISTORY, (place.conversation,), place.conversation_offset)
        if listed is not None and (listed.stamp, listed.author) != (key[1], place.author):
            yield Finding("expiring", key, f"conversation {place.conversation} has {listed} in its place")


def _removals(view: Reader) -> Iterator[Finding]:
    for key, _ in rows(view, Table.REMOVALS):
        if key[1] > state_of(view, key[0]).head:
            yield Finding("removals", key, "lies beyond the state's head")


def _references(view: Reader) -> Iterator[Finding]:
    for key, count in rows(view, Table.REFERENCES):
        if not count or view.get(Table.BODIES, key) is None:
            yield Finding("references", key, f"counts {count} logs that have a message, which is not there")


def _inboxes(view: Reader) -> Iterator[Finding]:
    for key, inbox in rows(view, Table.INBOXES):
        if inbox.top and view.get(Table.RISEN, (*key, inbox.top)) is None:
            yield Finding("inboxes", key, f"conversation {inbox.top} is on top, and is not in it")
    for key, number in rows(view, Table.RECENT):
        if view.get(Table.CONVERSATIONS, (number,)) is None:
            yield Finding("recent", key, f"there is no conversation {number}")
        if view.get(Table.RISEN, (key[0], number)) != key[1]:
            yield Finding("recent", key, f"conversation {number} stands elsewhere")
    for key, stamp in rows(view, Table.RISEN):
        if view.get(Table.RECENT, (key[0], stamp)) != key[1]:
            yield Finding("risen", key, f"another conversation stands at {stamp}")


def _mentions(view: Reader) -> Iterator[Finding]:
    for key, stamp in rows(view, Table.MENTIONS):
        if view.get(Table.EIDS, (key[0],)) is None:
            yield Finding("mentions", key, "is of nobody")
        yield from _reference(view, "mentions", key, key[1], stamp)


def _threads(view: Reader) -> Iterator[Finding]:
    for key, stamp in rows(view, Table.THREADS):
        if key[1] >= stamp:
            yield Finding("threads", key, f"{stamp} is no answer to what came later")
        yield from _reference(view, "threads", key, key[0], stamp)


def _reference(view: Reader, where: str, key: Key, number: int, stamp: int) -> Iterator[Finding]:
    """Rows of messages that are gone may still be there."""
    conversation: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
    if conversation is None or key[2] > conversation.head:
        yield Finding(where, key, f"offset {key[2]} was never given")
    elif key[2] >= conversation.first:
        listed: HistoryEntry | None = _at(view, LogTable.HISTORY, (number,), key[2])
        if listed is None or listed.stamp != stamp:
            yield Finding(where, key, f"conversation {number} has {listed} in its place")


def _counters(view: Reader) -> Iterator[Finding]:
    """Numbers are given in order, so the last of each kind is the highest."""
    for counter, table in (
        ("users", Table.EIDS),
        ("devices", Table.DEVICE_OWNERS),
        ("conversations", Table.CONVERSATIONS),
    ):
        yield from _counter(view, counter, table)


def _counter(view: Reader, counter: str, table: Table) -> Iterator[Finding]:
    last = view.scan(table, (), table.schema.end, limit=1, reverse=True)
    drawn = view.get(Table.META, (counter,)) or 0
    if last and last[0][0][0] > drawn:
        yield Finding("meta", (counter,), f"stands at {drawn}, and {last[0][0][0]} was given")


_MEMBER_TABLES = {Table.MEMBERS, Table.RECEIPTS, Table.PRIVATE_READS}
"""Tables whose keys have the user in the second place."""


def _but_of_the_erased(part: Part) -> Part:
    """Leaves out what is wrong with the records of a user who is being erased: they go, one after another."""

    def judge(view: Reader) -> Iterator[Finding]:
        erasing = {key[0] for key, _ in rows(view, Table.ERASING)}
        for finding in part(view):
            if not erasing or _owner_of(view, finding) not in erasing:
                yield finding

    return judge


def _owner_of(view: Reader, finding: Finding) -> UserId | None:
    """Finds whose a record is; None: several people's, or nobody's."""
    kind = next(kind for kind in BELONGINGS if kind.value == finding.where)
    if BELONGINGS[kind].whose is Whose.OWN:
        user: UserId = finding.key[0]
        return user
    if BELONGINGS[kind].whose is Whose.DEVICE:
        owner: DeviceOwner | None = view.get(Table.DEVICE_OWNERS, (finding.key[0],))
        return None if owner is None else owner.user
    return finding.key[1] if kind in _MEMBER_TABLES else None


PARTS: dict[str, Part] = {
    "users": _users,
    "erasing": _erasing,
    "devices": _devices,
    "conversations": _conversations,
    "groups": _groups,
    "logs": _logs,
    "seen": _seen,
    "cursors": _cursors,
    "states": _states,
    "receipts": _receipts,
    "read markers": _read_markers,
    "checkpoints": _checkpoints,
    "settings": _settings,
    "privacy exceptions": _privacy_exceptions,
    "intents": _intents,
    "private reads": _private_reads,
    "message states": _message_states,
    "conversation settings": _conversation_settings,
    "contacts": _contacts,
    "unheard": _unheard,
    "expiring": _expiring,
    "locationshares": _location_shares,
    "removals": _removals,
    "references": _references,
    "inboxes": _inboxes,
    "mentions": _mentions,
    "threads": _threads,
    "keys": _keys,
    "push": _push,
    "events": _events,
    "counters": _counters,
}
PARTS = {name: _but_of_the_erased(part) for name, part in PARTS.items()}
"""Each can be checked without the others."""
