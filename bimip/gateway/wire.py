"""What the gateway needs to know of frames: the one place where it touches the codec."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

BINARY: Final = "bimip.v1"
JSON: Final = "bimip.v1.json"
SUBPROTOCOLS: Final = (BINARY, JSON)


@dataclass(frozen=True, slots=True)
class Wire:
    from_json: Callable[[str], bytes]
    """A ProtoJSON text as a frame. ValueError, with a sentence that can be told, where it is none."""
    to_json: Callable[[bytes], str]
    hello_token: Callable[[bytes], str]
    """The token of a Hello, "" where it has none. ValueError where the frame is no Hello."""
    malformed: Callable[[str], bytes]
    """The ErrorMessage that says that a frame cannot be understood, with that sentence."""
