"""Who has subscriptions to push, and at whom the process has to look: made once, by parts.py, it outlives the process.

Nothing of it is kept on disk. A process that begins walks the subscriptions, a slice at a time, and looks at each of
their users; from then on commits and devices that leave tell at whom to look. So a message to a user without
subscriptions costs one look into a set, where there are subscriptions at all, and else nothing.
"""

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from math import inf
from typing import Protocol

import trio

from bimip.concurrency import Timers, Watch
from bimip.domain.core.ids import UserId


class _News(Protocol):
    @property
    def user(self) -> UserId: ...


class Subscribers:
    def __init__(self, timers: Timers, is_away: Callable[[UserId], bool], delay_seconds: float) -> None:
        """`is_away`: nobody sits before any device of a user. `delay_seconds`: until what happened is looked at."""
        self._is_away = is_away
        self._delay_seconds = delay_seconds
        self._due: dict[UserId, float] = {}
        self._heap: list[tuple[float, UserId]] = []
        self.users: set[UserId] = set()
        self.shown: set[UserId] = set()
        """Of these, who may have been shown something that they have not read."""
        self.changed = Watch(timers)
        """Rises when there is something to look at earlier than was known."""
        self.is_to_walk = True
        """It is not known who all of them are."""

    def __len__(self) -> int:
        return len(self._due)

    def subscribed(self, user: UserId) -> None:
        """A user has a subscription."""
        self.users.add(user)
        self.look_at(user, trio.current_time() + self._delay_seconds)

    def committed(self, news: Iterable[_News], *, resync: bool) -> None:
        """Something changed for these users; `resync`: more may have changed than that."""
        if resync:
            self.walk()
        if not self.users:
            return
        for one in news:
            if one.user in self.users and (one.user in self.shown or self._is_away(one.user)):
                self.look_at(one.user, trio.current_time() + self._delay_seconds)

    def left(self, user: UserId) -> None:
        """Nobody may sit before any device of a user from now on."""
        if user in self.users:
            self.look_at(user, trio.current_time() + self._delay_seconds)

    def called(self, user: UserId, *, at_once: bool) -> None:
        """A call rings at a user now, or no more."""
        if user in self.users:
            self.look_at(user, trio.current_time() + (0.0 if at_once else self._delay_seconds))

    def walk(self) -> None:
        """Has all subscriptions be walked, as when the process begins."""
        self.is_to_walk = True
        self.changed.notify()

    def look_at(self, user: UserId, when: float) -> None:
        """Has a user be looked at, at a time of the loop's clock or before."""
        if when < self._due.get(user, inf):
            is_first = not self._heap or when < self._heap[0][0]
            self._due[user] = when
            heappush(self._heap, (when, user))
            if is_first:
                self.changed.notify()

    def take_due(self, now: float) -> UserId | None:
        """Takes a user at whom it is time to look."""
        while self._heap and self._heap[0][0] <= now:
            when, user = heappop(self._heap)
            if self._due.get(user) == when:
                del self._due[user]
                return user
        return None

    def next_at(self) -> float:
        return self._heap[0][0] if self._heap else inf

    def forget(self, user: UserId) -> None:
        """A user has no subscriptions any more."""
        self.users.discard(user)
        self.shown.discard(user)
        self._due.pop(user, None)
