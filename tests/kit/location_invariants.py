"""Locations: a position is told as it was said, to who is in a conversation in which it is shared, and of those that
were said after the share was over, none is (I10).
"""

from itertools import count

from tests.kit.group_invariants import GroupInvariants
from tests.kit.history import LocationAnswered, LocationSaid, LocationTold
from tests.kit.message_invariants import Report

Share = tuple[str, str]
"""A user, and a conversation."""


class LocationInvariants:
    def __init__(self, groups: GroupInvariants, report: Report) -> None:
        self._groups = groups
        self._report = report
        self._clock = count(1)
        self._positions: dict[tuple[str, float], int] = {}  # by user and latitude, when it was said
        self._shared: dict[Share, int] = {}  # by version, as it was last answered; 0: it was said, and no more
        self._unanswered: dict[Share, set[str]] = {}
        self._ended: dict[Share, int] = {}  # when that was known for certain
        self._answered_upto: dict[tuple[str, float], dict[str, int]] = {}
        self._told: dict[tuple[str, float, str, str], LocationTold] = {}  # by position, conversation and viewer

    def said(self, event: LocationSaid) -> None:
        """Evidence."""
        user, share = event.device.eid, (event.device.eid, event.conversation)
        if event.latitude is not None:
            self._positions[user, event.latitude] = next(self._clock)
            groups = [conversation for owner, conversation in self._shared if owner == user]
            upto = {conversation: self._groups.answered_upto(conversation) for conversation in groups}
            self._answered_upto[user, event.latitude] = upto
        elif event.is_shared:
            self._shared.setdefault(share, 0)
            self._unanswered.setdefault(share, set()).add(f"{event.device} {event.id}")
            self._ended.pop(share, None)

    def answered(self, event: LocationAnswered) -> None:
        share = (event.device.eid, event.conversation)
        if event.is_shared:
            self._unanswered.get(share, set()).discard(f"{event.device} {event.id}")
            self._shared[share] = max(event.version, self._shared.get(share, 0))
        elif event.conversation and not self._unanswered.get(share) and event.version >= self._shared.get(share, 0):
            self._ended.setdefault(share, next(self._clock))

    def told(self, event: LocationTold) -> None:
        share, viewer = (event.user, event.conversation), event.device.eid
        if share not in self._shared or viewer == event.user:
            line = f"{event.device} is told where {event.user} is in {event.conversation}, where they share it never"
            self._report("I10", "leaked", line)
        if event.latitude is None:
            return
        said = self._positions.get((event.user, event.latitude))
        if said is None:
            self._report("I10", "forged", f"{event.device} is told {event}, which {event.user} never said")
        elif said > self._ended.get(share, said):
            self._report("I10", "shown after the end", f"{event.device} is told {event}, said after the share ended")
        self._told.setdefault((event.user, event.latitude, event.conversation, viewer), event)

    def finish(self) -> None:
        """Whoever was told a position was in the group when it was said, or came later."""
        for (user, latitude, group, viewer), event in self._told.items():
            place = self._answered_upto.get((user, latitude), {}).get(group, 0)
            if self._groups.is_group(group) and not self._groups.is_member_from(viewer, group, place):
                self._report("I10", "leaked", f"{event.device} is told {event}, and is not in {group} since {place}")
