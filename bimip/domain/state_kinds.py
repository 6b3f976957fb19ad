"""The kinds of state. One that is added is a file of rules beside these, and its row below."""

from bimip.domain import read_markers, receipts
from bimip.domain.records import StateKey
from bimip.domain.state import StateKind

KINDS: dict[int, StateKind] = {kind.tag: kind for kind in (receipts.KIND, read_markers.KIND)}
"""By the tag of their keys."""


def kind_of(key: StateKey) -> StateKind:
    """Tells which kind a key is of. Raises KeyError for one that this version does not know."""
    return KINDS[key[0]]
