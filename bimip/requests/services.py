"""What requests need of the rest of the server, whoever asks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import trio

from bimip.domain.awareness.calls import Said
from bimip.domain.awareness.locations import Position
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import LocationShare
from bimip.domain.core.rules import DeviceNames
from bimip.domain.keeping.timekeeping import DAY
from bimip.domain.push.subscribing import PushOffer
from bimip.domain.state.location_shares import OtherEnd
from bimip.journal.queue import OperationQueue
from bimip.reading.people import Eids
from bimip.requests.rates import KeyClaims
from bimip.requests.statistics import RequestStatistics
from bimip.storage.interface import Store
from bimip.wire.limits import Limits


class CallExchange(Protocol):
    """Takes what devices say of calls, and tells whom it concerns."""

    def say(self, said: Said) -> int:
        """Returns how many devices were told. Raises WireError."""
        ...


class LocationExchange(Protocol):
    """Tells where users are to whom they share it with."""

    def publish(self, user: UserId, position: Position) -> int | None:
        """Takes where a user is now. Returns how many could be told the last time; None: they share it with nobody."""
        ...

    def share_changed(self, user: UserId, other: OtherEnd, share: LocationShare | None) -> None:
        """A share of a user is another one, or ended."""
        ...

    def position_of(self, owner: UserId, viewer: UserId) -> Position | None:
        """Finds where a user was last, as far as that is shared with a viewer now."""
        ...


def record_nothing(_action: str, **_more: str) -> None:
    """Nobody keeps a trail."""


@dataclass(frozen=True, kw_only=True)
class RequestServices:
    store: Store
    queue: OperationQueue
    eids: Eids
    limits: Limits
    partitions: tuple[str, ...]
    wall_clock: Callable[[], Millis]
    verify: Callable[[str], Claims]
    """Raises TokenError."""
    new_id: Callable[[], str]
    calls: CallExchange
    locations: LocationExchange
    report: Callable[[str, BaseException], None]
    offline_ms: int = 7 * DAY
    """How long a device may be unseen until it holds nothing back."""
    device_names: DeviceNames = "correspondents"
    """Who may know the names of users' devices."""
    push: PushOffer = field(default_factory=PushOffer)
    subscribed: Callable[[UserId], None] = lambda _user: None
    """A user has a subscription to push, or another one."""
    token_leeway_seconds: float = 0.0
    """How far the issuer's clock may be off: what was accepted with it is not closed at once."""
    claims: KeyClaims = field(default_factory=KeyClaims)
    """How often users are given one-time keys of others' devices."""
    audit: Callable[..., None] = record_nothing
    """Told of what a user does to the security of theirs: the action, and by name who, source, target."""
    monotonic: Callable[[], float] = trio.current_time
    """The seconds of the event loop, by which `Asker.heard_at` goes."""
    clock: Callable[[], float] = float
    """Tells seconds, by which the work of a turn is measured; they stand still where time is virtual."""
    statistics: RequestStatistics = field(default_factory=RequestStatistics)
