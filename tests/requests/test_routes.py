"""Each row of the table has all that it needs, and each request is answered once, as its row says."""

from pathlib import Path
from typing import Any

import pytest

import bimip.requests
from bimip.domain.accounts.keys import Claimed, KeysPage, Published
from bimip.domain.awareness.locations import LocationShared
from bimip.domain.contacts.changing_settings import CurrentSettings
from bimip.domain.contacts.roster import ContactChanged
from bimip.domain.conversations.groups import GroupChanged
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Offset, Stamp, Version
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.operations import Acknowledged, Appended, Done, Fault, Operation, ReadMarked, Refused, Result
from bimip.domain.core.records import Contact, Intent, LocationShare, Status
from bimip.domain.push.subscribing import Subscribed
from bimip.domain.state.intents import CurrentIntent
from bimip.domain.state.location_shares import OtherEnd, With
from bimip.domain.state.settings import Audience, PrivacySettings
from bimip.requests import ROUTES
from bimip.requests.message import write
from bimip.requests.route import Answer
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from tests.requests.support import Peer

MESSAGE = pb.Message(id="m", to=pb.Identity(eid="bob"), type=1, payload=b"x")
MARK_READ = pb.Command(kind=pb.Command.MARK_READ, conversation="c1", conversation_offset=3)
REFRESH = pb.TokenAuthority(action=pb.TokenAuthority.REFRESH, token="newer")
SENT = (
    Appended(
        "m", "chat", Stamp(1), Offset(1), ConversationId(1), ConversationOffset(1), duplicate=False, time=Millis(0)
    ),
)

CHANGED = GroupChanged("r", ConversationId(1), ConversationOffset(2), duplicate=False)
HERE = pb.LocationStream(latitude=1, has_position=True)
TYPES = pb.Awareness(status=pb.TYPING, to=pb.Identity(eid="bob"))
BOB = pb.Member(eid="bob")
BOSS = pb.Member(eid="bob", role="owner")

NAMED = Contact(name=LastWrite("Bobby", Stamp(7)))
STANDS = CurrentIntent(Intent(Status.AWAY, Millis(0), Stamp(7), DeviceId(11)), Version(4))

