"""Push: nobody is told of what is not theirs, of what they have read, or of a call that rings no more; a notification
that comes twice has one id.
"""

from tests.kit.call_invariants import CallInvariants
from tests.kit.history import Marked, Pushed
from tests.kit.message_invariants import MessageInvariants, Report


class PushInvariants:
    def __init__(self, messages: MessageInvariants, calls: CallInvariants, report: Report) -> None:
        self._messages = messages
        self._calls = calls
        self._report = report
        self._read: dict[tuple[str, str], int] = {}  # by user and conversation how far it is read, for certain
        self._ids: dict[tuple[str, int | str], str] = {}  # by token and message, or call
        self._told: dict[str, tuple[str, int | str]] = {}

    def marked(self, event: Marked) -> None:
        """The server has on disk that a user has read so far."""
        place = event.device.eid, event.conversation
        self._read[place] = max(event.upto, self._read.get(place, 0))

    def pushed(self, event: Pushed) -> None:
        what = f"{event.device} by {event.kind} of {event.conversation} at {event.place}"
        if event.kind == "clear":
            return
        if event.kind == "call":
            self._called(event)
            return
        if self._read.get((event.device.eid, event.conversation), 0) >= event.place:
            self._report("I8", "pushed after it was read", what)
        message = self._messages.by_stamp.get(event.stamp)
        if message is not None:
            wrote = message.wrote
            if wrote.device.eid == event.device.eid:
                self._report("I10", "pushed to others", f"{what}, which is their own")
            is_direct = not wrote.to.startswith("c") and not message.is_for_friends
            if is_direct and wrote.to != event.device.eid:
                self._report("I10", "pushed to others", f"{what}, which is for {wrote.to}")
        self._name(event, event.stamp)

    def _called(self, event: Pushed) -> None:
        what = f"{event.device} of {event.call} of {event.sender}"
        call = self._calls.find(event.call)
        if call is None or (call.caller.eid, call.callee) != (event.sender, event.device.eid):
            self._report("I10", "pushed to others", f"{what}, which is no call of theirs")
        elif call.rings_no_more:
            self._report("I8", "pushed after its end", what)
        self._name(event, event.call)

    def _name(self, event: Pushed, what: int | str) -> None:
        """One thing has one id, and each another one."""
        about = str(event.device), what
        if self._ids.setdefault(about, event.id) != event.id:
            self._report("I5", "another id", f"{about}: {self._ids[about]}, and {event.id}")
        if self._told.setdefault(event.id, about) != about:
            self._report("I5", "another id", f"{about} has the id of {self._told[event.id]}")
