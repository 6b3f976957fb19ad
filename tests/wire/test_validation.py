from typing import Any

import pytest

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits
from bimip.wire.validation import (
    LAST_MILLISECOND,
    check_eid,
    check_fetch,
    check_hello,
    check_id,
    check_message,
    check_signal,
    partition_of,
)

LIMITS = Limits()
ME = "a@x"


def message(**fields: object) -> pb.Message:
    values: dict[str, Any] = {"id": "m1", "to": pb.Identity(eid="b@x"), **fields}
    return pb.Message(**values)


def ranges(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(**{"from": first, "to": last}) for first, last in pairs]


def device(name: str = "d", eid: str = "b@x") -> pb.DeviceAddress:
    return pb.DeviceAddress(identity=pb.Identity(eid=eid, connection_resource_id=name))


@pytest.mark.parametrize("text", ["a", "a@x", "日本" * 40, "x" * 255, "A B", "👋"])
def test_an_eid_is_any_printable_text_up_to_255_bytes(text: str) -> None:
    check_eid(text)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", pb.INVALID),
        ("a\n", pb.INVALID),
        ("a\0b", pb.INVALID),
        ("a\x7f", pb.INVALID),
        ("a\u200f", pb.INVALID),
        ("x" * 256, pb.TOO_LARGE),
        ("日" * 86, pb.TOO_LARGE),
    ],
)
def test_no_other_text_is_an_eid(text: str, code: int) -> None:
    with pytest.raises(WireError) as caught:
        check_eid(text, "to.eid")

    assert (caught.value.code, caught.value.field) == (code, "to.eid")


@pytest.mark.parametrize(
    ("text", "code"), [("", pb.INVALID), ("\t", pb.INVALID), ("x" * 65, pb.TOO_LARGE), ("日" * 22, pb.TOO_LARGE)]
)
def test_an_id_is_printable_and_at_most_64_bytes(text: str, code: int) -> None:
    check_id("x" * 64, "id")
    check_id("日" * 21, "id")

    with pytest.raises(WireError) as caught:
        check_id(text, "id")

    assert (caught.value.code, caught.value.field) == (code, "id")


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


GOOD_SIGNALS: list[dict[str, Any]] = [
    {"status": pb.DELIVERED, "partition": "chat", "upto": 9},
    {"status": pb.DELIVERED, "partition": "chat", "user_offset": 9},
    {"status": pb.DELIVERED, "partition": "chat", "offsets": ranges((1, 1), (2, 2), (5, 2**64 - 1))},
    {"status": pb.READ, "conversation": "c", "upto": 9},
    {"status": pb.READ, "to": pb.Identity(eid="b@x"), "offsets": ranges((1, 9))},
    {"status": pb.PLAYED, "conversation": "c", "conversation_offset": 9},
    {"status": pb.CALLING, "to": pb.Identity(eid="b@x"), "payload": b"offer"},
    {"status": pb.STATUS_TYPING},
]


@pytest.mark.parametrize("fields", GOOD_SIGNALS, ids=lambda fields: str(fields)[:60])
def test_a_signal_may_say(fields: dict[str, Any]) -> None:
    check_signal(pb.Signal(**fields), LIMITS, ME)


BAD_SIGNALS: list[tuple[dict[str, Any], int, str]] = [
    ({}, pb.INVALID, "status"),
    ({"status": pb.SENT}, pb.INVALID, "status"),
    ({"status": 13}, pb.INVALID, "status"),
    ({"status": -2}, pb.INVALID, "status"),
    ({"status": 2**40}, pb.INVALID, "status"),
    ({"status": pb.DELIVERED, "upto": 9}, pb.INVALID, "partition"),
    ({"status": pb.DELIVERED, "partition": "chat"}, pb.INVALID, "upto"),
    ({"status": pb.READ, "upto": 9}, pb.INVALID, "conversation"),
    ({"status": pb.READ, "conversation": "c"}, pb.INVALID, "upto"),
    ({"status": pb.PLAYED, "conversation": "c", "upto": 9}, pb.INVALID, "upto"),
    ({"status": pb.PLAYED, "conversation": "c", "upto": 9, "conversation_offset": 9}, pb.INVALID, "upto"),
    ({"status": pb.READ, "conversation": "x" * 65, "upto": 1}, pb.TOO_LARGE, "conversation"),
    ({"status": pb.READ, "to": pb.Identity(eid="\n"), "upto": 1}, pb.INVALID, "to.eid"),
    ({"status": pb.READ, "from": pb.Identity(eid="b@x")}, pb.FORBIDDEN, "from.eid"),
    ({"status": pb.READ, "id": "\n"}, pb.INVALID, "id"),
    ({"status": pb.DELIVERED, "offsets": ranges((0, 3))}, pb.INVALID, "offsets.from"),
    ({"status": pb.DELIVERED, "offsets": ranges((4, 3))}, pb.INVALID, "offsets.to"),
    ({"status": pb.DELIVERED, "offsets": ranges((1, 3), (3, 4))}, pb.INVALID, "offsets.from"),
    ({"status": pb.DELIVERED, "offsets": ranges((5, 6), (1, 2))}, pb.INVALID, "offsets.from"),
    ({"status": pb.DELIVERED, "offsets": ranges(*[(n, n) for n in range(1, 258)])}, pb.TOO_LARGE, "offsets"),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD_SIGNALS, ids=lambda value: str(value)[:60])
