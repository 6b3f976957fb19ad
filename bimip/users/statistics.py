"""What delivery counts, for the operator: never by whose device it was."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from bimip.histograms import SECONDS, Histogram


@dataclass(slots=True)
class DeliveryStatistics:
    sent: int = 0
    """Messages that connections took, in turn; one that three devices get counts three."""
    redelivered: int = 0
    """Messages that were sent again, because nothing was acknowledged in time."""
    deliver_seconds: Histogram = field(default_factory=lambda: Histogram(SECONDS))
    """From when a message was accepted until a device that was connected then had acknowledged it. A sample: see
    `requests.statistics.SAMPLE_SECONDS`."""
    sample_at: float = 0.0
    """When another message's way is to be timed."""
    gaps: Counter[int] = field(default_factory=Counter)
    """Gaps that were told instead of messages, by reason."""
    ephemeral_dropped: int = 0
    """What nobody stores and a device was not told, because it took nothing for too long."""
    hellos: Counter[str] = field(default_factory=Counter)
    """Hellos that were answered, by where the device stood."""


class DeviceLag(NamedTuple):
    """How far a connected device is behind, over all its partitions."""

    entries: int  # of its logs, that it was not sent yet
    in_flight: int  # messages that were sent and not acknowledged
    in_flight_bytes: int
    unanswered: int  # requests


@dataclass(slots=True)
class Lag:
    """How far all connected devices are behind, together."""

    users: int = 0
    devices: int = 0
    behind: int = 0
    """Devices that were not sent all."""
    entries: int = 0
    most: int = 0
    """Entries of the device that is behind the furthest."""
    in_flight: int = 0
    in_flight_bytes: int = 0
    unanswered: int = 0

    def add(self, one: DeviceLag) -> None:
        self.devices += 1
        self.behind += one.entries > 0
        self.entries += one.entries
        self.most = max(self.most, one.entries)
        self.in_flight += one.in_flight
        self.in_flight_bytes += one.in_flight_bytes
        self.unanswered += one.unanswered
