"""A device leaves once all that it asked for is on disk, one after the other."""

from bimip.domain.core.operations import Done, Fault, Forget, Refused, Revoke
from bimip.session.close import Close
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def test_one_after_the_other_and_then_the_answer() -> None:
    peer = Peer()
    peer.take("logout", pb.Logout(forget=True, revoke=True))
    first = peer.operations()
    peer.decide(Done())
    second = peer.operations()
    answered = list(peer.frames)
    peer.decide(Done())

    assert [type(one) for one in (*first, *second)] == [Revoke, Forget]
    assert answered == []
    assert peer.alone() == [("logout", pb.Logout(forget=True, revoke=True))]
    assert [code for code, _ in peer.closed] == [Close.NORMAL]
    assert peer.revoked == ["first"]


def test_where_the_first_is_refused_nothing_else_is_done() -> None:
    peer = Peer()
    peer.take("logout", pb.Logout(forget=True, revoke=True))
    peer.decide(Refused(Fault.UNAVAILABLE, "not now"))

    assert (peer.operations(), peer.closed, peer.frames) == ([], [], [])
    assert len(peer.together().errors) == 1
