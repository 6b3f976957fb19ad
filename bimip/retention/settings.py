"""What an operator can set about what is kept how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from bimip.settings import Raw, Rule, items, seconds, setting, whole


def _days_by_partition(value: Raw) -> dict[str, int]:
    if isinstance(value, str):
        value = dict(item.split("=", 1) for item in items(value))
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return {name.strip(): whole(0, 36_500).parse(days) for name, days in value.items()}


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    history_days: Mapping[str, int] = setting(
        {"chat": 0, "notification": 30, "feed": 0, "sync": 0},
        Rule(_days_by_partition, "days from 0 to 36500 for each partition"),
    )
    """By partition; 0 or absent: for ever."""
    offline_days: int = setting(7, whole(1, 3650))
    """How long a device may be away with what it wrote. What it sends again after that must still be known: that is
    all that this does until devices hold back what everybody else has.
    """
    dedup_days: int = setting(30, whole(1, 3650))
    every_seconds: float = setting(60.0, seconds(0.1, 86_400))
    checkpoint_entries: int = setting(1000, whole(1, 2**31))
    """A log has another checkpoint when it has grown by so many entries, or by any and so long ago was the last."""
    checkpoint_seconds: float = setting(3600.0, seconds(1, 31_536_000))

    @property
    def longest_days(self) -> int:
        return max([*self.history_days.values(), self.dedup_days])

    def contradictions(self) -> list[str]:
        if self.dedup_days < self.offline_days:
            return [f"retention.dedup_days is {self.dedup_days}; allowed: offline_days ({self.offline_days}) or more"]
        return []
