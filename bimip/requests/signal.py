"""Signal: a device acknowledges what it has, or says what its user read, played or forwarded."""

from bimip.requests.acks import acknowledge
from bimip.requests.asker import Asker
from bimip.requests.awareness import ask_signal
from bimip.requests.calls import check_call, say_of_call
from bimip.requests.forwards import note_forwarded
from bimip.requests.receipts import note_receipt
from bimip.wire import bimip_pb2 as pb
from bimip.wire.checks import check_author, check_id, check_ranges, check_recipient
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

_STATUSES = frozenset(number for number in pb.MessageStatus.values() if number > pb.SENT)
_CONVERSATIONAL = frozenset({pb.READ, pb.PLAYED})
_OF_CALLS = frozenset({pb.CALLING, pb.DECLINE})


def ask(asker: Asker, payload: pb.Signal, ref: int) -> None:
    check_signal(payload, asker.services.limits, asker.eid)
    if payload.status == pb.DELIVERED:
        acknowledge(asker, payload, ref)
        return
    asker.services.statistics.receipts[payload.status] += 1
    if payload.status in {pb.READ, pb.PLAYED}:
        note_receipt(asker, payload, ref)
    elif payload.status == pb.FORWARDED:
        note_forwarded(asker, payload, ref)
    elif payload.status in _OF_CALLS:
        say_of_call(asker, payload)
    else:
        ask_signal(asker, payload, ref)


def check_signal(signal: pb.Signal, limits: Limits, eid: str) -> None:
    """Checks an ack, a receipt, an awareness or a call that the user `eid` sends. In the short way, as a message: an
    ack comes with each frame.
    """
    status = signal.status
    if status not in _STATUSES:
        raise WireError(
            pb.INVALID, f"A client sends no Signal of status {status}: 2 is DELIVERED, 3 is READ.", field="status"
        )
    if signal.HasField("from"):
        check_author(signal, eid)
    if signal.id:
        check_id(signal.id, "id", limits)
    if signal.offsets:
        check_ranges(signal.offsets, limits, "offsets")
    if status == pb.DELIVERED:
        partition = signal.partition
        if not (0 < len(partition) <= limits.max_id_bytes and partition.isascii() and partition.isprintable()):
            check_id(partition, "partition", limits)
        if not (signal.upto or signal.user_offset or signal.offsets):
            raise WireError(pb.INVALID, "Nothing is acknowledged: give upto, offsets or user_offset.", field="upto")
    elif status in _CONVERSATIONAL:
        _check_conversational(signal, limits)
    else:
        _check_seldom(signal, limits, eid)


def _check_seldom(signal: pb.Signal, limits: Limits, eid: str) -> None:
    if signal.status in _OF_CALLS:
        check_call(signal, limits, eid)
    elif signal.status == pb.FORWARDED and not signal.signal_offset:
        raise WireError(pb.INVALID, "Say which message was forwarded: give signal_offset.", field="signal_offset")


def _check_conversational(signal: pb.Signal, limits: Limits) -> None:
    if signal.conversation:
        check_id(signal.conversation, "conversation", limits)
    elif signal.to.eid:
        signal.to.eid = check_recipient(signal.to.eid, "to.eid", limits)
    else:
        raise WireError(pb.INVALID, "Name the conversation, or the peer in to.eid.", field="conversation")
    if signal.upto and signal.status == pb.PLAYED:
        sentence = "PLAYED is said of single messages: give conversation_offset or offsets, not upto."
        raise WireError(pb.INVALID, sentence, field="upto")
    if not (signal.upto or signal.conversation_offset or signal.offsets):
        raise WireError(pb.INVALID, "Say what was read: give upto, offsets or conversation_offset.", field="upto")
