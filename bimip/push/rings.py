"""Which calls ring, and at which subscriptions that was told: made once, by parts.py, it outlives the process.

Nothing of it is on disk, as of calls nothing is. A call that rings is owed to each subscription of its callee, once;
and that it rings no more, to each that was told, or may have been. Whoever calls one user again and again, and all who
do so together, are held to a rate: what is beyond it is told a little later, if it still rings.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import trio

from bimip.concurrency.buckets import Bucket, Rate, Remembered
from bimip.domain.core.ids import Stamp, UserId
from bimip.domain.push.ringing import Ring
from bimip.push.subscribers import Subscribers

OF_A_CALLER = Rate(1 / 20, 0, 40)
"""How often a user is told that one and the same user calls: three times, and then once in twenty seconds."""
OF_ALL_CALLERS = Rate(1 / 4, 0, 36)
"""And that anybody calls: ten times, and then once in four seconds."""
MAX_RATES = 4096
"""That are remembered."""
KEPT_SECONDS = 300.0
"""For which it is tried to tell that a call rings no more."""


@dataclass(slots=True, eq=False)
class Ringing:
    """A call, from when it rings until all were told that it does no more."""

    ring: Ring
    is_over: bool = False
    is_admitted: bool = False
    """It is within the rates."""
    tried: set[Stamp] = field(default_factory=set)
    """Subscriptions that were told, or may have been."""
    told: set[Stamp] = field(default_factory=set)
    """Subscriptions that need not be told again that it rings."""

    def concerns(self, subscription: Stamp) -> bool:
        """Whether a subscription is owed something of it."""
        return subscription in self.tried if self.is_over else subscription not in self.told


class Calling(NamedTuple):
    """One rate for each pair, and one for each callee: there the caller is 0."""

    callee: UserId
    caller: UserId


class Rings:
    def __init__(self, subscribers: Subscribers) -> None:
        self._subscribers = subscribers
        self._by_user: dict[UserId, dict[Ring, Ringing]] = {}
        self._over: deque[tuple[float, Ringing]] = deque()
        self._rates = Remembered[Calling, Bucket](MAX_RATES)

    def __len__(self) -> int:
        return sum(map(len, self._by_user.values()))

    # What calls say.

    def begun(self, ring: Ring) -> None:
        """A call rings now, also where no device of its callee is connected."""
        self.forget_old()
        self._by_user.setdefault(ring.callee, {})[ring] = Ringing(ring)
        self._subscribers.called(ring.callee, at_once=False)

    def ended(self, ring: Ring) -> None:
        """A call rings no more, as it was answered, or is over."""
        ringing = self._by_user.get(ring.callee, {}).get(ring)
        if ringing is None or ringing.is_over:
            return
        ringing.is_over = True
        if not ringing.tried:
            self._forget(ringing)
            return
        self._over.append((trio.current_time(), ringing))
        self._subscribers.called(ring.callee, at_once=True)

    # What push asks.

    def owes(self, user: UserId, subscription: Stamp) -> bool:
        """Whether a subscription is to be told that a call rings, or that it rings no more."""
        return any(True for _ in self._of(user, subscription))

    def is_to_clear(self, user: UserId) -> bool:
        """Whether something is to be told that does not wait until a user is away."""
        return any(ringing.is_over for ringing in self._by_user.get(user, {}).values())

    def over(self, user: UserId, subscription: Stamp) -> Ringing | None:
        """Finds a call that rings no more, and of which a subscription was told that it does."""
        return next((one for one in self._of(user, subscription) if one.is_over), None)

    def ringing(self, user: UserId, subscription: Stamp) -> list[Ringing]:
        """Lists the calls of which a subscription was not told yet that they ring, in the order in which they began."""
        return [one for one in self._of(user, subscription) if not one.is_over]

    def wait(self, ringing: Ringing, now: float) -> float:
        """Admits a call to what is told. Seconds until it may be: 0, now, and for all of its callee's subscriptions."""
        if ringing.is_admitted:
            return 0.0
        ring = ringing.ring
        buckets = (
            self._bucket(Calling(ring.callee, ring.caller), OF_A_CALLER),
            self._bucket(Calling(ring.callee, UserId(0)), OF_ALL_CALLERS),
        )
        wait = max(bucket.wait(now) for bucket in buckets)
        if wait > 0:
            return wait
        for bucket in buckets:
            bucket.take(1, 0, now)
        ringing.is_admitted = True
        return 0.0

    def sending(self, ringing: Ringing, subscription: Stamp) -> None:
        """A gateway is about to be told: whatever becomes of that, it may be shown from now on."""
        if not ringing.is_over:
            ringing.tried.add(subscription)

    def sent(self, ringing: Ringing, subscription: Stamp, *, was_over: bool) -> None:
        """A gateway took it, or never will."""
        if not was_over:
            ringing.told.add(subscription)
            return
        ringing.tried.discard(subscription)
        if not ringing.tried:
            self._forget(ringing)

    def _of(self, user: UserId, subscription: Stamp) -> Iterator[Ringing]:
        return (one for one in self._by_user.get(user, {}).values() if one.concerns(subscription))

    def _bucket(self, key: Calling, rate: Rate) -> Bucket:
        return self._rates.get(key) or self._rates.put(key, Bucket(rate))

    def forget_old(self) -> None:
        """Forgets what could not be told for long, as where a subscription went meanwhile."""
        now = trio.current_time()
        while self._over and self._over[0][0] + KEPT_SECONDS <= now:
            self._forget(self._over.popleft()[1])

    def _forget(self, ringing: Ringing) -> None:
        rings = self._by_user.get(ringing.ring.callee)
        if rings is not None and rings.get(ringing.ring) is ringing:
            del rings[ringing.ring]
            if not rings:
                del self._by_user[ringing.ring.callee]
