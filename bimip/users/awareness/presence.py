"""Presence: a process that knows who is there, and tells those who may see it.

Theory of operation. What others see of a user follows from the user's devices, each of which knows how far somebody is
at it, and from what the user says of themselves, which is in the store. So nothing is kept here that cannot be made
again, and the process may be killed at any moment: the next one begins with all who are connected, and tells each
device of everybody anew, as when it connects. Who was shown before and is gone is treated as going now, so nobody is
seen to come or go because of it.

It works from notes (`notes.py`). A *report* tells all whom a user lets see them how that user is now; a *tour* tells a
device that connected of all whom its user is let see and who are there, behind a mark that says that nobody else is; a
device that is new knows of nobody, and is told nothing where nobody is there.
Both go in slices, with a turn for others between them, and look only at who is connected: who is not there costs
nothing but a look into a table. What is told of a user to a device takes the place of what it has not taken yet.

While the store cannot be read nobody is told anything: what was to be looked at waits, behind the others, and is tried
again with back-off, and all go on being shown as they were. Of what is damaged nobody is told.

Of each user who is there it is known which others were told so: they, and nobody else, are told when the user is gone,
or is not for them to see any more. Whoever never was let see the user is told nothing, whatever becomes of them.
"""

from collections.abc import Hashable
from functools import lru_cache
from math import inf

import trio

from bimip.domain.awareness.activities import Doing
from bimip.domain.awareness.status import status_of
from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.records import DamagedRecordError, Status
from bimip.domain.state.intents import NONE
from bimip.names import conversation_id
from bimip.reading.presence import Sight, read_intent, read_seen, read_sight, read_viewers, read_witnesses
from bimip.storage.errors import StorageError
from bimip.users.awareness.activities import Activities
from bimip.users.awareness.appearances import Appearances
from bimip.users.awareness.notes import Reached, TimedActivity
from bimip.users.services import Services
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames

USERS_AT_ONCE = 16
"""Looked at in one turn, and so many reports, tours and activities: each is a slice."""
MAX_WAITING = 512
"""Elements that a device has not taken, until it is told of more users."""
AGAIN_SECONDS = 0.5
"""Until that is looked at again; and the store, the first time it could not be read."""
MOST_AGAIN_SECONDS = 16.0
"""Until the store is looked at again that could not be read again and again."""
START = UserId(0)

RESET = ("presence",)
"""What the mark is about that says that nobody else is there."""
OWN = Sight(START, is_shown=True, last_seen=True)


