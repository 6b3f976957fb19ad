"""Receipts: none claims what did not happen, none goes back, none is forgotten (I8, and I9 for them)."""

from collections.abc import Iterable, Iterator, Mapping

from tests.kit.client_view import ClientView
from tests.kit.history import Kind, Knocked, Name, Opened, Read, Receipts, State
from tests.kit.message_invariants import Message, MessageInvariants, Report

Key = tuple[str, str, Kind, int]
"""conversation, member, kind, place"""


class Known:
    """The receipts that one device holds, merged as every client does: union, the earliest time wins."""

    def __init__(self) -> None:
        self.times: dict[Key, int] = {}
        self.version = 0
        self.newest = 0  # what any device of the user knew when this one connected
        self._before: dict[Key, int] | None = None  # while a whole state is being read again

    def merge(self, pairs: Iterable[tuple[Key, int]]) -> None:
        for key, time in pairs:
            self.times[key] = min(time, self.times.get(key, time))

    def reset(self) -> None:
        self._before, self.times = self.times, {}

    def complete(self) -> dict[Key, int]:
        before, self._before = self._before or {}, None
        return before

    def interrupt(self) -> None:
        """The connection ended in the middle of a whole state: nothing is dropped yet."""
        before, self._before = self._before or {}, None
        self.merge(before.items())


