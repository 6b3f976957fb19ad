"""What of a store was found damaged: each place is said once, and all of it is counted."""

from collections.abc import Callable
from typing import Final

MAX_PLACES: Final = 1000
"""Remembered as said. A store with more than that needs `store check`, not more lines."""


class Damage:
    """Made with the store; `report` is told of each place the first time that it is met."""

    def __init__(self, report: Callable[[str], None] | None = None) -> None:
        self._report = report
        self._places: set[str] = set()
        self.count = 0
        """How often something damaged was met."""

    def note(self, place: str) -> None:
        """`place`: what cannot be trusted, in words for an operator. Raises nothing."""
        self.count += 1
        if place in self._places or len(self._places) >= MAX_PLACES:
            return
        self._places.add(place)
        if self._report is not None:
            self._report(place)
