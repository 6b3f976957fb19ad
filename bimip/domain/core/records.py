"""The data model: every record, and every table with its key and what a store has to know of it (schema.py).

There are three kinds. A *table* maps a key (a tuple) to a record and can be scanned in the order of its keys. A
*sequence* is, for each key, a run of records numbered 1, 2, 3 … that grows at its end and is cut off at its beginning:
the logs and the histories. An *index* is, for each key, a sorted set of rows, which mostly grows at its end and may
grow anywhere. Whatever implements `Reader` (a snapshot of a store, or a batch that is not synced yet) answers for all.

Records are plain tuples: they are made several times for each message, and compare by value in tests.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from functools import partial
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.schema import BYTE, BYTES, LONG, NAME, NUMBER, TEXT, Plain, Schema


class User(NamedTuple):
    number: UserId
    created: Millis
    first_device: DeviceId = DeviceId(0)  # 0: nobody ever signed in, they were only written to


class Device(NamedTuple):
    number: DeviceId
    created: Millis
    last_seen: Millis


class Erasure(NamedTuple):
    """A user who is being erased: what is left to find them by until that is done."""

    eid: str
    since: Millis


class Label(NamedTuple):
    """The name that people give a device; of two the later one counts."""

    stamp: Stamp
    text: str


class DeviceOwner(NamedTuple):
    user: UserId
    name: str


class Conversation(NamedTuple):
    first: ConversationOffset  # the oldest kept; head + 1 when empty
    head: ConversationOffset  # the newest ever given; 0: none
    members: tuple[UserId, ...]  # of a direct one; empty: it is a group, whose members stand in GROUPS and MEMBERS


class Role(IntEnum):
    """A member's role in a group, which says what they may do."""

    NONE = 0  # they were a member, and are no more
    MEMBER = 1
    ADMIN = 2
    OWNER = 3


class Group(NamedTuple):
    """A group has this besides what every conversation has."""

    title: str
    members: tuple[UserId, ...]  # ascending; of each MEMBERS has a record
    changed: ConversationOffset  # where the last event stands
    named: tuple[
        UserId, ...
    ] = ()  # ascending; listed as members, and reached by nothing: they had blocked who added them

    @property
    def everybody(self) -> tuple[UserId, ...]:
        """All who are listed as members, in ascending order."""
        return tuple(sorted((*self.members, *self.named))) if self.named else self.members


NEVER = ConversationOffset(2**63)
"""Of who is only named as a member: their history begins nowhere."""


class Member(NamedTuple):
    """One user's membership in a group, the last one where there were several."""

    role: Role
    since: ConversationOffset  # their history begins here; NEVER: they are only named
    upto: ConversationOffset  # of who is no member any more: here it ended; of who is only named: here it began; else 0
    joined: Millis  # of who is no member any more: when they went


class Log(NamedTuple):
    first: Offset  # the oldest kept; head + 1 when empty
    head: Offset  # the newest ever given; 0: none
    chain: bytes = bytes(16)  # the hash chain up to the head; see `chaining`


class Entry(NamedTuple):
    """A log's entry: what an ack or a delivery needs to know of a message without decoding it."""

    stamp: Stamp
    conversation: ConversationId
    conversation_offset: ConversationOffset
    author: UserId
    origin: DeviceId  # the device that wrote it
    addressed: bool  # only the devices named in ADDRESSED get it
    digest: bytes  # DIGEST_BYTES over the content, as in Seen: an erased payload leaves the chain whole


class Checkpoint(NamedTuple):
    """A log's and its user's state's standing at one moment."""

    offset: Offset  # the log's head
    chain: bytes  # up to there
    state_version: Version  # the state's head
    time: Millis


class Expiring(NamedTuple):
    """A message that disappears stands there."""

    conversation: ConversationId
    conversation_offset: ConversationOffset
    author: UserId


class LocationShare(NamedTuple):
    """A user shares where they are."""

    expires_at: Millis
    since: Millis


class Seq(NamedTuple):
    """A row of SEQS: sorts as the client's `timestamp:localSeq:device` does, by numbers."""

    time: int
    local: int
    device: DeviceId  # the one that wrote it
    offset: Offset  # in this log


