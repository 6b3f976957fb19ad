"""Every event that a client has for its application, on one screen."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from bimip.client.wire.bimip import CallEnd, CallStep, ErrorCode, GapReason, Message
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.records import ReceiptKind, ReceiptRun, Status
from bimip.domain.state.privacy_exceptions import PrivacyException
from bimip.domain.state.settings import PrivacySettings


@dataclass(frozen=True, slots=True)
class Identity:
    eid: str
    device: str


class Unreadable(Enum):
    """Why an encrypted message cannot be read."""

    NO_KEYS = "it was encrypted for devices that have keys, and this one had none"
    BROKEN = "no session of this device decrypts it; the next message to its author begins another one"
    FORGED = "it says that it is another message: somebody moved it, or changed what is around it"
    REPLAYED = "it came before, as another message"
    IDENTITY_CHANGED = "its device has another key than before: compare the fingerprint, then keys.accept brings it"
    TAKEN = "it was opened before, or could not be"


@dataclass(frozen=True, slots=True)
class SealedBy:
    """The key with which a message was encrypted: that of the device that wrote it."""

    fingerprint: str
    verified: bool  # somebody compared the fingerprint, and said so


@dataclass(frozen=True, slots=True)
class Received:
    """A message, for the first time. Taking the event after it acknowledges it."""

    message: Message
    partition: str
    offset: int
    redelivered: bool = False  # it was sent before, and not acknowledged in time
    own: bool = False  # this user wrote it, on another device (or on this one, before its store was lost)
    sealed_by: SealedBy | None = None  # it was encrypted, and this is who wrote it; None: it came in the clear


@dataclass(frozen=True, slots=True)
class PostReceived(Received):
    """A message that somebody wrote for their friends, of whom this user is one: a Received like others, whose
    conversation is the author's feed. With `own` it is this user's.
    """

    @property
    def author(self) -> str:
        """Names whose feed it is; empty: they were erased."""
        return self.message.from_.eid if self.message.from_ is not None else ""


@dataclass(frozen=True, slots=True)
class UndecryptableMessage:
    """An encrypted message that cannot be read, in the place of its Received."""

    message: Message  # as it came
    partition: str
    offset: int
    reason: Unreadable
    own: bool = False


@dataclass(frozen=True, slots=True)
class IdentityChanged:
    """A device has another key than before: nothing is encrypted for it until `keys.accept`. Or it is seen first."""

    eid: str
    device: str
    fingerprint: str
    before: str  # empty: it is the first one, which is trusted


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has the message on disk, in the logs of all concerned."""

    id: str
    signal_offset: int
    signal_id: str
    user_offset: int
    conversation: str
    conversation_offset: int
    time: int  # the server's
    duplicate: bool = False  # it had it already: these are the first one's ids
    partition: str = ""


@dataclass(frozen=True, slots=True)
class SendRefused:
    """The server will not have this message. It has left the outbox."""

    id: str
    code: ErrorCode
    message: str
    field: str = ""
    missing: tuple[tuple[str, str], ...] = ()  # (eid, device): whom it was to be addressed to as well
    extra: tuple[tuple[str, str], ...] = ()  # and who is not there


@dataclass(frozen=True, slots=True)
class ReceiptsChanged:
    """A conversation's receipts changed: who has received, read or played what; the runs that are new.
    `client.messages.receipts` has the whole.
    """

    conversation: str
    member: str
    kind: ReceiptKind
    runs: tuple[ReceiptRun, ...]  # of conversation offsets
    private: bool = False  # this user's own, which they sent no receipts of: only their devices know


@dataclass(frozen=True, slots=True)
class ReadMarkerChanged:
    """This user has read the conversation up to here, on this device or on another. `client.conversations.read_marker`
    has it too.
    """

    conversation: str
    conversation_offset: int  # 0: the marker is gone


