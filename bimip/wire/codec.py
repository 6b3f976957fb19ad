"""One frame is one MessageScheme: a route, one payload whose field number is the route, and the client's `ref`."""

from typing import Final

from google.protobuf.message import DecodeError, Message

from bimip.wire import bimip_pb2 as pb
from bimip.wire.counting import MAX_FIELDS, SMALL_BYTES, has_too_many_fields
from bimip.wire.errors import WireError
from bimip.wire.varint import read_varint, varint

_PAYLOADS = pb.MessageScheme.DESCRIPTOR.oneofs_by_name["payload"].fields

ROUTES: Final[dict[str, int]] = {field.name: field.number for field in _PAYLOADS}
"""The payload's name to its field number, which is its route."""

_NAMES_OF_ROUTES: Final = {route: name for name, route in ROUTES.items()}
_HEADS: Final = {name: b"\x08" + varint(route) + varint(route << 3 | 2) for name, route in ROUTES.items()}
_NAMES: Final = {type(getattr(pb.MessageScheme(), name)): name for name in ROUTES}
_REF: Final = varint(30 << 3)
_FIELDS_OF_AN_ENVELOPE: Final = 64
"""Among which `ref` is looked for: three are usual."""


def decode(frame: bytes) -> pb.MessageScheme:
    """A frame whose envelope is right. Raises WireError MALFORMED, with the frame's `ref` if that can still be read, or
    TOO_LARGE.

    Fields that the schema does not know are let through here, as a newer client may send them. Of a message they go no
    further: `stored.outgoing` drops them, where it costs a quarter of a microsecond and only for what is stored.
    """
    if len(frame) > SMALL_BYTES and has_too_many_fields(frame):
        raise WireError(
            pb.TOO_LARGE,
            f"This frame has more than {SMALL_BYTES} bytes and holds more than {MAX_FIELDS} fields, those of its "
            "messages included: send it in several frames.",
            ref=_ref_of(frame),
        )
    try:
        scheme = pb.MessageScheme.FromString(frame)
    except DecodeError:
        raise WireError(
            pb.MALFORMED,
            "This frame is no MessageScheme: send one encoded bimip.MessageScheme, whole, as one WebSocket message.",
            ref=_ref_of(frame),
        ) from None
    name = scheme.WhichOneof("payload")
    if name is None or scheme.route != ROUTES[name]:
        raise _envelope_error(scheme, name)
    return scheme


def payload_of(scheme: pb.MessageScheme) -> tuple[str, Message]:
    """The payload's name (`message`, `hello` …) and the payload, of a scheme that `decode` let through."""
    name = _NAMES_OF_ROUTES[scheme.route]
    return name, getattr(scheme, name)


def encode(payload: Message, ref: int = 0) -> bytes:
    """The frame around a payload of any of MessageScheme's types."""
    return wrap(_HEADS[_NAMES[type(payload)]], payload.SerializeToString(), ref)


def wrap(head: bytes, payload: bytes, ref: int = 0) -> bytes:
    frame = head + varint(len(payload)) + payload
    return frame + _REF + varint(ref) if ref else frame


def _envelope_error(scheme: pb.MessageScheme, name: str | None) -> WireError:
    if name is None:
        sentence = (
            f"This frame (route {scheme.route}) has no payload that this server knows: set exactly one payload of "
            "MessageScheme, and its field number as the route."
        )
    elif scheme.route == 0:
        sentence = f"The route is missing: set route to {ROUTES[name]}, the field number of the payload {name}."
    else:
        sentence = (
            f"The route is {scheme.route}, but the payload is {name}: set route to {ROUTES[name]}, "
            "the payload's field number."
        )
    return WireError(pb.MALFORMED, sentence, field="route" if name else "payload", ref=scheme.ref)


def _ref_of(frame: bytes) -> int:
    """The `ref` of a frame that is otherwise broken, so that the client learns which of its requests it was; else 0."""
    ref = at = 0
    try:
        for _ in range(_FIELDS_OF_AN_ENVELOPE):
            if at >= len(frame):
                break
            tag, at = read_varint(frame, at)
            kind = tag & 7
            if kind == 0:
                number, at = read_varint(frame, at)
                ref = number if tag >> 3 == 30 else ref
            elif kind == 2:
                length, at = read_varint(frame, at)
                at += length
            elif kind in {1, 5}:
                at += 8 if kind == 1 else 4
            else:
                break
    except IndexError:
        pass
    return ref & (2**64 - 1)
