"""The reader of frames, by itself: each rule, then the same bytes against wsproto, whose verdict is the oracle.

Where it means to differ from wsproto:

- its limits, which wsproto has none of (1009);
- two bytes of a frame are enough to refuse it, where wsproto waits for its header;
- nothing is told of a message before it is whole: wsproto refuses a text at the byte that breaks its UTF-8, this at its
  end;
- what a broken frame's close says in words.
"""

import random
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection as Oracle
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, TextMessage
from wsproto.events import Ping as OraclePing
from wsproto.events import Pong as OraclePong

from bimip.gateway import framing
from bimip.gateway.framing import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FRAMES_AT_ONCE,
    LONG_BYTES,
    NO_CODE,
    PART_BYTES,
    PING,
    PONG,
    TEXT,
    CloseFrame,
    Event,
    Fault,
    FrameReader,
    Ping,
    close_payload,
    frame_head,
    unmask,
)

LONGEST_HEAD = 14
MAX_BYTES = 1000
MAX_FRAGMENTS = 8
FIN = 0x80


def reader(max_bytes: int = MAX_BYTES, max_fragments: int = MAX_FRAGMENTS) -> FrameReader:
    return FrameReader(max_message_bytes=max_bytes, max_fragments=max_fragments)


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    first: int = FIN,
    mask: bytes | None = b"\x01\x82\x7f\xff",
    form: int = 0,
    announced: int | None = None,
) -> bytes:
    """`form`: 0 the shortest length, else 126 or 127. `announced`: a length that the payload does not have."""
    size = len(payload) if announced is None else announced
    masked = FIN if mask is not None else 0
    if form == 0:
        form = size if size < 126 else 126 if size < 1 << 16 else 127
    length = b"" if form < 126 else (size % (1 << 16)).to_bytes(2) if form == 126 else size.to_bytes(8)
    head = bytes((first | opcode, masked | form)) + length
    return head + (mask + unmask(payload, mask) if mask is not None else payload)


def read(data: bytes, cuts: Sequence[int] = (), into: FrameReader | None = None) -> list[Event]:
    into = into or reader()
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [event for a, b in pairwise(places) for event in into.feed(data[a:b])]


def fault(data: bytes) -> tuple[int, str]:
    *_, last = read(data)
    assert isinstance(last, Fault), last
    return last.code, last.reason


MASKS = [b"\0\0\0\0", b"\x01\x02\x03\x04", b"\xff\xff\xff\xff", b"\x80\0\0\x01"]


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 7, 124, 125, 126, 127, 128, 999, 1000])
def test_a_message_of_any_size_and_mask(size: int, mask: bytes) -> None:
    payload = random.Random(size).randbytes(size)

    assert read(frame(BINARY, payload, mask=mask)) == [payload]


@pytest.mark.parametrize("size", [65_535, 65_536, 70_000, 1 << 20])
def test_a_large_message(size: int) -> None:
    payload = random.Random(size).randbytes(size)

    assert read(frame(BINARY, payload), into=reader(1 << 20)) == [payload]
    assert read(frame(BINARY, payload), into=reader(size)) == [payload]
    assert read(frame(BINARY, payload), into=reader(size - 1)) == [Fault(1009, f"a message may have {size - 1} bytes")]


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0\0\x01", b"\x01\0\0\0", bytes(9), b"\xff" * 13])
def test_unmasking_keeps_every_byte(payload: bytes) -> None:
    for mask in MASKS:
        expected = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

        assert unmask(payload, mask) == expected


def test_all_that_arrived_is_handed_over_at_once_in_order() -> None:
    data = b"".join(
        (
            frame(BINARY, b"one"),
            frame(PING, b"p"),
            frame(BINARY, b"tw", first=0),
            frame(PONG),
            frame(CONTINUATION, b"o"),
            frame(TEXT, "ümlaut".encode()),
            frame(CLOSE, b"\x03\xe8bye"),
        )
    )

    assert read(data) == [b"one", Ping(b"p"), (b"",), b"two", "ümlaut", CloseFrame(1000, "bye")]


