"""What the store and its readers know of a kind of state, so that they need to know none by name.

Each kind has its row in the file of its rules; `state.py` puts them together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bimip.domain.records import Reader


@dataclass(frozen=True, slots=True)
class StateKind:
    """How the keys of one kind are packed, and where its values lie."""

    tag: int
    """The first byte of each packed key. It is on disks: never another's, never used again."""
    pack_key: Callable[[Any], bytes]
    """The tag, and bytes that sort as the keys do; none is the beginning of another."""
    unpack_key: Callable[[bytes], Any]
    """Takes the tag too."""
    read: Callable[[Reader, Any], Any]
    """Reads the value of a key from its own tables; empty or None where there is none."""
