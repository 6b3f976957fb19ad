"""What happens to a device, as lines for people or as JSON."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from bimip.cli.words import counted, date_text, payload_text, printable
from bimip.client.events import (
    ActivityChanged,
    CallEnded,
    CallSignalled,
    CommandDone,
    CommandRefused,
    Connected,
    ContactChanged,
    ConversationChanged,
    DeviceChanged,
    Disconnected,
    EpochChanged,
    Event,
    GapFound,
    GroupChanged,
    IdentityChanged,
    IntentChanged,
    KnownContact,
    KnownIntent,
    KnownPresence,
    LocationShareChanged,
    LocationTold,
    LogDiverged,
    MessageChanged,
    PeerSignalled,
    PostReceived,
    PresenceChanged,
    PrivacyExceptionChanged,
    ReadAgain,
    ReadMarkerChanged,
    ReceiptsChanged,
    Received,
    Resumed,
    SealedBy,
    SendRefused,
    Sent,
    ServerError,
    SettingsChanged,
    UndecryptableMessage,
)
from bimip.client.wire.bimip import GroupEvent, GroupEventKind, Identity, Message
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.records import ReceiptKind, ReceiptRun, Status
from bimip.domain.state.privacy_exceptions import EXCEPTED, ExceptionValue, PrivacyException
from bimip.domain.state.settings import FIELDS, PrivacySettings

ERASED = "an erased user"

_DID = {
    ReceiptKind.DELIVERED: "delivered to",
    ReceiptKind.READ: "read by",
    ReceiptKind.PLAYED: "played by",
}

_IS = {Status.DND: "does not want to be disturbed"}

_SIGNS = {
    Status.ONLINE: ("●", "green"),
    Status.OFFLINE: ("○", "dim"),
    Status.AWAY: ("◐", "yellow"),
    Status.BUSY: ("●", "yellow"),
    Status.DND: ("●", "red"),
}

_DOES = {
    Doing.TYPING: "is typing",
    Doing.RECORDING: "is recording",
    Doing.RESUME: "opened the conversation",
    Doing.PAUSED: "paused",
    Doing.CANCELLED: "does nothing more of it",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One event: a sign and its colour, what happened, and where it stands."""

    sign: str
    colour: str
    what: str
    where: str = ""

    def text(self, time: str, more: str = "") -> Text:
        what = f"{self.what}: {more}" if more else self.what
        where = f"   {self.where}" if self.where else ""
        return Text.assemble((f"{time} ", "dim"), (f"{self.sign} ", self.colour), what, (where, "dim"))