@pytest.mark.parametrize("size", [0, 100, 300])
def test_a_frame_is_told_with_its_last_byte_whatever_came_before_it(size: int) -> None:
    """Also when the one before it ended in the middle of what arrived: nothing may wait for more than it needs."""
    first, second = frame(BINARY, b"first"), frame(BINARY, bytes(size))
    for cut in range(len(second)):
        into = reader()

        assert into.feed(first + second[:cut]) == [b"first"]
        assert into.feed(second[cut:]) == [bytes(size)]


def test_a_text_of_many_fragments_may_be_cut_within_a_letter() -> None:
    parts = [bytes((byte,)) for byte in "€".encode()]
    data = frame(TEXT, parts[0], first=0) + frame(CONTINUATION, parts[1], first=0) + frame(CONTINUATION, parts[2])

    assert read(data) == ["€"]


@pytest.mark.parametrize("fragments", [1, 2, MAX_FRAGMENTS - 1, MAX_FRAGMENTS])
def test_so_many_fragments_are_a_message(fragments: int) -> None:
    data = b"".join(
        frame(CONTINUATION if n else BINARY, b"x", first=FIN if n == fragments - 1 else 0) for n in range(fragments)
    )

    assert read(data) == [b"x" * fragments]


@pytest.mark.parametrize("payload", [b"", b"x"])
def test_one_fragment_more_is_too_many_even_if_it_is_empty(payload: bytes) -> None:
    data = frame(BINARY, payload, first=0) + frame(CONTINUATION, payload, first=0) * (MAX_FRAGMENTS - 1)

    assert read(data) == []
    assert fault(data + frame(CONTINUATION, payload)) == (1009, "a message may come in 8 fragments")


def test_the_fragments_of_one_message_do_not_count_for_the_next() -> None:
    message = frame(BINARY, bytes(500), first=0) + frame(CONTINUATION, bytes(500))

    assert read(message * 50) == [bytes(1000)] * 50


def test_a_message_may_have_its_limit_in_fragments_and_not_a_byte_more() -> None:
    begin = frame(BINARY, bytes(MAX_BYTES), first=0)

    assert read(begin + frame(CONTINUATION)) == [bytes(MAX_BYTES)]
    assert fault(begin + frame(CONTINUATION, b"x")) == (1009, "a message may have 1000 bytes")


def test_what_is_announced_is_refused_before_it_arrives() -> None:
    for announced in (MAX_BYTES + 1, 1 << 20, (1 << 63) - 1):
        assert fault(frame(BINARY, announced=announced)) == (1009, "a message may have 1000 bytes")
    begun = reader()
    begun.feed(frame(BINARY, bytes(999), first=0))

    assert [type(event) for event in begun.feed(frame(CONTINUATION, announced=2)[:6])] == [Fault]


BROKEN = {
    "reserved 1": (frame(BINARY, first=FIN | 0x40), 1002, "reserved"),
    "reserved 2": (frame(BINARY, first=FIN | 0x20), 1002, "reserved"),
    "reserved 3": (frame(BINARY, first=FIN | 0x10), 1002, "reserved"),
    "reserved on control": (frame(PING, first=FIN | 0x40), 1002, "reserved"),
    "no mask": (frame(BINARY, b"x", mask=None), 1002, "mask"),
    "no mask, empty": (frame(BINARY, mask=None), 1002, "mask"),
    **{f"opcode {n}": (frame(n), 1002, f"opcode {n}") for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002, "continuation"),
    "message in a message": (frame(BINARY, first=0) + frame(BINARY), 1002, "within another"),
    "text in a message": (frame(BINARY, first=0) + frame(TEXT), 1002, "within another"),
    "message after an empty fragment": (frame(TEXT, first=0) + frame(TEXT, b"x"), 1002, "within another"),
    "ping in parts": (frame(PING, b"x", first=0), 1002, "whole"),
    "close in parts": (frame(CLOSE, first=0), 1002, "whole"),
    "ping of 126": (frame(PING, bytes(126)), 1002, "short"),
    "pong of 70000": (frame(PONG, bytes(70_000)), 1002, "short"),
    "close of 126": (frame(CLOSE, bytes(126)), 1002, "short"),
    "125 in two bytes": (frame(BINARY, bytes(125), form=126), 1002, "few bytes"),
    "0 in two bytes": (frame(BINARY, form=126), 1002, "few bytes"),
    "126 in eight bytes": (frame(BINARY, bytes(126), form=127), 1002, "few bytes"),
    "65535 in eight bytes": (frame(BINARY, announced=65_535, form=127), 1002, "few bytes"),
    "the highest bit": (frame(BINARY, announced=1 << 63, form=127), 1002, "few bytes"),
    "all bits": (frame(BINARY, announced=(1 << 64) - 1, form=127), 1002, "few bytes"),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002, "code"),
    **{
        f"close {code}": (frame(CLOSE, code.to_bytes(2)), 1002, "code")
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 65_535)
    },
    "close with broken text": (frame(CLOSE, b"\x03\xe8\xff"), 1007, "UTF-8"),
    "broken text": (frame(TEXT, b"a\xff"), 1007, "UTF-8"),
    "cut text": (frame(TEXT, b"\xe2\x82"), 1007, "UTF-8"),
    "surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007, "UTF-8"),
    "overlong": (frame(TEXT, b"\xc0\x80"), 1007, "UTF-8"),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"), 1007, "UTF-8"),
    "broken over fragments": (frame(TEXT, b"\xc3", first=0) + frame(CONTINUATION, b"\x28"), 1007, "UTF-8"),
}


