"""How long to wait before the next attempt: exponential, with full jitter.

Full jitter (a draw from 0 to the bound, not around it) spreads a thousand clients whose server restarts best; see
M. Brooker, "Exponential Backoff and Jitter", 2015.
"""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    base: float = 0.5  # seconds: the bound of the first wait
    longest: float = 15.0
    steady: float = 10.0  # a connection that lasted so long makes the next wait a first one again

    def delay(self, attempt: int, random: Random) -> float:
        """Draws the seconds to wait after the attempt with this number; the first one is 0."""
        return random.uniform(0.0, min(self.longest, self.base * 2.0 ** min(attempt, 32)))
