"""Who came, was refused and left: counted all, and told to the log so many lines a second, as a flood must not fill a
disk.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from bimip.session.close import Close

MOST_LINES = 200
"""In a second; of the others it is told how many there were."""


_NAMES = {int(close): close.name.lower() for close in Close} | {1005: "no_status", 1006: "abnormal"}
"""Of the codes that connections end with. A peer may say any number: all others are one."""


@dataclass(slots=True)
class ConnectionStatistics:
    logins: int = 0
    refused: Counter[int] = field(default_factory=Counter)
    """Openings that were answered by an error, by its HTTP status."""
    closed: Counter[str] = field(default_factory=Counter)
    """WebSocket connections that ended, by the name of the code."""

    def count(self, what: str, number: object) -> None:
        """`number`: the status or the code that it is told with, if any."""
        if what == "login":
            self.logins += 1
        elif what == "refused" and isinstance(number, int):
            self.refused[number] += 1
        elif what == "closed" and isinstance(number, int):
            self.closed[_NAMES.get(number, "other")] += 1


class ConnectionLog:
    def __init__(self, say: Callable[..., object], now: Callable[[], float]) -> None:
        """`say` takes what happened, and more by name; `now` tells seconds."""
        self._say = say
        self._now = now
        self._second = self._lines = self._kept_back = 0
        self.statistics = ConnectionStatistics()

    def tell(self, what: str, connection: int, **more: object) -> None:
        self.statistics.count(what, more.get("status", more.get("code")))
        second = int(self._now())
        if second != self._second:
            if self._kept_back:
                self._say("connections of which there is no line", count=self._kept_back)
            self._second, self._lines, self._kept_back = second, 0, 0
        if self._lines < MOST_LINES:
            self._lines += 1
            self._say(what, connection=connection, **more)
        else:
            self._kept_back += 1
