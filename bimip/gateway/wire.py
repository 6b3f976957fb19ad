"""What the gateway needs to know of frames: the one place where it touches the codec."""

from typing import Final

from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec, frames, json
from bimip.wire.errors import WireError

BINARY: Final = "bimip.v1"
JSON: Final = "bimip.v1.json"
SUBPROTOCOLS: Final = (BINARY, JSON)

convert = json.convert
"""The frame that a text stands for, in slices. Raises WireError."""

weight_of = json.weight_of

text_of = json.to_json


def error_frame(error: WireError) -> bytes:
    """The answer to a frame that cannot be decoded: in a Body, as all errors but those of Hello are."""
    return frames.body("", 0, 0, pb.IN_TURN, [frames.error_part(error.to_proto())])


def hello_token(frame: bytes) -> str:
    """The token of a Hello, "" where it shows none. Raises WireError where the frame is no Hello."""
    name, payload = codec.payload_of(codec.decode(frame))
    if not isinstance(payload, pb.Hello):
        raise WireError(pb.MALFORMED, f"The first frame must be a Hello, and this is {name}.")
    return payload.token
