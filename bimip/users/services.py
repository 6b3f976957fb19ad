"""What every user's session needs of the rest of the server, handed down from parts.py."""

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Protocol

from bimip.concurrency import Timers
from bimip.domain.ids import UserId
from bimip.reading.people import Eids
from bimip.requests.rates import RateLimiter
from bimip.requests.services import RequestServices
from bimip.supervision import Slices

MAX_REMEMBERED = 4096


class Sender(Protocol):
    def send_soon(self, now: float) -> None: ...


class PoisonEntries:
    """How often an entry crashed a fetcher: after the second time it is delivered as a gap. Outlives the devices."""

    def __init__(self) -> None:
        self._crashes: OrderedDict[tuple[UserId, str, int], int] = OrderedDict()

    def note(self, place: tuple[UserId, str, int]) -> None:
        self._crashes[place] = self._crashes.pop(place, 0) + 1
        if len(self._crashes) > MAX_REMEMBERED:
            self._crashes.popitem(last=False)

    def of(self, user: UserId, partition: str) -> Container[int]:
        """The damaged offsets of a log. Asked for each frame, when mostly there is none anywhere."""
        if not self._crashes:
            return ()
        return {at for (one, log, at), times in self._crashes.items() if one == user and log == partition and times > 1}


class PendingSends(dict[Sender, None]):
    """Devices that have something to send, in the order in which that came up.

    A dict with no method to add one: that would be a call for each answer.
    """

    def flush(self, now: float) -> None:
        """Lets each send. Whoever has something to send by then comes next."""
        while self:
            for device in list(self):
                self.pop(device, None)
                device.send_soon(now)


@dataclass(frozen=True, kw_only=True)
class Services(RequestServices):
    timers: Timers
    eids: Eids
    handshake_seconds: float
    """In which a device must have said Hello."""
    agent: str = "bimip"
    poison: PoisonEntries = field(default_factory=PoisonEntries)
    rates: RateLimiter = field(default_factory=RateLimiter)
    pending_sends: PendingSends = field(default_factory=PendingSends)
    slices: Slices = field(default_factory=Slices)
    """Where all devices' long work stands in line."""
    sessions: dict[UserId, Any] = field(default_factory=dict)
    """The Session of each user that is connected, which is made of what is handed down here."""