class HistoryEntry(NamedTuple):
    """A conversation's reference to a message."""

    stamp: Stamp
    author: UserId
    origin: DeviceId
    addressed: bool


class Addressed(NamedTuple):
    device: DeviceId
    payload: bytes | None  # None: the message's own


class SentRecord(NamedTuple):
    """The first answer to a message id: a resend gets it again."""

    digest: bytes  # DIGEST_BYTES over recipient, type, payload and encryption fields
    stamp: Stamp
    partition: str
    offset: Offset
    conversation: ConversationId
    conversation_offset: ConversationOffset


class Cursor(NamedTuple):
    """How far one device has acknowledged one partition."""

    floor: Offset  # everything owed at or below is acknowledged
    above: Ranges  # acknowledged beyond the floor


class State(NamedTuple):
    head: Version
    floor: Version  # a device below it is sent the whole state


class Inbox(NamedTuple):
    """Holds what of a user's inbox each message asks for: see `conversations/inbox.py`."""

    top: ConversationId  # in which something happened last; 0: that is not known
    is_whole: bool  # it has all conversations of the user's logs


class ReceiptKind(IntEnum):
    """Numbers as MessageStatus on the wire."""

    DELIVERED = 2
    READ = 3
    PLAYED = 5


class ReceiptKey(NamedTuple):
    conversation: ConversationId
    member: UserId
    kind: ReceiptKind
    block: int  # conversation offsets 256 * block + 1 … 256 * block + 256


class Status(IntEnum):
    """How a user is. Numbers as AwarenessStatus on the wire; AWAY, BUSY and DND a user says of themselves."""

    ONLINE = 1
    OFFLINE = 2
    AWAY = 3
    BUSY = 4
    DND = 5


class Intent(NamedTuple):
    """A user's last word on how they are; ONLINE takes back what was said."""

    status: Status
    until: Millis  # from then on it says nothing; 0: it stands until another is said
    stamp: Stamp
    device: DeviceId  # which said it


class MessageRecord(NamedTuple):
    """Notes for everybody what became of a message since it was sent: see `state/messages.py`."""

    message: Stamp
    edited: Stamp = Stamp(0)  # 0: never
    editor: DeviceId = DeviceId(0)
    content: bytes = bytes(8)  # DIGEST_BYTES over the edit that counts
    deleted: Stamp = Stamp(0)  # for everyone; 0: it is not
    deleter: DeviceId = DeviceId(0)
    forwards: int = 0
    edited_behind: ConversationOffset = ConversationOffset(0)  # the conversation's head when that edit was taken


class Reaction(NamedTuple):
    """A user's reaction to a message with one emoji: a register."""

    emoji: str
    stamp: Stamp
    device: DeviceId
    removed: bool
    unheard: bool = False  # the other one of the two had blocked who made it: they are not told, then or later


class OwnMessage(NamedTuple):
    """Notes what one user made of a message, for their devices alone."""

    message: Stamp
    hidden: bool = False
    pinned: bool = False
    pinned_at: Stamp = Stamp(0)
    pinned_by: DeviceId = DeviceId(0)


class ConversationSettings(NamedTuple):
    """How one user keeps a conversation, for their devices alone."""

    archived: LastWrite = LastWrite(value=False)
    pinned: LastWrite = LastWrite(value=False)
    unread: LastWrite = LastWrite(value=False)
    muted_until: LastWrite = LastWrite(0)
    draft: LastWrite = LastWrite(b"")


class Standing(IntEnum):
    """A request's standing between two users, from one side: of the last one that either made."""

    NONE = 0
    REQUESTED = 1  # the owner made it, and has no answer
    ASKED = 2  # the peer made it, and the owner has not answered
    ACCEPTED = 3
    DENIED = 4  # the owner made it, and the peer refused


class Contact(NamedTuple):
    """One user, the owner, has this of another, the peer. There is none where it would say nothing."""

    standing: Standing = Standing.NONE
    grants: bool = False  # the owner lets the peer see them
    granted: bool = False  # the peer lets the owner see them
    is_mutual: bool = False  # of a request without an answer: who made it also lets the other one see them
    blocked: bool = False  # by the owner
    since: Millis = Millis(0)
    request: str = ""  # the id of the request that led to it, as its device chose it
    name: LastWrite = LastWrite("")  # what the owner calls the peer
    blocked_at: Millis = Millis(0)  # when the owner blocked them; 0: they do not


