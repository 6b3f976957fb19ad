import json

import pytest
from google.protobuf import json_format

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from bimip.wire.json import SLICE, convert, from_json, weight_of

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

WRONG = {
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


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_a_large_text_is_refused_as_in_a_small_one(value: dict[str, object]) -> None:
    with pytest.raises(WireError) as refused:
        from_json(json.dumps(value | {"ref": "7"}))

    assert refused.value.code == pb.MALFORMED
    assert refused.value.ref == 7


def test_a_text_weighs_what_it_costs() -> None:
    assert weight_of("{}") == 2
    assert weight_of(json.dumps({"a": [{}] * 100})) > 100
    assert weight_of(json.dumps([1] * 800)) > 100
    assert weight_of('"' + "x" * (100 << 10) + '"') > 100
