"""Settings: none that nobody set, none forgotten, all devices of a user agree; and receipts obey them (I8, I9, I10)."""

from collections.abc import Iterable, Mapping

from tests.kit.history import Kind, Knocked, Name, Read, Settings, SettingsAnswered, SettingsSaid, State
from tests.kit.message_invariants import MessageInvariants, Report
from tests.kit.receipt_invariants import Key, Known, ReceiptInvariants, words

SEND, SHOW = 1, 2
"""The settings' numbers."""
NOTHING_SET = Settings(0, (True, True, True, True))


class SettingsInvariants:
    def __init__(self, messages: MessageInvariants, receipts: ReceiptInvariants, report: Report) -> None:
        self._messages = messages
        self._receipts = receipts
        self._report = report
        self._told: dict[Name, Settings] = {}
        self._private: dict[Name, Known] = {}
        self._said: set[tuple[str, int, bool]] = set()
        self._answered: dict[str, int] = {}
        self._sends_none: set[str] = set()
        """Users who send no receipts for certain: they were answered so, and none of theirs said that they do."""
        self._read: set[tuple[str, str, int]] = set()  # member, conversation, place
        self._unseen: set[tuple[str, str, int]] = set()  # only ever read while none were sent
        self._told_unseen: set[tuple[str, str, int]] = set()  # by the server: so it was taken while none were sent

    def knocked(self, event: Knocked) -> None:
        self._private.setdefault(event.device, Known()).interrupt()

    def said(self, event: SettingsSaid) -> None:
        """Evidence."""
        self._said.add((event.device.eid, event.number, event.value))
        if event.number == SHOW:
            self._receipts.may_hide.add(event.device.eid)
        elif event.number == SEND and event.value:
            self._sends_none.discard(event.device.eid)
            # What another device said may still be on its way, and is taken when they are sent again.
            self._unseen = {one for one in self._unseen if one[0] != event.device.eid or one in self._told_unseen}
        elif event.number == SEND:
            self._receipts.may_send_none.add(event.device.eid)

    def read(self, event: Read) -> None:
        """Evidence. What was read before may have been public, and what is said again too."""
        user = event.device.eid
        for first, last in ((1, event.upto), *event.ranges):
            said = {(user, event.conversation, place) for place in range(first, last + 1)}
            if user in self._sends_none:
                self._unseen |= said - self._read
            else:
                self._unseen -= said
            self._read |= said

    def answered(self, event: SettingsAnswered) -> None:
        self._check_claim(event.device, event.settings)
        user = event.device.eid
        self._answered[user] = max(event.settings.version, self._answered.get(user, 0))
        if not event.settings.values[SEND - 1] and (user, SEND, True) not in self._said:
            self._sends_none.add(user)

    def changed(self, event: State) -> None:
        private = self._private.setdefault(event.device, Known())
        if event.reset:
            private.reset()
            self._told.pop(event.device, None)
        for settings in event.settings:
            self._check_claim(event.device, settings)
            self._told[event.device] = max(settings, self._told.get(event.device, NOTHING_SET))
        for item in event.private:
            if item.member != event.device.eid:
                self._report("I10", "leaked", f"{event.device} is told what {item.member} read unseen")
            for first, last, time in item.runs:
                keys = [(item.conversation, item.member, item.kind, place) for place in range(first, last + 1)]
                self._told_unseen |= {(item.member, item.conversation, place) for place in range(first, last + 1)}
                private.merge((key, time) for key in keys)
        if event.complete:
            for key, time in private.complete().items():
                if private.times.get(key, time + 1) > time:
                    self._report("I8", "receipts went back", f"{event.device} knew {words(key)} at {time}, unseen")

    def _check_claim(self, device: Name, settings: Settings) -> None:
        for number, value in enumerate(settings.values, 1):
            if not value and (device.eid, number, False) not in self._said:
                self._report("I8", "false setting", f"{device} is told that setting {number} is off: nobody said so")

    def finish(self, devices: Iterable[Name]) -> None:
        """Every device has been told all that there was."""
        names = list(devices)
        self._check_settings(names)
        self._check_private(names)
        for name in names:
            shows = self._told.get(name, NOTHING_SET).values[SHOW - 1]
            self._check_shown(name, names, shows=shows)

    def _check_settings(self, names: Iterable[Name]) -> None:
        by_user: dict[str, tuple[Name, Settings]] = {}
        for name in names:
            told = self._told.get(name, NOTHING_SET)
            if told.version < self._answered.get(name.eid, 0):
                line = f"{name} knows those of version {told.version}, and {self._answered[name.eid]} was answered"
                self._report("I8", "setting lost", line)
            other, reference = by_user.setdefault(name.eid, (name, told))
            if told != reference:
                self._report("I9", "diverged", f"settings: {told} to {name}, {reference} to {other}")

    def _check_private(self, names: list[Name]) -> None:
        by_user: dict[str, tuple[Name, Mapping[Key, int]]] = {}
        for name in names:
            times = self._private.setdefault(name, Known()).times
            other, reference = by_user.setdefault(name.eid, (name, times))
            if times != reference:
                line = f"{words(min(dict(times.items() ^ reference.items())))}, unseen: to {name}, or to {other}, alone"
                self._report("I9", "diverged", line)
            for viewer in names:
                for key in times.keys() & self._receipts.known[viewer].times.keys():
                    self._report("I10", "leaked", f"{viewer} is told of {words(key)}, which was read unseen")

    def _check_shown(self, name: Name, names: Iterable[Name], *, shows: bool) -> None:
        """Whoever shows no receipts is told of no READ, and whoever shows them of all that is public."""
        known = self._receipts.known[name].times
        for key in known:
            is_read = key[2] is not Kind.DELIVERED and key[1] != name.eid
            if is_read and (key[1], key[0], key[3]) in self._unseen:
                self._report("I10", "leaked", f"{name} is told of {words(key)}, who sends no receipts")
        if not shows:
            for key in known:
                if key[1] != name.eid and key[2] is not Kind.DELIVERED:
                    self._report("I10", "leaked", f"{name} shows no receipts, and is told of {words(key)}")
            return
        for other in names:
            for key in self._receipts.known[other].times:
                conversation, member, kind, place = key
                if kind is Kind.DELIVERED or member != other.eid or key in known:
                    continue
                message = self._messages.by_stamp.get(self._messages.conversations.get(conversation, {}).get(place, 0))
                if message is None or not self._receipts.is_kept(name.eid, conversation):
                    continue
                if message.wrote.device.eid == name.eid:
                    self._report("I8", "receipt lost", f"{name} does not know: {words(key)}: {message}")