PRE_KEY = pb.PreKey(id=7, key=bytes(32), signature=bytes(64))
DEVICE_KEYS = pb.DeviceKeys(identity=bytes(32), signing=bytes(32), signature=bytes(64), fallback=PRE_KEY)
SERVED: dict[str, list[tuple[Any, Result]]] = {
    "awareness_visibility": [
        (pb.AwarenessVisibility(id="v", stamp=7), CurrentSettings(PrivacySettings(visible=False), Version(4))),
    ],
    "awareness": [
        (pb.Awareness(status=pb.AWAY), STANDS),
        (pb.Awareness(status=pb.ONLINE), STANDS),
        (pb.Awareness(status=pb.ONLINE, inactive=True), Done()),
        (pb.Awareness(status=pb.OFFLINE), Done()),
        (pb.Awareness(to=pb.Identity(eid="bob")), Done()),
        (TYPES, Done()),
    ],
    "body": [(pb.Body(), Done()), (pb.Body(messages=[MESSAGE]), SENT)],
    "command": [(MARK_READ, ReadMarked(ConversationId(1), ConversationOffset(3), Version(4)))],
    "contact": [
        (pb.Contact(action=pb.Contact.REQUEST, eid="bob", id="r"), ContactChanged(Contact(), Version(0))),
        (pb.Contact(action=pb.Contact.NAME, eid="bob", name="Bobby"), ContactChanged(NAMED, Version(4))),
        (pb.Contact(action=pb.Contact.LIST), Done()),
    ],
    "devices": [
        (pb.Devices(), Done()),
        (pb.Devices(action=pb.Devices.REMOVE, name="laptop"), Done()),
        (pb.Devices(action=pb.Devices.RENAME, name="laptop", label="at work"), Done()),
    ],
    "conversation": [
        (pb.Conversation(action=pb.Conversation.CREATE, request_id="r", title="trip"), CHANGED),
        (pb.Conversation(action=pb.Conversation.INVITE, request_id="r", id="c1", members=[BOB]), CHANGED),
        (pb.Conversation(action=pb.Conversation.LEAVE, request_id="r", id="c1"), CHANGED),
        (pb.Conversation(action=pb.Conversation.REMOVE_MEMBER, request_id="r", id="c1", members=[BOB]), CHANGED),
        (pb.Conversation(action=pb.Conversation.RENAME, request_id="r", id="c1", title="trip"), CHANGED),
        (pb.Conversation(action=pb.Conversation.SET_ROLE, request_id="r", id="c1", members=[BOSS]), CHANGED),
    ],
    "fetch": [(pb.Fetch(kind=pb.LOG, partition="chat", offset=1), Done())],
    "keys": [
        (pb.Keys(), Done()),
        (pb.Keys(action=pb.Keys.PUBLISH, keys=DEVICE_KEYS, one_time=[PRE_KEY]), Published(1, 7, is_new=True)),
        (pb.Keys(action=pb.Keys.QUERY, of=[pb.Identity(eid="bob")]), Done()),
        (pb.Keys(action=pb.Keys.CLAIM, of=[pb.Identity(eid="bob")]), Claimed(KeysPage(()), ())),
        (pb.Keys(action=pb.Keys.WITHDRAW), Done()),
    ],
    "location_stream": [
        (HERE, Done()),
        (
            pb.LocationStream(conversation="c1", enabled=True),
            LocationShared(OtherEnd(With.CONVERSATION, 1), LocationShare(Millis(9), Millis(5)), Version(4)),
        ),
    ],
    "logout": [(pb.Logout(), Done()), (pb.Logout(forget=True, revoke=True), Done())],
    "message": [(MESSAGE, SENT)],
    "peer_signal": [(pb.PeerSignal(kind="hello"), Done())],
    "ping_pong": [(pb.PingPong(kind=pb.PingPong.PING), Done()), (pb.PingPong(kind=pb.PingPong.PONG), Done())],
    "push_notification": [
        (pb.PushNotification(query=True), Done()),
        (pb.PushNotification(id="p", platform="fcm", token="t"), Subscribed(Millis(3))),
        (pb.PushNotification(id="p", remove=True), Done()),
        (pb.PushNotification(id="p", remove=True, device="laptop"), Done()),
    ],
    "settings": [
        (pb.Settings(), CurrentSettings(PrivacySettings(), Version(0))),
        (
            pb.Settings(show_read_receipts=False, stamp=7),
            CurrentSettings(
                PrivacySettings(read_receipts_of=Audience.NOBODY, stamp=Stamp(7)), Version(4), is_restarted=True
            ),
        ),
    ],
    "signal": [
        (pb.Signal(status=pb.DELIVERED, partition="chat", upto=3), Acknowledged(Offset(3))),
        (pb.Signal(status=pb.READ, conversation="c1", upto=3), Done()),
    ],
    "snapshot": [
        (pb.Snapshot(partition="chat"), Done()),
        (pb.Snapshot(partition="chat", offset=9, checksum=bytes(16)), Done()),
    ],
    "state_delta": [(pb.StateDelta(), Done()), (pb.StateDelta(reset=True), Done())],
    "token_authority": [
        (REFRESH, Done()),
        (pb.TokenAuthority(action=pb.TokenAuthority.REVOKE), Done()),
    ],
}
"""By route: requests that are served, and what the store says of their operations."""

QUIET: dict[str, list[Any]] = {"ping_pong": [pb.PingPong(kind=pb.PingPong.PONG)], "awareness": [TYPES]}
"""What is owed nothing: an answer, and what is answered by errors only."""

REFUSED = Refused(Fault.UNAVAILABLE, "not now")


def serve(peer: Peer, name: str, payload: Any, result: Result) -> None:
    """Asks, decides all that it takes, and does what takes long."""
    copy = type(payload)()
    copy.CopyFrom(payload)
    peer.take(name, copy)
    write(peer)
    while peer.operations():
        peer.decide(result)
    while peer.pending is not None and peer.pending.work(0):
        pass


