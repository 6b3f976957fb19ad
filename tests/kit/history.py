"""What clients saw, as values: the one-screen vocabulary between whoever drives clients and `checker.py`.

A driver (real sockets, or memory connections in virtual time) appends one event for each thing that happens to one of
its devices, in the order in which it happens: a write or an ack before it leaves, an answer or a batch when it arrives.
There are no times in here: the order is the time.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

Ranges = tuple[tuple[int, int], ...]
"""Both ends inclusive."""


FRIENDS = ""
"""In place of whom a message is for: all whom its writer lets see them."""


class Name(NamedTuple):
    """One device of one user."""

    eid: str
    device: str

    def __str__(self) -> str:
        return f"{self.eid}/{self.device}"


class Turn(IntEnum):
    """Numbers as on the wire; HISTORY stands for a Fetch by conversation, whose messages have no place in a log."""

    IN_TURN = 0
    RESUME = 1
    FETCH = 2
    REDELIVERED = 3
    HISTORY = 100


class GapReason(IntEnum):
    EXPIRED = 1
    SKIPPED = 2
    DAMAGED = 3


class Kind(IntEnum):
    """Of a receipt; numbers as on the wire."""

    DELIVERED = 2
    READ = 3
    PLAYED = 5


class Ids(NamedTuple):
    """What the server gave a message, as SENT tells its writer."""

    stamp: int  # signal_offset
    offset: int  # in the writer's own log
    conversation: str
    place: int  # conversation_offset


class EventKind(IntEnum):
    """Of a group; numbers as on the wire."""

    CREATED = 1
    ADDED = 2
    LEFT = 3
    REMOVED = 4
    RENAMED = 5
    ROLE_CHANGED = 6


class GroupEvent(NamedTuple):
    """What an entry says happened to its group."""

    kind: EventKind
    members: tuple[str, ...] = ()
    title: str = ""

    @property
    def names(self) -> bool:
        """Whether the group has its title from here on."""
        return self.kind in {EventKind.CREATED, EventKind.RENAMED}


class Delivery(NamedTuple):
    offset: int
    stamp: int
    author: Name
    id: str
    conversation: str
    place: int
    payload: bytes
    event: GroupEvent | None = None  # of a group: nobody's message
    expires_at: int = 0  # when it disappears; 0: never
    edited: int = 0  # the stamp of the edit that it shows
    erased: bool = False
    missed: str = ""  # the call of which it tells that nobody answered it: nobody's message


class Gap(NamedTuple):
    first: int
    last: int
    reason: GapReason


class Seat(NamedTuple):
    """LogState, as Hello answers it."""

    first: int
    head: int
    floor: int
    position: int


class Place(NamedTuple):
    """What a client has of one partition."""

    offset: int
    held: Ranges = ()


class Receipts(NamedTuple):
    conversation: str
    member: str
    kind: Kind
    runs: tuple[tuple[int, int, int], ...]  # from, to, time


class Wrote(NamedTuple):
    """A message, before it leaves for the first time. The payload is the test's own proof of who wrote what."""

    device: Name
    id: str
    to: str
    partition: str
    payload: bytes
    addressed: Mapping[Name, bytes | None] = {}  # if any: only these get it, with a payload of their own or the common
    ttl_ms: int = 0  # for how long it may be seen; 0: for ever
    is_complete: bool = False  # those addressed are said to be all devices of its readers


class Answered(NamedTuple):
    """SENT."""

    device: Name
    id: str
    ids: Ids
    duplicate: bool = False


class Refused(NamedTuple):
    """An error for a message. Of an UNKNOWN_OUTCOME nothing follows."""

    device: Name
    id: str
    code: str
    unknown: bool = False


class Knocked(NamedTuple):
    """Hello, before it leaves. `places`: what the client has, by partition; missing where it has no place yet."""

    device: Name
    places: Mapping[str, Place]
    version: int = 0  # of the state


class Opened(NamedTuple):
    """Hello was answered."""

    device: Name
    epoch: int
    seats: Mapping[str, Seat]
    gaps: Mapping[str, tuple[Gap, ...]] = {}
    version: int = 0  # of the state


class Batch(NamedTuple):
    device: Name
    partition: str
    after: int
    upto: int
    turn: Turn
    deliveries: tuple[Delivery, ...] = ()
    gaps: tuple[Gap, ...] = ()


class Acked(NamedTuple):
    """An ack, before it leaves."""

    device: Name
    partition: str
    upto: int = 0
    ranges: Ranges = ()


class Read(NamedTuple):
    """A READ or PLAYED, before it leaves."""

    device: Name
    conversation: str
    upto: int = 0
    ranges: Ranges = ()
    kind: Kind = Kind.READ


class ReadSet(NamedTuple):
    """A MARK_READ, before it leaves."""

    device: Name
    conversation: str
    upto: int


