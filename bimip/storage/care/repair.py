"""What of a damaged record can be made again: from others that say the same, or because less than it does no harm.

    for finding in repair_all(store): ...

Only records whose seal is broken are touched, in a file whose pages are whole. What was in the others that are lost (a
message's content, entries of a log, who sent what under which id) stands nowhere else: they stay as they are, and are
gaps to those whom they concern.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from struct import error as StructError  # noqa: N812 - the module's own name for it says nothing
from typing import Any, NamedTuple

from bimip.domain.accounts.barring import MARK
from bimip.domain.conversations.membership import is_feed
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import (
    NEVER,
    Changes,
    Contact,
    Conversation,
    DamagedRecordError,
    Device,
    DeviceOwner,
    Group,
    HistoryEntry,
    Inbox,
    Index,
    Key,
    Kind,
    Log,
    LogTable,
    Member,
    MessageRecord,
    OwnMessage,
    Reader,
    Role,
    Roster,
    Standing,
    Table,
    User,
)
from bimip.domain.delivery.cursor import START
from bimip.domain.keeping.timekeeping import TIME_NAMES, known_time
from bimip.domain.messages.appending import payload_bytes
from bimip.domain.messages.chaining import STEP, extend
from bimip.domain.messages.expiring import last_stamp
from bimip.domain.state.changes import state_of
from bimip.domain.state.conversation_settings import AS_THEY_WERE
from bimip.domain.state.intents import NONE as NOTHING_SAID
from bimip.domain.state.privacy_exceptions import DENIED
from bimip.domain.webhooks.feed import positions_of
from bimip.storage.care.check import Finding, rows, run
from bimip.storage.keys import UNPACK, key_of_block, kind_of
from bimip.storage.lmdb.store import LmdbStore

AT_ONCE = 1000
"""Records that are written in one transaction."""
KEPT = "stands nowhere else, and stays as it is"
FOR_EVER = Millis((1 << 63) - 1)
OFF = LastWrite(0, Stamp(0), DeviceId(0))
REFUSED = LastWrite(int(DENIED), Stamp(0), DeviceId(0))
"""Any other write is later."""


class _Made(NamedTuple):
    """A record to be put; None: there is to be none."""

    record: Any
    how: str


def repair_all(store: LmdbStore) -> Iterator[Finding]:
    """Make again what can be, and tell of each damaged record what became of it. Raises StorageError."""
    damaged = iter(list(damaged_records(store)))
    while some := list(islice(damaged, AT_ONCE)):
        repairs: list[Finding] = []
        puts: dict[Table, dict[Key, Any]] = {}
        with store.snapshot() as view:
            for kind, key in some:
                made = _make(view, kind, key)
                if made is not None and isinstance(kind, Table):
                    puts.setdefault(kind, {})[key] = made.record
                repairs.append(Finding(kind.value, key, KEPT if made is None else made.how))
        if puts:
            store.begin()
            try:
                store.apply(Changes(puts=puts))
                store.commit()
            except BaseException:
                store.abort()
                raise
        yield from repairs


def damaged_records(store: LmdbStore) -> Iterator[tuple[Kind, Key]]:
    """Finds records whose seals are broken. Of a log or an index, which lie in blocks, the key is whose it is."""
    for tree, packed in store.broken_seals():
        kind = kind_of(tree, packed)
        if kind is None:
            continue
        with suppress(StructError, ValueError, IndexError):  # a key that is none is nobody's
            key = UNPACK[kind](packed if isinstance(kind, Table) else key_of_block(kind, packed))
            yield kind, key


def meaning(view: Reader, kind: Kind, key: Key) -> str:
    """Tells what the damage of a record means, and for whom, and whether it can be made again."""
    what = _MEANING.get(kind, "what it held is lost")
    whose = ""
    if kind in _OF_A_USER:
        with suppress(DamagedRecordError):
            whose = f" of {view.get(Table.EIDS, (key[0],)) or f'user {key[0]}'}"
    return f"{what.format(whose=whose)}{'; --repair makes it again' if _can_be_made(kind, key) else ''}"


def _can_be_made(kind: Kind, key: Key) -> bool:
    return key[0] in _COUNTED or key[0] in _LEFT_OUT if kind is Table.META else kind in _MAKE


def _make(view: Reader, kind: Kind, key: Key) -> _Made | None:
    make = _MAKE.get(kind)
    try:
        return None if make is None else make(view, key)
    except DamagedRecordError:
        return None  # what it would be made of is damaged too


def _eid(view: Reader, key: Key) -> _Made | None:
    found = next((eid for (eid,), user in rows(view, Table.USERS) if user.number == key[0]), None)
    return None if found is None else _Made(found, "made again from the user's record")


def _user(view: Reader, key: Key) -> _Made | None:
    number = next((number for (number,), eid in rows(view, Table.EIDS) if eid == key[0]), None)
    if number is None:
        return None
    first = min((device.number for _, device in _devices_of(view, number)), default=DeviceId(0))
    return _Made(User(number, Millis(0), first), "made again from its number; when the user came is lost")


def _devices_of(view: Reader, user: int) -> Iterable[tuple[Key, Device]]:
    return ((key, device) for key, device in rows(view, Table.DEVICES) if key[0] == user)


def _name(view: Reader, key: Key) -> _Made | None:
    found = next((DeviceOwner(*of) for of, device in rows(view, Table.DEVICES) if device.number == key[0]), None)
    return None if found is None else _Made(found, "made again from the device's record")


def _device(view: Reader, key: Key) -> _Made | None:
    number = max((number for (number,), name in rows(view, Table.DEVICE_OWNERS) if tuple(name) == key), default=None)
    if number is None:
        return None
    return _Made(Device(number, Millis(0), Millis(0)), "made again from its number; when the device came is lost")


def _direct(view: Reader, key: Key) -> _Made | None:
    members = tuple(sorted(set(key)))
    found = next((number for (number,), one in rows(view, Table.CONVERSATIONS) if one.members == members), None)
    return None if found is None else _Made(found, "made again from the conversation's record")


def _conversation(view: Reader, key: Key) -> _Made | None:
    members = next((pair for pair, number in rows(view, Table.DIRECT) if number == key[0]), ())
    if not members and view.get(Table.GROUPS, key) is None:
        return None
    first, head = _span(view, LogTable.HISTORY, key)
    record = Conversation(ConversationOffset(first), ConversationOffset(head), tuple(sorted(set(members))))
    return _Made(record, "made again from its history") if head else None


def _group(view: Reader, key: Key) -> _Made | None:
    there = [(user, member) for (_, user), member in _scan(view, Table.MEMBERS, key, (key[0] + 1,)) if member.role]
    members = tuple(user for user, member in there if member.since != NEVER)
    named = tuple(user for user, member in there if member.since == NEVER)
    conversation: Conversation | None = view.get(Table.CONVERSATIONS, key)
    head = ConversationOffset(0) if conversation is None else conversation.head  # newer than what was told
    if not there:
        return None
    return _Made(Group("", members, head, named), "made again from its members; its title is lost")


def _member(view: Reader, key: Key) -> _Made | None:
    """Without what it may be theirs to see of the past: their history begins behind the newest message."""
    number, user = key
    group: Group | None = view.get(Table.GROUPS, (number,))
    conversation: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
    if conversation is not None and is_feed(conversation):
        ended = Member(Role.NONE, conversation.head, conversation.head, Millis(0))
        return _Made(ended, "made again: they read on from the next message that its author writes for friends")
    if group is None or conversation is None:
        return None
    head = conversation.head
    if user in group.named:
        return _Made(Member(Role.MEMBER, NEVER, head, Millis(0)), "made again: nothing of the group reaches them")
    if user not in group.members:
        gone = Member(Role.NONE, head, head, Millis(0))
        return _Made(gone, "made again: the user is no member; what they saw of the group is lost")
    others = [view.get(Table.MEMBERS, (number, other)) for other in group.members if other != user]
    has_owner = any(other is not None and other.role == Role.OWNER for other in others)
    member = Member(Role.MEMBER if has_owner else Role.OWNER, head, ConversationOffset(0), Millis(0))
    return _Made(member, "made again: their history begins at the newest message")


def _log(view: Reader, key: Key) -> _Made | None:
    first, head = _span(view, LogTable.ENTRIES, key)
    if not head:
        return None
    chain, at = bytes(16), 0
    for number, link in run(view, LogTable.CHAINS, key):
        chain, at = link, number * STEP
    if first > at + 1:
        return None  # entries behind the last known value of its chain are gone
    for offset, entry in run(view, LogTable.ENTRIES, key, after=at):
        chain, _ = extend(chain, offset - 1, [entry])
    return _Made(Log(Offset(first), Offset(head), chain), "made again from its entries")


def _span(view: Reader, sequence: LogTable, key: Key) -> tuple[int, int]:
    """The first and the last number that are there; 0: none is."""
    first = last = 0
    for number, _ in run(view, sequence, key):
        first, last = first or number, number
    return first, last


def _change(view: Reader, key: Key) -> _Made | None:
    user, version = key
    low, high = (user,), (user + 1,)
    found = next((of for (_, of), one in _scan(view, Table.VERSIONS, low, high) if one == version), None)
    return None if found is None else _Made(found, "made again from its version")


def _version(view: Reader, key: Key) -> _Made | None:
    user, changed = key
    found = max((one for (_, one), of in _scan(view, Table.CHANGES, (user,), (user + 1,)) if of == changed), default=0)
    return _Made(Version(found), "made again from the change") if found else None


def _contact(view: Reader, key: Key) -> _Made | None:
    """Makes of it what the other side tells. Whether its owner had blocked the peer nobody else knows."""
    owner, peer = key
    other: Contact = view.get(Table.CONTACTS, (peer, owner)) or Contact()
    standing = Standing.ACCEPTED if other.grants or other.granted else Standing.NONE
    if other.standing == Standing.ASKED:
        standing = Standing.REQUESTED
    made = Contact(standing, other.granted, other.grants, other.is_mutual, request=other.request, since=other.since)
    how = "made again from what the other one has; its name, and whether they were blocked, is lost"
    return _Made(made if standing else None, how)


def _roster(view: Reader, key: Key) -> _Made | None:
    counted = Roster()
    for _, contact in _scan(view, Table.CONTACTS, key, (key[0] + 1,)):
        counted = counted.with_one(contact)
    return _Made(counted if counted.contacts else None, "counted again")


def _unheard(view: Reader, key: Key) -> _Made | None:
    """Hides all that follows: what was not for somebody is not to be shown to them."""
    known: Conversation | None = view.get(Table.CONVERSATIONS, (key[1],))
    if known is None:
        return None
    return _Made(known.head, "made longer: what was written since a block is not shown to who had blocked")


def _scan(view: Reader, table: Table, low: Key, high: Key) -> Iterator[tuple[Key, Any]]:
    while found := view.scan(table, low, high, limit=AT_ONCE):
        yield from found
        low = (*found[-1][0], 0)


def _stored(view: Reader, key: Key) -> _Made | None:
    user, total = key[0], 0
    for (conversation,), of in rows(view, Table.CONVERSATIONS):
        if user in of.members or view.get(Table.MEMBERS, (conversation, user)) is not None:
            for _, mention in run(view, LogTable.HISTORY, (conversation,)):
                if mention.author == user:
                    total += len(view.get(Table.BODIES, (mention.stamp,)) or b"")
                    for _, devices in _addressed(view, mention) if mention.addressed else ():
                        total += payload_bytes(devices)
    return _Made(total, "counted again")


def _addressed(view: Reader, mention: HistoryEntry) -> Iterator[tuple[Key, Any]]:
    return _scan(view, Table.ADDRESSED, (mention.stamp,), (mention.stamp + 1,))


def _inbox(view: Reader, key: Key) -> _Made | None:
    newest = view.scan(Table.RECENT, (*key, 0), (*key, _NEWEST), limit=1, reverse=True)
    top = newest[0][1] if newest else ConversationId(0)
    return _Made(Inbox(top, is_whole=False), "made again; the user's logs are gone through when they ask for it")


def _recent(view: Reader, key: Key) -> _Made | None:
    user, stamp = key
    found = next((of for (_, of), one in _scan(view, Table.RISEN, (user,), (user + 1,)) if one == stamp), None)
    return None if found is None else _Made(found, "made again from where the conversation stands")


def _risen(view: Reader, key: Key) -> _Made | None:
    user, conversation = key
    stamps = [one for (_, one), of in _scan(view, Table.RECENT, (user, 0), (user, _NEWEST)) if of == conversation]
    return _Made(Stamp(max(stamps)), "made again from the order of the inbox") if stamps else None


_NEWEST = (1 << 64) - 1
"""Beyond all stamps."""

_COUNTED = {
    "users": Table.EIDS,
    "devices": Table.DEVICE_OWNERS,
    "conversations": Table.CONVERSATIONS,
    "conflicts": Table.CONFLICTS,
    "events": Table.EVENTS,
}
"""Counters, and the tables whose keys they gave."""

_LEFT_OUT = {
    "epoch": "left out: another epoch begins with the next start, and devices read anew what they have",
    "clock": "left out: the newest message says it",
    "starts": "left out: starts are counted anew",
    **dict.fromkeys(TIME_NAMES, "left out: the next start goes by the newest message and the machine's clock"),
}
"""Records of the server's own that each start writes, also where there are none."""


