"""Acknowledgements that are not decided yet take in the next; each is owed nothing more once the one is decided."""

import pytest

from bimip.domain.core.ids import Offset
from bimip.domain.core.operations import Acknowledge, Acknowledged, Fault, Refused
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def ack(upto: int = 0, *ranges: tuple[int, int], partition: str = "chat") -> pb.Signal:
    offsets = [pb.OffsetRange(**{"from": first, "to": last}) for first, last in ranges]
    return pb.Signal(status=pb.DELIVERED, partition=partition, upto=upto, offsets=offsets)


def uptos(peer: Peer) -> list[tuple[str, int]]:
    return [(one.partition, one.upto) for one in peer.operations() if isinstance(one, Acknowledge)]


def test_the_next_one_is_taken_in_wherever_it_stands() -> None:
    peer = Peer()
    for upto in (3, 7, 5):
        peer.take("signal", ack(upto), ref=0)

    assert uptos(peer) == [("chat", 7)]
    assert [upto for _, upto, _ in peer.held] == [3, 7, 5]
    assert peer.owed == 1

    peer.decide(Acknowledged(Offset(7)))

    assert (peer.owed, peer.parts, peer.acks) == (0, [], {})


@pytest.mark.parametrize(
    ("second", "ref"),
    [(ack(5), 6), (ack(5, (7, 8)), 0), (ack(0, (2, 2)), 0)],
    ids=["asked with another ref", "with ranges", "of ranges alone"],
)
def test_one_of_which_an_error_would_have_to_say_more_is_an_operation_of_its_own(second: pb.Signal, ref: int) -> None:
    peer = Peer()
    peer.take("signal", ack(3), ref=0)
    peer.take("signal", second, ref=ref)

    assert len(peer.operations()) == 2
    assert peer.owed == 2


def test_partitions_do_not_mix_and_one_under_way_takes_nothing_in() -> None:
    peer = Peer()
    peer.take("signal", ack(3), ref=0)
    peer.take("signal", ack(0, (0, 0), partition="feed"), ref=0)
    for ticket in peer.queue.tickets:
        ticket.taken = True
    peer.take("signal", ack(4), ref=0)

    assert uptos(peer) == [("chat", 3), ("chat", 4)]
    assert len(peer.together().errors) == 1  # 0 is no offset


def test_what_was_never_given_is_refused() -> None:
    peer = Peer()
    peer.take("signal", ack(10))
    peer.take("signal", ack(1, partition="nowhere"))

    assert [error.code for error in peer.together().errors] == [pb.OFFSET_BEYOND_HEAD, pb.NOT_FOUND]
    assert peer.held == []


def test_a_refused_one_says_so_and_the_next_stands_alone() -> None:
    peer = Peer()
    peer.take("signal", ack(3), ref=0)
    peer.decide(Refused(Fault.UNAVAILABLE, "not now"))
    peer.take("signal", ack(4), ref=0)

    assert [error.code for error in peer.together().errors] == [pb.UNAVAILABLE]
    assert uptos(peer) == [("chat", 4)]
