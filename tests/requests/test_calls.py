"""What a device may say of a call, and how it is handed on."""

from typing import Any

import pytest

from bimip.domain.awareness.calls import Said, Step
from bimip.requests.calls import LEAST_TTL_MS, MAX_PAYLOAD_BYTES, check_call
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits
from tests.requests.support import Peer


def call(status: int = pb.CALLING, **fields: Any) -> pb.Signal:
    given: dict[str, Any] = {"status": status, "to": pb.Identity(eid="bob"), "call": "x"}
    return pb.Signal(**(given | fields))


GOOD: list[tuple[pb.Signal, Step]] = [
    (call(), Step.OFFER),
    (call(step=pb.CALL_OFFER, payload=bytes(MAX_PAYLOAD_BYTES), ttl_ms=LEAST_TTL_MS), Step.OFFER),
    (call(step=pb.CALL_RINGING), Step.RINGING),
    (call(step=pb.CALL_ANSWER), Step.ANSWER),
    (call(step=pb.CALL_CANDIDATE), Step.CANDIDATE),
    (call(step=pb.CALL_HANG_UP), Step.HANG_UP),
    (call(pb.DECLINE), Step.HANG_UP),
    (call(pb.DECLINE, step=pb.CALL_HANG_UP), Step.HANG_UP),
]


@pytest.mark.parametrize(("signal", "step"), GOOD, ids=lambda one: str(one)[:40])
def test_each_step_is_said_of_one_call_and_charged_by_whom_it_reaches(signal: pb.Signal, step: Step) -> None:
    peer = Peer()
    peer.take("signal", signal)

    said = Said(peer.user, peer.number, "phone", "ann", "bob", "x", step, signal.payload, signal.ttl_ms)
    assert peer.said == [said]
    assert peer.weight == 2
    assert (peer.owed, peer.parts, peer.operations()) == (0, [], [])


BAD: list[tuple[pb.Signal, int, str]] = [
    (call(to=None), pb.INVALID, "to.eid"),
    (call(to=pb.Identity(eid="c1")), pb.INVALID, "to.eid"),
    (call(to=pb.Identity(eid="ann")), pb.INVALID, "to.eid"),
    (call(to=pb.Identity(eid="x" * 256)), pb.TOO_LARGE, "to.eid"),
    (call(call=""), pb.INVALID, "call"),
    (call(call="x" * 65), pb.TOO_LARGE, "call"),
    (call(step=pb.CALL_ENDED), pb.INVALID, "step"),
    (call(step=99), pb.INVALID, "step"),
    (call(pb.DECLINE, step=pb.CALL_ANSWER), pb.INVALID, "step"),
    (call(payload=bytes(MAX_PAYLOAD_BYTES + 1)), pb.TOO_LARGE, "payload"),
    (call(ttl_ms=LEAST_TTL_MS - 1), pb.INVALID, "ttl_ms"),
]


@pytest.mark.parametrize(("signal", "code", "field"), BAD, ids=lambda one: str(one)[:40])
def test_what_is_wrong_is_named_by_its_field(signal: pb.Signal, code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_call(signal, Limits(), "ann")

    assert (caught.value.code, caught.value.field) == (code, field)
