"""Who came, was refused and left, for the log: so many lines a second, as a flood must not fill a disk."""

from collections.abc import Callable

MOST_LINES = 200
"""In a second; of the others it is told how many there were."""


class ConnectionLog:
    def __init__(self, say: Callable[..., object], now: Callable[[], float]) -> None:
        """`say` takes what happened, and more by name; `now` tells seconds."""
        self._say = say
        self._now = now
        self._second = self._lines = self._kept_back = 0

    def tell(self, what: str, connection: int, **more: object) -> None:
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
