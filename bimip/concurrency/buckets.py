"""How fast something may go on.

A bucket is one number for each thing that is counted: the time until which what was taken is paid for. Taking moves it
ahead; whoever is ahead of the clock waits. Who was quiet is up to a burst behind it, and no more. A frame is taken
whole as long as nothing is owed, so that a large one is never refused for ever.
"""

from dataclasses import dataclass
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Rate:
    """0: without limit."""

    requests_per_second: float = 0
    bytes_per_second: float = 0
    burst_seconds: float = 2.0


class Bucket:
    __slots__ = ("burst", "byte_cost", "bytes_until", "request_cost", "requests_until")

    def __init__(self, rate: Rate) -> None:
        self.burst = rate.burst_seconds
        self.request_cost = 1 / rate.requests_per_second if rate.requests_per_second else 0.0
        self.byte_cost = 1 / rate.bytes_per_second if rate.bytes_per_second else 0.0
        self.requests_until = self.bytes_until = -inf

    def wait(self, now: float) -> float:
        """Seconds until something may be taken; 0 or less: now."""
        return max(self.requests_until, self.bytes_until) - now

    def take(self, requests: float, size: int, now: float) -> None:
        begin = now - self.burst
        self.requests_until = max(self.requests_until, begin) + requests * self.request_cost
        self.bytes_until = max(self.bytes_until, begin) + size * self.byte_cost


class Remembered(Generic[K, V]):
    """The last few that were asked for."""

    __slots__ = ("_found", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        value = self._found.pop(key, None)
        return value if value is None else self.put(key, value)

    def put(self, key: K, value: V) -> V:
        self._found[key] = value
        if len(self._found) > self._most:
            del self._found[next(iter(self._found))]
        return value
