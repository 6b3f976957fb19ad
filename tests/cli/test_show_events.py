import json
from dataclasses import replace

import pytest

from bimip.cli.show_events import json_of, line_of
from bimip.client import events
from bimip.client.wire.bimip import (
    CallEnd,
    CallEvent,
    CallStep,
    ErrorCode,
    GapReason,
    GroupEvent,
    GroupEventKind,
    Identity,
    Message,
)
from bimip.domain.awareness.activities import Doing
from bimip.domain.core.ids import ConversationOffset, Millis
from bimip.domain.core.records import ReceiptKind, ReceiptRun, Status
from bimip.domain.state.privacy_exceptions import ExceptionValue, PrivacyException
from bimip.domain.state.settings import Audience, PrivacySettings

MESSAGE = Message(
    id="m1",
    signal_id="s1",
    from_=Identity(eid="alice@example.org", connection_resource_id="phone"),
    to=Identity(eid="bob@example.org"),
    payload=b"Hello \x1b[2J",
    conversation="7",
    conversation_offset=3,
    server_time=1_700_000_000_000,
)
RUNS = (
    ReceiptRun(ConversationOffset(1), ConversationOffset(4), Millis(5)),
    ReceiptRun(ConversationOffset(6), ConversationOffset(6), Millis(7)),
)
GROUP_EVENTS = [
    (GroupEvent(kind=GroupEventKind.CREATED, members=["bob", "eve"], title="trip"), "created 'trip' with bob, eve, c7"),
    (GroupEvent(kind=GroupEventKind.CREATED, title="trip"), "created 'trip', c7"),
    (GroupEvent(kind=GroupEventKind.ADDED, members=["bob\x1b"]), r"added bob\x1b to c7"),
    (GroupEvent(kind=GroupEventKind.LEFT, members=["alice"], owner="bob"), "left (bob is owner now) c7"),
    (GroupEvent(kind=GroupEventKind.REMOVED, members=["bob"]), "removed bob from c7"),
    (GroupEvent(kind=GroupEventKind.RENAMED, title="journey"), "gave the title 'journey' to c7"),
    (GroupEvent(kind=GroupEventKind.ROLE_CHANGED, members=["bob"], role="admin"), "made bob admin of c7"),
    (GroupEvent(kind=GroupEventKind(99)), "did what this program does not know to c7"),
]


MISSED = Message(
    from_=Identity(eid="bob"),
    to=Identity(eid="ann"),
    call_event=CallEvent(call="x", end=CallEnd.CALL_CANCELLED, started=1_700_000_000_000),
)


def event_of(what: GroupEvent) -> Message:
    return Message(id="r1", from_=Identity(eid="alice"), to=Identity(eid="c7"), group_event=what)


