"""What an operator can set about what is kept how long."""

from collections.abc import Mapping
from dataclasses import dataclass

from bimip.domain.keeping.timekeeping import DAY
from bimip.settings import Raw, Rule, choice, items, seconds, setting, whole


def _days_by_partition(value: Raw) -> dict[str, int]:
    if isinstance(value, str):
        value = dict(item.split("=", 1) for item in items(value))
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return {name.strip(): whole(0, 36_500).parse(days) for name, days in value.items()}


HISTORY, UNTIL_ACKED = POLICIES = ("history", "until-acked")


def _policies_by_partition(value: Raw) -> dict[str, str]:
    if isinstance(value, str):
        value = dict(item.split("=", 1) for item in items(value))
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return {name.strip(): choice(*POLICIES).parse(policy) for name, policy in value.items()}


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    history_days: Mapping[str, int] = setting(
        {"chat": 0, "notification": 30, "feed": 0, "sync": 0},
        Rule(_days_by_partition, "days from 0 to 36500 for each partition"),
    )
    """By partition; 0 or absent: for ever."""
    policies: Mapping[str, str] = setting(
        {"chat": HISTORY, "notification": HISTORY, "feed": HISTORY, "sync": HISTORY},
        Rule(_policies_by_partition, '"history" or "until-acked" for each partition'),
    )
    """By partition; absent: `history`."""
    offline_days: int = setting(7, whole(1, 3650))
    """How long a device may be away, with what it wrote too: what it sends again must still be known. One that is
    unseen for longer holds nothing back, and is sent its whole state if anything of that was removed since.
    """
    dedup_days: int = setting(30, whole(1, 3650))
    every_seconds: float = setting(60.0, seconds(0.1, 86_400))
    checkpoint_entries: int = setting(1000, whole(1, 2**31))
    """A log has another checkpoint when it has grown by so many entries, or by any and so long ago was the last."""
    checkpoint_seconds: float = setting(3600.0, seconds(1, 31_536_000))

    @property
    def until_acked(self) -> frozenset[str]:
        """Partitions whose entries go once all live devices have acknowledged them."""
        return frozenset(name for name, policy in self.policies.items() if policy == UNTIL_ACKED)

    @property
    def offline_ms(self) -> int:
        return self.offline_days * DAY

    def live_ms(self, outage_ms: int) -> int:
        """How long after it was seen a device is live, where nobody could be seen for so long."""
        return self.offline_ms + outage_ms

    @property
    def longest_ms(self) -> dict[str, int]:
        """How long entries are kept, by partition; absent: for ever."""
        return {name: days * DAY for name, days in self.history_days.items() if days}

    @property
    def longest_days(self) -> int:
        return max([*self.history_days.values(), self.dedup_days])

    def contradictions(self) -> list[str]:
        if self.dedup_days < self.offline_days:
            return [f"retention.dedup_days is {self.dedup_days}; allowed: offline_days ({self.offline_days}) or more"]
        return []
