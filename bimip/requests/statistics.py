"""What requests count, for the operator: never by who asked."""

from collections import Counter
from dataclasses import dataclass, field

from bimip.histograms import SECONDS, Histogram

SAMPLE_SECONDS = 0.05
"""Between two messages that are timed: all of them, but for a busy server."""


@dataclass(slots=True)
class RequestStatistics:
    accepted: int = 0
    """Messages that were stored, each once."""
    duplicates: int = 0
    """Messages that were stored already when they were sent again."""
    accept_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """From when a message arrived until it was on disk and its SENT ready to go. A sample: see SAMPLE_SECONDS."""
    sample_at: float = 0.0
    """When another message is to be timed."""
    receipts: Counter[int] = field(default_factory=Counter)
    """Signals that were asked for, by status: all but acknowledgements, which `deliveries` tell."""
    one_time_keys: int = 0
    """Keys that were given to who encrypts, each once."""
    fallback_keys: int = 0
    """And fallback keys, which were given since no one-time key was left, or to who asked for very many."""
    refused: Counter[int] = field(default_factory=Counter)
    """Errors that were answered, by code."""
