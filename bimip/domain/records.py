"""The data model on one screen: every table, its key and its record.

There are two kinds. A *table* maps a key (a tuple) to a record and can be scanned in the order of its keys. A
*sequence* is, for each key, a run of records numbered 1, 2, 3 … that grows at its end and is cut off at its beginning:
the logs and the histories. Whatever implements `Reader` (a snapshot of a store, or a batch that is not synced yet)
answers for both.

Records are plain tuples: they are made several times for each message, and compare by value in tests.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, NamedTuple, Protocol

from bimip.domain.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId, Version
from bimip.domain.ranges import Ranges


class Table(Enum):
    __hash__ = object.__hash__  # Enum's own hashes the name, in Python, at each look into a dict

    META = "meta"  # (name: str) -> int: the epoch, the clock's high-water mark, the counters of numbers
    USERS = "users"  # (eid: str) -> User
    EIDS = "eids"  # (user) -> str: the eid of a number
    DEVICES = "devices"  # (user, name: str) -> Device
    NAMES = "names"  # (device) -> DeviceName: whose a device number is
    DIRECT = "direct"  # (lower user, higher user) -> ConversationId: the conversation of two (or of one with oneself)
    CONVERSATIONS = "conversations"  # (conversation) -> Conversation
    LOGS = "logs"  # (user, partition: str) -> Log
    BODIES = "bodies"  # (stamp) -> bytes: a message, encoded once, as wire.stored wrote it
    ADDRESSED = "addressed"  # (stamp, user) -> tuple[Addressed, ...]
    SEEN = "seen"  # (device, message id: str) -> Seen: deduplication
    CURSORS = "cursors"  # (device, partition: str) -> Cursor
    STATES = "states"  # (user) -> State: the head of the user's shadow state
    CHANGES = "changes"  # (user, version) -> StateKey: what changed, only the newest version of each key
    VERSIONS = "versions"  # (user, StateKey) -> Version: the reverse of CHANGES
    RECEIPTS = "receipts"  # (conversation, member, ReceiptKind, part) -> Runs: a block of a ReceiptKey in eight parts
    STORED = "stored"  # (user) -> int: bytes of what they sent and is still kept
    REVOKED = "revoked"  # (jti: str) -> Millis: when the revoked token would have expired


class Sequence(Enum):
    __hash__ = object.__hash__

    ENTRIES = "entries"  # (user, partition: str), Offset -> Entry: the mirror logs
    HISTORY = "history"  # (conversation), ConversationOffset -> Mention: everybody's view of a conversation


class User(NamedTuple):
    number: UserId
    created: Millis


class Device(NamedTuple):
    number: DeviceId
    created: Millis
    last_seen: Millis


class DeviceName(NamedTuple):
    user: UserId
    name: str


class Conversation(NamedTuple):
    first: ConversationOffset  # the oldest kept; head + 1 when empty
    head: ConversationOffset  # the newest ever given; 0: none
    members: tuple[UserId, ...]


class Log(NamedTuple):
    first: Offset  # the oldest kept; head + 1 when empty
    head: Offset  # the newest ever given; 0: none


class Entry(NamedTuple):
    """What an ack or a delivery needs to know of a message without decoding it."""

    stamp: Stamp
    conversation: ConversationId
    conversation_offset: ConversationOffset
    author: UserId
    origin: DeviceId  # the device that wrote it
    addressed: bool  # only the devices named in ADDRESSED get it


class Mention(NamedTuple):
    """A conversation's reference to a message."""

    stamp: Stamp
    author: UserId
    origin: DeviceId
    addressed: bool


class Addressed(NamedTuple):
    device: DeviceId
    payload: bytes | None  # None: the message's own


class Seen(NamedTuple):
    """The first answer to a message id: a resend gets it again."""

    digest: bytes  # 16 bytes over recipient, type, payload and encryption fields
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


StateKey = ReceiptKey  # a union once there is a second kind of state


class Run(NamedTuple):
    first: ConversationOffset
    last: ConversationOffset  # inclusive
    time: Millis


Runs = tuple[Run, ...]
"""Ascending, disjoint."""

Key = tuple[Any, ...]


class Reader(Protocol):
    """A consistent view of the store."""

    def get(self, table: Table, key: Key) -> Any:  # noqa: ANN401 - each table has its own record, named beside it
        """The record, or None."""
        ...

    def scan(self, table: Table, low: Key, high: Key, *, limit: int, reverse: bool = False) -> list[tuple[Key, Any]]:
        """Records with low <= key < high in key order (reverse: from high downwards). Keys may be prefixes."""
        ...

    def read(self, sequence: Sequence, key: Key, after: int, *, limit: int) -> list[tuple[int, Any]]:
        """Records with a number greater than `after`, ascending."""
        ...


@dataclass(slots=True)
class Changes:
    """What a batch of decisions writes, in one transaction."""

    puts: dict[Table, dict[Key, Any]] = field(default_factory=dict)  # None as a record: delete
    appends: dict[tuple[Sequence, Key], list[tuple[int, Any]]] = field(default_factory=dict)  # consecutive numbers
    cuts: dict[tuple[Sequence, Key], int] = field(default_factory=dict)  # drop the records with a number below this
