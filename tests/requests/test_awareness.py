"""What each status asks of the device, of the store and of whoever tells others."""

from typing import Any

import pytest

from bimip.domain.awareness.activities import Activity, Doing
from bimip.domain.awareness.locations import Position
from bimip.domain.awareness.status import Focus
from bimip.domain.conversations.membership import NOBODY
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Status
from bimip.requests.awareness import SIGNALS, STATUSES
from bimip.wire import bimip_pb2 as pb
from tests.kit.contacts import with_contacts
from tests.requests.support import Peer

BOB = pb.Identity(eid="bob")


def test_every_status_of_the_contract_is_served_and_every_awareness_of_a_signal() -> None:
    assert set(STATUSES) == set(pb.AwarenessStatus.values())
    assert [(pb.MessageStatus.Name(one), pb.AwarenessStatus.Name(other)) for one, other in SIGNALS.items()] == [
        (f"STATUS_{name}", name) for name in ("TYPING", "RECORDING", "PAUSED", "CANCELLED", "RESUME")
    ]


@pytest.mark.parametrize(
    ("fields", "focus", "asks"),
    [
        ({"status": pb.ONLINE}, Focus.ACTIVE, 1),
        ({"status": pb.ONLINE, "keep_intent": True}, Focus.ACTIVE, 0),
        ({"status": pb.ONLINE, "inactive": True}, Focus.INACTIVE, 0),
        ({"status": pb.OFFLINE}, Focus.ABSENT, 0),
        ({"status": pb.DND}, Focus.ACTIVE, 1),
    ],
)
def test_a_device_says_how_far_somebody_is_at_it(fields: dict[str, Any], focus: Focus, asks: int) -> None:
    peer = Peer()
    peer.take("awareness", pb.Awareness(**fields))

    assert (peer.focus, len(peer.operations())) == (focus, asks)


def looked_at(shown: tuple[Status, Millis] | None, eid: str = "bob") -> pb.Awareness:
    peer = Peer(with_contacts(("ann", "bob"), ("carol", "dave")))
    peer.shown = {} if shown is None else {UserId(number): shown for number in range(9)}
    peer.take("awareness", pb.Awareness(to=pb.Identity(eid=eid), id="q"))
    ((_, answer),) = peer.alone()
    assert isinstance(answer, pb.Awareness)
    assert (getattr(answer, "from").eid, answer.id) == (eid, "q")
    return answer


def test_one_is_told_how_somebody_is_whom_one_may_see() -> None:
    busy = looked_at((Status.BUSY, Millis(7)))

    assert (busy.status, busy.timestamp) == (pb.BUSY, 7)
    assert looked_at(None).status == pb.OFFLINE
    for eid in ("carol", "nobody"):
        assert (looked_at((Status.BUSY, Millis(7)), eid).status, looked_at(None, eid).timestamp) == (pb.OFFLINE, 0)


@pytest.mark.parametrize("eid", ["bob", "carol"])
def test_where_somebody_is_who_shares_it_is_told_whether_or_not_they_are_there(eid: str) -> None:
    peer = Peer(with_contacts(("ann", "bob"), ("carol", "dave")))
    number = {"bob": UserId(2), "carol": UserId(3)}[eid]
    peer.positions_seen[number, UserId(1)] = Position(52.5, 0.0, 30.0, 5.0, Millis(7))
    for asked in (eid, "dave"):
        peer.take("awareness", pb.Awareness(to=pb.Identity(eid=asked)))
    told, other = [answer for _, answer in peer.alone()]

    assert (told.location_sharing, told.latitude, told.longitude, told.status) == (True, 52.5, 0.0, pb.OFFLINE)
    assert (other.location_sharing, other.latitude) == (False, 0.0)


def test_what_somebody_does_goes_to_who_tells_others() -> None:
    peer = Peer()
    peer.take("awareness", pb.Awareness(status=pb.TYPING, to=BOB, ttl_ms=500))

    assert peer.activities == [Activity(UserId(1), None, NOBODY, Doing.TYPING, 500)]
    assert (peer.owed, peer.frames, peer.parts) == (0, [], [])
