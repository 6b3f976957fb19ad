"""From what a device asked for to an operation, and from the operation's result to what the device is answered."""

from collections.abc import Iterable, Iterator
from itertools import repeat
from math import ceil
from typing import cast

from bimip.domain.clock import signal_id
from bimip.domain.operations import Address, Append, Appended, NewMessage, Outcomes, Refused, Result
from bimip.domain.records import maker
from bimip.names import conversation_id
from bimip.users.device import CheckedMessage, Device
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames, stored
from bimip.wire.errors import WireError
from bimip.wire.validation import check_message, partition_of, seq_numbers

_new, _checked, _append = maker(NewMessage), maker(CheckedMessage), maker(Append)

NAMES_FOR_A_REQUEST = 4
"""What a message costs that names many: each is looked at letter by letter, and each device looked up."""


def prepare(device: Device, message: pb.Message, ref: int = 0, most_bytes: int | None = None) -> CheckedMessage:
    """Checks a message and makes of it what is appended. Changes the message. Raises WireError. `most_bytes`: see
    `check_message`.
    """
    services = device.session.services
    check_message(message, services.limits, device.session.eid, most_bytes=most_bytes)
    if not message.id:
        message.id = services.new_id()
    to, partition, seq = message.to.eid, partition_of(message), message.seq
    message.partition = partition  # whoever reads it elsewhere than in its log is told too
    addresses: tuple[Address, ...] = ()
    if message.devices:
        addresses = tuple(map(_address, message.devices))
        device.weigh(len(addresses) // NAMES_FOR_A_REQUEST)
    if message.mentions or message.audiences:
        device.weigh((len(message.mentions) + len(message.audiences)) // NAMES_FOR_A_REQUEST)
    digest = stored.digest(message, to, partition)
    sent = stored.outgoing(message, device.author_part)
    new = _new((message.id, digest, sent, seq_numbers(seq) if seq else None))
    return _checked((to, partition, new, addresses, ref))


def appends(device: Device, checked: Iterable[CheckedMessage]) -> Iterator[tuple[Append, list[int]]]:
    """Makes as few Appends as keep the order: one for all that go to one recipient in a row. With them, their refs."""
    user, number = device.session.number, device.number
    messages: dict[str, NewMessage] = {}
    refs: list[int] = []
    to = partition = ""
    addresses: tuple[Address, ...] = ()
    for one in checked:
        if messages and (one[0] != to or one[1] != partition or one[3] or addresses or one[2][0] in messages):
            yield _append((user, number, to, partition, tuple(messages.values()), addresses)), refs
            messages, refs = {}, []
        to, partition, message, addresses, ref = one
        messages[message[0]] = message
        refs.append(ref)
    if messages:
        yield _append((user, number, to, partition, tuple(messages.values()), addresses)), refs


def outcomes(append: Append, result: Result) -> Iterable[Appended | Refused]:
    """Tells what became of each of an Append's messages."""
    return repeat(result, len(append.messages)) if isinstance(result, Refused) else cast("Outcomes", result)


def _address(one: pb.DeviceAddress) -> Address:
    payload = one.payload if one.HasField("payload") else None
    return Address(one.identity.eid, one.identity.connection_resource_id, payload)


def rate_limited(wait: float) -> WireError:
    """`wait`: seconds."""
    sentence = "this device or user asks faster than this server allows; nothing was stored, send it again later"
    return WireError(pb.RATE_LIMITED, sentence, retry_after_ms=max(1, ceil(wait * 1000)))


def sent(result: Appended, ref: int) -> pb.Signal:
    """SENT: it is on disk, in every log concerned."""
    return pb.Signal(
        ref=ref,
        status=pb.SENT,
        id=result.id,
        partition=result.partition,
        signal_offset=result.stamp,
        signal_id=signal_id(result.stamp),
        user_offset=result.offset,
        conversation=conversation_id(result.conversation),
        conversation_offset=result.conversation_offset,
        timestamp=result.time,
        duplicate=result.duplicate,
    )


def sent_parts(append: Append, result: Result, refs: Iterable[int]) -> list[bytes]:
    """Makes for each message the element of Body that answers it."""
    parts: list[bytes] = []
    for message, ref, outcome in zip(append.messages, refs, outcomes(append, result), strict=True):
        if isinstance(outcome, Refused):
            parts.append(frames.error_part(error_of(outcome, ref, message.id)))
        else:
            parts.append(frames.signal_part(sent(outcome, ref)))
    return parts


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