CASES = [(name, payload, result) for name, served in SERVED.items() for payload, result in served]


def test_each_row_has_its_file_a_payload_in_the_schema_and_requests_to_try() -> None:
    files = {path.stem for path in Path(bimip.requests.__file__).parent.glob("*.py")}

    assert set(ROUTES) <= files
    assert set(ROUTES) <= set(codec.ROUTES)
    assert set(ROUTES) == set(SERVED)
    assert [route for route in ROUTES.values() if (route.count is None) != (route.refuse is None)] == []


@pytest.mark.parametrize(("name", "payload", "result"), CASES, ids=[f"{one[0]} {one[1]}"[:50] for one in CASES])
def test_what_is_served_is_answered_as_its_row_says_and_once(name: str, payload: Any, result: Result) -> None:
    peer = Peer()
    serve(peer, name, payload, result)
    body = peer.together()
    together, alone = len(body.signals) + len(body.commands), len(peer.frames)
    expected = {Answer.TOGETHER: (1, 0), Answer.ALONE: (0, 1), Answer.ERRORS_ONLY: (0, 0)}[ROUTES[name].answer]
    if payload in QUIET.get(name, ()):
        expected = (0, 0)
    elif payload == pb.Body():
        expected = (0, 1)  # there is no part that could be answered

    assert (together, alone, len(body.errors)) == (*expected, 0)
    assert peer.owed == sum(expected)
    assert bool(peer.scheduled) == bool(sum(expected))

    peer.send()

    assert peer.owed == 0


AT_ONCE = (
    pb.Body(),
    HERE,
    pb.Devices(),
    pb.Keys(),
    pb.Keys(action=pb.Keys.QUERY, of=[pb.Identity(eid="bob")]),
    pb.Logout(),
    pb.PushNotification(query=True),
    REFRESH,
    *[payload for payload, result in SERVED["awareness"] if result == Done()],
)
DECIDED = [
    one
    for one in CASES
    if one[1] not in AT_ONCE and one[0] not in {"ping_pong", "fetch", "peer_signal", "snapshot", "state_delta"}
]


@pytest.mark.parametrize(
    ("name", "payload"), [one[:2] for one in DECIDED], ids=[f"{one[0]} {one[1]}"[:50] for one in DECIDED]
)
def test_what_the_store_refuses_is_answered_by_one_error(name: str, payload: Any) -> None:
    peer = Peer()
    serve(peer, name, payload, REFUSED)

    assert [(error.code, error.message, error.ref) for error in peer.together().errors] == [
        (pb.UNAVAILABLE, "not now", 5)
    ]
    assert not peer.frames
    assert peer.owed == 1

    peer.send()

    assert peer.owed == 0


BAD = {
    "awareness": pb.Awareness(),
    "body": pb.Body(messages=[pb.Message()] * 1025),
    "command": pb.Command(kind=pb.Command.MARK_READ),
    "contact": pb.Contact(action=pb.Contact.REQUEST, eid="ann"),
    "devices": pb.Devices(action=pb.Devices.REMOVE),
    "conversation": pb.Conversation(action=pb.Conversation.JOIN, id="c1"),
    "fetch": pb.Fetch(kind=pb.LOG, partition="nowhere"),
    "message": pb.Message(id="m"),
    "ping_pong": pb.PingPong(id="\n"),
    "push_notification": pb.PushNotification(id="p", platform="nowhere", token="t"),
    "signal": pb.Signal(),
    "snapshot": pb.Snapshot(partition="chat", offset=10),
    "state_delta": pb.StateDelta(after=1),
    "token_authority": pb.TokenAuthority(),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_answered_by_one_error_and_asks_nothing_of_the_store(name: str) -> None:
    peer = Peer()
    peer.take(name, BAD[name])

    assert len(peer.together().errors) == 1
    assert (peer.owed, peer.operations(), peer.frames) == (1, list[Operation](), [])
