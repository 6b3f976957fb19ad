import contextlib
import json

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st

from bimip.wire import bimip_pb2 as pb
from bimip.wire.codec import encode
from bimip.wire.errors import WireError
from bimip.wire.json import MAX_OBJECTS, SLICE, convert, from_json, to_json, weight_of

FRAMES = [
    encode(
        pb.Message(id="m", to=pb.Identity(eid="b@x"), payload=b"\x00\xff\xfe", audiences={"payload": "ä!"}), 2**64 - 1
    ),
    encode(pb.Hello(partitions=[pb.Position(partition="chat", offset=0)], snapshot_checksum=b"123", agent="a")),
    encode(pb.Body(partition="chat", turn=pb.REDELIVERED, messages=[pb.Message(user_offset=2**64 - 1, erased=True)])),
    encode(pb.Awareness(latitude=float("nan"), longitude=float("-inf"))),
    encode(pb.StateDelta(items=[pb.StateItem(receipts=pb.Receipts(kind=pb.READ))])),
    encode(pb.PingPong()),
]


def refused(text: str) -> WireError:
    with pytest.raises(WireError) as caught:
        from_json(text)
    assert caught.value.code in {pb.MALFORMED, pb.TOO_LARGE}
    caught.value.to_proto().SerializeToString()
    return caught.value


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_survives_as_text(frame: bytes) -> None:
    assert from_json(to_json(frame)) == frame


@given(st.text(max_size=20), st.binary(max_size=50), st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1))
def test_any_content_survives_as_text(text: str, payload: bytes, offset: int, time: int) -> None:
    frame = encode(pb.Message(id=text, payload=payload, user_offset=offset, timestamp=time, mentions=[text]), offset)

    assert from_json(to_json(frame)) == frame


def test_the_text_is_one_compact_line_with_the_contracts_names() -> None:
    text = to_json(encode(pb.Message(id="é\n", user_offset=5, type=1), 3))

    assert text == '{"route":"6","message":{"id":"é\\n","type":1,"user_offset":"5"},"ref":"3"}'


@pytest.mark.parametrize("name", ["user_offset", "userOffset"])
@pytest.mark.parametrize("value", ['"5"', "5", "5.0"])
def test_both_spellings_of_names_and_numbers_are_understood(name: str, value: str) -> None:
    assert from_json(f'{{"route": 6, "message": {{"{name}": {value}}}}}') == encode(pb.Message(user_offset=5))


def test_the_envelope_is_not_judged_here() -> None:
    assert from_json('{"message": {}}') == pb.MessageScheme(message=pb.Message()).SerializeToString()


def test_a_misspelt_field_is_named() -> None:
    error = refused('{"route": 6, "ref": "12", "message": {"paylod": ""}}')

    assert error.ref == 12
    assert "paylod" in error.sentence


def test_a_payload_that_was_not_encoded_is_refused_and_an_audience_of_that_name_is_not() -> None:
    assert "base64" in refused('{"route": 6, "message": {"payload": "Hello world!"}}').sentence
    assert from_json('{"route": 6, "message": {"audiences": {"payload": "Hello world!"}}}')
    assert "base64" in refused('{"route": 10, "body": {"messages": [{}, {"payload": "Hello world!"}]}}').sentence


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "null",
        "[]",
        "7",
        '"\\ud800"',
        "{",
        '{"route": 6, "message": {"id": "\\ud800"}}',
        '{"\\ud800": 1}',
        '{"ref": "\\ud800", "x": 1}',
        '{"route": 6, "route": 6}',
        '{"message": {"user_offset": 1, "userOffset": 1}}',
        '{"message": {}, "hello": {}}',
        '{"route": 1e400}',
        '{"route": NaN}',
        '{"route": 1.5}',
        '{"route": true}',
        '{"ref": -1}',
        '{"ref": 1e30, "x": 1}',
        '{"ref": [], "x": 1}',
        '{"ref": 18446744073709551616}',
        '{"route": ' + "9" * 100_000 + "}",
        '{"route": "' + "9" * 100_000 + '"}',
        '{"fetch": {"kind": "NONE"}}',
        '{"message": 7}',
        '{"message": {"payload": "abcde"}}',
        '{"a":' * 10_000 + "1" + "}" * 10_000,
        "[" * 200_000,
        '{"body": ' + "[" * 5_000 + "]" * 5_000 + "}",
    ],
    ids=lambda text: text[:40],
)
def test_nothing_but_a_scheme_in_protojson_is_taken(text: str) -> None:
    refused(text)


