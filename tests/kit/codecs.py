"""The two codecs behind one `Codec`: the server's own, which costs least, and the SDK's, which clients have.

Messages of both have the same fields under the same names, but for `from`, and for how they say that a field is there.
So whoever builds and reads frames through a `Codec` is written once. ROUTES is the schema's: nobody keeps a table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import betterproto2

from bimip.client.wire import bimip as sdk_messages
from bimip.wire import bimip_pb2 as server_messages
from tests.kit.history import (
    Batch,
    CallEnd,
    CallStep,
    CallTold,
    Changed,
    ContactKnown,
    Delivery,
    DeviceKnown,
    EventKind,
    Excepted,
    Gap,
    GapReason,
    GroupEvent,
    GroupKnown,
    Ids,
    Intent,
    Kept,
    Kind,
    Name,
    Opened,
    Receipts,
    Seat,
    Settings,
    Shown,
    State,
    Turn,
)

SETTINGS = ("send_read_receipts", "show_read_receipts", "show_last_seen", "show_online_status")
"""Fields of Settings, in the order of their numbers, which begin with 1; and those of PrivacyException."""
AUDIENCES = ("read_receipts_to", "read_receipts_of", "last_seen_to", "online_status_to")
"""The same four, for whom they hold."""
FOR_WHOM = {3: 0, 1: 1, 2: 2}
"""What a history has of an audience, by its number on the wire: 0 nobody, 1 everybody, 2 contacts."""
VISIBLE = 5
"""What a history numbers the switch by."""

Message = Any
"""Of either codec."""

ROUTES: dict[str, int] = {
    field.name: field.number for field in server_messages.MessageScheme.DESCRIPTOR.oneofs_by_name["payload"].fields
}


@dataclass(frozen=True)
class Codec:
    """Builds frames, and makes of what a frame says the events of a history."""

    messages: Any
    """The module with their classes."""
    decode: Callable[[bytes], Message]
    """A frame's MessageScheme."""
    _serialize: Callable[[Message], bytes]
    payload_of: Callable[[Message], str]
    """The name of a MessageScheme's payload."""
    has: Callable[[Message, str], bool]
    """Whether a field is there that is a message itself."""
    _kind_of: Callable[[int], Any]
    """The kind of a command, by its number."""
    _awareness_of: Callable[[int], Any]
    """A status of Awareness, by its number."""
    actions: Any
    """What may be done to a group."""
    device_actions: Any
    """What may be done to a device."""
    _contact_actions: Any
    _from: str

    def encode(self, ref: int = 0, **payload: Message) -> bytes:
        """One frame: `encode(message=pb.Message(...))`."""
        (name,) = payload
        return self._serialize(self.messages.MessageScheme(route=ROUTES[name], ref=ref, **payload))

    def span(self, first: int, last: int) -> Message:
        return self.messages.OffsetRange(**{self._from: first, "to": last})

    def author(self, message: Message) -> Name:
        author = getattr(message, self._from) or self.messages.Identity()
        return Name(author.eid, author.connection_resource_id or "")

    def identity(self, name: Name) -> Message:
        return self.messages.Identity(eid=name.eid, connection_resource_id=name.device)

    def written(self, author: Name | None, **fields: Any) -> Message:
        """A message; with an author it says from whom it is, which no client has to."""
        claimed = {} if author is None else {self._from: self.identity(author)}
        return self.messages.Message(**fields, **claimed)

    def opened(self, name: Name, hello: Message) -> Opened:
        gaps: dict[str, tuple[Gap, ...]] = {}
        for told in hello.gaps:
            gaps[told.partition] = (*gaps.get(told.partition, ()), self.gap(told))
        seats = {log.partition: Seat(log.first, log.head, log.floor, log.position) for log in hello.logs}
        return Opened(name, hello.epoch, seats, gaps, hello.state_version)

    def batch(self, name: Name, body: Message, turn: Turn) -> Batch:
        deliveries, gaps = tuple(map(self.delivery, body.messages)), tuple(map(self.gap, body.gaps))
        return Batch(name, body.partition, body.after, body.upto, turn, deliveries, gaps)

    def gap(self, told: Message) -> Gap:
        return Gap(getattr(told, self._from), told.to, GapReason(int(told.reason)))

    def delivery(self, message: Message) -> Delivery:
        return Delivery(
            message.user_offset or 0,
            message.signal_offset,
            self.author(message),
            message.id,
            message.conversation,
            message.conversation_offset,
            message.payload,
            self._event(message.group_event) if self.has(message, "group_event") else None,
            message.expires_at,
            message.edited,
            message.erased,
            message.call_event.call if self.has(message, "call_event") else "",
        )

    def call_step(self, step: CallStep) -> Any:
        return getattr(self.messages.CallStep, f"CALL_{step.name}", None) or getattr(self.messages, f"CALL_{step.name}")

    def told_of_call(self, name: Name, signal: Message) -> CallTold:
        step, end = CallStep(int(signal.step)), CallEnd(int(signal.end))
        return CallTold(name, signal.to.eid, signal.call, step, signal.payload, end, signal.sequence)

    @staticmethod
    def _event(told: Message) -> GroupEvent:
        return GroupEvent(EventKind(int(told.kind)), tuple(told.members), told.title)

    def _group(self, item: Message) -> GroupKnown:
        told = item.group
        role = "" if item.removed else told.role
        return GroupKnown(told.id, told.title, role, frozenset(member.eid for member in told.members))

    def state(self, name: Name, delta: Message) -> State:
        receipts = tuple(self._receipts(item.receipts) for item in delta.items if self.has(item, "receipts"))
        told = [item.read_marker for item in delta.items if self.has(item, "read_marker")]
        markers = tuple((marker.conversation, marker.conversation_offset) for marker in told)
        settings = tuple(self.settings(item.settings) for item in delta.items if self.has(item, "settings"))
        private = tuple(
            self._receipts(item.private_receipts) for item in delta.items if self.has(item, "private_receipts")
        )
        groups = tuple(self._group(item) for item in delta.items if self.has(item, "group"))
        return State(
            name,
            delta.after,
            delta.upto,
            receipts,
            delta.reset,
            delta.complete,
            markers,
            settings,
            private,
            groups,
            tuple(self._changed(item) for item in delta.items if self.has(item, "message")),
            tuple(self._kept(item.conversation) for item in delta.items if self.has(item, "conversation")),
            tuple(self._device(item) for item in delta.items if self.has(item, "device")),
            tuple(self.excepted(item.privacy_exception) for item in delta.items if self.has(item, "privacy_exception")),
            tuple(
                self.contact(item.contact)._replace(is_gone=bool(item.removed))
                for item in delta.items
                if self.has(item, "contact")
            ),
            intents=tuple(self.intent(item.intent) for item in delta.items if self.has(item, "intent")),
        )

    def contact_action(self, name: str) -> Any:
        """What is done about another user, by its name."""
        return getattr(self._contact_actions, name)

    @staticmethod
    def contact(told: Message) -> ContactKnown:
        return ContactKnown(
            told.eid,
            told.version,
            told.state,
            told.sees_you,
            told.seen,
            told.blocked,
            bool(told.mutual),
            name=told.name,
        )

    @staticmethod
    def intent(told: Message) -> Intent:
        return Intent(told.version, Shown(int(told.status)), told.until)

    def awareness_status(self, name: str) -> Any:
        """A status of Awareness, by its name."""
        return self._awareness_of(server_messages.AwarenessStatus.Value(name))

    def command_kind(self, name: str) -> Any:
        """The kind of a command, by its name."""
        return self._kind_of(server_messages.Command.Kind.Value(name))

    def _changed(self, item: Message) -> Changed:
        told = item.message
        return Changed(
            told.conversation,
            told.conversation_offset,
            told.signal_offset,
            told.stamp,
            told.payload if self.has(told, "payload") else None,
            told.deleted,
            told.hidden,
            told.pinned,
            told.pinned_stamp,
            told.forwards,
            tuple(sorted((one.eid, one.emoji, one.stamp, one.removed) for one in told.reactions)),
            item.removed,
        )

    @staticmethod
    def _device(item: Message) -> DeviceKnown:
        told = item.device
        return DeviceKnown(told.name, told.created, told.stamp, told.label, item.removed)

    def _kept(self, told: Message) -> Kept:
        values = (told.archived, told.pinned, told.marked_unread, told.muted_until, told.draft)
        return Kept(told.id, told.version, values)

    def settings(self, told: Message) -> Settings:
        values = [FOR_WHOM[int(getattr(told, name))] for name in AUDIENCES]
        switches = [bool(getattr(told, name)) for name in SETTINGS]
        assert [bool(value) for value in values] == switches, f"{switches} beside {values}"
        return Settings(told.version, (*values, int(told.visible)))

    @staticmethod
    def excepted(told: Message) -> Excepted:
        """Of one that was removed nothing is said: so it is nothing any more."""
        return Excepted(told.eid, told.version, tuple(int(getattr(told, name)) or 1 for name in SETTINGS))

    def _receipts(self, item: Message) -> Receipts:
        runs = tuple((getattr(run, self._from), run.to, run.time) for run in item.runs)
        return Receipts(item.conversation, item.member, Kind(int(item.kind)), runs)