class Roster(NamedTuple):
    """Counts a user's contacts."""

    contacts: int = 0
    requested: int = 0
    asked: int = 0
    blocked: int = 0

    def with_one(self, contact: Contact | None, by: int = 1) -> "Roster":
        """Counts one contact more; by -1: one less."""
        if contact is None:
            return self
        return Roster(
            self.contacts + by,
            self.requested + by * (contact.standing == Standing.REQUESTED),
            self.asked + by * (contact.standing == Standing.ASKED),
            self.blocked + by * contact.blocked,
        )


class CommandRecord(NamedTuple):
    """The first answer to a command's id: a resend gets it again."""

    digest: bytes
    stamp: Stamp
    conversation: ConversationId
    conversation_offset: ConversationOffset
    message: Stamp
    version: Version
    superseded: bool


class Conflict(NamedTuple):
    """A write that lost against another, for operators."""

    time: Millis
    user: UserId
    conversation: ConversationId
    conversation_offset: ConversationOffset
    rule: int  # of state/merges.py
    lost: Stamp
    lost_by: DeviceId
    won: Stamp
    won_by: DeviceId


class PushSubscription(NamedTuple):
    """A device is reached there while it is not connected."""

    number: Stamp  # the server's, of when it came to be: no other one has it
    created: Millis
    platform: str  # a gateway's name
    token: str  # what that knows the device by; of Web Push the endpoint's URL
    p256dh: bytes  # of Web Push: the device's public key
    auth: bytes  # and its secret


class DeviceKeys(NamedTuple):
    """The public halves of a device's keys, with which others encrypt for it: see `accounts/keys.py`."""

    identity: bytes  # curve25519
    signing: bytes  # ed25519
    signature: bytes
    fallback_id: int
    fallback: bytes  # curve25519
    fallback_signature: bytes
    last: int  # the highest id of a one-time key that was published
    published: Millis  # when the identity key came


class OneTimeKey(NamedTuple):
    """A key of a device that nobody was given yet."""

    key: bytes  # curve25519
    signature: bytes


class PushShown(NamedTuple):
    """Notes what a device was shown of a conversation by push, and its user has not read."""

    last: ConversationOffset
    messages: int
    time: Millis  # of the last notification


class Event(NamedTuple):
    """Something that back ends are told of: see `webhooks/feed.py`."""

    kind: int  # an EventKind
    time: Millis
    user: UserId  # who wrote, received or read, or was seen
    conversation: ConversationId = ConversationId(0)
    first: ConversationOffset = ConversationOffset(0)
    last: ConversationOffset = ConversationOffset(0)  # inclusive
    stamp: Stamp = Stamp(0)  # of a message that was accepted


StateKey = bytes
"""Whatever kind of state it is of: the kind's tag, and a key packed as that kind does; see `state/changes.py`."""


class ReceiptRun(NamedTuple):
    first: ConversationOffset
    last: ConversationOffset  # inclusive
    time: Millis


Runs = tuple[ReceiptRun, ...]
"""Ascending, disjoint."""

Key = tuple[Any, ...]

IndexRow = tuple[int, ...]
"""Of an index: numbers of one fixed count, the last of which is an offset."""

DIGEST_BYTES = 8
"""Who finds two contents with one digest deceives themselves alone: it is compared with the same device's same id."""


class _Kind(Enum):
    """Its members' value is their name on disks and in words to the operator."""

    __hash__ = object.__hash__  # Enum's own hashes the name, in Python, at each look into a dict

    _value_: str
    schema: Schema

    def __new__(cls, schema: Schema) -> Self:
        kind = object.__new__(cls)
        kind._value_ = schema.name
        kind.schema = schema
        return kind