class Presence:
    """One incarnation of the process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._notes = services.presence
        self._activities = Activities()
        self._reports: dict[UserId, UserId] = {}
        """By user, behind which of their viewers to go on."""
        self._tours: dict[Reached, UserId] = {}
        """By device, behind which of those whom its user is let see to go on."""
        self._fresh: set[Reached] = set()
        """Devices that know of nobody yet, and are told so before somebody is named to them."""
        self._shown = self._notes.shown
        self._items = 0
        self._saying: TimedActivity | None = None
        self._failures = 0  # of the store, one after the other
        self._readable_at = -inf
        self.failed_reads = 0

    def describe(self) -> dict[str, object]:
        """Tells the operator what the process knows and does."""
        return {
            "online": len(self._shown),
            "items": self._items,  # told to devices
            "coalesced": self._shown.coalesced,
            "failed_reads": self.failed_reads,
            "waiting": len(self._reports) + len(self._tours) + len(self._activities),
        }

    async def run(self) -> None:
        """Works until it is cancelled, which loses nothing."""
        self._begin()
        while True:
            version = self._notes.changed.version
            while self._try_to_work(trio.current_time()):
                self._services.pending_sends.flush(trio.current_time())
                if not self._is_behind(trio.current_time()):
                    break  # a turn that finds nothing costs a login as much as what it told
                await trio.lowlevel.checkpoint()
            await self._notes.changed.wait_changed_since(version, self._next_due())

    def _begin(self) -> None:
        """Goes by who is connected now. Whom the last incarnation showed is looked at too, and may be gone."""
        notes = self._notes
        before, settings = notes.shown, notes.settings
        self._shown = Appearances(settings.offline_delay_seconds, settings.interval_seconds)
        self._shown.take_over(before)
        notes.shown = self._shown
        notes.users.update(dict.fromkeys(self._shown, False))
        for session in self._services.sessions.values():
            notes.note_user(session.number)
            notes.devices.update(dict.fromkeys(session.devices.values(), True))

    def _next_due(self) -> float:
        if self._failures:
            return self._readable_at
        again = trio.current_time() + AGAIN_SECONDS if self._tours else inf
        return min(self._shown.next_due, self._activities.next_due, again)

    def _is_behind(self, now: float) -> bool:
        """Whether there may be more to do at once."""
        notes = self._notes
        waiting = (notes.users, notes.revealed, self._reports, notes.devices, self._tours, notes.activities)
        return any(waiting) or self._next_due() <= now

    def _try_to_work(self, now: float) -> bool:
        """Does a slice, where the store can be read. False: there is nothing more to do now."""
        if now < self._readable_at:
            return False
        try:
            worked = self._work(now)
        except StorageError:
            self.failed_reads += 1
            self._readable_at = now + min(MOST_AGAIN_SECONDS, AGAIN_SECONDS * 2.0 ** min(self._failures, 8))
            self._failures += 1
            return True
        self._failures = 0
        return worked

    def _work(self, now: float) -> bool:
        """Does a slice of all that there is to do. False: there is nothing more to do now."""
        notes = self._notes
        worked = self._look_at_some(now)
        if notes.revealed:
            worked = self._reveal_some() or worked
        if self._reports:
            worked = self._report_some(now) or worked
        if notes.devices or self._tours:
            worked = self._tour_some() or worked
        if notes.activities or len(self._activities) or self._saying is not None:
            worked = self._say_some(now) or worked
        return worked

    def _look_at_some(self, now: float) -> bool:
        """Looks at users who may be another way than they are shown."""
        if not self._notes.users and self._shown.next_due > now:
            return False
        for count in range(USERS_AT_ONCE):
            user = next(iter(self._notes.users), None)
            if user is None:
                user = self._shown.pop_due(now)
            if user is None:
                return count > 0
            was_there = self._notes.users.pop(user, False)
            try:
                self._look_at(user, now, was_there=was_there)
            except DamagedRecordError:
                self.failed_reads += 1
            except StorageError:
                self._notes.users[user] = was_there
                raise
        return True

    def _look_at(self, user: UserId, now: float, *, was_there: bool) -> None:
        session, eid = self._services.sessions.get(user), self._services.eids.of(user)
        devices = [] if session is None else [one.focus for one in session.devices.values() if one.is_open]
        intent = read_intent(self._services.store, user) if devices else NONE
        wall = self._services.wall_clock()
        status = status_of(devices, intent, wall)
        ends_at = now + (intent.until - wall) / 1000 if intent.until > wall else inf
        if was_there:
            self._shown.note_back(user)
        is_due = self._shown.look(user, status, ends_at, wall, now)
        appearance = self._shown.known(user)
        if appearance is not None:
            appearance.eid = eid or appearance.eid
        if is_due:
            self._reports[user] = START

    def _reveal_some(self) -> bool:
        """Shows some users anew, of whom others may see another thing than before: all of them, or one."""
        revealed = list(self._notes.revealed)[:USERS_AT_ONCE]
        for owner, viewer in revealed:
            del self._notes.revealed[owner, viewer]
            if viewer is None:
                self._reports[owner] = START
                continue
            try:
                self._show(viewer, owner, read_sight(self._services.store, viewer, owner))
                self._show(owner, viewer, read_sight(self._services.store, owner, viewer))
            except DamagedRecordError:
                self.failed_reads += 1
            except StorageError:
                self._notes.revealed[owner, viewer] = None
                raise
        return bool(revealed)

    def _report_some(self, now: float) -> bool:
        reports = list(self._reports.items())[:USERS_AT_ONCE]
        for owner, behind in reports:
            try:
                following = self._report(owner, behind)
            except DamagedRecordError:
                self.failed_reads += 1
                following = None
            except StorageError:
                self._reports[owner] = self._reports.pop(owner)
                raise
            if following is None:
                del self._reports[owner]
                self._shown.forget_gone(owner, now)
            else:
                self._reports[owner] = following
        return bool(reports)

    def _report(self, owner: UserId, behind: UserId) -> UserId | None:
        """Tells some of a user's viewers how the user is now. Returns behind whom to go on; None: it is done."""
        store, sessions = self._services.store, self._services.sessions
        appearance = self._shown.known(owner)
        if appearance is None:
            return None
        if appearance.status is Status.OFFLINE:
            for viewer in list(appearance.told)[:USERS_AT_ONCE]:
                self._show(viewer, owner, read_sight(store, viewer, owner))
                appearance.told.discard(viewer)  # also who is not there any more
            return behind if appearance.told else None
        if behind == START and self._has_siblings(owner):
            self._show(owner, owner, OWN)
        elif behind == START:
            appearance.is_old_to_own = owner in appearance.told
        found, following = read_viewers(store, owner, behind, sessions)
        for sight in found:
            self._show(sight.user, owner, sight)
        return following

    def _show(self, viewer: UserId, owner: UserId, sight: Sight) -> None:
        """Tells a viewer's devices how a user is, if that is theirs to know or they know more than is theirs."""
        session, appearance = self._services.sessions.get(viewer), self._shown.known(owner)
        if appearance is None:
            return
        if appearance.status is not Status.OFFLINE and sight.is_shown:
            appearance.told.add(viewer)
            part = _part(appearance.eid, appearance.status, appearance.since, 0)
        elif viewer in appearance.told:
            appearance.told.discard(viewer)
            gone = appearance.since if appearance.status is Status.OFFLINE else self._services.wall_clock()
            part = _part(appearance.eid, Status.OFFLINE, 0, gone if sight.last_seen else sight.frozen)
        else:
            return
        for device in () if session is None else session.devices.values():
            if device.is_open:
                self._tell(device, ("presence", owner), part, can_wait=True)

    def _tell(self, device: Reached, about: Hashable, part: bytes, *, until: float = inf, can_wait: bool) -> None:
        device.tell(about, part, until=until, can_wait=can_wait)
        self._items += 1

    def _tour_some(self) -> bool:
        """Tells some devices of some more of those whom their users are let see."""
        notes = self._notes
        for device, knows_somebody in list(notes.devices.items())[:USERS_AT_ONCE]:
            self._tours[device] = START
            if knows_somebody:
                self._fresh.discard(device)
                device.tell(RESET, frames.AWARENESS_RESET)
            else:
                self._fresh.add(device)
            del notes.devices[device]
        worked = False
        for device, behind in list(self._tours.items())[:USERS_AT_ONCE]:
            session = self._services.sessions.get(device.user)
            if session is None or not device.is_open or device not in session.devices.values():
                del self._tours[device]
                self._fresh.discard(device)
            elif device.told_waiting < MAX_WAITING:
                worked = True
                try:
                    following = self._tour(device, behind)
                except DamagedRecordError:
                    self.failed_reads += 1
                    following = None
                except StorageError:
                    self._tours[device] = self._tours.pop(device)
                    raise
                del self._tours[device]
                if following is not None:
                    self._tours[device] = following
                else:
                    self._fresh.discard(device)
            else:  # others come first
                del self._tours[device]
                self._tours[device] = behind
        return worked

    def _tour(self, device: Reached, behind: UserId) -> UserId | None:
        viewer, store = device.user, self._services.store
        if behind == START and self._has_siblings(viewer):
            self._show_own(device, viewer)
        found, following = read_seen(store, viewer, behind, self._shown)
        for sight in found:
            self._show_on(device, sight.user, sight)
        return following

    def _show_own(self, device: Reached, user: UserId) -> None:
        """Tells a device how its user is; and the user's others, where one that was alone was told something else."""
        appearance = self._shown.known(user)
        if appearance is not None and appearance.is_old_to_own:
            appearance.is_old_to_own = False
            self._show(user, user, OWN)
        self._show_on(device, user, OWN)

    def _show_on(self, device: Reached, owner: UserId, sight: Sight) -> None:
        appearance = self._shown.of(owner)
        if appearance is None:
            return
        if sight.is_shown:
            appearance.told.add(device.user)
            if device in self._fresh:
                self._fresh.discard(device)
                device.tell(RESET, frames.AWARENESS_RESET)
            part = _part(appearance.eid, appearance.status, appearance.since, 0)
            self._tell(device, ("presence", owner), part, can_wait=False)

    def _has_siblings(self, user: UserId) -> bool:
        """Whether a user has several devices: one that is alone knows how its user is."""
        session = self._services.sessions.get(user)
        return session is not None and len(session.devices) > 1

    def _say_some(self, now: float) -> bool:
        """Tells some of what users are doing just now to those who may see it."""
        notes, activities = self._notes, self._activities
        for place, said in list(notes.activities.items())[:USERS_AT_ONCE]:
            activities.add(place[0], place, said)
            del notes.activities[place]
        for count in range(USERS_AT_ONCE):
            self._saying = due = self._saying or activities.pop_due(now)
            if due is None:
                return count > 0 or bool(notes.activities)
            try:
                if now < due.until:
                    self._say(due)
            except DamagedRecordError:
                self.failed_reads += 1
            self._saying = None
        return True

    def _say(self, said: TimedActivity) -> None:
        user, conversation, peer, doing, ttl_ms = said.activity
        witnesses = read_witnesses(self._services.store, user, conversation, peer)
        part = b""
        for witness in witnesses:
            session = self._services.sessions.get(witness)
            for device in () if session is None else session.devices.values():
                if device.is_open:
                    part = part or self._activity_part(user, conversation, doing, ttl_ms)
                    about = ("activity", user, conversation)
                    self._tell(device, about, part, until=said.until, can_wait=True)

    def _activity_part(self, user: UserId, conversation: ConversationId | None, doing: Doing, ttl_ms: int) -> bytes:
        awareness = pb.Awareness(timestamp=self._services.wall_clock(), ttl_ms=ttl_ms)
        awareness.status = int(doing)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
        awareness.conversation = "" if conversation is None else conversation_id(conversation)
        getattr(awareness, "from").eid = self._services.eids.of(user)
        return frames.awareness_part(awareness)


@lru_cache(maxsize=1024)
def _part(eid: str, status: Status, since: int, last_seen: int) -> bytes:
    """Encodes how a user is: the same for all who may see as much of them."""
    awareness = pb.Awareness(timestamp=since, last_seen=last_seen)
    awareness.status = int(status)  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    getattr(awareness, "from").eid = eid
    return frames.awareness_part(awareness)