RECEIPTS = events.ReceiptsChanged("7", "bob@example.org", ReceiptKind.READ, RUNS)
CHANGED = events.MessageChanged("7", 4, 9, MESSAGE.payload, False, False, True, 3, {"+": ("ann", "bob")})  # noqa: FBT003
EVENTS: list[tuple[events.Event, str]] = [
    (events.Received(MESSAGE, "chat", 4), r"← alice@example.org/phone: Hello \x1b[2J   chat #4"),
    (
        events.Received(MESSAGE, "chat", 4, redelivered=True),
        r"← alice@example.org/phone: Hello \x1b[2J   chat #4, again",
    ),
    (
        events.Received(MESSAGE, "chat", 4, own=True),
        r"→ alice@example.org/phone to bob@example.org: Hello \x1b[2J   chat #4",
    ),
    (events.Received(Message(from_=Identity(), erased=True), "chat", 4), "← an erased user: (deleted)   chat #4"),
    (
        events.Received(Message(from_=Identity(eid="alice"), to=Identity(), payload=b"hi"), "chat", 4, own=True),
        "→ alice to an erased user: hi   chat #4",
    ),
    (
        events.Received(
            Message(
                from_=Identity(),
                to=Identity(eid="c7"),
                group_event=GroupEvent(kind=GroupEventKind.LEFT, members=[""]),
            ),
            "chat",
            4,
        ),
        "◇ an erased user left c7   chat #4",
    ),
    (events.Received(Message(payload=b"\xff"), "feed", 1), "← ?: (1 bytes)   feed #1"),
    (
        events.Received(
            Message(from_=Identity(eid="bob"), to=Identity(eid="c7"), conversation="c7", payload=b"hi"), "chat", 4
        ),
        "← bob to c7: hi   chat #4",
    ),
    (
        events.PostReceived(replace(MESSAGE, to=None, scope="friend"), "feed", 4),
        r"← alice@example.org/phone to friends: Hello \x1b[2J   feed #4",
    ),
    (
        events.PostReceived(Message(from_=Identity(), scope="friend", erased=True), "feed", 4, own=True),
        "→ an erased user to friends: (deleted)   feed #4",
    ),
    (
        events.Received(MESSAGE, "chat", 4, sealed_by=events.SealedBy("ab cd", verified=True)),
        r"← alice@example.org/phone: Hello \x1b[2J   chat #4, encrypted",
    ),
    (
        events.UndecryptableMessage(MESSAGE, "chat", 4, events.Unreadable.FORGED),
        f"✗ alice@example.org/phone: cannot be read: {events.Unreadable.FORGED.value}   chat #4",
    ),
    (events.IdentityChanged("bob", "phone", "ab cd", "ef"), "⚿ bob/phone has another key: ab cd"),
    (events.IdentityChanged("bob", "phone", "ab cd", ""), "⚿ bob/phone: ab cd"),
    (events.Sent("m1", 9, "s1", 4, "7", 3, 5, partition="chat"), "✓ sent   chat #4"),
    (events.PeerSignalled("laptop", "hello", b"x"), "⇄ laptop says hello"),
    (events.CommandDone("e1", "c1", 3, 9), "✓ done, what was asked for before   conversation c1 #3"),
    (events.CommandRefused("e1", ErrorCode.FORBIDDEN, "not yours"), "✗ refused: forbidden: not yours"),
    (
        events.Sent("m1", 9, "s1", 4, "7", 3, 5, duplicate=True, partition="chat"),
        "✓ sent (the server had it already)   chat #4",
    ),
    (RECEIPTS, "✓ read by bob@example.org: #1 to #4, #6   conversation 7"),
    (replace(RECEIPTS, private=True), "✓ read by bob@example.org, unseen: #1 to #4, #6   conversation 7"),
    (events.ReadMarkerChanged("7", 4), "✓ read by you up to #4   conversation 7"),
    (
        events.SettingsChanged(PrivacySettings(last_seen_to=Audience.NOBODY)),
        (
            "✓ your settings: read receipts to: everybody, read receipts of: everybody, last seen to: nobody, "
            "online status to: everybody, visible: on"
        ),
    ),
    (
        events.PrivacyExceptionChanged("bob@example.org", PrivacyException(show_last_seen=ExceptionValue.DENIED)),
        "✓ for bob@example.org: show last seen: denied",
    ),
    (events.PrivacyExceptionChanged("bob@example.org", PrivacyException()), "✓ for bob@example.org: as for all others"),
    (events.ReadMarkerChanged("7", 0), "✓ not read by you   conversation 7"),
    (CHANGED, r"✎ edited: Hello \x1b[2J; reactions: + 2; forwarded 3 times; pinned   conversation 7 #4"),
    (
        replace(CHANGED, payload=None, deleted=True, hidden=True, reactions={}, forwards=0, pinned=False),
        "✎ deleted for everyone; hidden   conversation 7 #4",
    ),
    (
        events.MessageChanged("7", 4, 9, None, False, False, False, 0, {}),  # noqa: FBT003
        "✎ as it was sent   conversation 7 #4",
    ),
    (
        events.ConversationChanged("7", True, True, True, 1_700_000_000_000, b"dear"),  # noqa: FBT003
        "□ archived, pinned, marked unread, muted until 2023-11-14 22:13 UTC, draft: dear   conversation 7",
    ),
    (
        events.ConversationChanged("7", False, False, False, 0, b""),  # noqa: FBT003
        "□ kept like any other   conversation 7",
    ),
    (events.DeviceChanged("phone", 7, ""), "□ phone is a device of yours"),
    (events.DeviceChanged("phone", 7, "mine\x1b", is_gone=True), r"□ phone (mine\x1b) is gone"),
    (
        events.GroupChanged("c7", "trip\x1b", "owner", 3, {"bob": "member"}),
        r"◇ you are owner of the group 'trip\\x1b': 3 members   conversation c7",
    ),
    (events.GroupChanged("c7", "", "member", 2, {}), "◇ you are member of a group: 2 members   conversation c7"),
    (
        events.GroupChanged("c7", "trip", "", 0, {}, is_gone=True),
        "◇ you are in the group 'trip' no more   conversation c7",
    ),
    (
        events.ContactChanged("bob\x1b", events.KnownContact("asked", mutual=True, seen=True)),
        r"☆ bob\x1b: asks to see you, and lets you see them, you see them",
    ),
    (
        events.ContactChanged("bob", events.KnownContact("requested", name="B\x1b", sees_you=True, seen=True)),
        r"☆ bob: called 'B\\x1b', asked by you, you see each other",
    ),
    (events.ContactChanged("bob", events.KnownContact("denied", blocked=True)), "☆ bob: refused you, blocked"),
    (events.ContactChanged("bob", events.KnownContact(), is_gone=True), "☆ bob is no contact of yours any more"),
    (
        events.LocationTold("bob\x1b", "", is_shared=True, expires_at=1_700_000_000_000, position=(52.5, -13.4)),
        r"⌖ bob\x1b is at 52.50000, -13.40000, until 2023-11-14 22:13 UTC",
    ),
    (
        events.LocationTold("bob", "c7", is_shared=True, expires_at=1_700_000_000_000),
        "⌖ bob shares where they are, until 2023-11-14 22:13 UTC   conversation c7",
    ),
    (events.LocationTold("bob", "", is_shared=False, expires_at=0), "⌖ bob does not share where they are any more"),
    (
        events.LocationShareChanged("bob", 1_700_000_000_000),
        "⌖ you share where you are with bob until 2023-11-14 22:13 UTC",
    ),
    (events.LocationShareChanged("c7", 0), "⌖ you share where you are with c7 no more"),
    (events.PresenceChanged("bob\x1b", Status.ONLINE, 5), r"● bob\x1b is online"),
    (
        events.PresenceChanged("bob", Status.OFFLINE, last_seen=1_700_000_000_000),
        "○ bob is offline, last seen 2023-11-14 22:13 UTC",
    ),
    (events.PresenceChanged("bob", Status.OFFLINE), "○ bob is offline"),
    (events.PresenceChanged("bob", Status.AWAY, 5), "◐ bob is away"),
    (events.PresenceChanged("bob", Status.DND, 5), "● bob does not want to be disturbed"),
    (events.IntentChanged(Status.BUSY, 1_700_000_000_000), "✓ you are busy, until 2023-11-14 22:13 UTC"),
    (events.IntentChanged(Status.DND, 0), "✓ you do not want to be disturbed"),
    (
        events.IntentChanged(Status.ONLINE, 0),
        "✓ you say nothing of how you are: you are online while a device of yours is",
    ),
    (events.ActivityChanged("bob\x1b", "c7", Doing.TYPING), r"… bob\x1b is typing   conversation c7"),
    (events.ActivityChanged("bob", "", Doing.RECORDING), "… bob is recording"),
    (events.ActivityChanged("bob", "", Doing.PAUSED), "… bob paused"),
    (events.ActivityChanged("bob", "c7", Doing.CANCELLED), "… bob does nothing more of it   conversation c7"),
    (events.ActivityChanged("bob", "c7", Doing.RESUME), "… bob opened the conversation   conversation c7"),
    (events.Resumed("bob"), "↻ all that waited in the conversation with bob has come"),
    (events.CallSignalled("bob", "x", CallStep.CALL_OFFER, b"sdp"), "☎ call x: offer by bob"),
    (events.CallEnded("bob", "x", CallEnd.CALL_TIMED_OUT), "☎ call x with bob: timed out"),
    (
        events.CallEnded("bob", "x", CallEnd.CALL_ANSWERED_ELSEWHERE, events.Identity("ann", "tablet")),
        "☎ call x with bob: answered elsewhere by ann/tablet",
    ),
    (
        events.CallEnded("bob", "x", CallEnd.CALL_HUNG_UP, events.Identity("bob", "")),
        "☎ call x with bob: hung up by bob",
    ),
    (events.Received(MISSED, "chat", 4), "☎ bob called ann and was not answered: cancelled   chat #4"),
    *((events.Received(event_of(what), "chat", 4), f"◇ alice {line}   chat #4") for what, line in GROUP_EVENTS),
    (events.GapFound("chat", 5, 9, GapReason.EXPIRED), "! chat #5 to #9 are not there: expired"),
    (
        events.LogDiverged("chat", 5, 9),
        "! chat #5 to #9 are not as the server has them: reading again",
    ),
    (
        events.ReadAgain(Message(from_=Identity(eid="carol"), payload=b"hi"), "chat", 5),
        "↻ carol: hi   chat #5, read again",
    ),
    (
        events.Connected(1, events.Identity("bob@example.org", "phone"), {"chat": 4}),
        "● connected as bob@example.org/phone   newest: chat #4",
    ),
    (events.Disconnected(1001, "stopping", will_retry=True), "○ disconnected (1001 stopping): trying again"),
    (
        events.Disconnected(4103, "replaced", will_retry=False),
        "○ disconnected (4103 replaced): not trying again",
    ),
    (events.EpochChanged(1, 2), "! the server's store was restored from a backup: what is newer may be missing"),
    (events.SendRefused("m1", ErrorCode(9999), "no such user"), "✗ refused: unknown(9999): no such user"),
    (events.ServerError(ErrorCode(9999), "what?"), "✗ the server objects: unknown(9999): what?"),
]


