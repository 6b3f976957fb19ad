"""ProtoJSON, for the subprotocol bimip.v1.json: the same frames as text, for browsers and people with a command line.

Fields are written with the names of proto/bimip.proto (`user_offset`), which is what the protocol's document and the
source documents call them; lowerCamelCase is understood as well, as ProtoJSON demands. 64 bit numbers are strings,
bytes are base64. Two things are stricter than in ProtoJSON's library, because in a text they are mistakes that would
otherwise pass in silence: an unknown field is a misspelling, and what is not base64 was not encoded.
"""

import json
import re
from collections.abc import Generator, Iterator
from itertools import islice
from typing import Any, Final

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

MAX_OBJECTS: Final = 4_096
"""In one text. Each costs about 10 µs of the whole server's time, and an empty one only three bytes of a frame."""
MAX_COMMAS: Final = 10_240
"""In one text, wherever they stand: each may part two values, of about 1 µs and three bytes."""
SLICE: Final = 64
"""Values that are converted in one go, of 10 µs each at most."""
ITEMS: Final = 16
"""Of a list, each a slice at most and mostly much less, that are converted in one go."""
VALUES_OF_AN_OBJECT: Final = 8
BYTES_OF_A_VALUE: Final = 1024

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def weight_of(text: str) -> int:
    """Estimates what converting a text costs, in the time that an empty object takes (about 10 µs)."""
    weight = 1 + text.count("{") + text.count(",") // VALUES_OF_AN_OBJECT + len(text) // BYTES_OF_A_VALUE
    return min(weight, MAX_OBJECTS)  # what holds more is refused unread


def from_json(text: str) -> bytes:
    """The frame that a text stands for. Its envelope and fields are still to be checked."""
    conversion = convert(text)
    while True:
        try:
            next(conversion)
        except StopIteration as done:
            frame: bytes = done.value
            return frame


def convert(text: str) -> Generator[int, None, bytes]:
    """Converts as `from_json` does, in slices: yields how many values each had, and returns the frame."""
    value = load(text)
    scheme = pb.MessageScheme()
    yield from fill(scheme, value)
    return scheme.SerializeToString()


def load(text: str) -> dict[str, Any]:
    """Reads a text as one JSON object. Raises WireError."""
    if text.count("{") > MAX_OBJECTS:
        raise WireError(pb.TOO_LARGE, f"This text holds more than {MAX_OBJECTS} objects: send it in several frames.")
    if text.count(",") > MAX_COMMAS:
        raise WireError(pb.TOO_LARGE, f"This text holds more than {MAX_COMMAS} values: send it in several frames.")
    try:
        value = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise WireError(pb.MALFORMED, f"This text is not JSON: {_short(error)}. Send one JSON object.") from None
    if not isinstance(value, dict):
        raise WireError(pb.MALFORMED, "This text is no JSON object: send one, with its fields in ProtoJSON.")
    return value


def fill(message: Message, value: dict[str, Any]) -> Iterator[int]:
    """Fills an empty message from an object of `load`, in slices: yields how many values each had. Raises WireError."""
    try:
        yield from _fill(message, value)
    except Exception as error:  # noqa: BLE001 - plain Python on what a peer wrote; what it raises is not told
        sentence = f"This text is no {message.DESCRIPTOR.name} in ProtoJSON: {_short(error)}"
        raise WireError(pb.MALFORMED, sentence, ref=_ref_of(value)) from None


def to_json(frame: bytes) -> str:
    """The text of a frame of ours, in one line."""
    return dump(message_of(pb.MessageScheme.FromString(frame)))


