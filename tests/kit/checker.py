"""Holds a history of what clients saw against the invariants that the README names. Pure: events in, violations out.

    violations = check(history)

`check` reads the history from its first event, so it can be called again and again on a growing one. With
`quiet=True` (the default) every device has connected again and has been sent all that there was: only then can
something be called lost. Where an older copy of the store was put back, what came between is gone with the store
that was there: up to then the history is held against the invariants as well, and after it that of the copy, as if
nothing had come between; but every device must be told, and by then it knows what it has by stamps.

What it knows stands in twelve parts:

* `message_invariants.py`  the messages: who wrote them, which places they were given, what their writers were answered
* `client_view.py`         one device: what it was shown, by the rule that every client follows
* `receipt_invariants.py`  who is said to have received and read what
* `marker_invariants.py`   how far users are said to have read
* `settings_invariants.py` what users let others know, and that nobody is told more
* `change_invariants.py`   what became of messages, and how conversations are kept
* `contact_invariants.py`  whom users let see them, and whom they have blocked
* `group_invariants.py`    who is in which group, and where in it
* `call_invariants.py`     who was told what of a call, and what became of one that was missed
* `location_invariants.py` who was told where somebody is
* `presence_invariants.py` who is shown as being there and to whom, what users say of themselves, and what they do
* `push_invariants.py`     what gateways were told for devices that are not connected
* `device_invariants.py`   which devices there are, what people call them, and who is addressed

A violation names its invariant and a kind:

    lost                  acknowledged, but not at a device to which it is owed                    I1
    left out              accepted as for all devices of its readers, and not addressed to one    I1
    reused                an offset was given twice                                                I1
    half-appended         unknown (or refused) to its writer, and neither everywhere nor nowhere   I2
    damaged               another payload than was written                                         I2
    reordered             ranges that do not join or increase, or two orders of one log            I3
    skipped               a range, a position or a gap passed over something that was owed         I4
    duplicated            shown twice, or stored twice                                             I5
    answered differently  a message that was sent again got other ids, or none                     I5
    misplaced             in another partition than it was written to                              I5
    client                the client's own position contradicts what it was sent: mend the client  I5
    untold                an older store was put back, and a device is not told of another epoch   I4
    floor moved back      a committed offset became smaller                                        I6
    floor ahead           a committed offset covers what was never acknowledged                    I6
    false receipt         a receipt for what did not happen, or not yet                            I8
    receipts went back    a receipt, or a state version, that was known is no more                 I8
    receipt lost          on disk as acknowledged, but its author is not told                      I8
    false marker          a read marker is further than its user ever said                         I8
    marker went back      a read marker that was known is no more                                  I8
    marker lost           on disk as acknowledged, and a device of the user is not told            I8
    false setting         a setting is off that nobody turned off                                  I8
    setting lost          on disk as acknowledged, and a device of the user is not told            I8
    false contact         a device is told of a contact what nobody asked or answered              I8
    contact lost          on disk as acknowledged, and a device of the user knows an older one     I8
    one-sided             what a user has of another is not what that one has of them              I9
    false label           a device is called what nobody called it                                 I8
    label lost            on disk as acknowledged, and a device of the user knows an older one     I8
    false change          something became of a message, or was made of it, that nobody did                I8
    change lost           on disk as acknowledged, and a device of the user is not told            I8
    not taken back        a reaction that its author took back is known to somebody still, blocked or not  I9
    answered twice        two devices talk in one call                                            I5
    told after the end    a device is told more of a call that is over for it                     I3
    missed twice          a missed call is two messages                                           I5
    missed call lost      a device was told that a call was missed, and there is no message       I1
    false intent          a user is said to be as nobody said                                     I8
    intent lost           on disk as acknowledged, and a device of the user is not told            I8
    ghost                 somebody is shown as being there who is gone                             I8
    wrong view            at rest, a device holds a user for another way than they are, or may be seen   I8
    shown after the end   a device is told a position that was said after the share was over      I10
    diverged              two devices of a user hold different receipts, read markers or settings  I9
    not pushed            owed to who has no device before which somebody sits, and its gateway was not told  I4
    not told              in the store, and the operator's back end was not told of it              I4
    hole                  a stream of events goes on behind where it ended                        I3
    streamed twice        a stream of events shows an entry in its turn that it has shown           I5
    stored twice          what was posted again under its key is two messages                     I5
    not streamed          answered, and a stream of events of the user's does not bring it         I4
    another event         two events have one id                                                  I5
    content told          a back end was told what a message says, which is not configured        I10
    pushed after its end  a gateway was told that a call rings, which was answered or over         I8
    pushed while held     a gateway was told though somebody looks at a device, or wants to hear nothing   I8
    pushed after it was read  a gateway was told of what the user had read for certain            I8
    another id            two notifications of one message have two ids, or of two messages one   I5
    pushed to others      a gateway was told of somebody else's message, or of the user's own     I10
    let through           written to somebody who had blocked its author, and there                I10
    forged                `from` is not who wrote it                                               I10
    found                 what an erased user wrote, or was called, is in the store still          I10
    leaked                shown to somebody for whom it is not, a receipt too                      I10
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.kit.call_invariants import CallInvariants
from tests.kit.change_invariants import ChangeInvariants
from tests.kit.client_view import ClientView, Excused, LogView
from tests.kit.contact_invariants import ContactInvariants
from tests.kit.device_invariants import DeviceInvariants
from tests.kit.group_invariants import GroupInvariants
from tests.kit.history import (
    Acked,
    ActivitySaid,
    ActivityTold,
    Answered,
    Batch,
    CallSaid,
    CallTold,
    Closed,
    Complaint,
    ContactAnswered,
    ContactRefused,
    ContactSaid,
    DeviceEvent,
    Done,
    Erased,
    Event,
    ExceptionSaid,
    Focused,
    GapReason,
    Given,
    GroupAnswered,
    GroupAsked,
    IntentAnswered,
    IntentSaid,
    Knocked,
    Labelled,
    LabelSaid,
    LocationAnswered,
    LocationSaid,
    LocationTold,
    Marked,
    Name,
    Opened,
    PresenceTold,
    Pushed,
    PutBack,
    Read,
    ReadSet,
    Refused,
    SettingsAnswered,
    SettingsSaid,
    State,
    Wrote,
    lineage,
)
from tests.kit.location_invariants import LocationInvariants
from tests.kit.marker_invariants import MarkerInvariants
from tests.kit.message_invariants import Message, MessageInvariants
from tests.kit.presence_invariants import PresenceInvariants
from tests.kit.push_invariants import PushInvariants
from tests.kit.receipt_invariants import ReceiptInvariants
from tests.kit.settings_invariants import SettingsInvariants

NOTHING: Excused = frozenset()
MAX_SHOWN = 40


class Violation(NamedTuple):
    invariant: str
    kind: str
    line: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.kind}: {self.line}"


def check(
    history: Iterable[Event], *, quiet: bool = True, excused: Iterable[GapReason] = (GapReason.SKIPPED,)
) -> list[Violation]:
    """All violations, in the order in which they show. `excused`: the reasons for which a gap is no loss here."""
    events, reasons = list(history), frozenset(excused)
    violations: list[Violation] = []
    formers: dict[int, _Check] = {}
    for at, event in enumerate(events):
        if isinstance(event, PutBack):
            former = _Check(reasons, formers)
            violations += former.run(lineage(events[:at]), quiet=False)
            formers[id(event)] = former
    violations += _Check(reasons, formers).run(lineage(events), quiet=quiet)
    return [*dict.fromkeys(violations), *_untold(events)]


def _untold(history: Sequence[Event]) -> Iterator[Violation]:
    """Another epoch is told to each device once an older copy was put back, and to nobody else."""
    told: dict[Name, int] = {}
    owed: set[Name] = set()
    for event in history:
        if isinstance(event, PutBack):
            owed = set(told)
        elif isinstance(event, Opened):
            name, before = event.device, told.get(event.device, event.epoch)
            if name in owed and event.epoch == before:
                yield Violation("I4", "untold", f"{name} is in epoch {before} still, after an older store was put back")
            elif name not in owed and event.epoch != before:
                yield Violation("I1", "lost", f"{name} was told another epoch, and no older store was put back")
            owed.discard(name)
            told[name] = event.epoch


def explain(violations: Sequence[Violation]) -> str:
    """For a failing test: how many of each kind, and the first ones."""
    counts = Counter(f"{violation.invariant} {violation.kind}" for violation in violations)
    head = ", ".join(f"{kind}: {count}" for kind, count in counts.most_common())
    more = [f"… and {len(violations) - MAX_SHOWN} more"] if len(violations) > MAX_SHOWN else []
    return "\n".join([f"{len(violations)} violations ({head})", *map(str, violations[:MAX_SHOWN]), *more])


class _Check:
    def __init__(self, excused: Excused, formers: Mapping[int, "_Check"]) -> None:
        """`formers`: by the event that put a copy back, what there had been until then."""
        self._excused = excused
        self._formers = formers
        self._violations: list[Violation] = []
        self._groups = GroupInvariants(self._report)
        self._contacts = ContactInvariants(self._report)
        self._groups.was_blocked, self._groups.is_blocked = self._contacts.was_blocked, self._contacts.is_blocked
        self._messages = MessageInvariants(self._report, self._groups, self._contacts)
        self._changes = ChangeInvariants(self._messages, self._report, self._has_expired)
        self._messages.may_deliver = self._changes.may_deliver
        self._receipts = ReceiptInvariants(self._messages, self._report)
        self._markers = MarkerInvariants(self._report)
        self._settings = SettingsInvariants(self._messages, self._receipts, self._report)
        self._named = DeviceInvariants(self._report)
        self._calls = CallInvariants(self._messages, self._report)
        self._locations = LocationInvariants(self._groups, self._report)
        self._presence = PresenceInvariants(self._report, self._settings, self._contacts, self._groups)
        self._pushed = PushInvariants(self._messages, self._calls, self._report)
        self._devices: dict[Name, ClientView] = {}
        self._asking: set[Name] = set()
        """Who writes by HTTP, and is told nothing by itself."""

    def _report(self, invariant: str, kind: str, line: str) -> None:
        self._violations.append(Violation(invariant, kind, line))

    def run(self, history: Iterable[Event], *, quiet: bool) -> list[Violation]:
        for at, event in enumerate(history):
            if isinstance(event, PutBack):
                former = self._formers[id(event)]
                self._messages.put_back()
                for name, view in self._devices.items():
                    view.put_back(former._devices.get(name))
            elif isinstance(event, Erased):
                self._groups.erased = event.eid
            else:
                self._take(event, at)
        # What who was erased had of their own is gone, and what they wrote and received goes on being judged by others.
        gone = [name for name in self._devices if name.eid == self._groups.erased or name in self._asking]
        for name in gone if quiet else ():
            del self._devices[name]
        self._messages.finish(quiet=quiet)
        if quiet:
            for message in self._messages:
                self._check_arrived(message)
            for view in self._devices.values():
                view.finish(self._excused)
        self._receipts.finish(self._devices, quiet=quiet)
        if quiet:
            self._markers.finish(self._devices)
            self._settings.finish(self._devices)
            self._groups.finish(self._devices)
            self._contacts.finish(self._devices, self._groups.erased)
            self._changes.finish(self._devices)
            self._named.finish(self._devices)
            self._locations.finish()
            self._presence.finish(self._devices)
            logs = [log for view in self._devices.values() for name, log in view.logs.items() if name == "chat"]
            self._calls.finish(is_excused=bool(self._groups.erased) or any(log.first > 1 for log in logs))
        return self._violations

    def _view(self, name: Name, at: int) -> ClientView:
        if name not in self._devices:
            self._devices[name] = ClientView(name, self._messages, self._report, at)
        return self._devices[name]

    def _take(self, event: DeviceEvent, at: int) -> None:
        if event.device not in self._devices and isinstance(event, Wrote):
            self._asking.add(event.device)  # else a Hello comes first
        view = self._view(event.device, at)
        match event:
            case Wrote():
                self._messages.wrote(event, at)
                self._named.wrote(event, at)
            case Answered():
                self._messages.answered(event, at)
                self._named.answered(event)
                message = self._messages.messages.get((event.device, event.id))
                if message is not None:
                    view.answered(message.wrote.partition, event.ids.offset, event.ids.stamp)
            case Refused():
                self._messages.refused(event)
            case Knocked():
                self._asking.discard(event.device)  # it wrote before it first connected
                view.knocked(event, at)
                self._receipts.knocked(event)
                self._markers.knocked(event)
                self._settings.knocked(event)
                self._groups.knocked(event)
                self._contacts.knocked(event)
                self._changes.knocked(event)
                self._named.knocked(event)
                self._presence.knocked(event)
            case Opened():
                self._receipts.opened(event)
                view.opened(event, at)
                self._presence.opened(event)
                self._named.opened(event, at)
            case Batch():
                for delivery in event.deliveries:
                    if delivery.missed:
                        self._calls.delivered(delivery)
                view.received(event)
            case CallSaid():
                self._calls.said(event)
            case CallTold():
                self._calls.told(event)
            case IntentSaid():
                self._presence.intent_said(event)
            case IntentAnswered():
                self._presence.answered(event)
            case Focused():
                self._presence.focused(event)
            case PresenceTold():
                self._presence.told(event)
            case ActivitySaid():
                self._presence.activity_said(event)
            case ActivityTold():
                self._presence.activity_told(event)
            case Closed():
                self._presence.closed(event)
            case LocationSaid():
                self._locations.said(event)
            case LocationAnswered():
                self._locations.answered(event)
            case LocationTold():
                self._locations.told(event)
            case Acked() | Read() | ReadSet() | SettingsSaid() | ExceptionSaid() | LabelSaid() if view.is_stale:
                pass  # of what is no more, to nobody
            case Acked():
                view.acked(event, at)
            case Read():
                self._receipts.read(event, at)
                self._settings.read(event)
            case State(asked=True):
                self._receipts.answered(event, at)
            case State():
                self._receipts.changed(event, at)
                self._markers.changed(event)
                self._settings.changed(event)
                self._groups.changed(event)
                self._contacts.changed(event)
                self._changes.changed(event)
                self._named.changed(event)
                self._presence.changed(event)
            case ReadSet():
                self._markers.said(event)
            case Pushed():
                self._pushed.pushed(event)
            case Marked():
                self._pushed.marked(event)
                self._markers.answered(event)
            case SettingsSaid():
                self._settings.said(event)
            case ExceptionSaid():
                self._settings.excepted(event)
            case SettingsAnswered():
                self._settings.answered(event)
            case LabelSaid():
                self._named.label_said(event, at)
            case Labelled():
                self._named.labelled(event, at)
            case Given():
                self._changes.given(event)
            case Done():
                self._changes.done(event)
            case ContactSaid():
                self._contacts.said(event, at)
                if event.action == "BLOCK":
                    self._receipts.may_send_none.add(event.device.eid)
            case ContactAnswered():
                self._contacts.answered(event, at)
            case ContactRefused():
                self._contacts.refused(event)
            case GroupAsked():
                self._groups.asked(event, at)
            case GroupAnswered():
                self._groups.answered(event, at)
            case Complaint():
                self._report(event.invariant, event.kind, f"{event.device}: {event.line}")

    def _check_arrived(self, message: Message) -> None:
        """What was acknowledged is everywhere; what is anywhere is everywhere."""
        if not message.stamp:
            return
        for view in self._devices.values():
            log = view.logs.get(message.wrote.partition)
            if log is None or not message.is_owed(view.name) or message.stamp in view.shown:
                continue
            if self._is_excused(message, view, log):
                continue
            if message.acknowledged:
                self._report("I1", "lost", f"{message} was acknowledged, and is not at {view.name}")
            else:
                self._report("I2", "half-appended", f"{message} is somewhere, and not at {view.name}")

    def _has_expired(self, message: Message) -> bool:
        """A device was told that a log of it begins behind the message, where that is no loss."""
        for view in self._devices.values() if GapReason.EXPIRED in self._excused else ():
            log = view.logs.get(message.wrote.partition)
            offset = None if log is None else self._messages.offsets.get(log.key, {}).get(message.stamp)
            if log is not None and offset is not None and offset < log.first:
                return True
        return False

    def _may_have_expired(self, log: LogView) -> bool:
        """Something of which nobody knows what it was has expired, where that is no loss."""
        entries = self._messages.logs.get(log.key, {})
        return GapReason.EXPIRED in self._excused and any(offset not in entries for offset in range(1, log.first))

    def _is_excused(self, message: Message, view: ClientView, log: LogView) -> bool:
        """It lies before the device's start or in a gap, or its being passed over is reported as skipped."""
        offset = view.offset_of(log, message)
        if offset is None:  # nobody of this user saw it: only a device that began after it may not know
            began_late = bool(log.start) and message.answered_at is not None and message.answered_at < view.first_seen
            return began_late or self._may_have_expired(log)
        return offset <= log.offset or offset <= log.start
