from bimip.domain.core.ids import DeviceId, Millis, Stamp, UserId, Version
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import Intent, Status
from bimip.domain.state.intents import CurrentIntent, SetIntent
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def test_an_intent_is_written_and_answered_with_what_stands() -> None:
    peer = Peer()
    peer.take("awareness", pb.Awareness(status=pb.AWAY, until=5000, stamp=7, id="a"))
    intent = Intent(Status.AWAY, Millis(5000), Stamp(7), DeviceId(11))

    assert peer.operations() == [SetIntent(UserId(1), intent)]
    peer.decide(CurrentIntent(intent._replace(status=Status.DND), Version(9)))
    assert peer.alone() == [
        ("awareness", pb.Awareness(status=pb.DND, until=5000, stamp=7, version=9, id="a")),
    ]
    assert peer.noted == 1


def test_online_has_no_end_and_a_stamp_of_the_present_where_none_is_given() -> None:
    peer = Peer()
    peer.take("awareness", pb.Awareness(status=pb.ONLINE, until=5000))
    ((_, intent),) = peer.operations()

    assert (intent.status, intent.until) == (Status.ONLINE, 0)
    assert intent.stamp >= Millis(1000) << 22


def test_what_the_store_refuses_is_an_error_and_no_news() -> None:
    peer = Peer()
    peer.take("awareness", pb.Awareness(status=pb.BUSY))
    peer.decide(Refused(Fault.UNAVAILABLE, "not now"))

    assert [error.code for error in peer.together().errors] == [pb.UNAVAILABLE]
    assert peer.noted == 0
