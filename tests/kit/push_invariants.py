"""Push: nobody is told of what is not theirs, or of what they have read; a notification that comes twice has one id."""

from tests.kit.history import Marked, Pushed
from tests.kit.message_invariants import MessageInvariants, Report


class PushInvariants:
    def __init__(self, messages: MessageInvariants, report: Report) -> None:
        self._messages = messages
        self._report = report
        self._read: dict[tuple[str, str], int] = {}  # by user and conversation how far it is read, for certain
        self._ids: dict[tuple[str, int], str] = {}  # by token and message
        self._told: dict[str, tuple[str, int]] = {}

    def marked(self, event: Marked) -> None:
        """The server has on disk that a user has read so far."""
        place = event.device.eid, event.conversation
        self._read[place] = max(event.upto, self._read.get(place, 0))

    def pushed(self, event: Pushed) -> None:
        what = f"{event.device} by {event.kind} of {event.conversation} at {event.place}"
        if event.kind == "clear":
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
        about = str(event.device), event.stamp
        if self._ids.setdefault(about, event.id) != event.id:
            self._report("I5", "another id", f"{what}: {self._ids[about]}, and {event.id}")
        if self._told.setdefault(event.id, about) != about:
            self._report("I5", "another id", f"{what} has the id of {self._told[event.id]}")
