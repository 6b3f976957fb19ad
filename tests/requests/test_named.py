"""Many ranges cost more than one, and a single offset is one of them."""

import pytest

from bimip.requests.named import RANGES_FOR_A_REQUEST, named_ranges
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def ranges(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(**{"from": first, "to": last}) for first, last in pairs]


@pytest.mark.parametrize(
    ("given", "one", "expected"),
    [
        ([], 0, ()),
        ([], 4, ((4, 4),)),
        ([(1, 2), (3, 5)], 0, ((1, 5),)),
        ([(1, 2)], 4, ((1, 2), (4, 4))),
        ([(5, 6)], 4, ((4, 6),)),
    ],
)
def test_ranges_are_put_in_order(given: list[tuple[int, int]], one: int, expected: object) -> None:
    assert named_ranges(Peer(), ranges(*given), one) == expected


def test_many_are_charged() -> None:
    peer = Peer()
    named_ranges(peer, ranges(*[(at, at) for at in range(1, 4 * RANGES_FOR_A_REQUEST, 2)]), 0)

    assert peer.weight == 2