@dataclass(frozen=True, slots=True)
class MessageChanged:
    """Something became of a message since it was sent. `client.messages.state` has it too.

    It may come before the message does, or without it: keep it by conversation and conversation offset.
    """

    conversation: str
    conversation_offset: int
    signal_offset: int
    payload: bytes | None  # as edited; None: as it was sent, or gone
    deleted: bool  # for everyone
    hidden: bool  # deleted by this user for themselves
    pinned: bool
    forwards: int
    reactions: Mapping[str, tuple[str, ...]]  # by emoji the users who reacted with it


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    """This user keeps a conversation in another way. `client.conversations.settings` has it too."""

    conversation: str
    archived: bool
    pinned: bool
    marked_unread: bool
    muted_until: int  # milliseconds since 1970; 0 or in the past: not muted
    draft: bytes


@dataclass(frozen=True, slots=True)
class CommandDone:
    """The answer to a command."""

    id: str
    conversation: str
    conversation_offset: int  # 0: it is about the conversation
    stamp: int  # the one that counts
    duplicate: bool = False  # it was done before under this id
    superseded: bool = False  # something later, or a deletion, was there already, and stays


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """The server will not do this command. It has left the outbox."""

    id: str
    code: ErrorCode
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class DeviceChanged:
    """A device of this user came, was given another label, or is gone. `client.devices.known` has them all."""

    name: str
    created: int
    label: str  # what people call it; empty: nothing
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """This user lets others know more or less of them than before. `client.settings.privacy` has it too."""

    settings: PrivacySettings


@dataclass(frozen=True, slots=True)
class PrivacyExceptionChanged:
    """An exception to this user's settings, for one other user, is another than before; all NONE: it is gone.
    `client.settings.exceptions` has all of them.
    """

    eid: str
    exception: PrivacyException


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """A group that this user is in is new, or its title, members or roles changed; or they are in it no more.
    `client.groups.known` has all of them. What happened is told by a Received whose message has a `group_event`.
    """

    conversation: str
    title: str
    role: str  # this user's own: owner, admin or member; empty where it is gone
    member_count: int
    members: Mapping[str, str]  # the roles by eid, of a small group; of a large one nothing: `client.groups.fetch`
    is_gone: bool = False


class KnownContact(NamedTuple):
    """Another user, as this one has them."""

    state: str = ""  # of the last request: requested, asked, accepted, denied, or empty
    sees_you: bool = False  # they are let see this user
    seen: bool = False  # this user is let see them
    blocked: bool = False  # by this user
    name: str = ""  # what this user calls them
    mutual: bool = False  # of a request that waits: who made it lets the other one see them too
    request: str = ""  # the id of the request that led to it, as it was made
    time: int = 0  # when it last changed


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A contact of this user changed: a request came or was answered, or they are a contact no more.
    `client.contacts.known` has all of them.
    """

    eid: str
    contact: KnownContact
    is_gone: bool = False


class KnownPresence(NamedTuple):
    """A user is there or not, as others see it."""

    status: Status
    since: int = 0  # milliseconds; 0: not known
    last_seen: int = 0  # OFFLINE: when a device of theirs was last connected; 0: not told, or never


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """A contact of this user, or this user while several of their devices are connected, came, went, or is another way.
    `client.presence.known` has all of them.

    While there is no connection nothing is told: what changed meanwhile is when it is there again, or seconds later.
    """

    eid: str
    status: Status
    since: int = 0  # as in KnownPresence
    last_seen: int = 0


class KnownIntent(NamedTuple):
    """A user says how they are."""

    status: Status = Status.ONLINE  # AWAY, BUSY or DND; ONLINE: they say nothing
    until: int = 0  # milliseconds; 0: until they say another


@dataclass(frozen=True, slots=True)
class IntentChanged:
    """This user says another thing of themselves, on whichever device. `client.presence.intent` has it too, and
    knows when its time is over, which is no event.
    """

    status: Status  # as in KnownIntent
    until: int


@dataclass(frozen=True, slots=True)
class ActivityChanged:
    """Another user is TYPING or RECORDING in a conversation, or PAUSED; or CANCELLED: they do nothing more of it, as
    they said, or their message came, or it was not said again in time. RESUME: they opened the conversation.
    """

    eid: str
    conversation: str  # empty: the two have none yet
    activity: Doing


@dataclass(frozen=True, slots=True)
class Resumed:
    """All that was pending of a conversation that this device opened has come, before this event."""

    to: str  # as `client.presence.resume` was given it


@dataclass(frozen=True, slots=True)
class LocationShareChanged:
    """This user shares where they are with somebody, or does so no more. `client.locations.shares` has all of them."""

    with_whom: str  # an eid, or a conversation
    expires_at: int  # milliseconds; 0: they do so no more


@dataclass(frozen=True, slots=True)
class LocationTold:
    """Another user is there, or shares it no more. It is to be dropped when the connection ends: what is shared then is
    told again.
    """

    eid: str
    conversation: str  # in which it is shared; empty: with this user
    is_shared: bool
    expires_at: int
    position: tuple[float, float] | None = None  # latitude and longitude; None: not known yet
    altitude: float = 0.0
    accuracy: float = 0.0
    time: int = 0  # when it was measured


@dataclass(frozen=True, slots=True)
class CallSignalled:
    """Somebody said something in a call: CALL_OFFER lets it ring, CALL_ANSWER takes it."""

    peer: str  # eid of the other user of the call
    call: str
    step: CallStep
    payload: bytes  # an offer, an answer or a candidate
    ring_ms: int = 0  # CALL_OFFER: for how long it may ring


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over, for this device at least. A call that was missed is a Received as well, whose message has a
    `call_event`.
    """

    peer: str
    call: str
    end: CallEnd
    by: Identity | None = None  # who ended it; the device where it is one of this user's. None: the server


