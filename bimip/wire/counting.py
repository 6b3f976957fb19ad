"""How many fields a frame holds, counted before it is decoded.

Why: an empty message takes two bytes, and as long to make as any other. A frame of 1 MiB could hold half a million of
them, which is an eighth of a second for everybody.
"""

from functools import cache
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from bimip.wire import bimip_pb2 as pb
from bimip.wire.varint import read_varint

SMALL_BYTES: Final = 32 << 10
"""What is no larger is decoded in half a millisecond, whatever it holds, and is not counted."""
MAX_FIELDS: Final = 12_288
"""In one frame, those of its messages and of what these hold included: 1,024 messages with twelve each."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def has_too_many_fields(frame: bytes) -> bool:
    """Whether a frame is not to be decoded. What cannot be read is left to the decoder, which refuses it."""
    left = MAX_FIELDS
    waiting = [(0, len(frame), pb.MessageScheme.DESCRIPTOR)]
    while waiting:
        left = _count(frame, waiting, left)
        if left < 0:
            return True
    return False


def _count(frame: bytes, waiting: list[tuple[int, int, Any]], left: int) -> int:  # noqa: C901, PLR0912 - a call for each field would double it
    """Count the fields of one message, and put the messages that it holds to those that wait."""
    at, end, kind = waiting.pop()
    held = _held_by(kind)
    try:
        while at < end and left >= 0:
            left -= 1
            tag = frame[at]
            at += 1
            if tag > 127:
                second = frame[at]
                if second > 127:
                    tag, at = read_varint(frame, at - 1)
                else:
                    tag, at = tag & 127 | second << 7, at + 1
            wire_type = tag & 7
            if wire_type == _BYTES:
                length = frame[at]
                at += 1
                if length > 127:
                    length, at = read_varint(frame, at - 1)
                if tag in held:
                    inner = held[tag]
                    if inner is None:
                        left -= length  # packed numbers, of one byte at least
                    elif length:
                        waiting.append((at, at + length, inner))
                at += length
            elif wire_type == _VARINT:
                while frame[at] > 127:
                    at += 1
                at += 1
            elif wire_type in {_FIXED64, _FIXED32}:
                at += 8 if wire_type == _FIXED64 else 4
    except IndexError:
        pass
    return left


@cache
def _held_by(kind: Descriptor) -> dict[int, Descriptor | None]:
    """Lists by tag what a message holds that holds more: messages, and numbers that are packed (None)."""
    return {
        field.number << 3 | _BYTES: field.message_type
        for field in kind.fields
        if field.message_type is not None or (field.is_repeated and field.type not in _TEXTS)
    }


_TEXTS: Final = {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}