def test_more_objects_than_can_be_read_in_passing_are_refused() -> None:
    text = '{"route": 10, "body": {"messages": [' + ",".join(["{}"] * MAX_OBJECTS) + "]}}"

    assert refused(text).code == pb.TOO_LARGE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["route", "ref", "message", "body", "messages", "to", "payload", "hello", "held", "id"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(JSON.map(json.dumps) | st.text(max_size=60))
def test_no_text_raises_anything_else(text: str) -> None:
    with contextlib.suppress(WireError):
        from_json(text)


MESSAGE = {"id": "m-1", "to": {"eid": "a@domain.com"}, "type": 1, "timestamp": "1730000000000", "payload": "aGVsbG8="}

LARGE = {
    "messages": {"route": "10", "body": {"messages": [MESSAGE] * 1000}, "ref": "7"},
    "empty messages": {"route": "13", "hello": {"messages": [{}] * 4000}},
    "flags": {"route": "10", "body": {"acknowledged": [True, False] * 4000, "complete": True}},
    "a map": {"route": "6", "message": {"audiences": {str(number): "x" for number in range(4000)}, "id": "m"}},
    "texts": {"route": "6", "message": MESSAGE | {"mentions": ["a", "b"] * 2000}},
    "within one of a list": {
        "route": "10",
        "body": {"messages": [MESSAGE, MESSAGE | {"devices": [{"identity": {"eid": "x"}, "payload": "aGk="}] * 900}]},
    },
    "within one message": {"route": "16", "stateDelta": {"items": [{"version": 3, "receipts": {"runs": [{}] * 900}}]}},
}


@pytest.mark.parametrize("value", LARGE.values(), ids=LARGE)
def test_a_large_text_is_converted_in_slices_to_what_it_means_as_a_whole(value: dict[str, object]) -> None:
    text = json.dumps(value)
    slices = list(convert(text))

    assert len(slices) > 10
    assert pb.MessageScheme.FromString(from_json(text)) == json_format.ParseDict(value, pb.MessageScheme())


def test_a_usual_text_is_one_slice() -> None:
    assert list(convert(json.dumps({"route": "6", "message": MESSAGE}))) == []


MANY = [MESSAGE] * SLICE

WRONG_AND_LARGE = {
    "an unknown name": {"route": "10", "body": {"messages": MANY, "massages": []}},
    "an unknown name in a late message": {"route": "10", "body": {"messages": [*MANY, {"idd": "x"}]}},
    "no base64 in a late message": {"route": "10", "body": {"messages": [*MANY, {"payload": "hello world!"}]}},
    "no object in a list of messages": {"route": "10", "body": {"messages": [*MANY, 5]}},
    "no list": {"route": "10", "body": {"messages": {str(number): {} for number in range(100)}}},
    "two payloads": {"route": "10", "body": {"messages": MANY}, "hello": {}},
    "a list of texts that are none": {"route": "6", "message": {"mentions": [1] * 200}},
    "one that is none among texts": {"route": "6", "message": {"mentions": ["x"] * 200 + [{}]}},
    "a list for a number": {"route": [1] * 200},
    "an object for a text": {"route": "6", "message": {"id": {str(number): 1 for number in range(200)}}},
    "two spellings of one name": {"route": "6", "message": {"user_offset": 1, "userOffset": 2, "mentions": ["x"] * 99}},
}


@pytest.mark.parametrize("value", WRONG_AND_LARGE.values(), ids=WRONG_AND_LARGE)
def test_what_is_wrong_in_a_large_text_is_refused_as_in_a_small_one(value: dict[str, object]) -> None:
    with pytest.raises(WireError) as error:
        from_json(json.dumps(value | {"ref": "7"}))

    assert error.value.code == pb.MALFORMED
    assert error.value.ref == 7


def test_a_text_weighs_what_it_costs() -> None:
    assert weight_of("{}") == 2
    assert weight_of(json.dumps({"a": [{}] * 100})) > 100
    assert weight_of(json.dumps([1] * 800)) > 100
    assert weight_of('"' + "x" * (100 << 10) + '"') > 100


def test_one_field_under_both_of_its_spellings_is_twice_the_same() -> None:
    fetch = {"conversation": "c1", "seq_from": "1:1", "seqFrom": "2:1"}
    with pytest.raises(WireError, match="seq_from stands twice in one object, under both") as raised:
        from_json(json.dumps({"ref": 7, "fetch": fetch}))

    assert raised.value.ref == 7


def test_a_large_object_with_a_field_under_both_spellings_is_refused() -> None:
    body = {"user_offset": 1, "userOffset": 2, "devices": [{"payload": "aGk="} for _ in range(100)]}
    with pytest.raises(WireError, match="user_offset stands twice"):
        from_json(json.dumps({"message": body}))
