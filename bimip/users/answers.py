"""From what a device asked for to an operation, and from the operation's result to what the device is answered."""

from math import ceil

from bimip.domain.clock import millis_of, signal_id
from bimip.domain.operations import Address, Append, Appended, Refused, Result
from bimip.users.device import Device
from bimip.users.session import conversation_name
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored
from bimip.wire.errors import WireError
from bimip.wire.validation import check_message, partition_of


def prepare(device: Device, message: pb.Message) -> Append:
    """The operation that a message asks for. Changes the message. Raises WireError."""
    services = device.session.services
    check_message(message, services.limits, device.session.eid)
    if not message.id:
        message.id = services.new_id()
    addresses = tuple(map(_address, message.devices)) if message.devices else ()
    return Append(
        device.session.number,
        device.number,
        message.id,
        message.to.eid,
        partition_of(message),
        stored.digest(message),
        stored.outgoing(message, device.session.eid, device.name),
        addresses,
    )


def _address(one: pb.DeviceAddress) -> Address:
    payload = one.payload if one.HasField("payload") else None
    return Address(one.identity.eid, one.identity.connection_resource_id, payload)


def rate_limited(wait: float) -> WireError:
    """`wait`: seconds."""
    sentence = "this device or user asks faster than this server allows; nothing was stored, send it again later"
    return WireError(pb.RATE_LIMITED, sentence, retry_after_ms=max(1, ceil(wait * 1000)))


def sent(result: Result, ref: int) -> pb.Signal:
    """SENT: it is on disk, in every log concerned."""
    assert isinstance(result, Appended)
    return pb.Signal(
        ref=ref,
        status=pb.SENT,
        id=result.id,
        partition=result.partition,
        signal_offset=result.stamp,
        signal_id=signal_id(result.stamp),
        user_offset=result.offset,
        conversation=conversation_name(result.conversation),
        conversation_offset=result.conversation_offset,
        timestamp=millis_of(result.stamp),
        duplicate=result.duplicate,
    )


def sent_or_error(result: Result, message_id: str, ref: int) -> bytes:
    """An element of Body."""
    if isinstance(result, Refused):
        return frames.error_part(error_of(result, ref, message_id))
    return frames.signal_part(sent(result, ref))


def error_of(refused: Refused, ref: int, message_id: str = "") -> pb.ErrorMessage:
    error = WireError(
        refused.fault,
        refused.sentence,
        field=refused.field,
        retry_after_ms=refused.retry_after_ms,
        id=message_id,
        ref=ref,
    )
    return error.to_proto()