@pytest.mark.parametrize(("data", "code", "words"), BROKEN.values(), ids=BROKEN)
def test_what_breaks_the_protocol(data: bytes, code: int, words: str) -> None:
    before = frame(BINARY, b"good")
    events = read(before + data + frame(BINARY, b"never read"))

    assert events[0] == b"good"
    assert fault(data)[0] == code
    assert words in fault(data)[1]
    assert events[1:] == [Fault(*fault(data))]


@pytest.mark.parametrize(("data", "code", "words"), BROKEN.values(), ids=BROKEN)
def test_it_is_the_same_byte_by_byte(data: bytes, code: int, words: str) -> None:
    assert read(data, range(len(data))) == read(data)


@pytest.mark.parametrize(
    "data",
    [
        frame(BINARY, first=FIN | 0x40),
        frame(BINARY, mask=None),
        frame(3),
        frame(CONTINUATION),
        frame(PING, first=0),
        frame(PING, bytes(126)),
    ],
)
def test_two_bytes_are_enough_to_refuse(data: bytes) -> None:
    assert len(read(data[:2])) == 1


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4000, 4999])
def test_a_close_may_have_a_code_and_a_reason(code: int) -> None:
    assert read(frame(CLOSE, code.to_bytes(2) + "später".encode())) == [CloseFrame(code, "später")]
    assert read(frame(CLOSE, code.to_bytes(2) + b"r" * 123)) == [CloseFrame(code, "r" * 123)]


@pytest.mark.parametrize("end", [frame(CLOSE), frame(15)])
def test_nothing_is_read_or_kept_behind_the_end(end: bytes) -> None:
    into = reader()
    assert read(end + bytes(500), [1], into)[0] in (CloseFrame(NO_CODE, ""), Fault(1002, "there is no opcode 15"))

    assert into.over
    assert into.feed(frame(BINARY, b"x")) == []
    assert not into.unfinished


def test_it_knows_whether_something_has_begun() -> None:
    data = frame(BINARY, b"ab", first=0) + frame(PING) + frame(CONTINUATION, b"c")
    into = reader()
    seen = [(into.unfinished, into.feed(bytes((byte,))))[0] for byte in data]

    assert seen == [False, *[True] * (len(data) - 1)]
    assert not into.unfinished
    assert not into.over


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_what_it_writes_the_oracle_reads(size: int) -> None:
    oracle = Oracle(ConnectionType.CLIENT)
    oracle.receive_data(frame_head(BINARY, size) + bytes(size))

    assert b"".join(bytes(event.data) for event in oracle.events() if isinstance(event, BytesMessage)) == bytes(size)


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (1000, "", b"\x03\xe8"),
        (4000, "why", b"\x0f\xa0why"),
        (1000, "r" * 200, b"\x03\xe8" + b"r" * 123),
        (1000, "ü" * 100, b"\x03\xe8" + "ü".encode() * 61),
        (NO_CODE, "never said", b""),
    ],
)
def test_a_close_holds_what_a_control_frame_can(code: int, reason: str, expected: bytes) -> None:
    assert close_payload(code, reason) == expected


