"""A circuit breaker: who failed again and again is left alone for a while, and then tried once.

    closed  -> open       after FAILURES in a row, of different ones
    open    -> half open  when its time is over: one request is let through
    half open -> closed   it went well
    half open -> open     it failed: for twice as long, up to a limit

Its state is in memory alone. A server that starts anew tries everybody once more.
"""

from collections.abc import Callable, Hashable
from math import inf

FAILURES = 3
FIRST_SECONDS = 5.0
AGAIN_SECONDS = 1.0
"""Until something is tried again that failed for the first time, or that the store could not take or tell."""
MOST_DOUBLINGS = 32


def backoff(before: int, first_seconds: float, most_seconds: float, jitter: Callable[[], float]) -> float:
    """Returns the seconds until something is tried again that had failed so often in a row before: each time twice as
    many.
    """
    return min(most_seconds, first_seconds * 2.0 ** min(before, MOST_DOUBLINGS)) * jitter()


class Breaker:
    def __init__(self, most_seconds: float, jitter: Callable[[], float]) -> None:
        """`jitter`: a factor, so that not all come back at once."""
        self._most_seconds = most_seconds
        self._jitter = jitter
        self._opened = 0  # times in a row
        self._failed: set[Hashable] = set()
        self.open_until = -inf
        """The time of the loop until which nobody is let through."""

    @property
    def failures(self) -> int:
        """Counts who was failed since it last went well."""
        return len(self._failed)

    @property
    def is_whole(self) -> bool:
        """Nothing failed, and nobody waits."""
        return not self.failures and self.open_until == -inf

    def state(self, now: float) -> str:
        if now < self.open_until:
            return "open"
        return "half open" if self.failures >= FAILURES else "closed"

    def room(self, now: float, most: int) -> int:
        """How many may be under way at once."""
        return {"open": 0, "half open": 1, "closed": most}[self.state(now)]

    def succeeded(self) -> None:
        self._failed.clear()
        self._opened = 0
        self.open_until = -inf

    def failed(self, now: float, who: Hashable) -> None:
        """`who` was failed: one alone, however often, opens nothing."""
        if len(self._failed) < FAILURES:
            self._failed.add(who)
        if self.failures >= FAILURES and now >= self.open_until:
            self.open_until = now + backoff(self._opened, FIRST_SECONDS, self._most_seconds, self._jitter)
            self._opened += 1

    def pause(self, until: float) -> None:
        """It asked to be left alone until then."""
        self.open_until = max(self.open_until, until)