class Marked(NamedTuple):
    """The answer to a MARK_READ: where the marker stands."""

    device: Name
    conversation: str
    upto: int


class Settings(NamedTuple):
    """A user's settings as a device is told them: since which version, and for whom each holds (0 nobody, 1 everybody,
    2 contacts), in the order of its number; the last is whether they are visible.
    """

    version: int
    values: tuple[int, ...]


class SettingsSaid(NamedTuple):
    """A change of a setting, by its number, before it leaves."""

    device: Name
    number: int
    value: int


class Excepted(NamedTuple):
    """What holds for another user in place of a user's settings, as a device is told it: since which version, and of
    each setting (1 nothing, 2 allowed, 3 denied), in the order of its number.
    """

    other: str
    version: int
    values: tuple[int, ...]

    @property
    def is_nothing(self) -> bool:
        return set(self.values) == {1}


class ExceptionSaid(NamedTuple):
    """A change of what holds for another user, of a setting by its number, before it leaves."""

    device: Name
    other: str
    number: int
    value: int


class SettingsAnswered(NamedTuple):
    """The answer: how they stand, and what holds for those who were named."""

    device: Name
    settings: Settings
    exceptions: tuple[Excepted, ...] = ()


class ContactKnown(NamedTuple):
    """Another user, as a device is told of them."""

    other: str
    version: int
    state: str = ""
    sees_you: bool = False
    seen: bool = False
    blocked: bool = False
    is_mutual: bool = False
    is_gone: bool = False
    name: str = ""


class ContactSaid(NamedTuple):
    """Something about another user, before it is asked for the first time."""

    device: Name
    id: str
    action: str
    other: str
    is_mutual: bool = False
    name: str = ""


class ContactAnswered(NamedTuple):
    """The answer: how it stands."""

    device: Name
    id: str
    contact: ContactKnown


class ContactRefused(NamedTuple):
    """An error: nothing was done."""

    device: Name
    id: str


class GroupAsked(NamedTuple):
    """A change of a group, before it is asked for the first time."""

    device: Name
    id: str


class GroupAnswered(NamedTuple):
    """The answer: where the event stands."""

    device: Name
    id: str
    group: str
    place: int


class GroupKnown(NamedTuple):
    """A group as a device is told of it; without a role it is gone."""

    id: str
    title: str
    role: str
    members: frozenset[str]


class DeviceKnown(NamedTuple):
    """A device as a sibling is told of it."""

    name: str
    created: int
    stamp: int  # of its label
    label: str
    is_gone: bool = False


class LabelSaid(NamedTuple):
    """A device is to be called something, or nothing any more, before that leaves."""

    device: Name
    named: Name
    label: str


class Labelled(NamedTuple):
    """The answer."""

    device: Name
    named: Name
    label: str


class Given(NamedTuple):
    """A command, or a FORWARDED, before it leaves."""

    device: Name
    id: str
    kind: str
    target: int  # the message's stamp; 0: it is about a conversation
    conversation: str
    payload: bytes = b""
    emoji: str = ""


class Done(NamedTuple):
    """The answer to a command."""

    device: Name
    id: str
    conversation: str
    place: int
    stamp: int  # the one that counts
    version: int
    duplicate: bool = False
    superseded: bool = False


class Changed(NamedTuple):
    """What became of a message, as a device is told it."""

    conversation: str
    place: int
    target: int  # the message's stamp
    edited: int = 0
    payload: bytes | None = None
    deleted: bool = False
    hidden: bool = False
    pinned: bool = False
    pinned_stamp: int = 0
    forwards: int = 0
    reactions: tuple[tuple[str, str, int, bool], ...] = ()  # eid, emoji, stamp, removed
    is_gone: bool = False  # it is not this user's to see any more, or expired


class Kept(NamedTuple):
    """How a user keeps a conversation, as a device is told it."""

    conversation: str
    version: int
    values: tuple[object, ...]


class State(NamedTuple):
    """A page of the shadow state."""

    device: Name
    after: int
    upto: int
    receipts: tuple[Receipts, ...] = ()
    reset: bool = False
    complete: bool = False
    markers: tuple[tuple[str, int], ...] = ()  # conversation, offset
    settings: tuple[Settings, ...] = ()
    private: tuple[Receipts, ...] = ()
    groups: tuple[GroupKnown, ...] = ()
    changes: tuple[Changed, ...] = ()
    kept: tuple[Kept, ...] = ()
    devices: tuple[DeviceKnown, ...] = ()
    exceptions: tuple[Excepted, ...] = ()
    contacts: tuple[ContactKnown, ...] = ()
    asked: bool = False  # it answers a request, and moves no version
    intents: tuple["Intent", ...] = ()


class CallStep(IntEnum):
    """Numbers as on the wire."""

    OFFER = 1
    RINGING = 2
    ANSWER = 3
    CANDIDATE = 4
    HANG_UP = 5
    ENDED = 6