class Table(_Kind):
    META = Schema("meta", (TEXT,))
    """(name) -> int: the epoch, the clock at the last start or expiry, the counters of numbers"""
    USERS = Schema("users", (TEXT,), Plain("IQI", User), cached=20_000)
    """(eid) -> User"""
    EIDS = Schema("eids", (NUMBER,), cached=20_000)
    """(user) -> str: the eid of a number; empty: the user was erased, or is being erased"""
    ERASING = Schema("erasing", (NUMBER,))
    """(user) -> Erasure: who is being erased, until nothing is left of them"""
    DEVICES = Schema("devices", (NUMBER, TEXT), Plain("IQQ", Device))
    """(user, name) -> Device"""
    DEVICE_OWNERS = Schema("names", (NUMBER,))
    """(device) -> DeviceOwner: whose a device number is"""
    LABELS = Schema("labels", (NUMBER,))
    """(device) -> Label: what people call it"""
    DIRECT = Schema("direct", (NUMBER, NUMBER), Plain("I"), cached=20_000)
    """(lower user, higher user) -> ConversationId: the conversation of two, or of one with oneself"""
    CONVERSATIONS = Schema("conversations", (NUMBER,), hot=9, cached=20_000)
    """(conversation) -> Conversation"""
    GROUPS = Schema("groups", (NUMBER,), cached=2_000)  # some have many members
    """(conversation) -> Group"""
    MEMBERS = Schema("members", (NUMBER, NUMBER), Plain("BQQQ", Member), cached=20_000)
    """(conversation, user) -> Member"""
    LOGS = Schema("logs", (NUMBER, NAME), Plain("QQ16s", Log), hot=3, cached=20_000)
    """(user, partition) -> Log"""
    BODIES = Schema("bodies", (LONG,), is_ascending=True, may_be_missing=True)
    """(stamp) -> bytes: a message, encoded once, as wire.stored wrote it"""
    EXPIRING = Schema("expiring", (LONG, LONG), Plain("IQI", Expiring))
    """(when it disappears, stamp) -> Expiring: the messages whose sender gave them a time"""
    LOCATION_SHARES = Schema("locationshares", (NUMBER, BYTE, NUMBER), Plain("QQ", LocationShare))
    """(user, With, user or conversation) -> LocationShare: with whom the user shares where they are"""
    LOCATION_ENDS = Schema("locationends", (LONG, NUMBER, BYTE, NUMBER), Plain("Q"))
    """(when it ends, user, With, user or conversation) -> Millis: when it began, of each of LOCATION_SHARES"""
    REFERENCES = Schema("references", (LONG,), Plain("I"))
    """(stamp) -> int: how many logs have a message, where none of them keeps what all devices acknowledged"""
    ADDRESSED = Schema("addressed", (LONG, NUMBER))
    """(stamp, user) -> tuple[Addressed, ...]"""
    SEEN = Schema("seen", (NUMBER, TEXT))
    """(device, message id) -> SentRecord: deduplication"""
    CURSORS = Schema("cursors", (NUMBER, NAME), cached=20_000)
    """(device, partition) -> Cursor"""
    STATES = Schema("states", (NUMBER,), Plain("QQ", State), hot=2, cached=20_000)
    """(user) -> State: the head of the user's shadow state"""
    CHANGES = Schema("changes", (NUMBER, LONG), hot=7)
    """(user, version) -> StateKey: what changed, only the newest version of each key"""
    VERSIONS = Schema("versions", (NUMBER, BYTES), Plain("Q"), hot=8, cached=20_000)
    """(user, StateKey) -> Version: the reverse of CHANGES"""
    REMOVALS = Schema("removals", (NUMBER, LONG), Plain("Q"))
    """(user, version) -> Millis: when a value was removed, of those removals that devices are told of"""
    RECEIPTS = Schema("receipts", (NUMBER, NUMBER, BYTE, NUMBER), cached=10_000)  # each has many runs
    """(conversation, member, ReceiptKind, part) -> Runs: a part of a ReceiptKey's block"""
    READ_MARKERS = Schema("readmarkers", (NUMBER, NUMBER), Plain("Q"))
    """(user, conversation) -> ConversationOffset: how far the user has read"""
    SETTINGS = Schema("settings", (NUMBER, BYTE), Plain("BQI", LastWrite), cached=20_000)
    """(user, Setting) -> LastWrite: what they set, of what others may know of them"""
    PRIVACY_EXCEPTIONS = Schema("privacyexceptions", (NUMBER, NUMBER, BYTE), Plain("BQI", LastWrite), cached=20_000)
    """(user, other user, Setting) -> LastWrite: what holds for the other in place of that setting"""
    INTENTS = Schema("intents", (NUMBER,), Plain("BQQI", Intent), cached=20_000)
    """(user) -> Intent: AWAY, BUSY or DND, or that it was taken back"""
    PRIVATE_READS = Schema("privatereads", (NUMBER, NUMBER, BYTE, NUMBER))
    """(conversation, member, ReceiptKind, part) -> Runs: as RECEIPTS, of who sent none then"""
    MESSAGE_STATES = Schema("messagestates", (NUMBER, LONG), Plain("QQI8sQIIQ", MessageRecord))
    """(conversation, conversation offset) -> MessageRecord"""
    REACTIONS = Schema("reactions", (NUMBER, LONG, NUMBER))
    """(conversation, conversation offset, user) -> tuple[Reaction, ...]"""
    OWN_MESSAGES = Schema("ownmessages", (NUMBER, NUMBER, LONG), Plain("Q??QI", OwnMessage))
    """(user, conversation, conversation offset) -> OwnMessage"""
    CONVERSATION_SETTINGS = Schema("conversationsettings", (NUMBER, NUMBER))
    """(user, conversation) -> ConversationSettings"""
    COMMANDS = Schema("commands", (NUMBER, TEXT), Plain("8sQIQQQ?", CommandRecord))
    """(device, command id) -> CommandRecord: deduplication"""
    CONFLICTS = Schema("conflicts", (LONG,), Plain("QIIQIQIQI", Conflict))
    """(number) -> Conflict: the newest few, each under the next number"""
    CONTACTS = Schema("contacts", (NUMBER, NUMBER), cached=20_000)
    """(owner, peer) -> Contact"""
    ROSTERS = Schema("rosters", (NUMBER,), Plain("IIII", Roster), cached=20_000)
    """(user) -> Roster"""
    UNHEARD = Schema("unheard", (NUMBER, NUMBER, LONG), Plain("Q"))
    """(user, conversation, ConversationOffset) -> ConversationOffset: from where to where in a conversation of two one
    of them has not what the other wrote, since they had blocked them"""
    INBOXES = Schema("inboxes", (NUMBER,), Plain("I?", Inbox), cached=20_000)
    """(user) -> Inbox"""
    RECENT = Schema("recent", (NUMBER, LONG), Plain("I"), hot=13)
    """(user, Stamp) -> ConversationId: the user's conversations, by the message with which each became the newest"""
    RISEN = Schema("risen", (NUMBER, NUMBER), Plain("Q"))
    """(user, conversation) -> Stamp: the reverse of RECENT"""
    MENTIONS = Schema("mentions", (NUMBER, NUMBER, LONG), Plain("Q"))
    """(user, conversation, ConversationOffset) -> Stamp: the messages that mention the user"""
    THREADS = Schema("threads", (NUMBER, LONG, LONG), Plain("Q"))
    """(conversation, Stamp, ConversationOffset) -> Stamp: by the message that they answer, the messages that do"""
    USAGE = Schema("usage", (NUMBER,), Plain("Q"), hot=1, cached=20_000)
    """(user) -> int: bytes of what they sent and is still kept"""
    REVOKED = Schema("revoked", (NUMBER, TEXT), Plain("Q"))
    """(user, jti) -> Millis: when the revoked token would have expired; under what is no jti, what bars many tokens
    (`accounts/barring.py`), since when
    """
    DEVICE_KEYS = Schema("devicekeys", (NUMBER, NUMBER), Plain("32s32s64sQ32s64sQQ", DeviceKeys))
    """(user, device) -> DeviceKeys"""
    ONE_TIME_KEYS = Schema("onetimekeys", (NUMBER, NUMBER, LONG), Plain("32s64s", OneTimeKey))
    """(user, device, id) -> OneTimeKey: goes with who is given it"""
    PUSH_SUBSCRIPTIONS = Schema("pushsubscriptions", (NUMBER, NUMBER, TEXT))
    """(user, device, id) -> PushSubscription"""
    PUSH_CURSORS = Schema("pushcursors", (NUMBER, LONG, NAME), Plain("Q"))
    """(user, subscription, partition) -> Offset: up to there it is decided what is pushed"""
    PUSH_SHOWN = Schema("pushshown", (NUMBER, LONG, NUMBER, NAME), Plain("QIQ", PushShown))
    """(user, subscription, conversation, partition) -> PushShown"""
    EVENTS = Schema("events", (LONG,), Plain("BQIIQQQ", Event))
    """(number) -> Event: what back ends are told of"""
    EVENT_POSITIONS = Schema("eventpositions", (TEXT,), Plain("Q"))
    """(webhook) -> int: the number up to which it was told"""
    CHECKPOINTS = Schema("checkpoints", (NUMBER, NAME))
    """(user, partition) -> tuple[Checkpoint, ...]: the newest ones, ascending"""


