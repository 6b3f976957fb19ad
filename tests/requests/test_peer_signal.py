"""What a device says to others of its user: whom it reaches, and what is refused."""

import pytest

from bimip.requests.peer_signal import KINDS, MAX_PAYLOAD_BYTES, check_peer_signal
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LAPTOP = pb.Identity(connection_resource_id="laptop")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_may_be_said_to_one_and_some_to_all(kind: str) -> None:
    check_peer_signal(pb.PeerSignal(kind=kind, to=LAPTOP, payload=bytes(MAX_PAYLOAD_BYTES)), Limits(), "ann")
    if kind in {"hello", "done"}:
        check_peer_signal(pb.PeerSignal(kind=kind), Limits(), "ann")
        return
    with pytest.raises(WireError, match="name it") as refused:
        check_peer_signal(pb.PeerSignal(kind=kind), Limits(), "ann")
    assert refused.value.code == pb.INVALID


def test_another_user_is_nobodys_sibling() -> None:
    with pytest.raises(WireError, match="yours") as refused:
        check_peer_signal(pb.PeerSignal(kind="hello", to=pb.Identity(eid="bob")), Limits(), "ann")

    assert (refused.value.code, refused.value.field) == (pb.FORBIDDEN, "to.eid")
