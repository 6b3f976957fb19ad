"""Who of this user's contacts is there and what they are doing, as the server told it on a connection: kept nowhere.

A connection begins with nobody, and so does a reset: who is not named after it is not there. So that nobody seems to
go who is named a little later, those known before count until none of them was named for SETTLE_SECONDS. What others
do ends by itself.
"""

from collections.abc import Callable, Iterable
from math import inf
from typing import NamedTuple

from bimip.client.condition import Condition
from bimip.client.events import ActivityChanged, KnownPresence, PresenceChanged
from bimip.client.wire.bimip import Awareness, AwarenessStatus
from bimip.domain.awareness.activities import LASTING, Doing, lasts_ms
from bimip.domain.core.records import Status

SETTLE_SECONDS = 3.0
MOST_ACTIVITIES = 4096
"""Shown at once: the oldest one ends."""

NOT_THERE = KnownPresence(Status.OFFLINE)
STATUSES = {AwarenessStatus(status): status for status in Status}
DOINGS = {AwarenessStatus(doing): doing for doing in Doing}

Place = tuple[str, str]
"""A user and a conversation."""


class LastingActivity(NamedTuple):
    doing: Doing
    until: float  # by the clock


class Presence:
    def __init__(self, clock: Callable[[], float]) -> None:
        self.changed = Condition()  # something may end earlier than it did
        self._clock = clock
        self._known: dict[str, KnownPresence] = {}
        self._unconfirmed: set[str] = set()  # since the reset
        self._settles_at = inf
        self._activities: dict[Place, LastingActivity] = {}

    def known(self) -> dict[str, KnownPresence]:
        return dict(self._known)

    def take(self, told: Iterable[Awareness], *, is_reset: bool) -> list[PresenceChanged | ActivityChanged]:
        """Takes in what a batch tells. Statuses that only a later version understands are left out."""
        if is_reset:
            self.connected()
        events: list[PresenceChanged | ActivityChanged] = []
        for one in told:
            eid = one.from_.eid if one.from_ is not None else ""
            if (known := presence_told(one)) is not None:
                events += self._presence(eid, known)
            elif (doing := DOINGS.get(one.status)) is not None:
                events += self._activity((eid, one.conversation), doing, one.ttl_ms)
        self.changed.notify_all()
        return events

    def _presence(self, eid: str, now: KnownPresence) -> list[PresenceChanged]:
        if eid in self._unconfirmed:
            self._unconfirmed.discard(eid)
            self._settles_at = self._clock() + SETTLE_SECONDS
        before = self._known.get(eid, NOT_THERE)
        self._known[eid] = now
        return [PresenceChanged(eid, *now)] if now != before else []

    def _activity(self, place: Place, doing: Doing, ttl_ms: int) -> list[ActivityChanged]:
        before = self._activities.pop(place, None)
        if doing not in LASTING:
            is_news = doing is Doing.RESUME or before is not None
            return [ActivityChanged(*place, doing)] if is_news else []
        self._activities[place] = LastingActivity(doing, self._clock() + lasts_ms(doing, ttl_ms) / 1000)
        events = [ActivityChanged(*place, doing)] if before is None or before.doing is not doing else []
        if len(self._activities) > MOST_ACTIVITIES:
            events += self._end(next(iter(self._activities)))
        return events

    def wrote(self, eid: str, conversation: str) -> list[ActivityChanged]:
        """Ends what a user was doing before their message came, which may be the first of its conversation."""
        if not self._activities:
            return []
        return [*self._end((eid, conversation)), *self._end((eid, ""))]

    def _end(self, place: Place) -> list[ActivityChanged]:
        ended = self._activities.pop(place, None)
        return [] if ended is None else [ActivityChanged(*place, Doing.CANCELLED)]

    def connected(self) -> None:
        """Begins with nobody: whom the server does not name soon is gone."""
        self._unconfirmed = set(self._known)
        self._settles_at = self._clock() + SETTLE_SECONDS
        self.changed.notify_all()

    def disconnected(self) -> None:
        """Keeps what is known until the next connection tells otherwise."""
        self._settles_at = inf
        self.changed.notify_all()

    @property
    def next_end(self) -> float:
        """When something ends by itself."""
        return min([self._settles_at, *(activity.until for activity in self._activities.values())])

    def expire(self) -> list[PresenceChanged | ActivityChanged]:
        """Ends what has ended by now: activities, and the presence of whom the server did not name."""
        now = self._clock()
        events: list[PresenceChanged | ActivityChanged] = []
        for place in [place for place, activity in self._activities.items() if activity.until <= now]:
            events += self._end(place)
        if self._settles_at <= now:
            self._settles_at = inf
            for eid in sorted(self._unconfirmed):
                if self._known.pop(eid).status is not Status.OFFLINE:
                    events.append(PresenceChanged(eid, *NOT_THERE))
            self._unconfirmed = set()
        return events


def presence_told(told: Awareness) -> KnownPresence | None:
    """Reads how a user is; None: it says no such thing, or only a later version understands it."""
    status = STATUSES.get(told.status)
    return None if status is None else KnownPresence(status, told.timestamp, told.last_seen)