def _own(view: Reader, key: Key) -> _Made | None:
    if key[0] in _LEFT_OUT:
        return _Made(None, _LEFT_OUT[key[0]])
    table = _COUNTED.get(key[0])
    if table is None:
        return None
    given = max((number for (number,), _ in rows(view, table)), default=0)
    if table is Table.EVENTS:  # of which none is left when all back ends were told
        given = max(given, *positions_of(view).values(), 0)
    return _Made(given, "counted again")


def _revocation(view: Reader, key: Key) -> _Made:
    """Bars no token that was issued since, where many are barred: a user who is shut out for ever has no way back."""
    user, token = key
    if not token.startswith(MARK):
        return _Made(FOR_EVER, "kept for ever: when the token expires is lost")
    others = [at for (_, other), at in _scan(view, Table.REVOKED, (user, MARK), (user + 1,)) if other.startswith(MARK)]
    until = max(known_time(view, last_stamp(view)).told, *others, 0)
    return _Made(Millis(until), "dated when the store was last written: tokens that were issued before then are barred")


def _message_state(view: Reader, key: Key) -> _Made | None:
    """Begins anew what became of a message; that its content is gone, its body says."""
    stamp = _stamp_of(view, *key)
    return stamp and _Made(
        MessageRecord(stamp), "begun anew: that it was edited or deleted is not told, its content stays"
    )