def line_of(event: Event) -> Line:  # noqa: C901, PLR0911, PLR0912 - one case for each kind of event
    match event:
        case PostReceived():
            return _written(event, " to friends")
        case Received():
            return _message(event)
        case UndecryptableMessage():
            where = f"{printable(event.partition)} #{event.offset}"
            return Line("✗", "red", f"{_who(event.message.from_)}: cannot be read: {event.reason.value}", where)
        case IdentityChanged():
            return _identity(event)
        case Sent():
            known = " (the server had it already)" if event.duplicate else ""
            return Line("✓", "green", f"sent{known}", f"{event.partition or 'log'} #{event.user_offset}")
        case SendRefused():
            return Line("✗", "red", f"refused: {_name(event.code)}: {printable(event.message)}")
        case CommandDone():
            where = f"conversation {printable(event.conversation)} #{event.conversation_offset}"
            return Line("✓", "green", "done, what was asked for before", where)
        case CommandRefused():
            return Line("✗", "red", f"refused: {_name(event.code)}: {printable(event.message)}")
        case PeerSignalled():
            return Line("⇄", "dim", f"{printable(event.device)} says {printable(event.kind)}")
        case ReceiptsChanged():
            who = f"{_DID[event.kind]} {printable(event.member)}{', unseen' if event.private else ''}"
            return Line("✓", "green", f"{who}: {_runs(event.runs)}", f"conversation {printable(event.conversation)}")
        case ReadMarkerChanged():
            read = f"read by you up to #{event.conversation_offset}" if event.conversation_offset else "not read by you"
            return Line("✓", "cyan", read, f"conversation {printable(event.conversation)}")
        case MessageChanged():
            return _changed(event)
        case ConversationChanged():
            return _kept(event)
        case DeviceChanged():
            return _device(event)
        case SettingsChanged():
            return Line("✓", "cyan", f"your settings: {settings_text(event.settings)}")
        case PrivacyExceptionChanged():
            return Line("✓", "cyan", f"for {printable(event.eid)}: {exception_text(event.exception)}")
        case GroupChanged():
            return _group(event)
        case ContactChanged():
            return _contact(event)
        case PresenceChanged():
            presence = KnownPresence(event.status, event.since, event.last_seen)
            return Line(*status_sign(event.status), f"{printable(event.eid)} {presence_text(presence)}")
        case IntentChanged():
            return Line("✓", "cyan", f"you {intent_text(KnownIntent(event.status, event.until))}")
        case ActivityChanged():
            where = f"conversation {printable(event.conversation)}" if event.conversation else ""
            return Line("…", "magenta", f"{printable(event.eid)} {_DOES[event.activity]}", where)
        case Resumed():
            return Line("↻", "cyan", f"all that waited in the conversation with {printable(event.to)} has come")
        case LocationTold():
            return _location(event)
        case LocationShareChanged():
            until = f"until {date_text(event.expires_at)}" if event.expires_at else "no more"
            return Line("⌖", "cyan", f"you share where you are with {printable(event.with_whom)} {until}")
        case CallSignalled():
            said = f"{_name(event.step)} by {printable(event.peer)}".removeprefix("call ")
            return Line("☎", "magenta", f"call {printable(event.call)}: {said}")
        case CallEnded():
            return Line("☎", "yellow", f"call {printable(event.call)} with {printable(event.peer)}: {_end(event)}")
        case GapFound():
            what = f"{event.partition} #{event.first} to #{event.last} are not there: {_name(event.reason)}"
            return Line("!", "bold yellow", printable(what))
        case LogDiverged():
            what = f"{event.partition} #{event.first} to #{event.last} are not as the server has them: reading again"
            return Line("!", "bold yellow", printable(what))
        case ReadAgain():
            where = f"{event.partition} #{event.offset}, read again"
            return Line("↻", "yellow", f"{_who(event.message.from_)}: {payload_text(event.message.payload)}", where)
        case Connected():
            heads = ", ".join(f"{name} #{head}" for name, head in sorted(event.heads.items()))
            who = f"{event.identity.eid}/{event.identity.device}"
            return Line("●", "green", printable(f"connected as {who}"), f"newest: {heads}" if heads else "")
        case Disconnected():
            when = f" in {event.retry_in:.0f} s" if event.retry_in and event.retry_in >= 1 else ""
            then = f"trying again{when}" if event.will_retry else "not trying again"
            return Line("○", "yellow", f"disconnected ({event.code} {printable(event.reason)}): {then}")
        case EpochChanged():
            return Line(
                "!", "bold yellow", "the server's store was restored from a backup: what is newer may be missing"
            )
        case ServerError():
            return Line("✗", "red", f"the server objects: {_name(event.code)}: {printable(event.message)}")


def status_sign(status: Status) -> tuple[str, str]:
    """A sign and its colour."""
    return _SIGNS[status]


def status_name(status: Status) -> str:
    """The word for programs: online, offline, away, busy or dnd."""
    return status.name.lower()


def presence_text(presence: KnownPresence) -> str:
    """Says how a user is, behind their name."""
    seen = f", last seen {date_text(presence.last_seen)}" if presence.last_seen else ""
    return _IS.get(presence.status, f"is {status_name(presence.status)}") + seen


def intent_text(intent: KnownIntent) -> str:
    """Says what the user says of themselves, behind 'you'."""
    until = f", until {date_text(intent.until)}" if intent.until else ""
    said = {
        Status.ONLINE: "say nothing of how you are: you are online while a device of yours is",
        Status.DND: "do not want to be disturbed",
    }
    return said.get(intent.status, f"are {status_name(intent.status)}") + until


def _location(event: LocationTold) -> Line:
    where = f"conversation {printable(event.conversation)}" if event.conversation else ""
    if not event.is_shared:
        return Line("⌖", "yellow", f"{printable(event.eid)} does not share where they are any more", where)
    place = "shares where they are" if event.position is None else "is at {:.5f}, {:.5f}".format(*event.position)
    return Line("⌖", "magenta", f"{printable(event.eid)} {place}, until {date_text(event.expires_at)}", where)


def _end(event: CallEnded) -> str:
    end = _name(event.end).removeprefix("call ")
    who = "" if event.by is None else f" by {printable(event.by.eid)}"
    return end + who + (f"/{printable(event.by.device)}" if event.by is not None and event.by.device else "")


def _identity(event: IdentityChanged) -> Line:
    who = f"{printable(event.eid)}/{printable(event.device)}"
    if not event.before:
        return Line("⚿", "dim", f"{who}: {event.fingerprint}")
    return Line("⚿", "red", f"{who} has another key: {event.fingerprint}")


