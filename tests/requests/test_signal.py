"""What a signal may say."""

from typing import Any

import pytest

from bimip.requests.signal import check_signal
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

LIMITS = Limits()
ME = "a@x"


def ranges(*pairs: tuple[int, int]) -> list[pb.OffsetRange]:
    return [pb.OffsetRange(**{"from": first, "to": last}) for first, last in pairs]


GOOD_SIGNALS: list[dict[str, Any]] = [
    {"status": pb.DELIVERED, "partition": "chat", "upto": 9},
    {"status": pb.DELIVERED, "partition": "chat", "user_offset": 9},
    {"status": pb.DELIVERED, "partition": "chat", "offsets": ranges((1, 1), (2, 2), (5, 2**64 - 1))},
    {"status": pb.READ, "conversation": "c", "upto": 9},
    {"status": pb.READ, "to": pb.Identity(eid="b@x"), "offsets": ranges((1, 9))},
    {"status": pb.PLAYED, "conversation": "c", "conversation_offset": 9},
    {"status": pb.FORWARDED, "signal_offset": 9},
    {"status": pb.CALLING, "to": pb.Identity(eid="b@x"), "call": "x", "payload": b"offer"},
    {"status": pb.DECLINE, "to": pb.Identity(eid="b@x"), "call": "x"},
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
    ({"status": pb.FORWARDED}, pb.INVALID, "signal_offset"),
    ({"status": pb.CALLING, "to": pb.Identity(eid="b@x")}, pb.INVALID, "call"),
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
