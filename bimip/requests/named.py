"""Offsets that a signal names."""

from collections.abc import Sequence

from bimip.domain.core.ranges import Ranges, normal
from bimip.requests.asker import Asker
from bimip.wire import bimip_pb2 as pb

RANGES_FOR_A_REQUEST = 8
"""What a receipt or an acknowledgement costs that names many."""


def named_ranges(asker: Asker, ranges: Sequence[pb.OffsetRange], one: int) -> Ranges:
    """The ranges that are named, and a single offset that is named beside them; 0: none. Many are charged."""
    if not one and not ranges:
        return ()
    pairs = [(getattr(part, "from"), part.to) for part in ranges]
    named = normal([*pairs, (one, one)] if one else pairs)
    if len(named) >= RANGES_FOR_A_REQUEST:
        asker.weigh(len(named) // RANGES_FOR_A_REQUEST)
    return named