class LogTable(_Kind):
    ENTRIES = Schema("entries", (NUMBER, NAME), hot=5, cached=20_000)
    """(user, partition), Offset -> Entry: the mirror logs"""
    HISTORY = Schema("history", (NUMBER,), hot=10)
    """(conversation), ConversationOffset -> HistoryEntry: everybody's view of a conversation"""
    CHAINS = Schema("chains", (NUMBER, NAME), hot=4)
    """(user, partition), n -> bytes: the log's hash chain as it was at offset chaining.STEP * n"""


class Index(_Kind):
    SEQS = Schema("seqs", (NUMBER, NAME), hot=6)
    """(user, partition) -> Seq rows: what the user's own devices wrote, in the order of their `seq`"""


Kind = Table | LogTable | Index


R = TypeVar("R")


def maker(record: Callable[..., R]) -> Callable[[tuple[Any, ...]], R]:
    """Makes a record from a tuple of all its fields, in half the time of calling its class: for what each message, or
    each acknowledgement, makes several of.
    """
    return partial(tuple.__new__, record)  # type: ignore[arg-type,type-var]  # it is a named tuple


class DamagedRecordError(Exception):
    """A record is not what was written there: it is not to be used."""


class Reader(Protocol):
    """A consistent view of the store.

    A record that is not what was written raises DamagedRecordError, or is missing where many are asked for: of BODIES
    in `get` and `get_all`, of all tables in `scan`.
    """

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - each table has its own record, named beside it
        """The record, or None."""
        ...

    def get_all(self, table: Table, keys: Iterable[Key]) -> list[Any]:
        """The record of each, or None."""
        ...

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        """Records with low <= key < high in key order (reverse: from high downwards). Keys may be prefixes."""
        ...

    def read(self, sequence: LogTable, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        """Records with a number greater than `after`, ascending."""
        ...

    def read_packed(
        self, sequence: LogTable, key: Key, after: int, *, limit: int
    ) -> Sequence[tuple[int, Sequence[Any]]]:
        """Reads as `read` does, those together that lie together: the number of the first, and records that follow each
        other, which may be packed.
        """
        ...

    def salvage(self, sequence: LogTable, key: Key, after: int, *, limit: int, upto: int) -> list[tuple[int, Any]]:
        """Reads as `read` does, but what damaged places seem to hold is there too, and what cannot be read at all is
        left out.

        `upto` is the newest number. Never raises for damage: whoever uses it holds each record against something else.
        """
        ...

    def find(
        self, index: Index, key: Key, low: IndexRow, high: IndexRow, *, limit: int, reverse: bool = False
    ) -> list[IndexRow]:
        """Rows with low <= row < high in their order (reverse: from high downwards). Bounds may be prefixes."""
        ...


@dataclass(slots=True)
class Changes:
    """The writes of a batch of decisions, in one transaction."""

    puts: dict[Table, dict[Key, Any]] = field(default_factory=dict)  # None as a record: delete
    appends: dict[tuple[LogTable, Key], list[tuple[int, Any]]] = field(default_factory=dict)  # consecutive numbers
    cuts: dict[tuple[LogTable, Key], int] = field(default_factory=dict)  # drop the records with a number below this
    inserts: dict[tuple[Index, Key], list[IndexRow]] = field(default_factory=dict)  # in any order; a row is there once
    trims: dict[tuple[Index, Key], int] = field(default_factory=dict)
    """Drop an index's lowest rows, up to the first whose offset is not below this. What lies behind that one stays
    until it goes too: whoever finds a row asks the log whether its entry is kept."""
    needs_room: bool = False
    """They make the store grow, as the rules say: a full one refuses them."""