def seconds(data: bytes, step: int) -> float:
    into = reader(1 << 21)
    began = time.process_time()
    for at in range(0, len(data), step):
        into.feed(data[at : at + step])
    return time.process_time() - began


def test_a_byte_at_a_time_costs_linear_time() -> None:
    """Sixteen times as much costs sixteen times, where a reader that copied its buffer would need 256 times."""
    part, whole = (min(seconds(frame(BINARY, bytes(size)), 1) for _ in range(2)) for size in (1 << 16, 1 << 20))

    assert whole < 64 * part


def test_small_frames_and_a_byte_at_a_time_cost_linear_time() -> None:
    part, whole = (min(seconds(frame(PING, b"x") * count, 1) for _ in range(2)) for count in (2_500, 40_000))

    assert whole < 64 * part


# Against the oracle.

TEXTS = st.one_of(st.text(max_size=20).map(str.encode), st.binary(max_size=6))
CODES = st.one_of(st.integers(0, 65_535), st.sampled_from([1000, 1001, 1005, 1006, 1015, 3000, 4999]))
CLOSES = st.one_of(
    st.binary(max_size=3),
    st.builds(lambda code, reason: code.to_bytes(2) + reason, CODES, TEXTS),
    st.binary(max_size=130),
)
PAYLOADS = st.one_of(st.binary(max_size=20), TEXTS, st.integers(120, 130).map(bytes))
NEAR = st.tuples(st.sampled_from([BINARY, TEXT, CONTINUATION, PING, PONG]), PAYLOADS)
WEIRD = st.tuples(st.integers(0, 15), PAYLOADS)
FRAMES = st.builds(
    lambda kind, first, mask, form: frame(kind[0], kind[1], first=first, mask=mask, form=form),
    st.one_of(NEAR, NEAR, NEAR, NEAR, st.tuples(st.just(CLOSE), CLOSES), WEIRD),
    st.sampled_from([FIN, FIN, FIN, 0, 0, 0, *([FIN] * 9), 0x40, FIN | 0x20]),
    st.one_of(st.binary(min_size=4, max_size=4), *[st.sampled_from([*MASKS * 5, None])]),
    st.sampled_from([0] * 20 + [126, 127]),
)
SAID = st.one_of(
    st.lists(FRAMES, max_size=10).map(b"".join),
    st.builds(lambda frames, rest: b"".join(frames) + rest, st.lists(FRAMES, max_size=4), st.binary(max_size=20)),
)


def verdict_of_the_oracle(data: bytes) -> list[object]:
    """Whole messages, control frames, and the code that it would close with."""
    oracle = Oracle(ConnectionType.SERVER)
    told: list[object] = []
    parts: list[bytes | str] = []
    oracle.receive_data(data)
    for event in oracle.events():
        if isinstance(event, TextMessage | BytesMessage):
            parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
            if event.message_finished:
                told.append(parts[0][:0].join(parts))  # type: ignore[arg-type]  # all of one kind
                parts = []
        elif isinstance(event, OraclePing | OraclePong):
            told.append((type(event).__name__, bytes(event.payload)))
        elif isinstance(event, CloseConnection):
            # What it found broken it tells as if the peer had closed; only its state tells them apart.
            is_close = oracle.state is ConnectionState.REMOTE_CLOSING
            told.append(("close", int(event.code), event.reason or "") if is_close else ("fault", int(event.code)))
            break
    return told


def verdict(events: Iterable[Event]) -> list[object]:
    told: list[object] = []
    for event in events:
        if isinstance(event, bytes | str):
            told.append(event)
        elif isinstance(event, CloseFrame):
            told.append(("close", event.code, event.reason))
        elif isinstance(event, Fault):
            told.append(("fault", event.code))
        else:
            told.append((type(event).__name__, event.payload))
    return told