def _own_message(view: Reader, key: Key) -> _Made | None:
    stamp = _stamp_of(view, *key[1:])
    return stamp and _Made(OwnMessage(stamp), "begun anew: whether it was pinned or hidden is lost")


def _stamp_of(view: Reader, conversation: int, place: int) -> Any:  # noqa: ANN401 - a Stamp, or None
    listed = view.read(LogTable.HISTORY, (conversation,), place - 1, limit=1)
    return listed[0][1].stamp if listed and listed[0][0] == place else None


def _always(record: Any, how: str, _view: Reader, _key: Key) -> _Made:  # noqa: ANN401 - each table has its own
    return _Made(record, how)


_MAKE: dict[Kind, Callable[[Reader, Key], _Made | None]] = {
    Table.META: _own,
    Table.USERS: _user,
    Table.EIDS: _eid,
    Table.DEVICES: _device,
    Table.DEVICE_OWNERS: _name,
    Table.DIRECT: _direct,
    Table.CONVERSATIONS: _conversation,
    Table.GROUPS: _group,
    Table.MEMBERS: _member,
    Table.LOGS: _log,
    Table.USAGE: _stored,
    Table.CHANGES: _change,
    Table.VERSIONS: _version,
    Table.STATES: lambda view, key: _Made(state_of(view, key[0]), "made again; devices are told all of the state"),
    Table.CURSORS: partial(_always, START, "begun anew: what the device held comes again, and is known to it"),
    Table.RECEIPTS: partial(_always, None, "left out: what it told is lost, what is told from now on counts"),
    Table.PRIVATE_READS: partial(_always, None, "left out: what the user reads from now on counts"),
    Table.READ_MARKERS: partial(_always, ConversationOffset(0), "begun anew: it stands where the user reads on"),
    Table.REMOVALS: partial(_always, Millis(0), "counted as old: who was away is told all of the state"),
    Table.REFERENCES: partial(_always, None, "left out: the message goes by age"),
    Table.LABELS: partial(_always, None, "left out: the device has its name, and may be given a label again"),
    Table.CHECKPOINTS: partial(_always, None, "left out: others are taken"),
    Table.SETTINGS: partial(_always, OFF, "turned off, since nobody knows what was set: the user may turn it on"),
    Table.PRIVACY_EXCEPTIONS: partial(_always, REFUSED, "set to DENIED, since nobody knows what was set"),
    Table.INTENTS: partial(_always, NOTHING_SAID, "taken back: what the user said of themselves is lost"),
    Table.MESSAGE_STATES: _message_state,
    Table.REACTIONS: partial(_always, (), "left out: what they were is lost"),
    Table.OWN_MESSAGES: _own_message,
    Table.CONVERSATION_SETTINGS: partial(_always, AS_THEY_WERE, "begun anew: how it was kept is lost"),
    Table.CONTACTS: _contact,
    Table.ROSTERS: _roster,
    Table.LOCATION_SHARES: partial(_always, None, "ended: its user may share where they are again"),
    Table.LOCATION_ENDS: partial(_always, Millis(0), "begun anew: when it began says nothing"),
    Table.UNHEARD: _unheard,
    Table.CONFLICTS: partial(_always, None, "left out of the ledger"),
    Table.INBOXES: _inbox,
    Table.RECENT: _recent,
    Table.RISEN: _risen,
    Table.MENTIONS: partial(_always, None, "left out: the message mentions whom it mentions, and is not counted"),
    Table.THREADS: partial(_always, None, "left out: the message is in its conversation, and not in its thread"),
    Table.DEVICE_KEYS: partial(_always, None, "left out: the device publishes its keys again"),
    Table.ONE_TIME_KEYS: partial(_always, None, "left out: others are given"),
    Table.PUSH_SUBSCRIPTIONS: partial(_always, None, "left out: the device subscribes again"),
    Table.PUSH_CURSORS: partial(_always, None, "left out: what was pushed and is not read may be pushed again"),
    Table.PUSH_SHOWN: partial(_always, None, "left out: what was shown there stays shown"),
    Table.EVENTS: partial(_always, None, "left out: back ends are not told of it"),
    Table.EVENT_POSITIONS: partial(_always, None, "left out: a back end is told of what happens from now on alone"),
    Table.REVOKED: _revocation,
}

