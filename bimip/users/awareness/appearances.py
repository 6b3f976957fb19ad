"""How each user is shown to others, and when that may change.

Somebody who comes is shown at once; who goes, when the delay has passed in which they may come back; and whatever
changes, it is shown once in an interval, as it is then. So a user who comes and goes all the time is told of no more
often than one who does so once in an interval, and one who is back in time was never gone. Times are seconds of the
event loop's clock.
"""

from collections.abc import Iterator
from heapq import heappop, heappush
from math import inf
from typing import Self

from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Status


class Appearance:
    """One user, as they are shown."""

    __slots__ = ("due", "eid", "gone_at", "gone_since", "is_old_to_own", "shown_at", "since", "status", "told")

    def __init__(self) -> None:
        self.eid = ""
        """By which they are told of, also when they were erased meanwhile."""
        self.status = Status.OFFLINE
        self.since = Millis(0)
        self.shown_at = -inf
        self.gone_at: float | None = None
        """When the last device went, of who may be back in time."""
        self.gone_since = Millis(0)
        self.due = inf
        """When they are to be looked at again."""
        self.told: set[UserId] = set()
        """Who know that they are there."""
        self.is_old_to_own = False
        """A device of theirs was told how they are, and then, as it was alone, not how they are now."""


class Appearances:
    """The users who are shown as being there, or were so in the last interval; all others are not there."""

    def __init__(self, delay: float, interval: float) -> None:
        self.coalesced = 0
        """Changes that nobody was told of: they were over before that was due."""
        self._delay = delay
        self._interval = interval
        self._known: dict[UserId, Appearance] = {}
        self._heap: list[tuple[float, UserId]] = []

    def take_over(self, before: Self) -> None:
        """Begins with the same users, shown as they were; which of them others were told of is forgotten."""
        self.coalesced = before.coalesced
        for user in before:
            known = before.known(user)
            assert known is not None
            appearance = self._known[user] = Appearance()
            appearance.status, appearance.since, appearance.shown_at = known.status, known.since, known.shown_at
            appearance.eid = known.eid

    def __len__(self) -> int:
        return sum(appearance.status is not Status.OFFLINE for appearance in self._known.values())

    def __iter__(self) -> Iterator[UserId]:
        return iter(list(self._known))

    def __contains__(self, user: object) -> bool:
        return user in self._known

    def known(self, user: UserId) -> Appearance | None:
        return self._known.get(user)

    def of(self, user: UserId) -> Appearance | None:
        """How a user is shown; None: they are not there."""
        appearance = self._known.get(user)
        return None if appearance is None or appearance.status is Status.OFFLINE else appearance

    def note_back(self, user: UserId) -> None:
        """They were there since they were looked at, and may be gone again: for no longer than that."""
        appearance = self._known.get(user)
        if appearance is not None:
            self.coalesced += appearance.gone_at is not None
            appearance.gone_at = None

    def look(self, user: UserId, status: Status, again_at: float, wall: Millis, now: float) -> bool:
        """Notes how a user is, and shows it if that is due. Whether it is: others are to be told. Else they are looked
        at again when it is.

        `again_at`: when they are another way without anybody's word. `wall`: the time of day.
        """
        appearance = self._known.get(user)
        if appearance is None:
            if status is Status.OFFLINE:
                return False
            appearance = self._known[user] = Appearance()
        if status is not Status.OFFLINE:
            self.coalesced += appearance.gone_at is not None
            appearance.gone_at = None
        elif appearance.gone_at is None:
            appearance.gone_at, appearance.gone_since = now, wall
        if status is appearance.status:
            self._wait(user, appearance, again_at)
            self.forget_gone(user, now)
            return False
        due = appearance.shown_at + self._interval
        if appearance.gone_at is not None:
            due = max(due, appearance.gone_at + self._delay)
        if due > now:
            self._wait(user, appearance, min(due, again_at))
            return False
        appearance.status, appearance.shown_at = status, now
        appearance.since = appearance.gone_since if status is Status.OFFLINE else wall
        self._wait(user, appearance, again_at)
        return True

    def forget_gone(self, user: UserId, now: float) -> None:
        """Forgets who is shown as being gone, once all know so and they may be shown again."""
        appearance = self._known.get(user)
        if appearance is None or appearance.status is not Status.OFFLINE:
            return
        again_at = appearance.shown_at + self._interval
        if again_at > now:
            self._wait(user, appearance, again_at)
        elif not appearance.told:
            del self._known[user]

    def _wait(self, user: UserId, appearance: Appearance, due: float) -> None:
        if due != appearance.due:
            appearance.due = due
            if due < inf:
                heappush(self._heap, (due, user))

    @property
    def next_due(self) -> float:
        """When somebody is to be looked at, or earlier; never: infinite."""
        return self._heap[0][0] if self._heap else inf

    def pop_due(self, now: float) -> UserId | None:
        """The next user who is to be looked at now."""
        while self._heap and self._heap[0][0] <= now:
            due, user = heappop(self._heap)
            appearance = self._known.get(user)
            if appearance is not None and appearance.due == due:
                appearance.due = inf
                return user
        return None
