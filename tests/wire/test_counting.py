import pytest

from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.counting import MAX_FIELDS, SMALL_BYTES, has_too_many_fields
from bimip.wire.errors import WireError
from bimip.wire.varint import varint

SIZE = 1_000_000


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def frame(route: int, payload: bytes) -> bytes:
    return b"\x08" + varint(route) + field(route, payload) + b"\xf0\x01\x07"


def filled(number: int, content: bytes = b"") -> bytes:
    one = field(number, content)
    return one * (SIZE // len(one))


TOO_MANY = {
    "messages in Hello": frame(13, filled(7)),
    "messages in Body": frame(10, filled(5)),
    "results": frame(13, filled(13)),
    "held ranges of one position": frame(13, field(2, filled(3))),
    "held ranges of many positions": frame(13, filled(2, field(3, b""))),
    "devices of one message": frame(6, filled(16)),
    "devices of a message in a Body": frame(10, field(5, filled(16))),
    "audiences": frame(6, filled(23)),
    "packed flags": frame(10, field(12, b"\x01" * SIZE)),
    "flags that are not packed": frame(10, b"\x60\x01" * (SIZE // 2)),
    "unknown fields": frame(13, b"\xf8\x07\x00" * (SIZE // 3)),
    "unknown groups": b"\x08\x0d" + b"\xfb\x07\xfc\x07" * (SIZE // 4),
    "empty texts": frame(6, filled(26)),
}


@pytest.mark.parametrize("given", TOO_MANY.values(), ids=TOO_MANY)
def test_a_large_frame_of_many_fields_is_refused_before_it_is_decoded(
    given: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec, "pb", _NoDecoder())
    with pytest.raises(WireError) as refused:
        codec.decode(given)

    assert refused.value.code == pb.TOO_LARGE


def test_the_refusal_tells_which_request_it_was() -> None:
    with pytest.raises(WireError) as refused:
        codec.decode(frame(10, filled(5)))

    assert refused.value.ref == 7


def test_a_frame_of_as_many_messages_as_a_batch_may_have_is_taken() -> None:
    body = pb.Body(
        messages=[
            pb.Message(id=f"m{number}", to=pb.Identity(eid="bob"), type=1, timestamp=1, payload=bytes(800), seq="1:2:3")
            for number in range(1024)
        ]
    )
    encoded = codec.encode(body)

    assert len(encoded) > SMALL_BYTES
    assert codec.decode(encoded).body == body


def test_bytes_are_not_taken_for_fields() -> None:
    assert not has_too_many_fields(frame(6, field(7, bytes(SIZE))))


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_frame_that_ends_too_early_is_left_to_the_decoder(cut: int) -> None:
    assert not has_too_many_fields(frame(6, field(22, b"x" * 5) * 3)[:-cut])


@pytest.mark.parametrize("number", [MAX_FIELDS - 3, MAX_FIELDS - 2])
def test_the_limit_counts_every_field(number: int) -> None:
    """Beside them stand the route, the payload and the ref."""
    assert has_too_many_fields(frame(13, b"\x18\x01" * number)) is (number > MAX_FIELDS - 3)


class _NoDecoder:
    """Knows the contract's numbers, and decodes nothing."""

    TOO_LARGE = pb.TOO_LARGE
