"""Where users are, for those whom they share it with: the last position of each, in memory, and who is told of it.

Theory of operation. A share is in the store (domain/awareness/locations.py); a position never is. Who is told is walked
by the process `locations`, a slice at a time: what is to be told of one user stands in line once, however often they
move meanwhile, so of a burst the last position is told. Whether a share still holds is asked when it is told, and not
when it was made: its time, who is in the conversation, and whether one of the two has blocked the other.

When the process dies, its next incarnation knows no position: they come with the next that each user says. What of it
devices had, they have until the share ends, which they were told.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

import trio

from bimip.concurrency import Timers, Watch
from bimip.domain.awareness.locations import Position, first_end, reached_by, reaches, shares_of
from bimip.domain.contacts.privacy import Seen, verdict
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.operations import Refused
from bimip.domain.core.records import LocationShare, Reader
from bimip.domain.state.location_shares import OtherEnd
from bimip.journal.queue import OperationQueue
from bimip.reading.people import Eids
from bimip.requests.location_stream import conversation_of
from bimip.storage.interface import Store
from bimip.users.attending import Attending, Group
from bimip.users.sends import PendingSends
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames

AT_ONCE: Final = 64
"""Users looked at until others have their turn."""
LOOK_SECONDS: Final = 600.0
"""A wall clock may jump: it is looked at again after so long."""
AGAIN_SECONDS: Final = 1.0
"""Until it is tried again to end a share that could not be ended."""

Work = Iterator[None]
"""What is to be told: with each `next` of one user more."""


@dataclass(slots=True)
class LocationStatistics:
    published: int = 0
    told: int = 0
    ended: int = 0


class Locations:
    """Made once, by parts.py; `run` is each incarnation of the process `locations`."""

    def __init__(
        self,
        *,
        store: Store,
        queue: OperationQueue,
        eids: Eids,
        sessions: Mapping[UserId, Group],
        pending_sends: PendingSends,
        timers: Timers,
        wall_clock: Callable[[], Millis],
    ) -> None:
        self._store = store
        self._queue = queue
        self._eids = eids
        self._sessions = sessions
        self._pending_sends = pending_sends
        self._wall_clock = wall_clock
        self._positions: dict[UserId, Position] = {}
        self._viewers: dict[UserId, set[UserId]] = {}
        """By user, whom their position was to be told to when it was last told."""
        self._seen_by: dict[UserId, set[UserId]] = {}
        """The reverse."""
        self._told_of: set[tuple[UserId, OtherEnd]] = set()
        """Shares of which somebody was told: only these have an end to be told, also where the process died since."""
        self._waiting: dict[UserId, None] = {}
        """Whose position is to be told."""
        self._work: deque[Work] = deque()
        self._watch = Watch(timers)
        self._ends = Watch(timers)
        self.statistics = LocationStatistics()

    def __len__(self) -> int:
        return len(self._positions)

    async def run(self) -> None:
        """Tells what is to be told, and ends shares whose time is over, until cancelled."""
        for known in (self._positions, self._viewers, self._seen_by, self._waiting, self._work):
            known.clear()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell)
            nursery.start_soon(self._end)

    # What is asked for.

    def publish(self, user: UserId, position: Position) -> int | None:
        """Takes where a user is now. Returns how many could be told the last time; None: they share it with nobody."""
        with self._store.snapshot() as view:
            shares = shares_of(view, user)
        if not any(share.expires_at > self._wall_clock() for _, share in shares):
            return None
        self._positions[user] = position
        self._waiting[user] = None
        self.statistics.published += 1
        self._watch.notify()
        return len(self._viewers.get(user, ()))

    def share_changed(self, user: UserId, other: OtherEnd, share: LocationShare | None) -> None:
        """A share of a user is another one, or ended."""
        if share is None:
            self._work.append(self._tell_ended(user, other))
        else:
            self._work.append(self._tell_of(user, other, share))
        self._watch.notify()
        self._ends.notify()

    def position_of(self, owner: UserId, viewer: UserId) -> Position | None:
        """Finds where a user was last, as far as that is shared with a viewer now. Only to whom it was to be told it
        takes work, so that nobody learns from that whether somebody shares it with others.
        """
        position = self._positions.get(owner) if owner in self._seen_by.get(viewer, ()) else None
        if position is None:
            return None
        with self._store.snapshot() as view:
            return position if any(self._shown(view, owner, viewer)) else None

    # Who comes and goes.

    def joined(self, device: Attending) -> None:
        """Tells a device where those are who share it with its user."""
        if self._seen_by.get(device.user):
            self._work.append(self._tell_device(device))
            self._watch.notify()

    def left(self, device: Attending) -> None:
        """Nothing: who is away is told when they come."""

    # Who is told.

    async def _tell(self) -> None:
        while True:
            version = self._watch.version
            for _ in range(AT_ONCE):
                if not self._work and self._waiting:
                    user = next(iter(self._waiting))
                    del self._waiting[user]
                    self._work.append(self._tell_everybody(user))
                if not self._work:
                    break
                if next(self._work[0], _DONE) is _DONE:
                    self._work.popleft()
            self._pending_sends.flush(trio.current_time())
            if self._work or self._waiting:
                await trio.lowlevel.checkpoint()
            else:
                await self._watch.wait_changed_since(version)

    def _tell_everybody(self, user: UserId) -> Work:
        with self._store.snapshot() as view:
            shares = shares_of(view, user)
        viewers: set[UserId] = set()
        for other, share in shares:
            with self._store.snapshot() as view:
                reached = reached_by(view, user, other)
            viewers.update(reached)
            yield from self._tell_share(user, other, share, reached)
        for gone in self._viewers.get(user, set()) - viewers:
            self._seen_by.get(gone, set()).discard(user)
        self._viewers[user] = set()
        self._note_viewers(user, viewers)

    def _tell_of(self, user: UserId, other: OtherEnd, share: LocationShare) -> Work:
        """Tells those who are reached by a new share of it."""
        with self._store.snapshot() as view:
            reached = reached_by(view, user, other)
        self._note_viewers(user, reached)
        yield from self._tell_share(user, other, share, reached)

    def _note_viewers(self, user: UserId, viewers: Iterable[UserId]) -> None:
        self._viewers.setdefault(user, set()).update(viewers)
        for viewer in viewers:
            self._seen_by.setdefault(viewer, set()).add(user)

    def _tell_share(self, user: UserId, other: OtherEnd, share: LocationShare, reached: tuple[UserId, ...]) -> Work:
        """Tells where a user is by one share. Between two of those who are told, everything may have changed."""
        for viewer in reached:
            session = self._sessions.get(viewer)
            if session is None or share.expires_at <= self._wall_clock():
                continue
            with self._store.snapshot() as view:
                allowed = (other, share) in shares_of(view, user) and _may_see(view, user, other, viewer)
            if allowed:
                for device in session.devices.values():
                    self._tell_to(device, user, other, share)
            yield

    def _tell_ended(self, user: UserId, other: OtherEnd) -> Work:
        """Tells those who were reached by a share that it is over, unless it has begun anew meanwhile. Who may not see
        it was told nothing of it.
        """
        with self._store.snapshot() as view:
            reached = reached_by(view, user, other)
            shares = shares_of(view, user)
        if not shares:
            self._forget(user)
        if (user, other) not in self._told_of or any(one == other for one, _ in shares):
            return
        self._told_of.discard((user, other))
        part = frames.location_part(self._told(user, other, None))
        for viewer in reached:
            session = self._sessions.get(viewer)
            if session is None:
                continue
            with self._store.snapshot() as view:
                allowed = _may_see(view, user, other, viewer)
            for device in session.devices.values() if allowed else ():
                device.tell(_about(user, other), part)
            yield

    def _tell_device(self, device: Attending) -> Work:
        for owner in list(self._seen_by.get(device.user, ())):
            if owner in self._positions:
                with self._store.snapshot() as view:
                    shown = list(self._shown(view, owner, device.user))
                for other, share in shown:
                    self._tell_to(device, owner, other, share)
            yield

    def _tell_to(self, device: Attending, user: UserId, other: OtherEnd, share: LocationShare) -> None:
        self._told_of.add((user, other))
        device.tell(_about(user, other), frames.location_part(self._told(user, other, share)))
        self.statistics.told += 1

    def _shown(self, view: Reader, owner: UserId, viewer: UserId) -> Iterator[tuple[OtherEnd, LocationShare]]:
        """Lists the shares by which somebody is shown where a user is."""
        for other, share in shares_of(view, owner):
            if share.expires_at > self._wall_clock() and _may_see(view, owner, other, viewer):
                yield other, share

    def _told(self, user: UserId, other: OtherEnd, share: LocationShare | None) -> pb.LocationStream:
        told = pb.LocationStream(enabled=share is not None)
        getattr(told, "from").eid = self._eids.of(user)
        told.conversation = conversation_of(other)
        position = self._positions.get(user)
        if share is not None:
            told.expires_at = share.expires_at
            if position is not None:
                told.has_position = True
                told.latitude, told.longitude, told.altitude, told.accuracy, told.timestamp = position
        return told

    # How a share ends.

    async def _end(self) -> None:
        while True:
            version = self._ends.version
            with self._store.snapshot() as view:
                end = first_end(view)
            seconds = inf if end is None else (end.expires_at - self._wall_clock()) / 1000
            if end is not None and seconds <= 0:
                if isinstance(await self._queue.execute(end), Refused):
                    await trio.sleep(AGAIN_SECONDS)
                    continue
                self.statistics.ended += 1
                self.share_changed(end.user, end.other, None)
            else:
                await self._ends.wait_changed_since(version, trio.current_time() + min(seconds, LOOK_SECONDS))

    def _forget(self, user: UserId) -> None:
        self._positions.pop(user, None)
        self._waiting.pop(user, None)
        for viewer in self._viewers.pop(user, ()):
            seen = self._seen_by.get(viewer, set())
            seen.discard(user)
            if not seen:
                self._seen_by.pop(viewer, None)


_DONE = object()


def _about(user: UserId, other: OtherEnd) -> tuple[str, UserId, OtherEnd]:
    return ("location", user, other)


def _may_see(view: Reader, user: UserId, other: OtherEnd, viewer: UserId) -> bool:
    return reaches(view, user, other, viewer) and verdict(view, viewer, user, Seen.LOCATION).allowed
