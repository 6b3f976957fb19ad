from bimip.domain.core.ids import ConversationId
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.requests.fetch import HOLD_SECONDS
from bimip.requests.resume import begin
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from tests.requests.support import Peer
from tests.requests.test_fetch import log_of


def body_of(frame: bytes) -> pb.Body:
    return codec.decode(frame).body


async def test_a_conversation_that_is_none_is_complete_at_once() -> None:
    peer = Peer()
    begin(peer, None, 5)

    assert [(body.turn, body.complete, body.ref) for body in map(body_of, peer.frames)] == [(pb.TURN_RESUME, True, 5)]


async def test_what_is_pending_comes_and_delivery_waits_for_it_and_no_longer(autojump_clock: object) -> None:
    peer = Peer(log_of(b"one", b"two"))
    peer.owed = 1
    begin(peer, ConversationId(1), 5)
    peer.decide(Done())
    assert peer.pending is not None
    assert peer.pending.holds_back(0.0)
    assert peer.pending.work(0.0)
    assert peer.pending.work(0.0)
    peer.frames, frames = [], peer.frames
    assert not peer.pending.work(0.0)  # until it is acknowledged
    assert peer.pending.holds_back(HOLD_SECONDS - 0.1)
    assert not peer.pending.holds_back(HOLD_SECONDS)
    peer.pending.acknowledged("chat", 2, ())
    while peer.pending.work(0.0):
        pass
    peer.frames = [*frames, *peer.frames]
    first, last = map(body_of, peer.frames)

    assert [one.payload for one in first.messages] == [b"one", b"two"]
    assert (first.complete, first.ref, last.complete, last.ref) == (False, 0, True, 5)
    assert peer.owed == 2
    assert not peer.pending.holds_back(0.0)


async def test_where_the_store_refuses_delivery_goes_on(autojump_clock: object) -> None:
    peer = Peer(log_of(b"one"))
    begin(peer, ConversationId(1), 5)
    peer.decide(Refused(Fault.UNAVAILABLE, "not now"))
    assert peer.pending is not None

    assert not peer.pending.holds_back(0.0)
    assert [error.ref for error in peer.together().errors] == [5]