def _changed(event: MessageChanged) -> Line:
    """Says what became of a message, the weightiest first."""
    reactions = ", ".join(f"{printable(emoji)} {len(eids)}" for emoji, eids in event.reactions.items())
    told = [
        "deleted for everyone" if event.deleted else "",
        "hidden" if event.hidden else "",
        f"edited: {payload_text(event.payload)}" if event.payload is not None else "",
        f"reactions: {reactions}" if reactions else "",
        f"forwarded {event.forwards} times" if event.forwards else "",
        "pinned" if event.pinned else "",
    ]
    what = "; ".join(filter(None, told)) or "as it was sent"
    return Line("✎", "cyan", what, f"conversation {printable(event.conversation)} #{event.conversation_offset}")


def _kept(event: ConversationChanged) -> Line:
    told = [
        "archived" if event.archived else "",
        "pinned" if event.pinned else "",
        "marked unread" if event.marked_unread else "",
        f"muted until {date_text(event.muted_until)}" if event.muted_until else "",
        f"draft: {payload_text(event.draft)}" if event.draft else "",
    ]
    what = ", ".join(filter(None, told)) or "kept like any other"
    return Line("□", "cyan", what, f"conversation {printable(event.conversation)}")


def _device(event: DeviceChanged) -> Line:
    label = f" ({printable(event.label)})" if event.label else ""
    is_there = "is gone" if event.is_gone else "is a device of yours"
    return Line("□", "cyan", f"{printable(event.name)}{label} {is_there}")


def _message(event: Received) -> Line:
    message = event.message
    if message.group_event is not None:
        return Line("◇", "magenta", message_text(message), _place(event))
    if message.call_event is not None:
        return Line("☎", "magenta", message_text(message), _place(event))
    is_to_conversation = message.to is not None and message.to.eid == message.conversation
    to = f" to {person_text(message.to)}" if event.own or is_to_conversation else ""
    return _written(event, to)


def _written(event: Received, to: str) -> Line:
    """Shows what somebody wrote, and to whom."""
    what = f"{person_text(event.message.from_)}{to}: {message_text(event.message)}"
    sign, colour = ("→", "cyan") if event.own else ("←", "bold")
    return Line(sign, colour, what, _place(event))


def _place(event: Received) -> str:
    sealed = ", encrypted" if event.sealed_by is not None else ""
    return f"{event.partition} #{event.offset}" + sealed + (", again" if event.redelivered else "")


def message_text(message: Message) -> str:
    """A message as a person can read it: its payload, or what somebody did to the group."""
    what = message.group_event
    if what is not None:
        return f"{person_text(message.from_)} {_happened(what)} {_who(message.to)}"
    if message.call_event is not None:
        end = _name(message.call_event.end).removeprefix("call ")
        return f"{person_text(message.from_)} called {_who(message.to)} and was not answered: {end}"
    return "(deleted)" if message.erased else payload_text(message.payload)


def _happened(what: GroupEvent) -> str:  # noqa: PLR0911 - one for each kind of event
    """Says what somebody did, up to the group's name."""
    whom = printable(", ".join(member or ERASED for member in what.members))
    heir = f" ({printable(what.owner)} is owner now)" if what.owner else ""
    match what.kind:
        case GroupEventKind.CREATED:
            return f"created {printable(what.title)!r}" + (f" with {whom}" if whom else "") + ","
        case GroupEventKind.ADDED:
            return f"added {whom} to"
        case GroupEventKind.LEFT:
            return f"left{heir}"
        case GroupEventKind.REMOVED:
            return f"removed {whom}{heir} from"
        case GroupEventKind.RENAMED:
            return f"gave the title {printable(what.title)!r} to"
        case GroupEventKind.ROLE_CHANGED:
            return f"made {whom} {printable(what.role)} of"
        case _:
            return "did what this program does not know to"


def _group(event: GroupChanged) -> Line:
    where = f"conversation {printable(event.conversation)}"
    name = f"the group {printable(event.title)!r}" if event.title else "a group"
    if event.is_gone:
        return Line("◇", "yellow", f"you are in {name} no more", where)
    return Line(
        "◇", "magenta", f"you are {printable(event.role)} of {name}: {counted(event.member_count, 'member')}", where
    )


def _contact(event: ContactChanged) -> Line:
    if event.is_gone:
        return Line("☆", "yellow", f"{printable(event.eid)} is no contact of yours any more")
    return Line("☆", "magenta", f"{printable(event.eid)}: {contact_text(event.contact)}")


def contact_text(contact: KnownContact) -> str:
    """Says what somebody is to the user."""
    both = ", and lets you see them" if contact.mutual else ""
    waiting = {
        "requested": f"asked by you{', who let them see you' if contact.mutual else ''}",
        "asked": f"asks to see you{both}",
        "denied": "refused you",
    }
    told = [
        f"called {printable(contact.name)!r}" if contact.name else "",
        waiting.get(contact.state, ""),
        {(True, True): "you see each other", (True, False): "sees you", (False, True): "you see them"}.get(
            (contact.sees_you, contact.seen), ""
        ),
        "blocked" if contact.blocked else "",
    ]
    return ", ".join(filter(None, told)) or "nothing stands between you"


