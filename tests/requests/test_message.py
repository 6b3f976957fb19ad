"""What a message may say, and where it goes."""

from typing import Any

import pytest

from bimip.requests.message import LAST_MILLISECOND, check_message, partition_of
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LIMITS = Limits()
ME = "a@x"


def message(**fields: object) -> pb.Message:
    values: dict[str, Any] = {"id": "m1", "to": pb.Identity(eid="b@x"), **fields}
    return pb.Message(**values)


def device(name: str = "d", eid: str = "b@x") -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=name))


@pytest.mark.parametrize(
    ("fields", "partition"),
    [
        ({}, "chat"),
        ({"type": 1}, "chat"),
        ({"type": 2}, "notification"),
        ({"type": 77}, "chat"),
        ({"scope": "friend"}, "feed"),
        ({"scope": "friend", "type": 2}, "feed"),
        ({"scope": "private"}, "chat"),
        ({"partition": "sync", "scope": "friend", "type": 2}, "sync"),
    ],
)
def test_a_message_goes_to_the_partition_it_names_or_implies(fields: dict[str, Any], partition: str) -> None:
    assert partition_of(message(**fields)) == partition


GOOD_MESSAGES: list[dict[str, Any]] = [
    {},
    {"id": ""},
    {"id": "x" * 64},
    {"type": 99},
    {"signal_type": -5},
    {"from": pb.Identity(eid=ME, connection_resource_id="another of mine")},
    {"from": pb.Identity()},
    {"timestamp": LAST_MILLISECOND},
    {"payload": b"x" * 65_000},
    {"status": 99, "signal_id": "\0" * 99, "user_offset": 2**64 - 1, "conversation": "x" * 999},
    {"scope": "private"},
    {"seq": "1700000000000:12:phone"},
    {"seq": "0:0:a:b"},
    {"seq": "1700000000000:4294967295:phone"},
    {"devices": [device("d"), device("e"), device("d", "c@x")]},
    {"mentions": ["b@x"] * 256},
    {"audiences": {"friends": "key"}},
    {"reply_to": "7zzz"},
]


@pytest.mark.parametrize("fields", GOOD_MESSAGES, ids=lambda fields: str(fields)[:40])
def test_a_message_may_say(fields: dict[str, Any]) -> None:
    check_message(message(**fields), LIMITS, ME)


BAD_MESSAGES: list[tuple[dict[str, Any], int, str]] = [
    ({"to": None}, pb.INVALID, "to.eid"),
    ({"to": pb.Identity(eid="b\n")}, pb.INVALID, "to.eid"),
    ({"id": "x" * 65}, pb.TOO_LARGE, "id"),
    ({"id": "a\nb"}, pb.INVALID, "id"),
    ({"from": pb.Identity(eid="b@x")}, pb.FORBIDDEN, "from.eid"),
    ({"from": pb.Identity(eid="A@x")}, pb.FORBIDDEN, "from.eid"),
    ({"timestamp": -1}, pb.INVALID, "timestamp"),
    ({"timestamp": 1_700_000_000_000_000}, pb.INVALID, "timestamp"),
    ({"type": -1}, pb.INVALID, "type"),
    ({"payload": b"x" * 65_536}, pb.TOO_LARGE, "payload"),
    ({"partition": "x" * 65}, pb.TOO_LARGE, "partition"),
    ({"scope": "public"}, pb.INVALID, "scope"),
    ({"seq": "1:2"}, pb.INVALID, "seq"),
    ({"seq": "1:4294967296:d"}, pb.INVALID, "seq"),
    ({"seq": "1:2:"}, pb.INVALID, "seq"),
    ({"seq": "-1:2:d"}, pb.INVALID, "seq"),
    ({"seq": "\u0661:2:d"}, pb.INVALID, "seq"),
    ({"seq": "1:2:d\n"}, pb.INVALID, "seq"),
    ({"seq": "9999999999999999999:2:d"}, pb.INVALID, "seq"),
    ({"seq": "1:2:" + "d" * 65}, pb.TOO_LARGE, "seq"),
    ({"reply_to": "x" * 65}, pb.TOO_LARGE, "reply_to"),
    ({"devices": [pb.DeviceAddress()]}, pb.INVALID, "devices.identity.eid"),
    ({"devices": [device("")]}, pb.INVALID, "devices.identity.connection_resource_id"),
    ({"devices": [device(), device()]}, pb.INVALID, "devices"),
    ({"devices": [device(str(number)) for number in range(257)]}, pb.TOO_LARGE, "devices"),
    ({"mentions": [""]}, pb.INVALID, "mentions"),
    ({"mentions": ["b@x"] * 257}, pb.TOO_LARGE, "mentions"),
    ({"audiences": {"": "key"}}, pb.INVALID, "audiences"),
    ({"audiences": {str(number): "" for number in range(257)}}, pb.TOO_LARGE, "audiences"),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD_MESSAGES, ids=lambda value: str(value)[:40])
def test_a_message_may_not_say(fields: dict[str, Any], code: int, field: str) -> None:
    bad = message(**fields)
    with pytest.raises(WireError) as caught:
        check_message(bad, LIMITS, ME)

    assert (caught.value.code, caught.value.field, caught.value.id) == (code, field, bad.id)
    assert len(caught.value.sentence) > 10
