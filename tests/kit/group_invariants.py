"""Groups: each message is owed to who is a member where it stands, and to nobody else (I1, I2, I4, I10 for them); no
change that was answered is forgotten, and all devices of a user know the same of a group (I1, I9).

Nobody tells the checker who is in a group. The events of its history do, each of which has a place in it: whoever saw
one tells it for all. Whoever may have blocked who added them is in it if they were shown that they were added; else
they are only listed.
"""

from collections.abc import Callable, Iterable, Mapping

from tests.kit.history import EventKind, GroupAnswered, GroupAsked, GroupEvent, GroupKnown, Knocked, Name, State

Report = Callable[[str, str, str], None]
"""invariant, kind, line"""

COMING, GOING = {EventKind.CREATED, EventKind.ADDED}, {EventKind.LEFT, EventKind.REMOVED}


class Groups:
    """The groups that one device knows."""

    def __init__(self) -> None:
        self.known: dict[str, GroupKnown] = {}
        self._fresh: dict[str, GroupKnown] | None = None  # a whole state that is arriving

    def take(self, event: State) -> None:
        if event.reset:
            self._fresh = {}
        into = self.known if self._fresh is None else self._fresh
        for group in event.groups:
            if group.role:
                into[group.id] = group
            else:
                into.pop(group.id, None)
        if event.complete and self._fresh is not None:
            self.known, self._fresh = self._fresh, None

    def interrupt(self) -> None:
        """The connection ended in the middle of a whole state: nothing is dropped yet."""
        fresh, self._fresh = self._fresh or {}, None
        self.known |= fresh


