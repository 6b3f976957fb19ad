"""What an operator can set about calls."""

from dataclasses import dataclass

from bimip.settings import seconds, setting, whole


@dataclass(frozen=True, slots=True)
class CallSettings:
    ring_seconds: float = setting(60.0, seconds(1, 3600))
    """How long a call may ring."""
    away_seconds: float = setting(15.0, seconds(0.1, 3600))
    """How long a device that takes part may be disconnected before the call is lost. So long is an end remembered."""
    at_once: int = setting(1, whole(1, 64))
    """Calls that a user makes or talks in at once: whoever has as many is busy."""
    steps_per_second: int = setting(20, whole(1, 10_000))
    """Of one user, in all of their calls together; five seconds' worth of it at once."""
