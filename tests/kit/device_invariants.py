"""A user's devices: each knows the others and what people call them (I8, I9); and a message that is said to be for all
devices of its readers leaves none out (I1).

Nobody tells the checker which devices there are: whoever was answered Hello is one.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tests.kit.history import Answered, DeviceKnown, Knocked, Labelled, LabelSaid, Name, Opened, State, Wrote

Report = Callable[[str, str, str], None]
"""invariant, kind, line"""


class Devices:
    """The devices that one device knows, by name; of two values the greater one is the newer."""

    def __init__(self) -> None:
        self.known: dict[str, DeviceKnown] = {}
        self._fresh: dict[str, DeviceKnown] | None = None  # a whole state that is arriving

    def take(self, event: State) -> None:
        if event.reset:
            self._fresh = {}
        into = self.known if self._fresh is None else self._fresh
        for one in event.devices:
            if one.is_gone:
                into.pop(one.name, None)
            else:
                into[one.name] = max(one, into.get(one.name, one))
        if event.complete and self._fresh is not None:
            self.known, self._fresh = self._fresh, None

    def interrupt(self) -> None:
        """The connection ended in the middle of a whole state: nothing is dropped yet."""
        fresh, self._fresh = self._fresh or {}, None
        self.known |= fresh


class _Label(NamedTuple):
    said: int  # when
    answered: int | None = None


class DeviceInvariants:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._devices: dict[Name, Devices] = {}
        self._opened: dict[Name, int] = {}  # when first
        self._labels: dict[Name, dict[str, _Label]] = {}
        self._complete: dict[tuple[Name, str], tuple[Wrote, int]] = {}

    def knocked(self, event: Knocked) -> None:
        self._devices.setdefault(event.device, Devices()).interrupt()

    def opened(self, event: Opened, at: int) -> None:
        self._opened.setdefault(event.device, at)

    def changed(self, event: State) -> None:
        for one in event.devices:
            owner = Name(event.device.eid, one.name)
            if one.label and one.label not in self._labels.get(owner, {}):
                self._report("I8", "false label", f"{event.device} is told that {owner} is called {one.label!r}")
        self._devices.setdefault(event.device, Devices()).take(event)

    def label_said(self, event: LabelSaid, at: int) -> None:
        """Evidence. No two are alike, but that which is empty."""
        self._labels.setdefault(event.named, {})[event.label] = _Label(at)

    def labelled(self, event: Labelled, at: int) -> None:
        labels = self._labels.setdefault(event.named, {})
        if event.label not in labels:
            self._report("I5", "invented", f"{event.device} is answered that {event.named} is called {event.label!r}")
        else:
            labels[event.label] = labels[event.label]._replace(answered=at)

    def wrote(self, event: Wrote, at: int) -> None:
        if event.is_complete:
            self._complete[event.device, event.id] = event, at

    def answered(self, event: Answered) -> None:
        """Whoever says that all devices are named, and is believed, has named all that there were by then."""
        wrote, at = self._complete.get((event.device, event.id), (None, 0))
        if wrote is None:
            return
        there = {name for name, since in self._opened.items() if since < at}
        concerned = {name for name in there if name.eid in {wrote.to, wrote.device.eid}} - {wrote.device}
        if missing := concerned - wrote.addressed.keys():
            line = f"{wrote.id} of {wrote.device} was accepted as for all devices, without {sorted(map(str, missing))}"
            self._report("I1", "left out", line)

    def finish(self, names: Iterable[Name]) -> None:
        """Every device has been told all that there was. A history in which nobody is told of a device is not about
        them.
        """
        by_user: dict[str, tuple[Name, dict[str, DeviceKnown]]] = {}
        is_told = any(one.known for one in self._devices.values())
        for name in names:
            known = self._devices.setdefault(name, Devices()).known
            unknown = {one.device for one in self._opened if one.eid == name.eid} - known.keys()
            if unknown and is_told:
                self._report("I9", "diverged", f"{name} does not know the devices {sorted(unknown)}")
            other, reference = by_user.setdefault(name.eid, (name, known))
            if known != reference:
                self._report("I9", "diverged", f"devices: {known} to {name}, {reference} to {other}")
            for one in known.values():
                self._check_label(name, Name(name.eid, one.name), one.label)

    def _check_label(self, teller: Name, owner: Name, label: str) -> None:
        """It is the last one, or one of which nobody knows whether it came after that."""
        labels = self._labels.get(owner, {})
        mine = labels.get(label, _Label(0, 0))  # it never had one
        if mine.answered is None:
            return
        for other, one in labels.items():
            if other != label and one.answered is not None and one.said > mine.answered:
                self._report("I8", "label lost", f"{teller} knows {owner} as {label!r}, and {other!r} came later")
