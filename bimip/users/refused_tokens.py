"""The tokens that were refused of late although their signatures hold: who asks why a device does not come is told."""

from typing import Final

from bimip.concurrency.buckets import Remembered
from bimip.domain.core.ids import Millis
from bimip.users.diagnosis import RefusedToken

MOST: Final = 2048
"""Devices, those that were refused last: only who has a token from the issuer can get in here."""


class RefusedTokens:
    """The last refusal of each device. It lasts as long as the process."""

    def __init__(self) -> None:
        self._found = Remembered[tuple[str, str], RefusedToken](MOST)

    def note(self, eid: str, device: str, at: Millis, reason: str) -> None:
        self._found.put((eid, device), RefusedToken(at, reason))

    def of(self, eid: str, device: str) -> RefusedToken | None:
        """Returns when a token of a device was refused last, and why; None: not of late."""
        return self._found.get((eid, device))
