"""Settings: none that nobody set, none forgotten, all devices of a user agree; and receipts obey them (I8, I9, I10)."""

from collections.abc import Iterable, Mapping

from tests.kit.history import (
    Excepted,
    ExceptionSaid,
    Kind,
    Knocked,
    Name,
    Read,
    Settings,
    SettingsAnswered,
    SettingsSaid,
    State,
)
from tests.kit.message_invariants import MessageInvariants, Report
from tests.kit.receipt_invariants import Key, Known, ReceiptInvariants, words

SEND, SHOW, ONLINE, VISIBLE = 1, 2, 4, 5
"""The settings' numbers."""
NOBODY, EVERYBODY = 0, 1
"""For whom a setting may hold; else it is contacts."""
NONE, ALLOWED, DENIED = 1, 2, 3
"""What may hold for one other user."""
NOTHING_SET = Settings(0, (EVERYBODY,) * 5)


class SettingsInvariants:
    def __init__(self, messages: MessageInvariants, receipts: ReceiptInvariants, report: Report) -> None:
        self._messages = messages
        self._receipts = receipts
        self._report = report
        self._told: dict[Name, Settings] = {}
        self._private: dict[Name, Known] = {}
        self._said: set[tuple[str, int, int]] = set()
        self._excepted: dict[Name, dict[str, Excepted]] = {}  # as each device was told
        self._excepted_said: set[tuple[str, str, int, int]] = set()
        self._excepted_answered: dict[tuple[str, str], Excepted] = {}
        self._answered: dict[str, int] = {}
        self._sends_none: set[str] = set()
        """Users who send no receipts for certain: they were answered so, and none of theirs said that they do."""
        self._may_send: set[str] = set()  # who ever said so
        self._read: set[tuple[str, str, int]] = set()  # member, conversation, place
        self._unseen: set[tuple[str, str, int]] = set()  # only ever read while none were sent
        self._told_unseen: set[tuple[str, str, int]] = set()  # by the server: so it was taken while none were sent

    def knocked(self, event: Knocked) -> None:
        self._private.setdefault(event.device, Known()).interrupt()

    def said(self, event: SettingsSaid) -> None:
        """Evidence."""
        self._said.add((event.device.eid, event.number, event.value))
        self._heed(event.device.eid, event.number, sends=event.value != NOBODY, holds_back=event.value != EVERYBODY)

    def excepted(self, event: ExceptionSaid) -> None:
        """Evidence."""
        user = event.device.eid
        self._excepted_said.add((user, event.other, event.number, event.value))
        self._heed(user, event.number, sends=event.value == ALLOWED, holds_back=event.value == DENIED)

    def _heed(self, user: str, number: int, *, sends: bool, holds_back: bool) -> None:
        """Notes what follows for receipts from what a user says: that they may send some, that they may hold some
        back.
        """
        if number == SHOW:
            self._receipts.may_hide.add(user)
        if number != SEND:
            return
        if sends:
            self._sends_none.discard(user)
            self._may_send.add(user)
            # What another device said may still be on its way, and is taken when they are sent again.
            self._unseen = {one for one in self._unseen if one[0] != user or one in self._told_unseen}
        if holds_back:
            self._receipts.may_send_none.add(user)

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
        if event.settings.values[SEND - 1] == NOBODY and user not in self._may_send:
            self._sends_none.add(user)
        for one in event.exceptions:
            self._check_exception(event.device, one)
            newest = self._excepted_answered.setdefault((user, one.other), one)
            if one.version > newest.version:
                self._excepted_answered[user, one.other] = one

    def changed(self, event: State) -> None:
        private = self._private.setdefault(event.device, Known())
        if event.reset:
            private.reset()
            self._told.pop(event.device, None)
            self._excepted.pop(event.device, None)
        excepted = self._excepted.setdefault(event.device, {})
        for one in event.exceptions:
            self._check_exception(event.device, one)
            excepted[one.other] = max(one, excepted.get(one.other, one), key=lambda known: known.version)
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
            if value != EVERYBODY and (device.eid, number, value) not in self._said:
                self._report(
                    "I8", "false setting", f"{device} is told that setting {number} is {value}: nobody said so"
                )

    def _check_exception(self, device: Name, told: Excepted) -> None:
        for number, value in enumerate(told.values, 1):
            if value != NONE and (device.eid, told.other, number, value) not in self._excepted_said:
                line = f"{device} is told that {value} holds of setting {number} for {told.other}: nobody said so"
                self._report("I8", "false setting", line)

    def finish(self, devices: Iterable[Name]) -> None:
        """Every device has been told all that there was."""
        names = list(devices)
        self._check_settings(names)
        self._check_private(names)
        self._check_exceptions(names)
        for name in names:
            self._check_shown(name, names)

    def _shows(self, name: Name, member: str) -> bool | None:
        """Whether a device is to be shown that a member read; None: their contacts know."""
        told = self._excepted.get(name, {}).get(member)
        exception = NONE if told is None else told.values[SHOW - 1]
        audience = self._told.get(name, NOTHING_SET).values[SHOW - 1]
        if exception != NONE:
            return exception == ALLOWED
        return None if audience not in {NOBODY, EVERYBODY} else audience == EVERYBODY

    def show_presence(self, owner: str, viewer: str, *, is_contact: bool) -> bool:
        """Whether, at rest, a user's settings let another see whether they are there, as a device of theirs knows."""
        told = max((told for name, told in self._told.items() if name.eid == owner), default=NOTHING_SET)
        excepted = [known[viewer] for name, known in self._excepted.items() if name.eid == owner and viewer in known]
        exception = max(excepted, key=lambda one: one.version).values[ONLINE - 1] if excepted else NONE
        if not told.values[VISIBLE - 1] or exception == DENIED:
            return False
        audience = told.values[ONLINE - 1]
        return exception == ALLOWED or audience == EVERYBODY or (is_contact and audience != NOBODY)

    def _check_exceptions(self, names: Iterable[Name]) -> None:
        by_user: dict[str, tuple[Name, dict[str, tuple[int, ...]]]] = {}
        erased = self._messages.groups.erased
        for name in names:
            told = self._excepted.get(name, {})
            for (user, other), answered in self._excepted_answered.items():
                if user == name.eid and other != erased and self._is_lost(user, answered, told.get(other)):
                    self._report("I8", "setting lost", f"{name} knows {told.get(other)}, and was answered {answered}")
            gone = {"", erased}
            holds = {other: one.values for other, one in told.items() if other not in gone and not one.is_nothing}
            other_name, reference = by_user.setdefault(name.eid, (name, holds))
            if holds != reference:
                self._report("I9", "diverged", f"exceptions: {holds} to {name}, {reference} to {other_name}")

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

    def _is_lost(self, user: str, answered: Excepted, known: Excepted | None) -> bool:
        """A device that knows nothing may have been told so; else it knows what was answered, or something newer."""
        if known is not None:
            return known.version < answered.version
        taken_back = any((user, answered.other, number, NONE) in self._excepted_said for number in range(1, 5))
        return not answered.is_nothing and not taken_back

    def _check_shown(self, name: Name, names: Iterable[Name]) -> None:
        """Whoever shows no receipts is told of no READ, and whoever shows them of all that is public."""
        known = self._receipts.known[name].times
        for key in known:
            is_read = key[2] is not Kind.DELIVERED and key[1] != name.eid
            if is_read and (key[1], key[0], key[3]) in self._unseen:
                self._report("I10", "leaked", f"{name} is told of {words(key)}, who sends no receipts")
            if is_read and self._shows(name, key[1]) is False:
                self._report("I10", "leaked", f"{name} is not shown {key[1]}'s receipts, and is told of {words(key)}")
        for other in names:
            if self._shows(name, other.eid) is not True and other.eid != name.eid:
                continue
            for key in self._receipts.known[other].times:
                conversation, member, kind, place = key
                if kind is Kind.DELIVERED or member != other.eid or key in known:
                    continue
                message = self._messages.by_stamp.get(self._messages.conversations.get(conversation, {}).get(place, 0))
                if message is None or not self._receipts.is_kept(name.eid, conversation):
                    continue
                if message.wrote.device.eid == name.eid:
                    self._report("I8", "receipt lost", f"{name} does not know: {words(key)}: {message}")
