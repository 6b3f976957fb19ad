"""The sequences, a file for each noun; here in the order in which they are played."""

from typing import Final

from bimip.conformance.sequence import Sequence
from bimip.conformance.sequences import closing, delivery, epochs, frames, heartbeat, sending, state

SEQUENCES: Final[tuple[Sequence, ...]] = (
    *delivery.SEQUENCES,
    *sending.SEQUENCES,
    *closing.SEQUENCES,
    *heartbeat.SEQUENCES,
    *epochs.SEQUENCES,
    *state.SEQUENCES,
    *frames.SEQUENCES,
)
