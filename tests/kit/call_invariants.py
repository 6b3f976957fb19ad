"""Calls: one device answers, what was said is told in its order and to nobody else, and nothing follows an end (I3, I5,
I10); a call that was missed is one message, and is there when an end is told that says so (I1, I5).

That everybody who was told of a call is told its end, no invariant has to say: whoever waits for one does not come to
rest.
"""

from dataclasses import dataclass, field

from tests.kit.history import CallEnd, CallSaid, CallStep, CallTold, Delivery, Name
from tests.kit.message_invariants import MessageInvariants, Report

NOTED = frozenset({CallEnd.CANCELLED, CallEnd.TIMED_OUT})
"""Ends that are told when the message is on disk."""


@dataclass
class Call:
    """A call, by its name, which the kit's devices give to one alone."""

    caller: Name
    callee: str
    said: set[tuple[str, CallStep, bytes]] = field(default_factory=set)  # by whom: eid
    answered_by: set[bytes] = field(default_factory=set)
    missed: set[int] = field(default_factory=set)  # stamps of the messages that tell of it
    rings_no_more: bool = False  # somebody knows that it was answered, or is over
    noted: Name | None = None  # who was told an end that says that there is a message


class CallInvariants:
    def __init__(self, messages: MessageInvariants, report: Report) -> None:
        self._messages = messages
        self._report = report
        self._calls: dict[str, Call] = {}
        self._told: dict[tuple[Name, str], dict[int, CallTold]] = {}

    def said(self, event: CallSaid) -> None:
        """Evidence."""
        if event.step is CallStep.OFFER:
            self._calls.setdefault(event.call, Call(event.device, event.peer))
        call = self._calls.get(event.call)
        if call is not None:
            call.said.add((event.device.eid, event.step, event.payload))

    def find(self, call: str) -> Call | None:
        return self._calls.get(call)

    def told(self, event: CallTold) -> None:
        call = self._calls.get(event.call)
        if call is None or {event.device.eid, event.peer} != {call.caller.eid, call.callee}:
            self._report("I10", "leaked", f"{event.device} is told of the call {event.call} with {event.peer}")
            return
        if not event.sequence:
            return  # nobody knows of it any more
        call.rings_no_more |= event.step in {CallStep.ANSWER, CallStep.ENDED}
        before = self._told.setdefault((event.device, event.call), {})
        known = before.setdefault(event.sequence, event)
        if known != event:
            self._report("I3", "reordered", f"{event.device} was told {known}, and then {event}")
        elif max(before) != event.sequence:
            return  # again, after a cut
        elif any(one.step is CallStep.ENDED for one in before.values() if one is not known):
            self._report("I3", "told after the end", f"{event.device}: {event}")
        if event.step is CallStep.ENDED:
            call.noted = event.device if event.end in NOTED else call.noted
        elif (event.peer, event.step, event.payload) not in call.said:
            self._report("I10", "forged", f"{event.device} is told {event}, which {event.peer} never said")
        elif event.step is CallStep.ANSWER:
            call.answered_by.add(event.payload.rpartition(b" ")[0])
            if len(call.answered_by) > 1:
                self._report("I5", "answered twice", f"{event.call} by {sorted(call.answered_by)}")

    def delivered(self, delivery: Delivery) -> None:
        """A device saw the message that tells of a missed call: the server wrote it, for both."""
        call = self._calls.get(delivery.missed)
        if call is None:
            return  # nobody called: it is found as what nobody wrote
        self._messages.note_event(delivery, call.callee)
        call.missed.add(delivery.stamp)
        if len(call.missed) > 1:
            self._report("I5", "missed twice", f"{delivery.missed} is there as {sorted(call.missed)}")

    def finish(self, *, is_excused: bool) -> None:
        """`is_excused`: what is not there may have expired."""
        for name, call in self._calls.items():
            if call.noted is not None and not call.missed and not is_excused:
                line = f"{call.noted} was told that {name} was missed, and nothing is there"
                self._report("I1", "missed call lost", line)
