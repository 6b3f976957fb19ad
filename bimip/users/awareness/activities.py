"""How fast a device may say that its user is typing: beyond that, of each conversation the last word is told later."""

from collections.abc import Hashable
from math import inf

from bimip.concurrency.buckets import Bucket, Rate, Remembered
from bimip.domain.core.ids import DeviceId
from bimip.users.awareness.notes import TimedActivity

RATE = Rate(requests_per_second=5, burst_seconds=2.0)
MAX_DEVICES = 4096
"""Whose rates are remembered."""
MAX_WAITING = 64
"""Of one device: the oldest goes."""


class Activities:
    """Activities that are to be told, and those that wait until their device may say so much."""

    def __init__(self) -> None:
        self._buckets = Remembered[DeviceId, Bucket](MAX_DEVICES)
        self._waiting: dict[DeviceId, dict[Hashable, TimedActivity]] = {}

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, device: DeviceId, place: Hashable, said: TimedActivity) -> None:
        """Takes in what a device says; `place`: what it is about, of which the last word counts."""
        waiting = self._waiting.setdefault(device, {})
        waiting.pop(place, None)
        if len(waiting) >= MAX_WAITING:
            del waiting[next(iter(waiting))]
        waiting[place] = said

    @property
    def next_due(self) -> float:
        """When something may be told."""
        return min([self._bucket(device).wait(0.0) for device in self._waiting], default=inf)

    def pop_due(self, now: float) -> TimedActivity | None:
        """Takes out the next that may be told now; what means nothing any more goes."""
        for device, waiting in list(self._waiting.items()):
            for place, said in list(waiting.items()):
                if said.until <= now:
                    del waiting[place]
            bucket = self._bucket(device)
            found = None
            if waiting and bucket.wait(now) <= 0:
                bucket.take(1, 0, now)
                found = waiting.pop(next(iter(waiting)))
            if not waiting:
                del self._waiting[device]
            if found is not None:
                return found
        return None

    def _bucket(self, device: DeviceId) -> Bucket:
        return self._buckets.get(device) or self._buckets.put(device, Bucket(RATE))
