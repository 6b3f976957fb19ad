"""ProtoJSON, for the subprotocol bimip.v1.json: the same frames as text, for browsers and people with a command line.

Fields are written with the names of proto/bimip.proto (`user_offset`), which is what the protocol's document and the
source documents call them; lowerCamelCase is understood as well, as ProtoJSON demands. 64 bit numbers are strings,
bytes are base64. Two things are stricter than in ProtoJSON's library, because in a text they are mistakes that would
otherwise pass in silence: an unknown field is a misspelling, and what is not base64 was not encoded.
"""

import json
import re
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

MAX_OBJECTS: Final = 4_096
"""In one text. Each costs about 10 µs of the whole server's time, and an empty one only three bytes of a frame."""
MAX_COMMAS: Final = 16_384
"""In one text, wherever they stand: each may part two values, of about 1 µs and three bytes."""

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def from_json(text: str) -> bytes:
    """The frame that a text stands for. Its envelope and fields are still to be checked."""
    if text.count("{") > MAX_OBJECTS:
        raise WireError(pb.TOO_LARGE, f"This text holds more than {MAX_OBJECTS} objects: send it in several frames.")
    if text.count(",") > MAX_COMMAS:
        raise WireError(pb.TOO_LARGE, f"This text holds more than {MAX_COMMAS} values: send it in several frames.")
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise WireError(pb.MALFORMED, f"This text is not JSON: {_short(error)}. Send one JSON object.") from None
    if not isinstance(value, dict):
        raise WireError(pb.MALFORMED, "This text is no JSON object: send one bimip.MessageScheme in ProtoJSON.")
    try:
        scheme = json_format.ParseDict(value, pb.MessageScheme())
        _check_base64(value, pb.MessageScheme.DESCRIPTOR)
    except Exception as error:  # noqa: BLE001 - plain Python on what a peer wrote; what it raises is not told
        sentence = f"This text is no MessageScheme in ProtoJSON: {_short(error)}"
        raise WireError(pb.MALFORMED, sentence, ref=_ref_of(value)) from None
    return scheme.SerializeToString()


def to_json(frame: bytes) -> str:
    """The text of a frame of ours, in one line."""
    value = json_format.MessageToDict(pb.MessageScheme.FromString(frame), preserving_proto_field_name=True)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return value


def _check_base64(value: dict[str, Any], kind: Any) -> None:  # noqa: ANN401 - a Descriptor; upb's own is none
    """Python's decoder drops what is not of the alphabet, so what was not encoded would arrive as other bytes."""
    for name, found in value.items():
        field = kind.fields_by_name.get(name) or kind.fields_by_camelcase_name[name]
        if field.type == FieldDescriptor.TYPE_BYTES and isinstance(found, str) and not _BASE64.fullmatch(found):
            raise ValueError(f"{name} is not base64: encode it")
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for item in found if isinstance(found, list) else [found]:
            if isinstance(item, dict):
                _check_base64(item, field.message_type)


def _ref_of(value: dict[str, Any]) -> int:
    try:
        ref = int(value.get("ref", 0))
    except (TypeError, ValueError, OverflowError):
        return 0
    return ref if 0 <= ref < 2**64 else 0


def _short(error: Exception) -> str:
    line = str(error).split("\n", 1)[0]
    return line.encode("utf-8", "replace").decode()[:200]
