"""What every user's session needs of the rest of the server, handed down from parts.py."""

from collections import OrderedDict
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any, Protocol

from bimip.concurrency import Timers
from bimip.domain.identity import Claims
from bimip.domain.ids import Millis, UserId
from bimip.journal.queue import OperationQueue
from bimip.reading.people import Eids
from bimip.storage.interface import Store
from bimip.supervision import Slices
from bimip.users.rates import RateLimiter
from bimip.wire.limits import Limits

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


@dataclass(frozen=True)
class Services:
    store: Store
    queue: OperationQueue
    limits: Limits
    partitions: tuple[str, ...]
    wall_clock: Callable[[], Millis]
    verify: Callable[[str], Claims]
    """Raises TokenError."""
    new_id: Callable[[], str]
    report: Callable[[str, BaseException], None]
    timers: Timers
    eids: Eids
    handshake_seconds: float
    """In which a device must have said Hello."""
    agent: str = "bimip"
    token_leeway_seconds: float = 0.0
    """How far the issuer's clock may be off: what was accepted with it is not closed at once."""
    poison: PoisonEntries = field(default_factory=PoisonEntries)
    rates: RateLimiter = field(default_factory=RateLimiter)
    pending_sends: dict[Sender, None] = field(default_factory=dict)
    """Devices that have something to send, in the order in which that came up."""
    slices: Slices = field(default_factory=Slices)
    """Where all devices' long work stands in line."""
    sessions: dict[UserId, Any] = field(default_factory=dict)
    """The Session of each user that is connected, which is made of what is handed down here."""