def dump(value: dict[str, Any]) -> str:
    """The text of an object, in one line."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def message_of(message: Message) -> dict[str, Any]:
    """A message as ProtoJSON has it, before it is text."""
    found: dict[str, Any] = json_format.MessageToDict(message, preserving_proto_field_name=True)
    return found


def _fill(message: Message, value: dict[str, Any]) -> Iterator[int]:
    """Parse an object into an empty message. What is large in it is taken out, and parsed in slices."""
    if not _is_large(value):
        _parse(message, value)
        return
    _check_spellings(value, message.DESCRIPTOR)
    plain: dict[str, Any] = {}
    oneofs: set[str] = set()
    for name, found in value.items():
        field = _field(message.DESCRIPTOR, name)
        if field is not None and field.containing_oneof is not None and found is not None:
            if field.containing_oneof.name in oneofs:
                raise ValueError(f"only one of {field.containing_oneof.name} may be set, and {name} is another")
            oneofs.add(field.containing_oneof.name)
        if field is None or not isinstance(found, dict | list) or not _is_large(found):
            plain[name] = found
        else:
            yield from _fill_field(message, field, name, found)
    rest = type(message)()
    _parse(rest, plain)
    message.MergeFrom(rest)
    yield SLICE


def _fill_field(message: Message, field: Any, name: str, found: Any) -> Iterator[int]:  # noqa: ANN401 - a Descriptor
    kind = field.message_type
    if isinstance(found, dict) and kind is not None and not _is_list(field):
        part = getattr(message, field.name)
        part.SetInParent()
        yield from _fill(part, found)
    elif isinstance(found, list) and kind is not None and _is_list(field):
        yield from _fill_list(getattr(message, field.name), found)
    else:
        for some in _cut(found):
            part = type(message)()
            _parse(part, {name: some})
            message.MergeFrom(part)
            yield SLICE


def _fill_list(messages: Any, found: list[Any]) -> Iterator[int]:  # noqa: ANN401 - a repeated field
    for number, item in enumerate(found, 1):
        if not isinstance(item, dict):
            raise ValueError("a list of messages holds what is no object")  # noqa: TRY004 - what a peer wrote
        yield from _fill(messages.add(), item)
        if number % ITEMS == 0:
            yield SLICE


def _cut(found: Any) -> Iterator[Any]:  # noqa: ANN401 - of values, or a map
    if isinstance(found, list):
        yield from (found[at : at + SLICE] for at in range(0, len(found), SLICE))
    else:
        items = list(found.items())
        yield from (dict(items[at : at + SLICE]) for at in range(0, len(items), SLICE))


def _parse(message: Message, value: dict[str, Any]) -> None:
    json_format.ParseDict(value, message)
    _check_base64(value, message.DESCRIPTOR)


def _is_large(value: dict[str, Any] | list[Any]) -> bool:
    """Whether it holds more values than a slice. No more of them are looked at than that."""
    found: list[Any] = [value]
    for one in found:
        if isinstance(one, dict | list):
            found += islice(one.values() if isinstance(one, dict) else one, SLICE + 1)
        if len(found) > SLICE:
            return True
    return False


def _is_list(field: Any) -> bool:  # noqa: ANN401 - a Descriptor
    """Whether a field is a list, or a map."""
    return bool(field.is_repeated)


def _field(kind: Any, name: str) -> Any:  # noqa: ANN401 - a Descriptor; upb's own is none
    return kind.fields_by_name.get(name) or kind.fields_by_camelcase_name.get(name)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return value


def _check_spellings(value: dict[str, Any], kind: Any) -> None:  # noqa: ANN401 - a Descriptor
    """One field under both of its names is one field twice."""
    fields = [field.name for name in value if (field := _field(kind, name)) is not None]
    if len(set(fields)) != len(fields):
        twice = next(name for name in fields if fields.count(name) > 1)
        raise ValueError(f"{twice} stands twice in one object, under both of its spellings")


def _check_base64(value: dict[str, Any], kind: Any) -> None:  # noqa: ANN401 - a Descriptor; upb's own is none
    """Python's decoder drops what is not of the alphabet, so what was not encoded would arrive as other bytes."""
    _check_spellings(value, kind)
    for name, found in value.items():
        field = _field(kind, name)
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
