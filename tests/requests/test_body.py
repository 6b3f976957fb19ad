"""Each part of a batch is owed its own answer, in slices or not, and in their order."""

import pytest

from bimip.requests import body
from bimip.requests.message import write
from bimip.requests.refusals import rate_limited
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from tests.requests.support import Peer


def messages(count: int) -> list[pb.Message]:
    return [pb.Message(id=f"m{number}", to=pb.Identity(eid="bob"), type=1) for number in range(count)]


def test_what_is_wrong_with_one_part_costs_the_others_nothing() -> None:
    peer = Peer()
    batch = pb.Body(
        messages=[*messages(1), pb.Message(id="wrong")],
        signals=[pb.Signal(id="s", ref=7)],
        commands=[pb.Command(id="c")],
    )
    peer.take("body", batch)
    write(peer)

    assert [(error.id, error.ref) for error in peer.together().errors] == [("wrong", 5), ("s", 7), ("c", 5)]
    assert len(peer.operations()) == 1
    assert peer.owed == 4


def test_a_large_batch_is_taken_in_slices() -> None:
    peer = Peer()
    taken = []
    peer.owed += 1
    for _ in body.ask(peer, pb.Body(messages=messages(2 * body.PARTS_AT_ONCE + 1)), 5) or ():
        taken.append(len(peer.checked))
        write(peer)
    write(peer)

    assert taken == [body.PARTS_AT_ONCE] * 2
    assert peer.owed == 2 * body.PARTS_AT_ONCE + 1


def test_a_batch_that_is_refused_is_refused_part_by_part() -> None:
    peer = Peer()
    peer.owed += 1
    body.refuse(peer, pb.Body(messages=messages(3)), 5, rate_limited(1.5))

    assert [(error.id, error.code, error.retry_after_ms) for error in peer.together().errors] == [
        (f"m{number}", pb.RATE_LIMITED, 1500) for number in range(3)
    ]
    assert peer.owed == 3


def test_one_without_parts_is_one_request_and_refused_as_a_whole() -> None:
    with pytest.raises(WireError):
        body.refuse(Peer(), pb.Body(), 5, rate_limited(1))

    assert [body.count(pb.Body()), body.count(pb.Body(messages=messages(3)))] == [1, 3]
