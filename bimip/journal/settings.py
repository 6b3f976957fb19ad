"""What an operator can set about the journal."""

from dataclasses import dataclass

from bimip.settings import seconds, setting


@dataclass(frozen=True, slots=True)
class JournalSettings:
    ack_delay_seconds: float = setting(0.02, seconds(0, 1), section="limits")
    """How long acknowledgements alone wait for a batch to ride on."""
