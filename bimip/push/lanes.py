"""The lines in which subscriptions wait to be served: one for each gateway, and for each host of a push service.

Each lane has a breaker, and few places. A group of lanes has more, and each owner few in all of them. So one slow
gateway holds nobody else up, and whoever subscribes slow hosts of their own holds up themselves.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Generic, NamedTuple, TypeVar

from bimip.push.breaker import Breaker

MAX_OF_AN_OWNER = 2
LOOK = 64
"""Lanes looked at for one whose owner has a place."""

I = TypeVar("I", bound=Hashable)  # noqa: E741 - an item


class LaneName(NamedTuple):
    group: str  # lanes of a group share its places
    host: str


class Lane(Generic[I]):
    __slots__ = ("breaker", "busy", "is_queued", "name", "waiting")

    def __init__(self, name: LaneName, breaker: Breaker) -> None:
        self.name = name
        self.breaker = breaker
        self.busy = 0
        self.is_queued = False
        """It stands in line, or waits for its breaker."""
        self.waiting: OrderedDict[I, None] = OrderedDict()


class Lanes(Generic[I]):
    def __init__(
        self, *, most: int, most_of_lane: int, owner: Callable[[I], Hashable], breaker: Callable[[], Breaker]
    ) -> None:
        self._most = most
        self._most_of_lane = most_of_lane
        self._owner = owner
        self._breaker = breaker
        self._lanes: dict[LaneName, Lane[I]] = {}
        self._lines: dict[str, deque[Lane[I]]] = {}
        self._busy: Counter[str] = Counter()
        self._owners: Counter[Hashable] = Counter()
        self._paused: list[tuple[float, int, Lane[I]]] = []
        self._numbers = count()

    def __len__(self) -> int:
        """Counts what waits."""
        return sum(len(lane.waiting) for lane in self._lanes.values())

    def put(self, name: LaneName, item: I, now: float, *, is_urgent: bool = False) -> None:
        """Has an item wait, once. `is_urgent`: before all others of its lane."""
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, self._breaker())
        lane.waiting[item] = None
        if is_urgent:
            lane.waiting.move_to_end(item, last=False)
        self._queue(lane, now)

    def take(self, now: float) -> tuple[Lane[I], I] | None:
        """Takes what is next, from another lane each time; None: there is nothing, or no place."""
        while self._paused and self._paused[0][0] <= now:
            lane = heappop(self._paused)[2]
            lane.is_queued = False
            self._queue(lane, now)
        for group, line in self._lines.items():
            if self._busy[group] < self._most:
                found = self._take_from(line, now)
                if found is not None:
                    return found
        return None

    def _take_from(self, line: deque[Lane[I]], now: float) -> tuple[Lane[I], I] | None:
        for _ in range(min(len(line), LOOK)):
            lane = line.popleft()
            lane.is_queued = False
            item = next(iter(lane.waiting), None)
            if item is None or lane.busy >= lane.breaker.room(now, self._most_of_lane):
                self._queue(lane, now)
                continue
            if self._owners[self._owner(item)] >= MAX_OF_AN_OWNER:
                lane.waiting[item] = lane.waiting.pop(item)  # another one is next there
                self._queue(lane, now)
                continue
            del lane.waiting[item]
            lane.busy += 1
            self._busy[lane.name.group] += 1
            self._owners[self._owner(item)] += 1
            self._queue(lane, now)
            return lane, item
        return None

    def done(self, lane: Lane[I], item: I, now: float) -> None:
        """Gives back the place of what was taken."""
        lane.busy -= 1
        owner = self._owner(item)
        self._busy[lane.name.group] -= 1
        self._owners[owner] -= 1
        if not self._owners[owner]:
            del self._owners[owner]
        self._queue(lane, now)

    def next_at(self) -> float:
        """When a lane may be tried again that waits for its breaker."""
        return self._paused[0][0] if self._paused else inf

    def describe(self, now: float) -> dict[str, object]:
        """Describes lanes that are not well, by host."""
        unwell = {
            f"{lane.name.group}/{lane.name.host}": f"{lane.breaker.state(now)}, {lane.breaker.failures} failures"
            for lane in self._unwell()
        }
        return {"waiting": len(self), "sending": self.sending, "breakers": unwell}

    def states(self, now: float) -> Counter[str]:
        """Counts lanes that are not well, by the state of their breakers."""
        return Counter(lane.breaker.state(now) for lane in self._unwell())

    @property
    def sending(self) -> int:
        """Counts what was taken, and not given back yet."""
        return sum(self._busy.values())

    def _unwell(self) -> Iterator[Lane[I]]:
        for lane in self._lanes.values():
            if not lane.breaker.is_whole:
                yield lane

    def _queue(self, lane: Lane[I], now: float) -> None:
        """Has a lane stand where it belongs."""
        if lane.is_queued:
            return
        if not lane.waiting:
            if not lane.busy and lane.breaker.is_whole:
                self._lanes.pop(lane.name, None)
        elif now < lane.breaker.open_until:
            lane.is_queued = True
            heappush(self._paused, (lane.breaker.open_until, next(self._numbers), lane))
        elif lane.busy < lane.breaker.room(now, self._most_of_lane):
            lane.is_queued = True
            self._lines.setdefault(lane.name.group, deque()).append(lane)