class GroupInvariants:
    def __init__(self, report: Report) -> None:
        self._report = report
        self._events: dict[str, dict[int, tuple[str, GroupEvent]]] = {}  # by group and place: who did it, and what
        self._asked: dict[tuple[str, str], GroupAsked] = {}  # by user and id
        self._answered: dict[tuple[Name, str], GroupAnswered] = {}
        self._devices: dict[Name, Groups] = {}
        self._members: dict[str, list[tuple[int, frozenset[str]]]] = {}  # made of the events when somebody asks
        self._ids: dict[tuple[str, int], str] = {}  # by group and place, that of the request
        self._asked_at: dict[tuple[str, str], int] = {}
        self._answered_at: dict[tuple[str, str], int] = {}
        self._seen_by: dict[tuple[str, int], set[str]] = {}
        self._listed: dict[str, frozenset[str]] = {}  # beside `_members`, whom all are shown now
        self.was_blocked: Callable[[str, str], bool] = lambda *_: False
        self.is_blocked: Callable[[str, str, int, int], bool] = lambda *_: False
        """Whether a user may ever have blocked another, and whether they had for certain, all the time between two."""
        self.erased = ""
        """The one user who was erased, or is to be: whom an event does not name is them."""

    def asked(self, event: GroupAsked, at: int = 0) -> None:
        """Evidence."""
        self._asked[event.device.eid, event.id] = event
        self._asked_at.setdefault((event.device.eid, event.id), at)

    def answered(self, event: GroupAnswered, at: int = 0) -> None:
        self._answered_at.setdefault((event.device.eid, event.id), at)
        first = self._answered.setdefault((event.device, event.id), event)
        if (first.group, first.place) != (event.group, event.place):
            line = (
                f"{event.device} asked {event.id}: first {first.group} {first.place}, then {event.group} {event.place}"
            )
            self._report("I5", "answered differently", line)

    def answered_upto(self, group: str) -> int:
        """The last place of a group that somebody was answered for; 0: none."""
        return max((answer.place for answer in self._answered.values() if answer.group == group), default=0)

    def left_behind(self, user: str, group: str, place: int) -> int:
        """The place at which a user left a group for the first time behind another place; 0: they did not."""
        going = (at for at, told in self._events.get(group, {}).items() if at > place and user in self._going(told))
        return min(going, default=0)

    def happened(self, group: str, place: int, author: str, event_id: str, event: GroupEvent, reader: str = "") -> None:
        """A device saw an event. Of who was erased, it tells neither the name nor what they called it."""
        is_known = bool(author)
        seen_by = self._seen_by.setdefault((group, place), set())
        if reader not in seen_by:
            seen_by.add(reader)
            self._members.clear()
        self._ids[group, place] = event_id
        if self.erased:
            author = author or self.erased
            event = event._replace(members=tuple(member or self.erased for member in event.members))
        known = self._events.setdefault(group, {})
        if place not in known:
            known[place] = author, event
            self._members.clear()
            if is_known and (author, event_id) not in self._asked:
                self._report("I10", "forged", f"{author} did {event.kind.name} in {group}, and never asked for it")
        elif self.erased and not event.title:  # the erased user was the last one there: it has no title any more
            known_author, before = known[place]
            if (known_author, before._replace(title="")) != (author, event):
                self._report("I3", "reordered", f"{place} of {group} is {known[place]} and {event}")
        elif known[place] != (author, event):
            self._report("I3", "reordered", f"{place} of {group} is {known[place]} and {event}")

    def knocked(self, event: Knocked) -> None:
        self._devices.setdefault(event.device, Groups()).interrupt()

    def changed(self, event: State) -> None:
        self._devices.setdefault(event.device, Groups()).take(event)

    def is_group(self, conversation: str) -> bool:
        return conversation in self._events

    def members_at(self, group: str, place: int) -> frozenset[str]:
        """Who has what stands there: of an event also those who go by it."""
        found: frozenset[str] = frozenset()
        for at, members in self._history(group):
            if at > place:
                break
            found = members
        event = self._events.get(group, {}).get(place)
        return found if event is None else found | self._going(event)

    def is_member_from(self, user: str, group: str, place: int) -> bool:
        """Whether a user was in a group behind a place of it, or came later."""
        history = self._history(group)
        first = max((at for at, _ in history if at <= place), default=0)
        return any(user in members for at, members in history if at >= first)

    @staticmethod
    def _going(told: tuple[str, GroupEvent]) -> frozenset[str]:
        return frozenset(told[1].members) if told[1].kind in GOING else frozenset()

    def _history(self, group: str) -> list[tuple[int, frozenset[str]]]:
        if group not in self._members:
            members: frozenset[str] = frozenset()
            listed: frozenset[str] = frozenset()
            rows = self._members[group] = []
            for place, (author, event) in sorted(self._events.get(group, {}).items()):
                coming = {author} if event.kind is EventKind.CREATED else set()
                coming |= set(event.members) if event.kind in COMING else set()
                seen_by = self._seen_by.get((group, place), set())
                members |= {one for one in coming if one in seen_by or not self.was_blocked(one, author)}
                listed |= coming
                members -= self._going((author, event))
                listed -= self._going((author, event))
                rows.append((place, members))
            self._listed[group] = listed
        return self._members[group]

    def has_gone_or_came_late(self, user: str, group: str) -> bool:
        """Whether the user was not always a member."""
        came_late = [user in members for _, members in self._history(group)][:1] == [False]
        return came_late or self.has_gone(user, group)

    def has_gone(self, user: str, group: str) -> bool:
        """Whether the user ever left a group: from then on they are told less of it than who stays."""
        return any(user in self._going(told) for told in self._events.get(group, {}).values())

    def finish(self, devices: Iterable[Name]) -> None:
        """Every device has been told all that there was."""
        for (name, request_id), answer in self._answered.items():
            told = self._events.get(answer.group, {}).get(answer.place)
            if told is None and name.eid == self.erased:
                continue  # of a group that nobody else was in, perhaps
            if told is None or told[0] != name.eid:
                line = f"{name} was answered that {request_id} is {answer.place} of {answer.group}, where {told} stands"
                self._report("I1", "lost", line)
        for (group, place), users in self._seen_by.items():
            self._check_added(group, place, users)
        for name in devices:
            self._check_device(name, self._devices.setdefault(name, Groups()).known)

    def _check_added(self, group: str, place: int, seen_by: Iterable[str]) -> None:
        """Nobody is added by whom they have blocked."""
        author, event = self._events[group][place]
        asked = author, self._ids[group, place]
        if event.kind not in COMING or asked not in self._answered_at:
            return
        for user in set(event.members) & {*seen_by}:
            if self.is_blocked(user, author, self._asked_at.get(asked, 0), self._answered_at[asked]):
                self._report("I10", "let through", f"{user} had blocked {author}, and was added by them to {group}")

    def _check_device(self, name: Name, known: Mapping[str, GroupKnown]) -> None:
        for group in self._events.keys() | known.keys():
            members = (self._history(group) or [(0, frozenset[str]())])[-1][1]
            mine = known.get(group)
            if (mine is not None) != (name.eid in members):
                what = "does not know that it is in" if mine is None else "believes that it is in"
                self._report("I9", "diverged", f"{name} {what} {group}, of {sorted(members)}")
            elif mine is not None:
                titles = [event.title for _, (_, event) in sorted(self._events[group].items()) if event.names]
                listed = self._listed.get(group, members)
                if mine.title != titles[-1] or mine.members != listed:
                    line = f"{name} knows {group} as {mine}, and it is {titles[-1]!r} of {sorted(listed)}"
                    self._report("I9", "diverged", line)
