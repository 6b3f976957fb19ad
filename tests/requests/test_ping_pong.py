"""A ping is answered with its id and the time; a pong is an answer itself."""

from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def test_a_ping_is_answered_with_its_id_and_the_servers_time() -> None:
    peer = Peer()
    peer.take("ping_pong", pb.PingPong(kind=pb.PingPong.PING, id="there?"))

    assert peer.alone() == [("ping_pong", pb.PingPong(kind=pb.PingPong.PONG, id="there?", timestamp=1000))]


def test_a_pong_is_owed_nothing() -> None:
    peer = Peer()
    peer.take("ping_pong", pb.PingPong(kind=pb.PingPong.PONG))

    assert (peer.owed, peer.frames) == (0, [])