def test_a_signal_may_not_say(fields: dict[str, Any], code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_signal(pb.Signal(**fields), LIMITS, ME)

    assert (caught.value.code, caught.value.field) == (code, field)


def position(**fields: object) -> pb.Position:
    values: dict[str, Any] = {"partition": "chat", **fields}
    return pb.Position(**values)


GOOD_POSITIONS = [
    position(),
    position(offset=0),
    position(offset=5, held=ranges((7, 7), (9, 263))),
    position(start=pb.FIRST),
    position(start=pb.HEAD),
    position(start=pb.LAST, last=50),
    position(seq="1:2:d"),
]


@pytest.mark.parametrize("good", GOOD_POSITIONS, ids=str)
def test_a_hello_may_say(good: pb.Position) -> None:
    check_hello(pb.Hello(partitions=[good, position(partition="feed")], messages=[pb.Message()]), LIMITS, ME)


BAD_HELLOS: list[tuple[pb.Hello, int, str]] = [
    (pb.Hello(partitions=[position(partition="")]), pb.INVALID, "partitions.partition"),
    (pb.Hello(partitions=[position(), position()]), pb.INVALID, "partitions.partition"),
    (pb.Hello(partitions=[position(partition=str(n)) for n in range(65)]), pb.TOO_LARGE, "partitions"),
    (pb.Hello(partitions=[position(start=9)]), pb.INVALID, "partitions.start"),
    (pb.Hello(partitions=[position(start=pb.HEAD, offset=0)]), pb.INVALID, "partitions.start"),
    (pb.Hello(partitions=[position(start=pb.FIRST, held=ranges((1, 2)))]), pb.INVALID, "partitions.start"),
    (pb.Hello(partitions=[position(start=pb.LAST)]), pb.INVALID, "partitions.last"),
    (pb.Hello(partitions=[position(last=3)]), pb.INVALID, "partitions.last"),
    (pb.Hello(partitions=[position(seq="x")]), pb.INVALID, "partitions.seq"),
    (pb.Hello(partitions=[position(offset=5, held=ranges((5, 6)))]), pb.INVALID, "partitions.held"),
    (pb.Hello(partitions=[position(held=ranges((2, 1)))]), pb.INVALID, "partitions.held.to"),
    (pb.Hello(partitions=[position(offset=5, held=ranges((7, 263)))]), pb.TOO_LARGE, "partitions.held"),
    (pb.Hello(partitions=[position(held=ranges((1, 2**64 - 1)))]), pb.TOO_LARGE, "partitions.held"),
    (pb.Hello(agent="x" * 256), pb.TOO_LARGE, "agent"),
]


@pytest.mark.parametrize(("bad", "code", "field"), BAD_HELLOS, ids=lambda value: str(value)[:60])
def test_a_hello_may_not_say(bad: pb.Hello, code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_hello(bad, LIMITS, ME)

    assert (caught.value.code, caught.value.field) == (code, field)


GOOD_FETCHES: list[dict[str, Any]] = [
    {"partition": "chat"},
    {"partition": "chat", "limit": 2**32 - 1, "offset": 2**64 - 1},
    {"partition": "chat", "from": pb.Identity(eid="c@x"), "to": pb.Identity(connection_resource_id="d")},
    {"kind": pb.LOG, "partition": "chat", "backwards": True, "to": pb.Identity(eid=ME, connection_resource_id="d")},
    {"kind": pb.HISTORY, "conversation": "c"},
    {"kind": pb.BY_SEQ, "partition": "chat", "seq_from": "1:1:d", "seq_to": "2:1:d"},
    {"kind": pb.BY_SEQ, "partition": "chat", "seq_from": "1:1:d"},
    {"kind": pb.BY_SEQ, "partition": "chat"},
]


@pytest.mark.parametrize("fields", GOOD_FETCHES, ids=lambda fields: str(fields)[:60])
def test_a_fetch_may_say(fields: dict[str, Any]) -> None:
    check_fetch(pb.Fetch(**fields), LIMITS, ME)


BAD_FETCHES: list[tuple[dict[str, Any], int, str]] = [
    ({"kind": 9}, pb.INVALID, "kind"),
    ({}, pb.INVALID, "partition"),
    ({"kind": pb.LOG}, pb.INVALID, "partition"),
    ({"kind": pb.HISTORY}, pb.INVALID, "conversation"),
    ({"kind": pb.RECEIPTS, "partition": "\n", "conversation": "c"}, pb.INVALID, "partition"),
    ({"kind": pb.BY_SEQ, "partition": "chat", "seq_to": "1:1"}, pb.INVALID, "seq_to"),
    ({"kind": pb.BY_SEQ}, pb.INVALID, "partition"),
    ({"partition": "chat", "from": pb.Identity()}, pb.INVALID, "from.eid"),
    (
        {"partition": "chat", "to": pb.Identity(eid="b", connection_resource_id="")},
        pb.INVALID,
        "to.connection_resource_id",
    ),
]


@pytest.mark.parametrize(("fields", "code", "field"), BAD_FETCHES, ids=lambda value: str(value)[:60])
def test_a_fetch_may_not_say(fields: dict[str, Any], code: int, field: str) -> None:
    with pytest.raises(WireError) as caught:
        check_fetch(pb.Fetch(**fields), LIMITS, ME)

    assert (caught.value.code, caught.value.field) == (code, field)
