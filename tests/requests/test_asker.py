"""What costs more than a request is charged as it is found out, to the device and to its turn."""

from bimip.concurrency.buckets import Rate
from tests.requests.support import Peer


def test_what_is_weighed_is_charged_and_counts_for_the_turn() -> None:
    peer = Peer(rate=Rate(requests_per_second=10, burst_seconds=1))
    peer.heard_at = 100.0
    peer.weigh(30)
    peer.weigh(0)

    assert peer.weight == 30
    assert peer.rates.wait(100.0) == 2.0
