import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.wire import bimip_pb2 as pb
from bimip.wire.codec import ROUTES, decode, encode, payload_of
from bimip.wire.errors import WireError

PAYLOADS = {name: type(getattr(pb.MessageScheme(), name)) for name in ROUTES}


def refused(frame: bytes) -> WireError:
    with pytest.raises(WireError) as caught:
        decode(frame)
    assert caught.value.code == pb.MALFORMED
    return caught.value


def outcome(frame: bytes) -> pb.MessageScheme | pb.ErrorMessage:
    """What comes of a frame that may be anything. Any other exception fails the test."""
    try:
        scheme = decode(frame)
    except WireError as error:
        return error.to_proto()
    assert isinstance(payload_of(scheme)[1], Message)
    return scheme


@pytest.mark.parametrize("name", ROUTES)
@pytest.mark.parametrize("ref", [0, 1, 300, 2**64 - 1])
def test_every_payload_comes_back_with_its_route_and_ref(name: str, ref: int) -> None:
    payload = PAYLOADS[name]()
    scheme = decode(encode(payload, ref))

    assert scheme == pb.MessageScheme(**{"route": ROUTES[name], "ref": ref, name: payload})
    assert payload_of(scheme) == (name, payload)


def test_the_routes_are_those_of_the_contract() -> None:
    assert ROUTES["message"] == 6
    assert ROUTES["body"] == 10
    assert sorted(ROUTES.values()) == list(range(2, 24))


@pytest.mark.parametrize("size", [0, 127, 128, 16383, 16384, 70000])
def test_payloads_of_any_length_are_wrapped(size: int) -> None:
    payload = pb.Message(payload=b"x" * size)

    assert payload_of(decode(encode(payload)))[1] == payload


def test_a_type_that_is_no_payload_is_our_own_mistake() -> None:
    with pytest.raises(KeyError):
        encode(pb.Gap())


def test_a_route_that_contradicts_the_payload_is_refused_with_the_right_route() -> None:
    error = refused(pb.MessageScheme(route=7, message=pb.Message(), ref=9).SerializeToString())

    assert (error.field, error.ref) == ("route", 9)
    assert "set route to 6" in error.sentence


def test_a_missing_route_is_refused_with_the_right_one() -> None:
    error = refused(pb.MessageScheme(hello=pb.Hello(), ref=9).SerializeToString())

    assert (error.field, error.ref) == ("route", 9)
    assert "set route to 13" in error.sentence


@pytest.mark.parametrize("frame", [b"", b"\x08\x06", b"\x08\x63\x9a\x06\x00"])
def test_a_frame_without_a_payload_known_here_is_refused(frame: bytes) -> None:
    assert refused(frame).field == "payload"


@pytest.mark.parametrize(
    "broken",
    [
        b"\x32\x03\x0a\x01\xff",  # text that is not UTF-8
        b"\x32\x05\x0a\x01a",  # cut off
        b"\x33",  # a group that does not end
        b"\x32\x02\x0a\x05",  # a length beyond its message
    ],
)
def test_the_ref_of_a_broken_frame_is_told_where_it_can_be_read(broken: bytes) -> None:
    assert refused(b"\x08\x06\xf0\x01\x2a" + broken).ref == 42


def test_the_ref_behind_a_broken_payload_is_found() -> None:
    assert refused(b"\x09" + bytes(8) + b"\x0d" + bytes(4) + b"\x32\x03\x0a\x01\xff\xf0\x01\x2a").ref == 42


def test_nesting_without_end_is_refused() -> None:
    frame = b""
    for _ in range(500):
        frame = b"\x9b\x06" + frame + b"\x9c\x06"

    assert refused(frame).ref == 0


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(frame: bytes) -> None:
    outcome(frame)


VALID = [
    encode(pb.Message(id="m", to=pb.Identity(eid="b@x"), payload=b"hello", mentions=["c@x"], audiences={"a": "k"}), 77),
    encode(pb.Body(partition="chat", upto=9, messages=[pb.Message(id="1")] * 3, acknowledged=[True, False]), 1),
    encode(pb.Hello(partitions=[pb.Position(partition="chat", offset=3, held=[pb.OffsetRange(to=9)])], agent="x"), 2),
    encode(pb.StateDelta(items=[pb.StateItem(receipts=pb.Receipts(runs=[pb.ReceiptRun(to=2)]))])),
]


@settings(max_examples=400)
@given(st.sampled_from(VALID), st.data())
def test_no_mutation_of_a_valid_frame_raises_anything_else(frame: bytes, data: st.DataObject) -> None:
    mutated = bytearray(frame)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated)))
        mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    outcome(bytes(mutated))


@pytest.mark.parametrize("frame", VALID)
def test_every_truncation_of_a_frame_is_refused_or_lacks_its_end(frame: bytes) -> None:
    whole = decode(frame)
    results = [outcome(frame[:length]) for length in range(len(frame))]

    assert whole not in results
