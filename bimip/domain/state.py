"""The kinds of state that devices share. What is the same for all: each change has a version, under which stands its
packed key (CHANGES), and the other way round (VERSIONS).
"""

from typing import Any

from bimip.domain import receipts
from bimip.domain.records import Reader, StateKey
from bimip.domain.state_kind import StateKind

KINDS: tuple[StateKind, ...] = (receipts.KIND,)

BY_TAG = {kind.tag: kind for kind in KINDS}


def read(view: Reader, packed: StateKey) -> tuple[Any, Any]:
    """Reads what is under a packed key: the key of its kind, and the value.

    Raises ValueError where the kind is none that this version knows.
    """
    kind = BY_TAG.get(packed[0]) if packed else None
    if kind is None:
        raise ValueError(f"there is no kind of state {packed[:1].hex()}")
    key = kind.unpack_key(packed)
    return key, kind.read(view, key)
