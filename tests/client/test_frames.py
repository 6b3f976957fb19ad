from dataclasses import dataclass

import betterproto2
import pytest

from bimip.client.errors import InvalidArgument, ProtocolViolation
from bimip.client.frames import ROUTES, Payload, Route, checked, decode, encode, routes_of
from bimip.client.wire.bimip import Fetch, Hello, Message, MessageScheme, PingPong, StateDelta
from bimip.wire import bimip_pb2

MEMBERS = {
    field.message_type.name: Route(field.name, field.number)  # type: ignore[union-attr]
    for field in bimip_pb2.MessageScheme.DESCRIPTOR.oneofs_by_name["payload"].fields
}


@dataclass(eq=False, repr=False)
class TwoOfOneType(betterproto2.Message):
    ping: PingPong | None = betterproto2.field(1, betterproto2.TYPE_MESSAGE, optional=True, group="value")  # noqa: RUF009
    pong: PingPong | None = betterproto2.field(2, betterproto2.TYPE_MESSAGE, optional=True, group="value")  # noqa: RUF009


def test_each_member_of_the_payload_is_a_route() -> None:
    found = {kind.__name__: route for kind, route in ROUTES.items()}

    assert found == MEMBERS
    assert ROUTES[Message] == Route("message", 6)


@pytest.mark.parametrize("payload", [kind() for kind in ROUTES], ids=lambda payload: type(payload).__name__)
def test_what_is_encoded_says_its_route_and_comes_back(payload: Payload) -> None:
    frame = encode(payload, ref=7)

    assert decode(frame) == (payload, 7)
    assert MessageScheme.parse(frame).route == ROUTES[type(payload)].number


def test_a_message_that_has_no_route_is_none_to_send() -> None:
    with pytest.raises(KeyError):
        encode(MessageScheme())


def test_two_routes_of_one_type_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="two fields of value"):
        routes_of(TwoOfOneType, "value")


def test_the_ref_of_an_answer_may_stand_in_the_payload() -> None:
    assert decode(encode(StateDelta(ref=4))).ref == 4


def test_what_is_no_frame_breaks_the_protocol_and_what_is_unknown_does_not() -> None:
    with pytest.raises(ProtocolViolation, match="cannot be decoded"):
        decode(b"\x32\x03\x0a\x01\xff")  # a message whose id is no UTF-8
    assert decode(b"\x9a\x06\x00").payload is None  # a field 99


def test_a_value_that_its_field_cannot_hold_is_the_programs_fault() -> None:
    assert checked(Fetch(limit=1)) == bytes(Fetch(limit=1))
    with pytest.raises(InvalidArgument, match="Fetch"):
        checked(Fetch(limit=2**40))
    with pytest.raises(InvalidArgument, match="Hello"):
        checked(Hello(agent=5))  # type: ignore[arg-type]
