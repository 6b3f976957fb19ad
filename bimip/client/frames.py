"""Between payloads and frames: one frame is one MessageScheme, and its route is its payload's field number."""

from dataclasses import fields
from typing import NamedTuple, get_args, get_type_hints

import betterproto2
from betterproto2 import FieldMetadata

from bimip.client.errors import InvalidArgument, ProtocolViolation
from bimip.client.wire.bimip import MessageScheme

Payload = betterproto2.Message
"""A message that has a route."""


class Route(NamedTuple):
    field: str
    number: int


class Frame(NamedTuple):
    payload: Payload | None  # None: a payload that this version does not know
    ref: int


def routes_of(scheme: type[betterproto2.Message], oneof: str) -> dict[type[Payload], Route]:
    """Reads the route of each payload from the schema: the members of a oneof."""
    types = get_type_hints(scheme)
    members = {
        field.name: about.number
        for field in fields(scheme)  # type: ignore[arg-type]  # each message is a dataclass
        if (about := FieldMetadata.get(field)).group == oneof
    }
    routes = {get_args(types[name])[0]: Route(name, number) for name, number in members.items()}
    if len(routes) < len(members):
        raise ValueError(f"two fields of {oneof} have one type: a payload does not tell its route")
    return routes


ROUTES = routes_of(MessageScheme, "payload")


def encode(payload: Payload, ref: int = 0) -> bytes:
    field, number = ROUTES[type(payload)]
    scheme = MessageScheme(route=number, ref=ref)
    setattr(scheme, field, payload)
    return bytes(scheme)


def checked(message: betterproto2.Message) -> bytes:
    """Encode what a program composed. Raises InvalidArgument where a field holds what its type cannot.

    The codec writes some of that all the same, such as a number that is too large: a frame with it would be refused
    whole, whatever else is in it, on each connection.
    """
    try:
        encoded = bytes(message)
        faithful = type(message).parse(encoded) == message
    except Exception as problem:  # as in `decode`
        raise InvalidArgument(f"{type(message).__name__} cannot be encoded: {problem}") from problem
    if not faithful:
        raise InvalidArgument(f"{type(message).__name__} holds a value that its field cannot hold: {message}")
    return encoded


def decode(frame: bytes) -> Frame:
    try:
        scheme = MessageScheme.parse(frame)
        _, payload = betterproto2.which_one_of(scheme, "payload")
    except Exception as problem:  # the codec raises whatever its innards do; each means the same here
        raise ProtocolViolation(f"a frame of {len(frame)} bytes cannot be decoded: {problem!r}") from problem
    ref = scheme.ref or getattr(payload, "ref", 0)
    return Frame(payload, ref)
