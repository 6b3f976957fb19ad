"""Read markers: none is further than its user said, none goes back, none is forgotten (I8, and I9 for them)."""

from collections.abc import Iterable

from tests.kit.history import Knocked, Marked, Name, ReadSet, State
from tests.kit.message_invariants import Report

Key = tuple[str, str]
"""user, conversation"""


class Markers:
    """The markers that one device holds, merged as every client does: the greatest wins."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self._before: dict[str, int] | None = None  # while a whole state is being read again

    def merge(self, pairs: Iterable[tuple[str, int]]) -> None:
        for conversation, place in pairs:
            self.places[conversation] = max(place, self.places.get(conversation, 0))

    def reset(self) -> None:
        self._before, self.places = self.places, {}

    def complete(self) -> dict[str, int]:
        before, self._before = self._before or {}, None
        return before

    def interrupt(self) -> None:
        """The connection ended in the middle of a whole state: nothing is dropped yet."""
        before, self._before = self._before or {}, None
        self.merge(before.items())


class MarkerInvariants:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._markers: dict[Name, Markers] = {}
        self._said: dict[Key, int] = {}
        self._answered: dict[Key, int] = {}

    def knocked(self, event: Knocked) -> None:
        self._markers.setdefault(event.device, Markers()).interrupt()

    def said(self, event: ReadSet) -> None:
        """Evidence."""
        key = event.device.eid, event.conversation
        self._said[key] = max(event.upto, self._said.get(key, 0))

    def answered(self, event: Marked) -> None:
        self._check_claim(event.device, event.conversation, event.upto)
        key = event.device.eid, event.conversation
        self._answered[key] = max(event.upto, self._answered.get(key, 0))

    def changed(self, event: State) -> None:
        known = self._markers.setdefault(event.device, Markers())
        if event.reset:
            known.reset()
        for conversation, place in event.markers:
            self._check_claim(event.device, conversation, place)
        known.merge(event.markers)
        if event.complete:
            for conversation, place in known.complete().items():
                if known.places.get(conversation, 0) < place:
                    self._report("I8", "marker went back", f"{event.device} knew {place} of {conversation}")

    def _check_claim(self, device: Name, conversation: str, place: int) -> None:
        if place > self._said.get((device.eid, conversation), 0):
            line = f"{device} is told that {place} of {conversation} was read, which nobody of {device.eid} said"
            self._report("I8", "false marker", line)

    def finish(self, devices: Iterable[Name]) -> None:
        """Every device has been told all that there was."""
        names = list(devices)
        for (user, conversation), place in self._answered.items():
            for name in names:
                if name.eid != user:
                    continue
                known = self._markers.setdefault(name, Markers()).places.get(conversation, 0)
                if known < place:
                    line = f"{name} knows {known} of {conversation}, and {place} was acknowledged"
                    self._report("I8", "marker lost", line)
        self._check_convergence(names)

    def _check_convergence(self, names: Iterable[Name]) -> None:
        by_user: dict[str, tuple[Name, dict[str, int]]] = {}
        for name in names:
            places = self._markers.setdefault(name, Markers()).places
            other, reference = by_user.setdefault(name.eid, (name, places))
            if places != reference:
                conversation, _ = min(places.items() ^ reference.items())
                line = f"read of {conversation}: {places.get(conversation)} to {name}, {reference.get(conversation)}"
                self._report("I9", "diverged", f"{line} to {other}")
