"""Pages of shadow state, from items that are encoded once for all devices of a user."""

from collections.abc import Iterable, Sequence

from bimip.wire import bimip_pb2 as pb
from bimip.wire.varint import varint

_ITEM = b"\x2a"  # StateDelta.items
_STATE = b"\x42"  # Body.states


def receipts_item(
    version: int, *, conversation: str, member: str, kind: int, block: int, runs: Iterable[tuple[int, int, int]]
) -> bytes:
    """An element of StateDelta.items. Runs are (from, to, time in ms)."""
    item = pb.StateItem(version=version)
    receipts = item.receipts
    receipts.conversation = conversation
    receipts.member = member
    receipts.kind = kind  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    receipts.block = block
    for first, last, time in runs:
        run = receipts.runs.add(to=last, time=time)
        setattr(run, "from", first)
    encoded = item.SerializeToString()
    return _ITEM + varint(len(encoded)) + encoded


def delta_part(after: int, upto: int, items: Sequence[bytes], *, reset: bool = False, complete: bool = False) -> bytes:
    """An element of Body.states: all that changed in (after, upto]."""
    head = pb.StateDelta(after=after, upto=upto, reset=reset, complete=complete).SerializeToString()
    length = len(head) + sum(map(len, items))
    return b"".join((_STATE, varint(length), head, *items))
