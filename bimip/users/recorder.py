"""The flight recorder: what happened of late between the server and each device, always there when somebody asks.

Only what is rare is noted: connections, Hellos, refusals, what was sent again, what went wrong. Messages cost nothing:
how far the device was sent is noted beside such an event, and now and then. What happens again and again is one event
that says how often. No payload is in here. It is kept in memory: of the devices that are connected, and of those
that went for as long as not too many others went after them.
"""

from typing import Final, NamedTuple

from bimip.concurrency.buckets import Remembered
from bimip.domain.core.ids import Millis, UserId

MOST_EVENTS: Final = 64
"""Of one device: the oldest goes."""
MOST_GONE: Final = 1024
"""Devices that are connected no more, those that went last."""
MOST_CHARS: Final = 160
"""Of what is said of an event: a part of it may be a client's own words."""


class Event(NamedTuple):
    """One thing that happened, or the same thing several times in a row."""

    at: Millis  # the first time
    what: str
    said: str
    times: int
    until: Millis  # the last time


class FlightRecorder:
    """The last events of one device."""

    __slots__ = ("events",)

    def __init__(self) -> None:
        self.events: list[Event] = []

    def ends_with(self, what: str, said: str) -> bool:
        """Whether the last event was the same."""
        events = self.events
        return bool(events) and events[-1].what == what and events[-1].said == said

    def note(self, at: Millis, what: str, said: str = "", *, times: int = 1, joins: bool = False) -> None:
        """Notes an event. What `joins` takes the place of the one before, where that was of the same kind."""
        events, said = self.events, said[:MOST_CHARS]
        if events:
            last = events[-1]
            if last.what == what and (joins or last.said == said):
                events[-1] = Event(last.at, what, said, last.times + times, at)
                return
        events.append(Event(at, what, said, times, at))
        if len(events) > MOST_EVENTS:
            del events[0]


class FlightRecorders:
    """The recorders of all devices, by user and name: a device that connects again goes on with its own."""

    def __init__(self) -> None:
        self._connected: dict[tuple[UserId, str], FlightRecorder] = {}
        self._gone = Remembered[tuple[UserId, str], FlightRecorder](MOST_GONE)

    def begin(self, user: UserId, name: str) -> FlightRecorder:
        """A device is connected: gives it its recorder."""
        known = self._connected.get((user, name)) or self._gone.get((user, name)) or FlightRecorder()
        self._connected[user, name] = known
        return known

    def end(self, user: UserId, name: str) -> None:
        """It is connected no more, and nor is another one in its place."""
        known = self._connected.pop((user, name), None)
        if known is not None:
            self._gone.put((user, name), known)

    def of(self, user: UserId, name: str) -> list[Event]:
        """Lists the events of a device, the newest last."""
        known = self._connected.get((user, name)) or self._gone.get((user, name))
        return [] if known is None else known.events