class CallEnd(IntEnum):
    """Numbers as on the wire."""

    NONE = 0
    DECLINED = 1
    ANSWERED_ELSEWHERE = 2
    CANCELLED = 3
    TIMED_OUT = 4
    BUSY = 5
    HUNG_UP = 6
    LOST = 7


class CallSaid(NamedTuple):
    """Something of a call, before it leaves. The payload is the test's own proof of who said what."""

    device: Name
    peer: str
    call: str
    step: CallStep
    payload: bytes


class CallTold(NamedTuple):
    device: Name
    peer: str
    call: str
    step: CallStep
    payload: bytes
    end: CallEnd
    sequence: int


class LocationSaid(NamedTuple):
    """Where a user is, or that they share it in a conversation, or do so no more, before it leaves."""

    device: Name
    id: str
    conversation: str = ""
    is_shared: bool = False
    latitude: float | None = None  # the test's own proof of who said what


class LocationAnswered(NamedTuple):
    device: Name
    id: str
    conversation: str  # empty: to a position
    is_shared: bool
    version: int


class LocationTold(NamedTuple):
    """A device was told where another user is; without a latitude, that they share it, or do so no more."""

    device: Name
    user: str
    conversation: str
    is_shared: bool
    latitude: float | None


class Shown(IntEnum):
    """How a user or a device is; numbers as on the wire."""

    ONLINE = 1
    OFFLINE = 2
    AWAY = 3
    BUSY = 4
    DND = 5


class Intent(NamedTuple):
    """What a user said of themselves as a device is told it: since which version of their state."""

    version: int
    status: Shown
    until: int


class IntentSaid(NamedTuple):
    """A user says how they are, before it leaves."""

    device: Name
    status: Shown
    until: int


class IntentAnswered(NamedTuple):
    """The answer: what stands."""

    device: Name
    intent: Intent


class Focused(NamedTuple):
    """A device says that somebody looks at it, nobody (AWAY), or that it is not there (OFFLINE), before it leaves."""

    device: Name
    focus: Shown


class PresenceTold(NamedTuple):
    """A device is told how users are, its own among them."""

    device: Name
    shown: tuple[tuple[str, Shown], ...]
    is_reset: bool = False  # others are not there


class ActivitySaid(NamedTuple):
    """What a user does, in a conversation or to another user, before it leaves."""

    device: Name
    ttl_ms: int  # the test's own proof of who said what: no other activity of the device has it
    to: str = ""
    conversation: str = ""


class ActivityTold(NamedTuple):
    device: Name
    user: str
    ttl_ms: int
    conversation: str


class Pushed(NamedTuple):
    """A gateway was told something for a device, which its user may have been shown then."""

    device: Name
    id: str
    kind: str
    conversation: str
    place: int
    stamp: int
    messages: int
    sender: str = ""
    call: str = ""


class Closed(NamedTuple):
    """The connection is over, however. `code` is 1006 where the peer said none."""

    device: Name
    code: int


class Complaint(NamedTuple):
    """Something that a client could judge by itself, such as an answer that nobody asked for."""

    device: Name
    invariant: str
    kind: str
    line: str


class PutBack(NamedTuple):
    """The store is what it was when so many events had happened: an older copy took its place, while no server ran and
    all that the last one had sent had arrived.
    """

    made: int


class Erased(NamedTuple):
    """An operator is about to erase a user, whose devices do not come back."""

    eid: str


DeviceEvent = (
    Wrote
    | Pushed
    | Answered
    | Refused
    | Knocked
    | Opened
    | Batch
    | Acked
    | Read
    | ReadSet
    | Marked
    | SettingsSaid
    | ExceptionSaid
    | SettingsAnswered
    | ContactSaid
    | ContactAnswered
    | ContactRefused
    | GroupAsked
    | GroupAnswered
    | LabelSaid
    | Labelled
    | Given
    | Done
    | State
    | CallSaid
    | CallTold
    | LocationSaid
    | LocationAnswered
    | LocationTold
    | IntentSaid
    | IntentAnswered
    | Focused
    | PresenceTold
    | ActivitySaid
    | ActivityTold
    | Closed
    | Complaint
)
Event = DeviceEvent | PutBack | Erased


def lineage(history: Sequence[Event]) -> list[Event]:
    """The history of the store that there is now: without what came between a copy and its being put back.

    But whoever wrote something or was refused knows it still, and may send it again.
    """
    kept: list[Event] = []
    copied = {event.made: list[Event]() for event in history if isinstance(event, PutBack)}
    for at, event in enumerate(history):
        if at in copied:
            copied[at] = kept.copy()
        if isinstance(event, PutBack):
            mine = [
                one
                for one in history[event.made : at]
                if isinstance(one, Wrote | Refused | ContactSaid | GroupAsked | Given | CallSaid)
            ]
            kept = [*copied[event.made], *mine]
        kept.append(event)
    return kept