@pytest.mark.parametrize(("event", "line"), EVENTS)
def test_every_event_is_one_line(event: events.Event, line: str) -> None:
    assert line_of(event).text("12:00:00").plain == f"12:00:00 {line}"


@pytest.mark.parametrize("event", [event for event, _ in EVENTS])
def test_every_event_is_one_json_object_on_one_line(event: events.Event) -> None:
    text = json_of(event)

    assert text.isascii()
    assert "\n" not in text
    assert json.loads(text)["event"] == type(event).__name__


def test_a_message_as_json() -> None:
    assert json.loads(json_of(events.Received(MESSAGE, "chat", 4))) == {
        "event": "Received",
        "partition": "chat",
        "offset": 4,
        "own": False,
        "redelivered": False,
        "id": "m1",
        "signal_id": "s1",
        "from": "alice@example.org/phone",
        "to": "bob@example.org",
        "conversation": "7",
        "conversation_offset": 3,
        "server_time": 1_700_000_000_000,
        "payload": "Hello \x1b[2J",
    }
    assert json.loads(json_of(events.Received(Message(payload=b"\xff"), "chat", 4)))["payload_hex"] == "ff"
    sealed = events.Received(MESSAGE, "chat", 4, sealed_by=events.SealedBy("ab cd", verified=True))
    assert json.loads(json_of(sealed))["sealed_by"] == {"fingerprint": "ab cd", "verified": True}
    unread = json.loads(json_of(events.UndecryptableMessage(MESSAGE, "chat", 4, events.Unreadable.FORGED)))
    assert (unread["reason"], unread["id"], "payload" in unread) == ("FORGED", "m1", False)
    assert json.loads(json_of(replace(CHANGED, payload=b"\xff")))["payload_hex"] == "ff"
    assert json.loads(json_of(CHANGED))["payload"] == MESSAGE.payload.decode()