def agrees(data: bytes) -> None:
    ours = verdict(read(data, into=reader(1 << 40, 1 << 40)))
    theirs = verdict_of_the_oracle(data)
    if len(ours) == len(theirs) + 1 and isinstance(read(data)[-1], Fault):
        theirs = verdict_of_the_oracle(data + bytes(LONGEST_HEAD))  # refused before its head was whole
    if theirs[-1:] == [("fault", 1007)] and ours != theirs:
        # A text that is broken, and not at its end yet: control frames, or another fault, may come before that.
        theirs = theirs[:-1]
        ours, later = ours[: len(theirs)], ours[len(theirs) :]
        assert not any(isinstance(event, bytes | str) for event in later)

    assert ours == theirs


@settings(max_examples=1000, deadline=None)
@given(SAID)
@example(frame(TEXT, b"\xff", first=0))
@example(frame(TEXT, b"\xff", first=0) + frame(PING) + frame(CONTINUATION))
@example(frame(CLOSE, b"\x03\xe8" + "€".encode()[:2]))
def test_its_verdict_is_the_oracles(data: bytes) -> None:
    agrees(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_its_verdict_on_noise_is_the_oracles(data: bytes) -> None:
    agrees(data)


@settings(max_examples=400, deadline=None)
@given(SAID, st.lists(st.integers(0, 1 << 16), max_size=12))
def test_however_it_is_cut_the_events_are_the_same(data: bytes, cuts: list[int]) -> None:
    assert read(data, cuts) == read(data) == read(data, range(len(data)))


SMALLEST = {
    "pings": frame(PING, b""),
    "pongs": frame(PONG, b""),
    "empty messages": frame(BINARY, b""),
    "fragments": frame(BINARY, b"", first=0) + frame(CONTINUATION, b""),
}


@pytest.mark.parametrize("smallest", SMALLEST.values(), ids=SMALLEST)
def test_what_arrives_in_many_small_frames_is_read_in_parts(smallest: bytes) -> None:
    reading = reader()
    whole = smallest * (3 * FRAMES_AT_ONCE)
    parts = [reading.feed(whole)]
    while reading.pending:
        parts.append(reading.feed(b""))

    assert [event for part in parts for event in part] == list(read(smallest)) * (3 * FRAMES_AT_ONCE)
    assert max(len(part) for part in parts) <= FRAMES_AT_ONCE
    assert not reading.unfinished


def test_bytes_that_come_before_the_rest_was_read_stand_behind_it() -> None:
    reading = reader()
    events = reading.feed(frame(BINARY, b"a") * (FRAMES_AT_ONCE + 1))
    pending = reading.pending
    events += reading.feed(frame(BINARY, b"b"))

    assert pending
    assert events == [b"a"] * (FRAMES_AT_ONCE + 1) + [b"b"]
    assert not reading.pending


def test_the_first_message_may_be_smaller_than_all_others_and_holds_them_back() -> None:
    reading = FrameReader(max_message_bytes=100, max_fragments=9, max_first_bytes=10)
    events = [*reading.feed(frame(PING, b"") + frame(BINARY, b"hello") + frame(BINARY, bytes(100)))]
    while reading.pending:
        events += reading.feed(b"")
    events += reading.feed(frame(BINARY, b"more"))
    first, held = list(events), reading.held
    reading.admit()
    events = reading.feed(b"")

    assert first == [Ping(b""), b"hello"]
    assert held
    assert events == [bytes(100), b"more"]


def test_a_first_message_that_is_too_large_is_refused_at_its_header() -> None:
    reading = FrameReader(max_message_bytes=100, max_fragments=9, max_first_bytes=10)

    assert [event.code for event in reading.feed(frame(BINARY, bytes(11))[:6]) if isinstance(event, Fault)] == [1009]


def test_another_message_may_be_the_first() -> None:
    reading = FrameReader(max_message_bytes=100, max_fragments=9, max_first_bytes=10)
    events = reading.feed(frame(TEXT, b"no") + frame(TEXT, b"hello") + frame(TEXT, b"more"))
    reading.release()
    events += reading.feed(b"")

    assert events == ["no", "hello"]
    assert reading.held


def test_frames_that_are_no_whole_message_are_counted() -> None:
    reading = reader()
    reading.feed(frame(PING, b"") + frame(BINARY, b"whole") + frame(BINARY, b"", first=0) + frame(CONTINUATION, b""))

    assert reading.extra == 3


LARGE = random.Random(5).randbytes(3 * LONG_BYTES + 7)
LONG_ONES = {
    "a whole one": frame(BINARY, LARGE) + frame(BINARY, b"behind"),
    "two in a row": frame(BINARY, LARGE) + frame(BINARY, LARGE[::-1]) + frame(PING, b"p"),
    "in fragments": frame(BINARY, LARGE, first=0)
    + frame(PING, b"between")
    + frame(CONTINUATION, LARGE, first=0)
    + frame(CONTINUATION, b"end"),
    "a text": frame(TEXT, ("é" * (2 * LONG_BYTES)).encode()) + frame(TEXT, b"behind"),
    "a text that is none": frame(TEXT, b"\xff" * (2 * LONG_BYTES)) + frame(TEXT, b"behind"),
    "one that is too large": frame(BINARY, LARGE) + frame(BINARY, b"", announced=100 * LONG_BYTES),
    "a long one that closes": frame(BINARY, LARGE) + frame(CLOSE, close_payload(1000, "bye")) + frame(BINARY, b"x"),
}


@pytest.mark.parametrize("data", LONG_ONES.values(), ids=LONG_ONES)
@pytest.mark.parametrize("size", [1000, 4093, LONG_BYTES - 1, LONG_BYTES, LONG_BYTES + 1, 64 << 10])
def test_a_long_frame_that_comes_in_parts_is_the_same(data: bytes, size: int) -> None:
    parts = reader(10 * LONG_BYTES)
    whole = read(data, into=reader(10 * LONG_BYTES))
    events = [event for at in range(0, len(data), size) for event in parts.feed(data[at : at + size])]

    assert events == whole
    assert len(whole) >= 2 or isinstance(whole[0], Fault)
    assert not parts.unfinished


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_long_frame_may_be_cut_in_its_head_and_shortly_behind_it(cut: int) -> None:
    data = frame(BINARY, LARGE)
    parts = reader(10 * LONG_BYTES)
    events = [*parts.feed(data[:cut]), *parts.feed(data[cut : cut + 3]), *parts.feed(data[cut + 3 :])]

    assert events == [LARGE]


def test_no_part_of_a_long_frame_takes_the_time_of_all_of_it() -> None:
    """What is done with each part is bounded by the part: the buffer holds nothing that would be gone through again."""
    data = frame(BINARY, LARGE * 8)
    parts = reader(100 * LONG_BYTES)
    half = len(data) // 2
    parts.feed(data[:half])

    assert parts.unfinished
    assert len(parts._buffer) == 0
    assert parts.feed(data[half:]) == [LARGE * 8]


def test_a_long_frame_that_trickles_is_unmasked_in_parts_worth_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    unmasked: list[int] = []

    def counted(payload: bytes, mask: bytes) -> bytes:
        unmasked.append(len(payload))
        return unmask(payload, mask)

    monkeypatch.setattr(framing, "unmask", counted)
    data = frame(BINARY, LARGE)
    parts = reader(10 * LONG_BYTES)
    events = [event for at in range(len(data)) for event in parts.feed(data[at : at + 1])]

    assert events == [LARGE]
    assert sum(unmasked) == len(LARGE)
    assert all(size >= PART_BYTES for size in unmasked[1:-1])  # the first is what came with the head


def test_the_first_frame_of_who_is_not_known_is_read_whole() -> None:
    unknown = FrameReader(max_message_bytes=10 * LONG_BYTES, max_fragments=8, max_first_bytes=4 * LONG_BYTES)
    data = frame(BINARY, LARGE) + frame(BINARY, b"behind")
    events = [event for at in range(0, len(data), 1000) for event in unknown.feed(data[at : at + 1000])]
    unknown.admit()

    assert events == [LARGE]
    assert unknown.held is False
    assert unknown.feed(b"") == [b"behind"]
