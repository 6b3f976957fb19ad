"""The closed set of things that change the store, and what each is answered with.

An operation is a value. Submitting one a second time is harmless: each carries what makes it recognisable, or says
where something should stand and not how far it should move. That is how the journal may try again what a crash left
unknown.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, NamedTuple

from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, UserId, Version
from bimip.domain.core.ranges import Ranges
from bimip.domain.core.records import Key, ReceiptKind
from bimip.domain.keeping.timekeeping import Known


class Fault(IntEnum):
    """Why something was refused. Numbers as ErrorCode on the wire."""

    INVALID = 2
    FORBIDDEN = 6
    NOT_FOUND = 7
    CONFLICT = 8
    OFFSET_BEYOND_HEAD = 9
    STORAGE_FULL = 11
    UNAVAILABLE = 12
    UNKNOWN_OUTCOME = 13
    INTERNAL = 14


class Refused(NamedTuple):
    """Nothing was stored, but for UNKNOWN_OUTCOME, where that is not known."""

    fault: Fault
    sentence: str  # what is wrong and what to do
    field: str = ""
    retry_after_ms: int = 0
    missing: tuple[tuple[str, str], ...] = ()  # devices, as (eid, name), that a list of them lacks
    extra: tuple[tuple[str, str], ...] = ()  # and those that it names and are not there


class Register(NamedTuple):
    """A token of this user and device connected, or an operator made them."""

    eid: str
    device: str


class Registered(NamedTuple):
    user: UserId
    device: DeviceId


class Address(NamedTuple):
    eid: str
    device: str
    payload: bytes | None  # None: the message's own


class Links(NamedTuple):
    """Names what a message refers to."""

    parent: Stamp  # of the message that it answers; 0: of none
    mentions: tuple[str, ...] = ()  # eids


class NewMessage(NamedTuple):
    """A message as its sender wrote it."""

    id: str  # with the device the key of deduplication
    digest: bytes  # of recipient, type, payload and encryption fields
    sent: bytes  # as the sender encoded it
    seq: tuple[int, int] | None = None  # the sender's own order: a time and a number
    links: Links | None = None


FRIEND = "friend"
"""The scope of what is for all whom its author lets see them."""

FRIENDS = ""
"""In place of a recipient: what is written for all whom its author lets see them."""


class Append(NamedTuple):
    """One device appends messages to the logs of itself and one recipient, in order. Each message is accepted or
    refused on its own.

    It is many because they share nearly all that has to be looked up and written: both users, both logs, the
    conversation. No id is in it twice, and what is addressed to devices stands alone.
    """

    user: UserId
    device: DeviceId
    to: str  # eid, conversation, or FRIENDS
    partition: str
    messages: Sequence[NewMessage]
    addresses: tuple[Address, ...] = ()
    is_complete: bool = False  # the addresses are to be all devices of the readers, and the sender's others
    ttl: int = 0  # ms for which they may be seen; 0: as long as they are kept


class Appended(NamedTuple):
    id: str
    partition: str
    stamp: Stamp
    offset: Offset  # in the sender's log
    conversation: ConversationId
    conversation_offset: ConversationOffset
    duplicate: bool
    time: Millis  # the server's, when it was accepted


Outcomes = tuple[Appended | Refused, ...]
"""Of an Append: one for each of its messages, in order. Refused instead of it: all were, for this reason."""


class OpenPosition(NamedTuple):
    """A device says in its Hello where it stands in one partition; without position and start: where the floor is."""

    user: UserId
    device: DeviceId
    partition: str
    position: Offset | None = None
    held: Ranges = ()
    start: int = 0  # 0 none, 1 first, 2 head, 3 the last `last`
    last: int = 0
    same_epoch: bool = True

    @property
    def furthest(self) -> int:
        """The highest offset that the device claims to have."""
        return self.held[-1][1] if self.held else self.position or 0


class PositionOpened(NamedTuple):
    partition: str
    first: Offset
    head: Offset
    floor: Offset
    position: Offset  # where delivery begins
    held: Ranges
    skipped: tuple[Offset, Offset] | None  # told as a gap


class Acknowledge(NamedTuple):
    user: UserId
    device: DeviceId
    partition: str
    upto: Offset
    ranges: Ranges = ()


class Acknowledged(NamedTuple):
    floor: Offset


class Received(NamedTuple):
    """Consecutive messages of a conversation that a device was sent."""

    conversation: ConversationId
    first: ConversationOffset
    last: ConversationOffset


class Receipt(NamedTuple):
    """Read or played: of it counts what a device of the user received."""

    user: UserId
    kind: ReceiptKind
    conversation: ConversationId | None
    peer: str  # eid, where no conversation is named
    upto: ConversationOffset
    ranges: Ranges = ()
    received: tuple[Received, ...] = ()  # by the device that says so, whether it is acknowledged or not


class MarkRead(NamedTuple):
    """A user has read a conversation up to an offset. Their other devices learn of it, and nobody else."""

    user: UserId
    conversation: ConversationId
    upto: ConversationOffset


class ReadMarked(NamedTuple):
    conversation: ConversationId
    upto: ConversationOffset  # where the marker stands, which may be further
    version: Version  # of the user's state, since when it stands there


class Revoke(NamedTuple):
    """A token of the user counts no more. Its name is theirs: another user's may have the same."""

    user: UserId
    jti: str
    expires_at: Millis


class Forget(NamedTuple):
    """The device goes, with its cursors; its number is not used again."""

    device: DeviceId


class Barrier(NamedTuple):
    """Changes nothing: answered when all that was submitted before is on disk."""


class NoteTime(NamedTuple):
    """The store notes what it is to know of the time."""

    known: Known


class ExpireLog(NamedTuple):
    user: UserId
    partition: str
    before: Stamp


class ExpireHistory(NamedTuple):
    conversation: ConversationId
    before: Stamp


class ExpireBodies(NamedTuple):
    before: Stamp


class ExpireSeen(NamedTuple):
    """Looks at a slice from `start` on: `Expired.resume` is the next one's."""

    before: Stamp
    start: Key = (DeviceId(0), "")


class ExpireRevoked(NamedTuple):
    """Forgets revoked tokens, as ExpireSeen forgets message ids."""

    now: Millis
    start: Key = (UserId(0), "")


class Expired(NamedTuple):
    removed: int
    more: bool
    resume: Key | None = None  # where the next slice starts


class Done(NamedTuple):
    pass


Operation = tuple[Any, ...]
"""A named tuple that asks for a change. Its class has its row in a table `OPERATIONS`, beside its rule."""
Result = tuple[Any, ...]
"""The named tuple with which a rule answers, or Refused; of several, a tuple of them in the order of the elements."""