@dataclass(frozen=True, slots=True)
class PeerSignalled:
    """Another device of this user says something to this one, so that the two may connect to each other."""

    device: str
    kind: str  # hello, offer, answer, candidate or done
    payload: bytes
    id: str = ""


@dataclass(frozen=True, slots=True)
class GapFound:
    """These offsets are not there and will not come."""

    partition: str
    first: int
    last: int
    reason: GapReason


@dataclass(frozen=True, slots=True)
class LogDiverged:
    """This device's copy of a log is not what the server has: these offsets are read again, as ReadAgain events."""

    partition: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A message that was an event before, as the server has it: it takes the place of what the program keeps of it.
    An offset of a stretch that LogDiverged named and that does not come is not there, or is not this device's.
    """

    message: Message
    partition: str
    offset: int
    own: bool = False  # this user wrote it
    sealed_by: SealedBy | None = None  # as of Received


@dataclass(frozen=True, slots=True)
class Connected:
    epoch: int
    identity: Identity
    heads: Mapping[str, int]  # for each partition the newest offset: what is at or below was waiting


@dataclass(frozen=True, slots=True)
class Disconnected:
    """There is no connection: it ended, or an attempt failed. Attempts that fail in a row are one event while it waits
    to be taken, with what is known of the last one.
    """

    code: int  # a close code (bimip.session.close), or an HTTP status where the opening was refused
    reason: str
    will_retry: bool
    retry_in: float | None = None  # seconds until the next attempt, counted from when this event was made


@dataclass(frozen=True, slots=True)
class EpochChanged:
    """An older copy of the server's store was put back: what was sent since it was made is lost there.

    Conversation offsets that were given since then are given again; a message that comes is known by its `signal_id`.
    What this device sent and was answered for is not sent again; what waits in the outbox is.
    """

    before: int
    now: int


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error that answers no request which waits: a receipt that was not accepted, a frame not understood."""

    code: ErrorCode
    message: str
    id: str = ""


Event = (
    Received
    | PostReceived
    | UndecryptableMessage
    | IdentityChanged
    | Sent
    | SendRefused
    | CommandDone
    | CommandRefused
    | ReceiptsChanged
    | ReadMarkerChanged
    | MessageChanged
    | ConversationChanged
    | DeviceChanged
    | SettingsChanged
    | PrivacyExceptionChanged
    | GroupChanged
    | ContactChanged
    | PresenceChanged
    | IntentChanged
    | ActivityChanged
    | Resumed
    | LocationShareChanged
    | LocationTold
    | CallSignalled
    | CallEnded
    | PeerSignalled
    | GapFound
    | LogDiverged
    | ReadAgain
    | Connected
    | Disconnected
    | EpochChanged
    | ServerError
)
