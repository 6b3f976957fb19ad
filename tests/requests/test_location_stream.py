"""What may be said of where one is, and what becomes of it."""

from typing import Any

import pytest

from bimip.domain.awareness.locations import LocationShared, Position, ShareLocation
from bimip.domain.core.ids import ConversationId, Millis, UserId, Version
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import LocationShare
from bimip.domain.state.location_shares import OtherEnd, With
from bimip.requests.location_stream import BOUNDS, LONGEST_MS, USUAL_MS, check_location
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits
from tests.requests.support import Peer

NOW = 1000
GROUP = OtherEnd(With.CONVERSATION, 3)
SHARED = LocationShared(GROUP, LocationShare(Millis(9000), Millis(NOW)), Version(4))


def here(**fields: Any) -> pb.LocationStream:
    given: dict[str, Any] = {"latitude": 52.5, "longitude": 13.4, "has_position": True}
    return pb.LocationStream(**(given | fields))


@pytest.mark.parametrize(
    ("until", "expected"), [(0, NOW + USUAL_MS), (9000, 9000), (NOW + LONGEST_MS, NOW + LONGEST_MS)]
)
def test_a_share_ends_when_it_is_said_or_within_an_hour(until: int, expected: int) -> None:
    peer = Peer()
    peer.take("location_stream", pb.LocationStream(to=pb.Identity(eid="bob"), enabled=True, expires_at=until))

    assert peer.operations() == [ShareLocation(UserId(1), "bob", None, Millis(expected))]


def test_who_shares_is_answered_and_told_of_at_once() -> None:
    peer = Peer()
    peer.take("location_stream", here(conversation="c3", enabled=True, id="l1", altitude=34, accuracy=5, timestamp=7))

    assert peer.operations() == [ShareLocation(UserId(1), "", ConversationId(3), Millis(NOW + USUAL_MS))]
    assert peer.published == []
    peer.decide(SHARED)
    assert peer.shares == [(UserId(1), GROUP, SHARED.share)]
    assert peer.published == [(UserId(1), Position(52.5, 13.4, 34, 5, Millis(7)))]
    ((_, answer),) = peer.alone()
    told = pb.LocationStream(conversation="c3", enabled=True, expires_at=9000, timestamp=NOW, id="l1", version=4)
    assert answer == told


def test_who_ends_a_share_shows_nothing_more_by_it() -> None:
    peer = Peer()
    peer.take("location_stream", here(conversation="c3", expires_at=9000))
    peer.decide(SHARED._replace(share=None))

    assert peer.shares == [(UserId(1), GROUP, None)]
    assert peer.published == []
    ((_, answer),) = peer.alone()
    assert answer == pb.LocationStream(conversation="c3", version=4)


def test_what_is_refused_shows_nothing() -> None:
    peer = Peer()
    peer.take("location_stream", here(to=pb.Identity(eid="bob"), enabled=True))
    peer.decide(Refused(Fault.FORBIDDEN, "no", "to.eid"))

    assert [error.field for error in peer.together().errors] == ["to.eid"]
    assert (peer.shares, peer.published) == ([], [])


@pytest.mark.parametrize(("latitude", "is_shown"), [(52.5, True), (0.0, False)])
def test_a_position_is_charged_by_whom_it_reaches_and_its_sender_learns_whether_anybody_is_shown_it(
    latitude: float,
    is_shown: bool,  # noqa: FBT001 - a parameter
) -> None:
    peer = Peer()
    peer.take("location_stream", here(latitude=latitude))

    assert peer.published == [(UserId(1), Position(latitude, 13.4, 0, 0, Millis(NOW)))]
    ((_, answer),) = peer.alone()
    assert (answer.enabled, answer.has_position) == (is_shown, True)
    assert peer.weight == (2 if is_shown else 0)


BAD: list[tuple[pb.LocationStream, int, str]] = [
    (pb.LocationStream(), pb.INVALID, "has_position"),
    (pb.LocationStream(to=pb.Identity(eid="bob"), conversation="c1"), pb.INVALID, "conversation"),
    (pb.LocationStream(to=pb.Identity(eid="ann")), pb.INVALID, "to.eid"),
    (pb.LocationStream(to=pb.Identity(eid="c1")), pb.INVALID, "to.eid"),
    (pb.LocationStream(conversation="\n"), pb.INVALID, "conversation"),
    (here(timestamp=-1), pb.INVALID, "timestamp"),
    (here(id="\n"), pb.INVALID, "id"),
    (here(**{"from": pb.Identity(eid="bob")}), pb.FORBIDDEN, "from.eid"),
    *(
        (here(**{name: value}), pb.INVALID, name)
        for name, (least, most) in BOUNDS.items()
        for value in (least - 1e-6, most + 1, float("nan"), float("inf"))
    ),
]


@pytest.mark.parametrize(("said", "code", "field"), BAD, ids=lambda one: str(one)[:40])
def test_what_is_wrong_is_named_by_its_field(said: pb.LocationStream, code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_location(said, Limits(), "ann")

    assert (caught.value.code, caught.value.field) == (code, field)


@pytest.mark.parametrize("until", [1, NOW, NOW + LONGEST_MS + 1, -1])
def test_a_share_ends_in_the_near_future(until: int) -> None:
    peer = Peer()
    peer.take("location_stream", pb.LocationStream(to=pb.Identity(eid="bob"), enabled=True, expires_at=until))

    assert [(error.code, error.field) for error in peer.together().errors] == [(pb.INVALID, "expires_at")]


def test_a_position_at_its_bounds_is_taken() -> None:
    for at in (0, 1):
        check_location(here(**{name: bounds[at] for name, bounds in BOUNDS.items()}), Limits(), "ann")
