"""Who had how much of one's time of late: so that whoever asks little comes first."""

from collections import defaultdict
from collections.abc import Hashable

HALVING_SECONDS = 0.25
"""So long ago counts half."""
MUCH_SECONDS = 0.01
"""Of late, for one account: some fiftieth of all that there is."""


MOST_SECONDS = 0.1
"""Of late, for one account: some fifth of all that there is. Who had more is held back while others ask for little."""
CALM_SECONDS = MOST_SECONDS / 4
"""Who is held back is so until they had less than this: as long as they ask for more than they get."""


class Shares(defaultdict[Hashable, float]):
    """Seconds that each account had of late. Whoever serves adds to them, and ages them when it is due."""

    def __init__(self) -> None:
        super().__init__(float)
        self.due = 0.0
        """When they are to be aged again: it is asked for at every round."""
        self.little_until = 0.0
        """So long somebody counts as there who asks for little: whoever serves them says so."""
        self.held: frozenset[Hashable] = frozenset()
        """Accounts that had so much of late that they have to leave room for others who are there."""

    def age(self, now: float) -> None:
        """Halves what each account had; what makes no difference any more is forgotten."""
        held, self.held = self.held, frozenset()
        if now < self.little_until:
            limits = ((who, seconds, CALM_SECONDS if who in held else MOST_SECONDS) for who, seconds in self.items())
            self.held = frozenset([who for who, seconds, most in limits if seconds > most])
        halves = {who: seconds / 2 for who, seconds in self.items() if seconds > MUCH_SECONDS / 64}
        self.clear()
        self.update(halves)
        self.due = now + HALVING_SECONDS