def ids(signal: Message) -> Ids:
    return Ids(signal.signal_offset, signal.user_offset, signal.conversation, signal.conversation_offset)


def error_name(error: Message) -> str:
    return server_messages.ErrorCode.Name(int(error.code))


SERVER = Codec(
    messages=server_messages,
    decode=server_messages.MessageScheme.FromString,
    _serialize=server_messages.MessageScheme.SerializeToString,
    payload_of=lambda scheme: scheme.WhichOneof("payload") or "",
    has=lambda message, field: message.HasField(field),
    _kind_of=int,
    _awareness_of=int,
    actions=server_messages.Conversation,
    device_actions=server_messages.Devices,
    _contact_actions=server_messages.Contact,
    _from="from",
)
SDK = Codec(
    messages=sdk_messages,
    decode=sdk_messages.MessageScheme.parse,
    _serialize=bytes,
    payload_of=lambda scheme: betterproto2.which_one_of(scheme, "payload")[0],
    has=lambda message, field: getattr(message, field) is not None,
    _kind_of=sdk_messages.CommandKind,
    _awareness_of=sdk_messages.AwarenessStatus,
    actions=sdk_messages.ConversationAction,
    device_actions=sdk_messages.DevicesAction,
    _contact_actions=sdk_messages.ContactAction,
    _from="from_",
)