_Message = Received | ReadAgain | UndecryptableMessage


def json_of(event: Event) -> str:
    """One object, on one line. A payload that is not UTF-8 comes as hexadecimal digits in `payload_hex`."""
    fields = _message_fields(event) if isinstance(event, _Message) else _fields(event)
    return json.dumps({"event": type(event).__name__} | fields, ensure_ascii=True)


def _message_fields(event: _Message) -> dict[str, Any]:
    message = event.message
    return {
        "partition": event.partition,
        "offset": event.offset,
        "own": event.own,
        "redelivered": event.redelivered if isinstance(event, Received) else False,
        "id": message.id,
        "signal_id": message.signal_id,
        "from": _who(message.from_),
        "to": _who(message.to),
        "conversation": message.conversation,
        "conversation_offset": message.conversation_offset,
        "server_time": message.server_time,
    } | (_reason(event) if isinstance(event, UndecryptableMessage) else _content(message) | _sealed_by(event.sealed_by))


def _reason(event: UndecryptableMessage) -> dict[str, Any]:
    return {"reason": event.reason.name, "explanation": event.reason.value}


def _sealed_by(key: SealedBy | None) -> dict[str, Any]:
    """Tells with which key a message was encrypted; nothing of one that came in the clear."""
    return {} if key is None else {"sealed_by": {"fingerprint": key.fingerprint, "verified": key.verified}}


def _content(message: Message) -> dict[str, Any]:
    if message.group_event is not None:
        return _group_event(message.group_event)
    if message.call_event is not None:
        what = message.call_event
        return {"call_event": {"call": what.call, "end": _name(what.end), "started": what.started}}
    return _bytes("payload", message.payload)


def _group_event(what: GroupEvent) -> dict[str, Any]:
    told = {"members": what.members, "title": what.title, "role": what.role, "owner": what.owner}
    return {"group_event": {"kind": _name(what.kind)} | {name: value for name, value in told.items() if value}}


def _bytes(name: str, value: bytes) -> dict[str, str]:
    try:
        return {name: value.decode("utf-8")}
    except UnicodeDecodeError:
        return {f"{name}_hex": value.hex()}


def _fields(event: Event) -> dict[str, Any]:
    if isinstance(event, SettingsChanged):
        return settings_fields(event.settings)
    if isinstance(event, PrivacyExceptionChanged):
        return {"eid": event.eid, **exception_fields(event.exception)}
    found: dict[str, Any] = {}
    for name in event.__dataclass_fields__:
        value = getattr(event, name)
        found |= _bytes(name, value) if isinstance(value, bytes) else {name: _plain(value)}
    return found


def _plain(value: object) -> object:
    match value:
        case ReceiptRun():
            return list(value)
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case int() | str() | float() | bool() | None:
            return _name(value) if hasattr(value, "name") else value
        case _ if hasattr(value, "__dataclass_fields__"):
            return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
        case _:
            return str(value)


def _name(value: object) -> str:
    """A number with a name as its name; one that this program does not know as itself."""
    return str(getattr(value, "name", None) or value).lower().replace("_", " ")


def settings_text(settings: PrivacySettings) -> str:
    return ", ".join(f"{name.replace('_', ' ')}: {_switch(value)}" for name, value in _said(settings))


def _switch(value: object) -> str:
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else str(value)


def _said(settings: PrivacySettings) -> Iterator[tuple[str, object]]:
    for name in FIELDS.values():
        value = getattr(settings, name)
        yield name, value if isinstance(value, bool) else value.name.lower()


def settings_fields(settings: PrivacySettings) -> dict[str, object]:
    """Names for JSON for whom each setting holds, and whether they are visible."""
    return dict(_said(settings))


def exception_text(exception: PrivacyException) -> str:
    """Says what holds for one other user."""
    said = exception_fields(exception)
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in said.items()) or "as for all others"


def exception_fields(exception: PrivacyException) -> dict[str, str]:
    """Names for JSON each setting that there is an exception to, with `allowed` or `denied`."""
    named = {setting.name.lower(): getattr(exception, setting.name.lower()) for setting in EXCEPTED}
    return {name: value.name.lower() for name, value in named.items() if value is not ExceptionValue.NONE}


def _who(identity: Identity | None) -> str:
    if identity is None:
        return "?"
    device = f"/{identity.connection_resource_id}" if identity.connection_resource_id else ""
    return printable(identity.eid + device)


def person_text(identity: Identity | None) -> str:
    """Names a user, and the device where one is named."""
    return _who(identity) or ERASED


def _runs(runs: tuple[ReceiptRun, ...]) -> str:
    return ", ".join(f"#{run.first}" if run.first == run.last else f"#{run.first} to #{run.last}" for run in runs)
