"""CALLING and DECLINE: what a device says of a call. What becomes of it is not this floor's: see `users/calls.py`."""

from typing import Final

from bimip.domain.awareness.calls import Said, Step
from bimip.names import is_conversation_id
from bimip.requests.asker import Asker
from bimip.requests.message import LOGS_FOR_A_REQUEST
from bimip.wire import bimip_pb2 as pb
from bimip.wire.checks import check_eid, check_id
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

MAX_PAYLOAD_BYTES: Final = 32 * 1024
"""Of an offer, an answer or a candidate."""
LEAST_TTL_MS: Final = 1000

_STEPS = frozenset(step for step in Step if step <= Step.HANG_UP)


def say_of_call(asker: Asker, signal: pb.Signal) -> None:
    """Says what a checked signal says of a call. Whom it concerns is told, and who says it hears nothing of it."""
    step = _step_of(signal)
    assert step is not None
    said = Said(
        asker.user, asker.number, asker.name, asker.eid, signal.to.eid, signal.call, step, signal.payload, signal.ttl_ms
    )
    asker.weigh(asker.services.calls.say(said) // LOGS_FOR_A_REQUEST)
    asker.pay(1)


def check_call(signal: pb.Signal, limits: Limits, eid: str) -> None:
    """Checks what the user `eid` says of a call. Raises WireError."""
    if is_conversation_id(signal.to.eid):
        raise WireError(pb.INVALID, "A call is of two users: name the other one in to.eid.", field="to.eid")
    signal.to.eid = check_eid(signal.to.eid, "to.eid", limits)
    if signal.to.eid == eid:
        raise WireError(pb.INVALID, "Nobody calls themselves: name the other user of the call.", field="to.eid")
    check_id(signal.call, "call", limits)
    if _step_of(signal) is None:
        raise WireError(pb.INVALID, _no_step(signal), field="step")
    if len(signal.payload) > MAX_PAYLOAD_BYTES:
        sentence = f"What is relayed of a call has at most {MAX_PAYLOAD_BYTES} bytes."
        raise WireError(pb.TOO_LARGE, sentence, field="payload")
    if 0 < signal.ttl_ms < LEAST_TTL_MS:
        raise WireError(pb.INVALID, f"A call rings for {LEAST_TTL_MS} ms at least: mind the unit.", field="ttl_ms")


def _step_of(signal: pb.Signal) -> Step | None:
    """The step that is said; None: there is no such one."""
    if signal.status == pb.DECLINE:
        return Step.HANG_UP if signal.step in {pb.CALL_STEP_UNSPECIFIED, pb.CALL_HANG_UP} else None
    step = signal.step or pb.CALL_OFFER
    return Step(step) if int(step) in _STEPS else None


def _no_step(signal: pb.Signal) -> str:
    if signal.status == pb.DECLINE:
        return "DECLINE ends a call: leave step away, or use CALLING."
    return f"A client says no step {signal.step}: 1 is CALL_OFFER, 5 is CALL_HANG_UP."
