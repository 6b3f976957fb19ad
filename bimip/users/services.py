"""What every user's session needs of the rest of the server, handed down from parts.py. What of it changes has an owner
of its own: queue, timers, eids, poison, rates, sends, slices, and the registry, whose the sessions are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bimip.concurrency import Slices, Timers
from bimip.domain.core.decision import PrivacyNews
from bimip.domain.core.ids import UserId
from bimip.requests.rates import RateLimiter
from bimip.requests.services import RequestServices
from bimip.users.attending import Attendant
from bimip.users.awareness.notes import PresenceNotes
from bimip.users.poison import PoisonEntries
from bimip.users.recorder import FlightRecorders
from bimip.users.sends import PendingSends
from bimip.users.statistics import DeliveryStatistics


@dataclass(frozen=True, kw_only=True)
class Services(RequestServices):
    timers: Timers
    handshake_seconds: float
    """In which a device must have said Hello."""
    presence: PresenceNotes
    agent: str = "bimip"
    poison: PoisonEntries = field(default_factory=PoisonEntries)
    rates: RateLimiter = field(default_factory=RateLimiter)
    recorders: FlightRecorders = field(default_factory=FlightRecorders)
    pending_sends: PendingSends = field(default_factory=PendingSends)
    slices: Slices = field(default_factory=Slices)
    """Where all devices' long work stands in line."""
    delivery: DeliveryStatistics = field(default_factory=DeliveryStatistics)
    left: Callable[[UserId], None] = lambda _user: None
    """A device of a user is connected no more, or nobody sits before it any more."""
    attendants: list[Attendant] = field(default_factory=list)
    """Whoever is told that devices come and go."""
    sessions: dict[UserId, Any] = field(default_factory=dict)
    """The Session of each user that is connected, which is made of what is handed down here."""
    privacy_listeners: list[Callable[[PrivacyNews], None]] = field(default_factory=list)
    """Called when what is seen of a connected user may be another than before."""
