"""Notes for the process `presence`: made where something happens, kept while it is down, bounded by who is there."""

from collections.abc import Hashable
from math import inf
from typing import NamedTuple, Protocol

from bimip.concurrency import Timers, Watch
from bimip.domain.awareness.activities import Activity
from bimip.domain.awareness.status import Focus
from bimip.domain.core.decision import PrivacyNews
from bimip.domain.core.ids import DeviceId, Millis, UserId
from bimip.domain.core.records import Status
from bimip.users.awareness.appearances import Appearances
from bimip.users.awareness.settings import PresenceSettings

MAX_ACTIVITIES = 10_000
"""That wait while the process is down: the oldest goes."""


class Reached(Protocol):
    """A connected device, as far as others' presence concerns it."""

    user: UserId
    focus: Focus

    @property
    def is_open(self) -> bool:
        """Whether its Hello was granted."""
        ...

    @property
    def told_waiting(self) -> int:
        """Elements that it was told and has not taken."""
        ...

    def tell(self, about: Hashable, part: bytes, *, until: float = inf, can_wait: bool = False) -> None: ...


class TimedActivity(NamedTuple):
    activity: Activity
    until: float  # the event loop's time, from which on it means nothing


class PresenceNotes:
    """Notes of what there is to look at. Whoever has done so takes it out."""

    def __init__(self, timers: Timers, settings: PresenceSettings) -> None:
        self.settings = settings
        self.shown = Appearances(settings.offline_delay_seconds, settings.interval_seconds)
        """How users are shown, as the process says."""
        self.changed = Watch(timers)
        """Rises with each note."""
        self.users: dict[UserId, bool] = {}
        """Whose devices came, went or are looked at otherwise, or who said something of themselves; and whether they
        were there since they were looked at, if only for a moment."""
        self.revealed: dict[tuple[UserId, UserId | None], None] = {}
        """Of whom somebody may see another thing than before: everybody, or one other, and these of that one."""
        self.devices: dict[Reached, bool] = {}
        """Which are to be told of everybody, and whether they know of somebody: they connected and know of nobody, or
        something was lost on the way to them."""
        self.activities: dict[tuple[DeviceId, UserId, int], TimedActivity] = {}
        """By the device that said so, and by the peer and the conversation that it is for."""

    def shown_as(self, user: UserId) -> tuple[Status, Millis] | None:
        """How a user is shown to who may see them, and since when; None: they are not there."""
        appearance = self.shown.of(user)
        return None if appearance is None else (appearance.status, appearance.since)

    def note_user(self, user: UserId, *, is_there: bool = False) -> None:
        self.users[user] = is_there or self.users.get(user, False)
        self.changed.notify()

    def note_privacy(self, news: PrivacyNews) -> None:
        self.revealed[news.user, news.viewer] = None
        self.changed.notify()

    def note_device(self, device: Reached, *, knows_somebody: bool = True) -> None:
        self.devices[device] = knows_somebody or self.devices.get(device, False)
        self.changed.notify()

    def note_activity(self, device: DeviceId, said: TimedActivity) -> None:
        place = (device, said.activity.peer, said.activity.conversation or 0)
        self.activities.pop(place, None)
        if len(self.activities) >= MAX_ACTIVITIES:
            del self.activities[next(iter(self.activities))]
        self.activities[place] = said
        self.changed.notify()
