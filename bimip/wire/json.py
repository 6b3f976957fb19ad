"""ProtoJSON, for the subprotocol bimip.v1.json: the same frames as text, for browsers and people with a command line.

Fields are written with the names of proto/bimip.proto (`user_offset`), which is what the protocol's document and the
source documents call them; lowerCamelCase is understood as well, as ProtoJSON demands. 64 bit numbers are strings,
bytes are base64. Unlike in protobuf an unknown field is refused: in a text it is a misspelling.
"""

import json
from typing import Any

from google.protobuf import json_format

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError


def from_json(text: str) -> bytes:
    """The frame that a text stands for. Its envelope and fields are still to be checked."""
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise WireError(pb.MALFORMED, f"This text is not JSON: {_short(error)}. Send one JSON object.") from None
    if not isinstance(value, dict):
        raise WireError(pb.MALFORMED, "This text is no JSON object: send one bimip.MessageScheme in ProtoJSON.")
    try:
        return json_format.ParseDict(value, pb.MessageScheme()).SerializeToString()
    except Exception as error:  # noqa: BLE001 - plain Python on what a peer wrote; what it raises is not told
        sentence = f"This text is no MessageScheme in ProtoJSON: {_short(error)}"
        raise WireError(pb.MALFORMED, sentence, ref=_ref_of(value)) from None


def to_json(frame: bytes) -> str:
    """The text of a frame of ours, in one line."""
    value = json_format.MessageToDict(pb.MessageScheme.FromString(frame), preserving_proto_field_name=True)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return value


def _ref_of(value: dict[str, Any]) -> int:
    try:
        ref = int(value.get("ref", 0))
    except (TypeError, ValueError, OverflowError):
        return 0
    return ref if 0 <= ref < 2**64 else 0


def _short(error: Exception) -> str:
    return str(error).encode("utf-8", "replace").decode()[:200]