def test_an_event_of_a_group_as_json() -> None:
    told = json.loads(json_of(events.Received(event_of(GROUP_EVENTS[0][0]), "chat", 4)))

    assert told["group_event"] == {"kind": "created", "members": ["bob", "eve"], "title": "trip"}
    assert "payload" not in told


def test_presence_as_json() -> None:
    assert json.loads(json_of(events.PresenceChanged("bob", Status.OFFLINE, last_seen=7))) == {
        "event": "PresenceChanged",
        "eid": "bob",
        "status": "offline",
        "since": 0,
        "last_seen": 7,
    }
    assert json.loads(json_of(events.ActivityChanged("bob", "c7", Doing.TYPING)))["activity"] == "typing"


def test_a_missed_call_as_json() -> None:
    told = json.loads(json_of(events.Received(MISSED, "chat", 4)))

    assert told["call_event"] == {"call": "x", "end": "call cancelled", "started": 1_700_000_000_000}
    assert "payload" not in told


def test_receipts_as_json() -> None:
    assert json.loads(json_of(RECEIPTS)) == {
        "event": "ReceiptsChanged",
        "conversation": "7",
        "member": "bob@example.org",
        "kind": "read",
        "runs": [[1, 4, 5], [6, 6, 7]],
        "private": False,
    }
