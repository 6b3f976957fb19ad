"""Presence: who may not see a user is never told that they are there or what they do (I10); what users say of
themselves is theirs, on all of their devices, and lasts (I8, I9); at rest each device's view of others is what is so
and may be seen, and nobody is shown as being there who is gone (I8).

Whom a user never let see them is shown nothing of them at any time. What contacts and settings allow is known at rest
alone, so it is held against what was told since the device connected for the last time: by then nobody changed them.
"""

from collections.abc import Iterable

from tests.kit.contact_invariants import ContactInvariants
from tests.kit.group_invariants import GroupInvariants
from tests.kit.history import (
    ActivitySaid,
    ActivityTold,
    Closed,
    Focused,
    Intent,
    IntentAnswered,
    IntentSaid,
    Knocked,
    Name,
    Opened,
    PresenceTold,
    Shown,
    State,
)
from tests.kit.message_invariants import Report
from tests.kit.settings_invariants import SettingsInvariants

NOTHING_SAID = Intent(0, Shown.ONLINE, 0)
OVER = 1
"""An intent until this time is over."""


class PresenceInvariants:
    def __init__(
        self, report: Report, settings: SettingsInvariants, contacts: ContactInvariants, groups: GroupInvariants
    ) -> None:
        self._report = report
        self._settings = settings
        self._contacts = contacts
        self._groups = groups
        self._said: set[tuple[str, Shown, int]] = set()
        self._answered: dict[str, int] = {}  # by user, the newest version
        self._intents: dict[Name, Intent] = {}  # as each device was told
        self._focus: dict[Name, Shown] = {}  # of connected devices
        self._views: dict[Name, dict[str, Shown]] = {}
        self._shown_since: dict[Name, set[str]] = {}  # who were there, since the device connected
        self._doing_since: dict[Name, list[ActivityTold]] = {}
        self._activities: dict[tuple[str, int], list[ActivitySaid]] = {}
        self._told: list[ActivityTold] = []

    def knocked(self, event: Knocked) -> None:
        self._shown_since[event.device] = set()
        self._doing_since[event.device] = []

    def opened(self, event: Opened) -> None:
        self._focus[event.device] = Shown.ONLINE
        self._views[event.device] = {}

    def closed(self, event: Closed) -> None:
        self._focus.pop(event.device, None)

    def focused(self, event: Focused) -> None:
        if event.device in self._focus:
            self._focus[event.device] = event.focus

    def intent_said(self, event: IntentSaid) -> None:
        """Evidence. Who takes back what they said looks at the device."""
        self._said.add((event.device.eid, event.status, event.until))
        if event.status is Shown.ONLINE and event.device in self._focus:
            self._focus[event.device] = Shown.ONLINE

    def answered(self, event: IntentAnswered) -> None:
        self._check_claim(event.device, event.intent)
        user = event.device.eid
        self._answered[user] = max(event.intent.version, self._answered.get(user, 0))

    def changed(self, event: State) -> None:
        if event.reset:
            self._intents.pop(event.device, None)
        for intent in event.intents:
            self._check_claim(event.device, intent)
            self._intents[event.device] = max(intent, self._intents.get(event.device, NOTHING_SAID))

    def _check_claim(self, device: Name, intent: Intent) -> None:
        if intent.version and (device.eid, intent.status, intent.until) not in self._said:
            self._report("I8", "false intent", f"{device} is told {intent}: nobody said so")

    def told(self, event: PresenceTold) -> None:
        view = self._views.setdefault(event.device, {})
        if event.is_reset:
            view.clear()
        for eid, status in event.shown:
            if status is Shown.OFFLINE:
                view.pop(eid, None)
                continue
            view[eid] = status
            self._shown_since.setdefault(event.device, set()).add(eid)
            if eid != event.device.eid and not self._contacts.may_ever_see(event.device.eid, eid):
                self._report("I10", "leaked", f"{event.device} is told that {eid} is {status.name}, who never let them")

    def _shows(self, owner: str, viewer: str) -> bool:
        """Whether, at rest, a user who does something shows it to another whom it is for."""
        is_contact = self._contacts.lets_see(owner, viewer)
        is_shown = self._settings.show_presence(owner, viewer, is_contact=is_contact)
        return is_shown and not self._contacts.are_apart(owner, viewer)

    def _is_shown(self, owner: str, viewer: str) -> bool:
        """Whether, at rest, a user shows another whether they are there."""
        return self._contacts.lets_see(owner, viewer) and self._shows(owner, viewer)

    def activity_said(self, event: ActivitySaid) -> None:
        """Evidence."""
        self._activities.setdefault((event.device.eid, event.ttl_ms), []).append(event)

    def activity_told(self, event: ActivityTold) -> None:
        self._told.append(event)
        self._doing_since.setdefault(event.device, []).append(event)

    def finish(self, devices: Iterable[Name]) -> None:
        """All is at rest."""
        names = list(devices)
        self._check_intents(names)
        self._check_activities()
        for name in names:
            if name in self._focus:
                self._check_view(name, {one.eid for one in names})
            self._check_settings(name)

    def _check_intents(self, names: Iterable[Name]) -> None:
        by_user: dict[str, tuple[Name, Intent]] = {}
        for name in names:
            intent = self._intents.get(name, NOTHING_SAID)
            if intent.version < self._answered.get(name.eid, 0):
                line = f"{name} knows {intent}, and version {self._answered[name.eid]} was answered"
                self._report("I8", "intent lost", line)
            other, reference = by_user.setdefault(name.eid, (name, intent))
            if intent != reference:
                self._report("I9", "diverged", f"intents: {intent} to {name}, {reference} to {other}")

    def _check_activities(self) -> None:
        for told in self._told:
            viewer = told.device.eid
            said = self._activities.get((told.user, told.ttl_ms), [])
            if not said:
                self._report("I10", "forged", f"{told.device} is told {told}, which {told.user} never said")
            is_theirs = any(viewer == one.to or self._is_member(viewer, one.conversation) for one in said)
            if said and (viewer == told.user or not is_theirs):
                self._report("I10", "leaked", f"{told.device} is told {told}, which was not for them")

    def _is_member(self, user: str, group: str) -> bool:
        """Whether a user is in a group, or ever was; nobody may know, where all that tells of it has expired."""
        is_known = self._groups.is_group(group)
        return self._groups.is_member_from(user, group, 0) if is_known else bool(group)

    def _check_settings(self, name: Name) -> None:
        for owner in self._shown_since.get(name, ()):
            if owner != name.eid and not self._is_shown(owner, name.eid):
                self._report("I10", "leaked", f"{name} is told of {owner}, who does not show whether they are there")
        for told in self._doing_since.get(name, ()):
            if not self._shows(told.user, name.eid):
                self._report("I10", "leaked", f"{name} is told {told}, who does not show whether they are there")

    def _check_view(self, name: Name, users: set[str]) -> None:
        view = self._views.get(name, {})
        for owner in sorted(users - {name.eid}):  # of itself a device that is alone is told nothing
            status = self._status_of(owner)
            is_shown = self._is_shown(owner, name.eid)
            known, expected = view.get(owner, Shown.OFFLINE), status if is_shown else Shown.OFFLINE
            if status is Shown.OFFLINE and known is not Shown.OFFLINE:
                self._report("I8", "ghost", f"{name} holds {owner} for {known.name}, who is gone")
            elif known is not expected:
                self._report("I8", "wrong view", f"{name} holds {owner} for {known.name}, who is {expected.name}")

    def _status_of(self, user: str) -> Shown:
        focus = {focus for name, focus in self._focus.items() if name.eid == user} - {Shown.OFFLINE}
        if not focus:
            return Shown.OFFLINE
        told = [intent for name, intent in self._intents.items() if name.eid == user]
        intent = max(told, default=NOTHING_SAID)
        if intent.status is not Shown.ONLINE and intent.until != OVER:
            return intent.status
        return Shown.ONLINE if Shown.ONLINE in focus else Shown.AWAY
