"""What is pushed although it is to be held: somebody looks at a device of the user's, they said that they are DND or
BUSY, or they have muted or archived the conversation.

Devices say of themselves what is so; the store says what is on disk. Where a word may be on its way still, or a device
is not there any more a little later, nothing is judged.
"""

from collections.abc import Callable
from math import inf
from typing import Any

import trio

from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import ConversationId, Millis, Stamp
from bimip.domain.core.records import Status, Table, User
from bimip.domain.state.conversation_settings import read_settings
from bimip.domain.state.intents import intent_of, standing
from bimip.names import conversation_number
from tests.kit.actor import Link
from tests.kit.history import Event, Focused, IntentSaid, Name, Opened, Pushed, Shown
from tests.simulation.device import Device

SETTLED_SECONDS = 3.0
"""Until what a device says has come to the server."""
GONE_SECONDS = 1.0
"""Until it is known that a device was there."""


class HeldPushes:
    def __init__(self, report: Callable[[str, str, str], None]) -> None:
        self._report = report
        self._focus: dict[Name, tuple[Shown, float]] = {}  # as it was last said, and when

    def note(self, event: Event) -> None:
        """What devices say of who looks at them."""
        now = trio.current_time()
        match event:
            case Opened():
                self._focus[event.device] = Shown.ONLINE, -inf  # the server has answered
            case Focused() if event.focus is not self._focus_of(event.device):
                self._focus[event.device] = event.focus, now
            case IntentSaid(status=Shown.ONLINE) if self._focus_of(event.device) is not Shown.ONLINE:
                self._focus[event.device] = Shown.ONLINE, now

    def _focus_of(self, device: Name) -> Shown:
        return self._focus.get(device, (Shown.OFFLINE, 0.0))[0]

    def active(self, eid: str, devices: list[Device]) -> list[tuple[Device, Link | None]]:
        """Devices of a user at which somebody has looked for a while, as the server must know."""
        now = trio.current_time()
        found = []
        for device in devices:
            focus, since = self._focus.get(device.name, (Shown.OFFLINE, now))
            if device.name.eid != eid or focus is not Shown.ONLINE or since + SETTLED_SECONDS >= now:
                continue
            if _is_open(device.link):
                found.append((device, device.link))
        return found

    def still_there(self, event: Pushed, before: list[tuple[Device, Link | None]]) -> None:
        """Judges a push some time later, by which it is known who was there."""
        for device, link in before:
            if device.link is link and _is_open(link):
                self._report("I8", "pushed while held", f"{_what(event)}, and somebody looks at {device.name}")

    def judge(self, event: Pushed, view: Any, now: Millis) -> None:
        """Judges a push by what is on disk."""
        user: User | None = view.get(Table.USERS, (event.device.eid,))
        if user is None:
            return
        status = standing(intent_of(view, user.number), now)
        if status in {Status.DND, Status.BUSY}:
            self._report("I8", "pushed while held", f"{_what(event)}, who is {status.name}")
        conversation = conversation_number(event.conversation) if event.conversation else None
        if conversation is None:
            return
        kept = read_settings(view, user.number, ConversationId(conversation))
        came = millis_of(Stamp(event.stamp)) if event.stamp else now
        is_mention = view.get(Table.MENTIONS, (user.number, conversation, event.place)) is not None
        if kept is not None and not is_mention and (kept.archived.value or kept.muted_until.value > came):
            self._report("I8", "pushed while held", f"{_what(event)}, which is muted or archived")


def _is_open(link: Any) -> bool:
    return link is not None and not link.is_cut and link.line.connection.closed is None


def _what(event: Pushed) -> str:
    return f"{event.kind} {event.call or event.place} of {event.conversation} to {event.device}"
