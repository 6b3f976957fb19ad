"""What a frame may cost the loop, on which nobody else is served meanwhile: the worst that is known of each shape."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from bimip.requests.fetch import check_fetch
from bimip.requests.message import check_message, partition_of
from bimip.requests.signal import check_signal
from bimip.users.hello import check_hello
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, stored
from bimip.wire.errors import WireError
from bimip.wire.json import MAX_COMMAS, MAX_OBJECTS, from_json
from bimip.wire.limits import Limits
from bimip.wire.varint import varint

LIMITS = Limits()
KIB = 1024
SECONDS = 0.5
"""For 64 KiB, decoded, checked, digested and encoded again. Most take a thousandth of that, untraced."""


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def frame(route: int, payload: bytes) -> bytes:
    return b"\x08" + varint(route) + field(route, payload)


def filled(number: int, content: bytes, size: int = 64 * KIB - 64) -> bytes:
    """A field as often as it fits."""
    one = field(number, content)
    return one * (size // len(one))


def message(rest: bytes) -> bytes:
    return frame(6, field(4, field(1, b"bob")) + rest)


def groups(depth: int) -> bytes:
    return b"\x9b\x06" * depth + b"\x9c\x06" * depth  # field 99, which nobody knows


def nested(number: int) -> bytes:
    content = b""
    while len(content) < 60 * KIB:
        content = field(number, content)
    return content


WORST = {
    "payload": message(field(7, bytes(65_000))),
    "payload again and again": message(filled(7, bytes(50))),
    "empty payloads": message(filled(7, b"")),
    "empty recipients": message(filled(4, b"")),
    "recipients": message(filled(4, field(1, b"b" * 30))),
    "devices": message(filled(16, field(1, field(1, b"b") + field(2, b"d")))),
    "empty devices": message(filled(16, b"")),
    "256 devices": message(
        b"".join(field(16, field(1, field(1, b"b") + field(2, b"%d" % n)) + field(2, bytes(200))) for n in range(256))
    ),
    "mentions": message(filled(26, b"")),
    "256 long mentions": message(filled(26, "日".encode() * 80, 62_000)),
    "audiences": message(b"".join(field(23, field(1, b"%d" % n)) for n in range(7000))),
    "256 audiences": message(b"".join(field(23, field(1, b"%d" % n) + field(2, bytes(200))) for n in range(256))),
    "one audience again and again": message(filled(23, field(1, b"a"))),
    "unknown fields": message(filled(99, b"")),
    "unknown numbers": message(b"\x98\x06\x00" * 21_000),
    "groups side by side": message(b"\x9b\x06\x9c\x06" * 16_000),
    "groups within each other": message(groups(16_000)),
    "groups within each other, as far as they go": message(groups(90)),
    "recipients within each other": frame(6, nested(4)),
    "a long id": message(field(1, b"i" * 65_000)),
    "a long id of wide letters": message(field(1, "日".encode() * 21_000)),
    "a long eid": frame(6, field(4, field(1, b"b" * 65_000))),
    "a long scope": message(field(21, b"s" * 65_000)),
    "a long seq": message(field(22, b"9" * 65_000)),
    "a seq of colons": message(field(22, b":" * 65_000)),
    "a long partition": message(field(15, b"p" * 65_000)),
    "an encrypted text": message(field(9, b"e" * 65_000)),
    "ranges": frame(7, b"\x28\x02" + field(7, b"chat") + filled(14, b"\x08\x01\x10\x01")),
    "empty ranges": frame(7, b"\x28\x02" + field(7, b"chat") + filled(14, b"")),
    "positions": frame(13, filled(2, field(1, b"chat"))),
    "held": frame(13, field(2, field(1, b"chat") + filled(3, b"\x08\x01\x10\x01"))),
    "empty messages": frame(10, filled(5, b"")),
    "empty signals": frame(10, filled(7, b"")),
    "messages in Hello": frame(13, filled(7, b"")),
    "a fetch of long names": frame(17, b"\x08\x02" + field(2, b"c" * 60_000)),
    "varints of ten bytes": frame(6, b"\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" * 5900),
    "varints that never end": b"\x08" + b"\xff" * 65_000,
    "broken at its end": message(filled(7, b"x"))[:-1] + b"\xff",
    "ref again and again": b"\xf0\x01\x01" * 21_000 + b"\xff",
}

CHECKS: dict[str, Callable[..., None]] = {
    "message": partial(check_message, eid="mallory"),
    "signal": partial(check_signal, eid="mallory"),
    "hello": check_hello,
    "fetch": check_fetch,
}


def judge(data: bytes) -> str:
    """All that is done with a frame before it is an operation."""
    try:
        name, payload = codec.payload_of(codec.decode(data))
        if name in CHECKS:
            CHECKS[name](payload, LIMITS)
        if isinstance(payload, pb.Message):
            stored.digest(payload, payload.to.eid, partition_of(payload))
            stored.outgoing(payload, stored.author_part("mallory", "phone"))
    except WireError as error:
        return pb.ErrorCode.Name(error.code)
    return "taken"


def seconds(work: Callable[[], object]) -> float:
    """Of processor time, the best of three: this machine may have other things to do, and be traced for coverage."""
    found = []
    for _ in range(3):
        began = time.process_time()
        work()
        found.append(time.process_time() - began)
    return min(found)


@pytest.mark.parametrize("name", WORST)
def test_64_kib_of_a_frame_are_judged_in_time(name: str) -> None:
    data = WORST[name]

    assert len(data) <= 65 * KIB
    assert seconds(lambda: judge(data)) < SECONDS


@pytest.mark.parametrize(
    "text",
    [
        '{"route":"6","message":{"mentions":[' + '"",' * MAX_COMMAS + '""]}}',
        '{"route":"10","body":{"messages":[' + "{}," * (MAX_OBJECTS - 3) + "{}]}}",
        '{"route":"10","body":{"messages":[' + "{}," * 340_000 + "{}]}}",
        '{"route":"6","message":{"mentions":[' + '"",' * 340_000 + '""]}}',
        '{"route":"6","message":{"audiences":{' + ",".join(f'"{n}":""' for n in range(MAX_COMMAS)) + "}}}",
        '{"route":"6","message":{"payload":"' + "A" * 1_000_000 + '"}}',
        '{"route":"6","message":{"id":"' + "\\u0041" * 170_000 + '"}}',
        '{"route":' + "9" * 1_000_000 + "}",
        '{"route":"6","message":{"mentions":' + "[" * 1_000_000,
        '{"route":' * 100_000,
        '{"x":"' + "\\" * 1_000_000,
        " " * 1_000_000,
    ],
    ids=range(12),
)
def test_a_mebibyte_of_json_is_judged_in_time(text: str) -> None:
    def work() -> None:
        with suppress(WireError):
            judge(from_json(text))

    assert seconds(work) < 1  # it was 2, untraced, when there was no limit


def test_most_of_them_are_taken_or_refused_as_meant() -> None:
    verdicts = {name: judge(data) for name, data in WORST.items()}

    assert verdicts["payload"] == verdicts["256 devices"] == verdicts["256 audiences"] == "taken"
    assert verdicts["varints that never end"] == "MALFORMED"
    assert verdicts["groups within each other"] == "TOO_LARGE"
    assert verdicts["empty devices"] == verdicts["audiences"] == verdicts["messages in Hello"] == "TOO_LARGE"
