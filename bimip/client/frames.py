"""Between payloads and frames: one frame is one MessageScheme, and its route is its payload's field number."""

from typing import NamedTuple

import betterproto2

from bimip.client.errors import InvalidArgument, ProtocolViolation
from bimip.client.wire.bimip import (
    Body,
    ErrorMessage,
    Fetch,
    Hello,
    Logout,
    Message,
    MessageScheme,
    PingPong,
    Signal,
    StateDelta,
    TokenAuthority,
)

Payload = Body | ErrorMessage | Fetch | Hello | Logout | Message | PingPong | Signal | StateDelta | TokenAuthority

ROUTES: dict[type[Payload], tuple[str, int]] = {
    PingPong: ("ping_pong", 3),
    TokenAuthority: ("token_authority", 5),
    Message: ("message", 6),
    Signal: ("signal", 7),
    Body: ("body", 10),
    ErrorMessage: ("error", 11),
    Logout: ("logout", 12),
    Hello: ("hello", 13),
    StateDelta: ("state_delta", 16),
    Fetch: ("fetch", 17),
}


class Frame(NamedTuple):
    payload: betterproto2.Message | None  # None: a payload that this version does not know
    ref: int


def encode(payload: Payload, ref: int = 0) -> bytes:
    name, route = ROUTES[type(payload)]
    scheme = MessageScheme(route=route, ref=ref)
    setattr(scheme, name, payload)
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
