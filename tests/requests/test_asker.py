"""What costs more than a request is charged as it is found out, to the device and to its turn."""

from typing import Any

import pytest

from bimip.concurrency.buckets import Rate
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.wire import bimip_pb2 as pb
from tests.requests.support import Peer


def test_what_is_weighed_is_charged_and_counts_for_the_turn() -> None:
    peer = Peer(rate=Rate(requests_per_second=10, burst_seconds=1))
    peer.heard_at = 100.0
    peer.weigh(30)
    peer.weigh(0)

    assert peer.weight == 30
    assert peer.rates.wait(100.0) == 2.0


@pytest.mark.parametrize(
    ("name", "payload", "acts"),
    [
        ("token_authority", pb.TokenAuthority(action=pb.TokenAuthority.REVOKE), [("token revoked", "of phone")]),
        ("devices", pb.Devices(action=pb.Devices.REMOVE, name="laptop"), [("device removed", "laptop")]),
        ("devices", pb.Devices(action=pb.Devices.RENAME, name="laptop", label="old"), []),
        ("logout", pb.Logout(), []),
        ("logout", pb.Logout(forget=True, revoke=True), [("token revoked", "of phone"), ("device removed", "phone")]),
    ],
)
def test_what_a_user_does_to_the_security_of_theirs_is_recorded_once_it_is_done(
    name: str, payload: Any, acts: list[tuple[str, str]]
) -> None:
    done, refused = Peer(), Peer()
    for peer, result in ((done, Done()), (refused, Refused(Fault.UNAVAILABLE, "not now"))):
        peer.take(name, payload)
        while peer.operations():
            peer.decide(result)

    assert done.audited == [(action, "ann", "phone", target) for action, target in acts]
    assert refused.audited == []
