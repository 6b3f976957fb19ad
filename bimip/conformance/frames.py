"""Frames as a scripted server says and hears them, in both subprotocols, also with fields that no client knows."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from google.protobuf.message import DecodeError, Message

from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.errors import WireError
from bimip.wire.json import dump, fill, load, message_of

BINARY: Final = "bimip.v1"
TEXT: Final = "bimip.v1.json"

_UNKNOWN_FIELD: Final = b"\xc2\x3e\x05later"  # field 1000, five bytes
_UNKNOWN_NAME: Final = "of_a_later_version"
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base 32


class FrameError(Exception):
    """A client said what is no frame; the sentence tells why."""


class Encode(Protocol):
    """Encodes a frame; with `unknown` each message in it has a field that no client knows."""

    def __call__(self, scheme: pb.MessageScheme, *, unknown: bool) -> str | bytes: ...


class Codec(NamedTuple):
    """The frames of one subprotocol."""

    encode: Encode
    decode: Callable[[str | bytes], pb.MessageScheme]
    unknown_route: Callable[[], str | bytes]


def scheme_of(payload: Message, ref: int = 0) -> pb.MessageScheme:
    """Returns the MessageScheme around a payload."""
    return pb.MessageScheme.FromString(codec.encode(payload, ref))


def signal_id(number: int) -> str:
    """Writes a `signal_offset` as text of 13 characters that sorts as the number does."""
    return "".join(_DIGITS[number >> shift & 31] for shift in range(60, -1, -5))


def _binary(scheme: pb.MessageScheme, *, unknown: bool) -> bytes:
    if unknown:
        for message in _messages_in(scheme):
            message.MergeFromString(_UNKNOWN_FIELD)
    return scheme.SerializeToString()


def _from_binary(data: str | bytes) -> pb.MessageScheme:
    if isinstance(data, str):
        raise FrameError(f"a text on {BINARY}, which has binary messages alone")
    try:
        return codec.decode(data)
    except WireError as error:
        raise FrameError(str(error)) from None


def _text(scheme: pb.MessageScheme, *, unknown: bool) -> str:
    value = message_of(scheme)
    if unknown:
        _add_unknown(value)
    return dump(value)


def _from_text(data: str | bytes) -> pb.MessageScheme:
    if isinstance(data, bytes):
        raise FrameError(f"a binary message on {TEXT}, which has texts alone")
    scheme = pb.MessageScheme()
    try:
        for _ in fill(scheme, load(data)):
            pass
        return codec.decode(scheme.SerializeToString())
    except (WireError, DecodeError) as error:
        raise FrameError(str(error)) from None


def _messages_in(message: Message) -> Iterable[Message]:
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for inner in value if field.is_repeated else [value]:
                yield from _messages_in(inner)


def _add_unknown(value: dict[str, Any]) -> None:
    for inner in list(value.values()):
        for one in inner if isinstance(inner, list) else [inner]:
            if isinstance(one, dict):
                _add_unknown(one)
    value[_UNKNOWN_NAME] = {"of": ["a", 1, None]}


CODECS: Final[Mapping[str, Codec]] = {
    BINARY: Codec(_binary, _from_binary, lambda: b"\x08\x63\x9a\x06\x02\x08\x01"),
    TEXT: Codec(_text, _from_text, lambda: json.dumps({"route": "99", _UNKNOWN_NAME: {"a": 1}})),
}