class ReceiptInvariants:
    def __init__(self, messages: MessageInvariants, report: Report) -> None:
        self.known: dict[Name, Known] = {}
        self.may_hide: set[str] = set()
        """Users who said that they show receipts, or that they do not: others' READs may come and go."""
        self.may_send_none: set[str] = set()
        """Users who said that they send no receipts, once at least."""
        self._messages = messages
        self._report = report
        self._claims: dict[Key, tuple[int, Name]] = {}
        self._read: dict[tuple[str, str, int], int] = {}  # (member, conversation, place) -> when
        self._played: dict[tuple[str, str, int], int] = {}
        self._read_upto: dict[tuple[str, str], int] = {}
        self._versions: dict[str, int] = {}
        self._went_back: list[tuple[Name, Key, int]] = []

    def knocked(self, event: Knocked) -> None:
        known = self.known.setdefault(event.device, Known())
        known.interrupt()
        known.version = event.version
        known.newest = self._versions.get(event.device.eid, 0)

    def opened(self, event: Opened) -> None:
        known = self.known.setdefault(event.device, Known())
        if event.version < known.newest:
            line = f"{event.device}: the state is at version {event.version}, but {known.newest} was given"
            self._report("I8", "receipts went back", line)

    def read(self, event: Read, at: int) -> None:
        """Evidence. What is played is read."""
        for first, last in event.ranges if event.kind is Kind.PLAYED else ():
            for place in range(first, last + 1):
                self._played.setdefault((event.device.eid, event.conversation, place), at)
        upto = self._read_upto.get((event.device.eid, event.conversation), 0)
        for first, last in ((upto + 1, event.upto), *event.ranges):
            for place in range(first, last + 1):
                self._read.setdefault((event.device.eid, event.conversation, place), at)
        self._read_upto[event.device.eid, event.conversation] = max(upto, event.upto)

    def changed(self, event: State, at: int) -> None:
        known = self.known.setdefault(event.device, Known())
        if event.reset:
            known.reset()
        elif event.after != known.version:
            line = f"{event.device}: state ({event.after}, {event.upto}] does not join {known.version}"
            self._report("I4", "skipped", line)
        known.version = event.upto
        user = event.device.eid
        self._versions[user] = max(self._versions.get(user, 0), event.upto)
        told = self._claim(event, at)
        known.merge(told.items())
        if event.complete:
            self._compare(event.device, known.complete(), known.times)

    def answered(self, event: State, at: int) -> None:
        """What is told to who asks claims nothing that did not happen; and all of it at once is no less than the device
        was told by itself until then.
        """
        told = self._claim(event, at)
        known = self.known.setdefault(event.device, Known())
        if event.reset and event.complete and event.upto >= known.version:
            self._compare(event.device, known.times, told)

    def _claim(self, event: State, at: int) -> dict[Key, int]:
        """Notes what a page claims. Returns the earliest time of each receipt in it, but for private ones."""
        told: dict[Key, int] = {}
        for items, is_public in ((event.private, False), (event.receipts, True)):
            for key, time in _places(items):
                self._claims.setdefault(key, (at, event.device))
                if is_public:
                    told[key] = min(time, told.get(key, time))
        return told

    def _compare(self, device: Name, before: Mapping[Key, int], now: Mapping[Key, int]) -> None:
        """A whole state holds what was known before it."""
        for key, time in before.items():
            _, member, kind, _ = key
            is_hidden = device.eid in self.may_hide and member != device.eid and kind is not Kind.DELIVERED
            if now.get(key, time + 1) > time and not is_hidden:
                self._went_back.append((device, key, time))

    def _is_of_the_erased(self, member: str) -> bool:
        """What an erased user received and read is forgotten, and until then told as nobody's."""
        return bool(self._messages.groups.erased) and member in {"", self._messages.groups.erased}

    def is_kept(self, user: str, conversation: str) -> bool:
        """Whoever left a group is told no more of it, and a device that comes later less than one that was there."""
        return not self._messages.groups.has_gone(user, conversation) and self._messages.keeps(user, conversation)

    def finish(self, devices: Mapping[Name, ClientView], *, quiet: bool) -> None:
        for device, key, time in self._went_back:
            is_known = quiet or not self._messages.groups.is_group(key[0])  # whether they have left it
            if is_known and self.is_kept(device.eid, key[0]) and not self._is_of_the_erased(key[1]):
                self._report("I8", "receipts went back", f"{device} knew {words(key)} at {time}")
        for key, (at, device) in self._claims.items():
            if not self._is_of_the_erased(key[1]):
                self._check_claim(key, at, device, devices.values(), quiet=quiet)
        if quiet:
            self._check_convergence(devices)
            self._check_implied(devices)
            self._check_blocks(devices)
            for view in devices.values():
                self._check_remembered(view, devices)

    def _check_claim(self, key: Key, at: int, teller: Name, devices: Iterable[ClientView], *, quiet: bool) -> None:
        """A history that ended in the middle may have messages that nobody saw yet."""
        conversation, member, kind, place = key
        stamp = self._messages.conversations.get(conversation, {}).get(place)
        message = None if stamp is None else self._messages.by_stamp.get(stamp)
        if message is None:
            if quiet:
                self._report("I8", "false receipt", f"{teller}: {words(key)}, where nothing stands")
        elif not quiet and (self._messages.groups.is_group(conversation) or message.wrote.to == conversation):
            pass  # of the events that tell who is in it some, or all, may not be known yet
        elif message.is_for_friends and teller.eid not in {member, message.wrote.device.eid}:
            self._report("I10", "leaked", f"{teller}: {words(key)}, of whom only its author may know: {message}")
        elif member not in message.users or member == message.wrote.device.eid:
            self._report("I8", "false receipt", f"{teller}: {words(key)}, to whom it was not sent: {message}")
        else:
            said = self._played if kind is Kind.PLAYED else self._read
            since = said.get((member, conversation, place), at + 1)
            if kind is Kind.DELIVERED:
                since = min([since, *self._acks(member, message, devices)])
            if since > at:
                self._report("I8", "false receipt", f"{teller}: {words(key)} before that was told: {message}")

    @staticmethod
    def _acks(member: str, message: Message, devices: Iterable[ClientView]) -> Iterable[int]:
        for view in devices:
            if view.name.eid != member:
                continue
            for log in view.logs.values():
                offset = view.offset_of(log, message)
                if offset is not None and offset in log.acked:
                    yield log.acked[offset]

    def _check_implied(self, devices: Iterable[Name]) -> None:
        """What was played was read, and not later: but for who sends no receipts, and may have done the one unseen."""
        for name in devices:
            times = self.known.setdefault(name, Known()).times
            for (conversation, member, kind, place), time in times.items():
                if kind is not Kind.PLAYED or member in self.may_send_none or not self.is_kept(name.eid, conversation):
                    continue
                read = (conversation, member, Kind.READ, place)
                if times.get(read, time + 1) > time:
                    self._report("I8", "receipt lost", f"{name} knows that it was played, and not: {words(read)}")

    def _check_blocks(self, devices: Iterable[Name]) -> None:
        """Nobody is told a receipt of who had blocked them when they wrote it, and lifted that never."""
        for name in devices:
            for key in self.known[name].times:
                conversation, member, _, place = key
                stamp = self._messages.conversations.get(conversation, {}).get(place)
                message = None if stamp is None else self._messages.by_stamp.get(stamp)
                if message is None or message.is_event or message.wrote.device.eid != name.eid:
                    continue
                if self._messages.contacts.is_blocked(member, name.eid, message.wrote_at):
                    self._report("I10", "leaked", f"{name}: {words(key)}, who had blocked them: {message}")

    def _check_convergence(self, devices: Mapping[Name, ClientView]) -> None:
        by_user: dict[str, tuple[Name, dict[Key, int]]] = {}
        for name in devices:
            known = self.known.setdefault(name, Known()).times
            times = {key: time for key, time in known.items() if self.is_kept(name.eid, key[0])}
            other, reference = by_user.setdefault(name.eid, (name, times))
            if times != reference:
                key = min(dict(times.items() ^ reference.items()))
                line = f"{words(key)} at {times.get(key)} to {name}, at {reference.get(key)} to {other}"
                self._report("I9", "diverged", line)

    def _check_remembered(self, view: ClientView, devices: Mapping[Name, ClientView]) -> None:
        """What a floor covers was acknowledged on disk, so its author's devices know."""
        for log in view.logs.values():
            floor = max((floor for _, floor in log.floors), default=0)
            for offset, stamp in self._messages.logs.get(log.key, {}).items():
                message = self._messages.by_stamp[stamp]
                author = message.wrote.device.eid
                if not log.start < offset <= floor or author == view.name.eid or not message.is_owed(view.name):
                    continue
                if log.had.get(offset, 0) < 0 or offset < log.first:
                    continue  # a gap gives no receipt, and neither does an ack of what has expired
                if not self.is_kept(author, message.conversation):
                    continue
                if self._messages.contacts.was_blocked(view.name.eid, author):
                    continue  # who learns of no receipt, unless they were unblocked by then
                if not self._messages.keeps(view.name.eid, message.conversation):
                    continue  # who may have read the feed no more by then
                key = message.conversation, view.name.eid, Kind.DELIVERED, message.place
                for name in devices:
                    if name.eid == author and key not in self.known[name].times:
                        self._report("I8", "receipt lost", f"{name} does not know: {words(key)}: {message}")


def _places(items: Iterable[Receipts]) -> Iterator[tuple[Key, int]]:
    for item in items:
        for first, last, time in item.runs:
            for place in range(first, last + 1):
                yield (item.conversation, item.member, item.kind, place), time


def words(key: Key) -> str:
    conversation, member, kind, place = key
    return f"{place} of {conversation} {kind.name} to {member}"
