"""How soon it is told that somebody comes and goes."""

from dataclasses import dataclass

from bimip.settings import seconds, setting


@dataclass(frozen=True, slots=True)
class PresenceSettings:
    offline_delay_seconds: float = setting(5.0, seconds(0.0, 3600))
    """After a user's last device went, until others are told."""
    interval_seconds: float = setting(2.0, seconds(0.0, 3600))
    """Others are told of a user at most once in it."""
    inactive_seconds: float = setting(30.0, seconds(0.0, 3600))
    """A device that nobody looks at is told all of it together, so often."""
