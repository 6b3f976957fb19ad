"""How values that devices wrote apart from each other become one, whatever order they arrive in.

Each rule commutes, associates and is idempotent. Receipts are unions (`state/receipts.py`), read markers maxima
(`state/read_markers.py`); what people set and set again is the last write.
"""

from typing import Any, NamedTuple

from bimip.domain.core.ids import DeviceId, Stamp


class LastWrite(NamedTuple):
    """A value that is set as a whole, with who wrote it and when."""

    value: Any
    stamp: Stamp = Stamp(0)  # 0: nobody wrote it
    writer: DeviceId = DeviceId(0)


def later(one: LastWrite, other: LastWrite) -> LastWrite:
    """Merges two writes: the later stamp wins; of equal ones the higher device, and then the greater value."""
    return max(one, other, key=_order)


def _order(write: LastWrite) -> tuple[Stamp, DeviceId, Any]:
    return write.stamp, write.writer, write.value


def clamped(given: Stamp, present: Stamp) -> Stamp:
    """Returns the stamp that counts: the given one, or the present where that is ahead of it, or none (0) was given.

    A device whose clock runs ahead would win for ever.
    """
    return given if 0 < given < present else present