_OF_A_USER = {
    Table.REMOVALS,
    Table.EIDS,
    Table.DEVICES,
    Table.LOGS,
    Table.STATES,
    Table.CHANGES,
    Table.VERSIONS,
    Table.READ_MARKERS,
    Table.SETTINGS,
    Table.PRIVACY_EXCEPTIONS,
    Table.INTENTS,
    Table.OWN_MESSAGES,
    Table.CONVERSATION_SETTINGS,
    Table.CONTACTS,
    Table.ROSTERS,
    Table.LOCATION_SHARES,
    Table.UNHEARD,
    Table.INBOXES,
    Table.RECENT,
    Table.RISEN,
    Table.MENTIONS,
    Table.USAGE,
    Table.REVOKED,
    Table.DEVICE_KEYS,
    Table.ONE_TIME_KEYS,
    Table.PUSH_SUBSCRIPTIONS,
    Table.PUSH_CURSORS,
    Table.PUSH_SHOWN,
    Table.CHECKPOINTS,
    LogTable.ENTRIES,
    LogTable.CHAINS,
    Index.SEQS,
}
"""Kinds whose keys begin with a user's number."""

_MEANING: dict[Kind, str] = {
    Table.META: "the server does not start, or cannot write what is numbered by it",
    Table.USERS: "the user is not let in",
    Table.EIDS: "the user{whose} is not named to others",
    Table.ERASING: "who is being erased is not erased to the end: have them erased again, under any name they had",
    Table.DEVICES: "a device{whose} is not let in",
    Table.LABELS: "what people call a device is forgotten",
    Table.DEVICE_OWNERS: "what the device wrote cannot be resent",
    Table.DIRECT: "the two cannot write to each other",
    Table.CONVERSATIONS: "its members cannot write in it",
    Table.GROUPS: "nobody can write to the group, or change it",
    Table.MEMBERS: "one user is shut out of a group",
    Table.LOGS: "nothing can be written to that log{whose}",
    Table.BODIES: "a message is lost: its readers are told a gap",
    Table.REMOVALS: "a removal is told to devices{whose} for ever",
    Table.LOCATION_SHARES: "somebody is not shown any more where a user is{whose}",
    Table.LOCATION_ENDS: "a share of somebody's location is over when it should be, and is told later",
    Table.EXPIRING: "a message does not disappear when it should",
    Table.REFERENCES: "a log cannot let go of what all devices acknowledged",
    Table.ADDRESSED: "which devices a message was for is lost: it is given to none",
    Table.SEEN: "a resend of that message is refused",
    Table.CURSORS: "what the device acknowledged is forgotten, and comes again",
    Table.STATES: "all devices{whose} are told their whole state",
    Table.CHANGES: "one change is not told to devices{whose}",
    Table.VERSIONS: "one kind of change cannot be told{whose}",
    Table.RECEIPTS: "who received or read some messages is forgotten",
    Table.PRIVATE_READS: "which messages somebody read unseen is forgotten",
    Table.SETTINGS: "what a user wants others to know{whose} is not known: they are told nothing",
    Table.PRIVACY_EXCEPTIONS: "what a user wants one other to know{whose} is not known: they are told nothing",
    Table.INTENTS: "what a user said of themselves{whose} is forgotten",
    Table.READ_MARKERS: "how far a conversation was read is forgotten{whose}",
    Table.MESSAGE_STATES: "that a message was edited, deleted or forwarded is not told",
    Table.REACTIONS: "a user's reactions to a message are lost",
    Table.OWN_MESSAGES: "that a message was pinned or hidden{whose} is forgotten",
    Table.CONVERSATION_SETTINGS: "how a conversation is kept{whose} is forgotten",
    Table.CONTACTS: "what somebody is to a user{whose} is not known: they count as a stranger",
    Table.ROSTERS: "nobody can be a new contact{whose}",
    Table.UNHEARD: "what was written to a user{whose} while they blocked who wrote it may be shown to them",
    Table.COMMANDS: "a resend of that command is refused",
    Table.CONFLICTS: "which write lost against another is not known",
    Table.INBOXES: "which conversation is on top{whose} is forgotten",
    Table.RECENT: "one conversation is missing from the inbox{whose}",
    Table.RISEN: "one conversation is missing from the inbox{whose}",
    Table.MENTIONS: "one mention{whose} is not counted",
    Table.THREADS: "one message is missing from its thread",
    Table.USAGE: "no device{whose} can write",
    Table.CHECKPOINTS: "no device{whose} can resume from the checkpoints that were taken",
    Table.REVOKED: "no token{whose} can be judged",
    Table.DEVICE_KEYS: "nobody encrypts for one device{whose} until it publishes its keys again",
    Table.ONE_TIME_KEYS: "one device{whose} has a one-time key less",
    Table.PUSH_SUBSCRIPTIONS: "nothing is pushed to one device{whose}",
    Table.PUSH_CURSORS: "nothing is pushed to one device{whose}",
    Table.PUSH_SHOWN: "nothing is pushed to one device{whose} of one conversation",
    Table.EVENTS: "back ends are not told of something that happened",
    Table.EVENT_POSITIONS: "one back end is told of what happens from now on alone",
    LogTable.ENTRIES: "entries{whose} are told as gaps where nothing else tells what they were",
    LogTable.HISTORY: "some messages of the conversation cannot be fetched by its history",
    LogTable.CHAINS: "the hash chain of a log{whose} cannot be followed there",
    Index.SEQS: "some messages{whose} are not found by their seq",
}
