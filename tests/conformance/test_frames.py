import json

import pytest

from bimip.conformance.frames import BINARY, CODECS, TEXT, FrameError, scheme_of, signal_id
from bimip.conformance.play import entry
from bimip.wire import bimip_pb2 as pb

BODY = pb.Body(partition="chat", upto=1, messages=[entry(1, "one")])


def test_a_signal_id_is_the_one_of_the_protocols_example() -> None:
    assert signal_id(7256145920176160768) == "69CR28M580000"


@pytest.mark.parametrize("subprotocol", CODECS)
def test_a_frame_is_read_as_it_was_written(subprotocol: str) -> None:
    codec = CODECS[subprotocol]

    assert codec.decode(codec.encode(scheme_of(BODY, 7), unknown=False)) == scheme_of(BODY, 7)


def test_each_message_in_a_frame_has_a_field_that_nobody_knows() -> None:
    binary = CODECS[BINARY].encode(scheme_of(BODY), unknown=True)
    assert isinstance(binary, bytes)
    known = scheme_of(BODY)
    text = CODECS[TEXT].encode(known, unknown=True)
    assert isinstance(text, str)
    frame = json.loads(text)
    message = frame["body"]["messages"][0]

    assert binary.count(b"\xc2\x3e\x05later") == 5  # the scheme, the body, the message, its from and its to
    assert all("of_a_later_version" in one for one in (frame, frame["body"], message, message["from"], message["to"]))
    parsed = pb.MessageScheme.FromString(binary)
    parsed.DiscardUnknownFields()
    assert parsed == scheme_of(BODY)


@pytest.mark.parametrize(
    ("subprotocol", "data", "sentence"),
    [
        (BINARY, "{}", "a text on bimip.v1"),
        (BINARY, b"\xff", "no MessageScheme"),
        (BINARY, b"\x08\x06", "has no payload"),
        (TEXT, b"{}", "a binary message on bimip.v1.json"),
        (TEXT, "{", "not JSON"),
        (TEXT, '{"route": 6, "hello": {}}', "the payload is hello"),
        (TEXT, '{"route": 13, "hello": {"epohc": 1}}', "epohc"),
    ],
)
def test_what_is_no_frame_is_told_as_that(subprotocol: str, data: str | bytes, sentence: str) -> None:
    with pytest.raises(FrameError, match=sentence):
        CODECS[subprotocol].decode(data)


@pytest.mark.parametrize("subprotocol", CODECS)
def test_a_frame_of_a_later_version_has_no_payload_that_is_known(subprotocol: str) -> None:
    data = CODECS[subprotocol].unknown_route()
    scheme = pb.MessageScheme.FromString(data) if isinstance(data, bytes) else None

    assert scheme is None or (scheme.route, scheme.WhichOneof("payload")) == (99, None)
    assert isinstance(data, bytes) or json.loads(data)["route"] == "99"
