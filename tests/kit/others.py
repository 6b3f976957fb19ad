"""What a device was told of others, which is in no log and no state: it is told anew on each connection."""

from collections.abc import Iterator

from bimip.client.wire import bimip as pb

S = pb.AwarenessStatus
THERE = frozenset((S.ONLINE, S.AWAY, S.BUSY, S.DND))
GONE_SECONDS = 5.0
"""From a new connection on, after which who was not told of is not there (PROTOCOL.md, "Awareness")."""

Place = tuple[str, str]
"""Whose it is, and in which conversation it is shared; there empty: with this user alone."""


class Others:
    """An application is told what differs from what it knew, however often the connection ended in between."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._statuses: dict[str, pb.Awareness] = {}
        self._places: dict[Place, pb.LocationStream] = {}
        self._statuses_before: dict[str, pb.Awareness] = {}
        self._places_before: dict[Place, pb.LocationStream] = {}
        self._doing: dict[Place, pb.Awareness] = {}
        self._doing_before: dict[Place, pb.Awareness] = {}
        self._was_reset = False
        self._expects_reset = False
        self._since = -1.0
        self._knew_any = False

    def interrupt(self) -> None:
        """The connection ended: nothing is known until it is told again, and nothing is dropped yet."""
        self._statuses_before |= {eid: one for eid, one in self._statuses.items() if one.status in THERE}
        self._places_before |= {place: one for place, one in self._places.items() if one.enabled}
        self._knew_any = bool(self._statuses or self._statuses_before or self._places_before)
        self._doing_before = self._doing_before | self._doing
        self._statuses, self._places, self._doing = {}, {}, {}
        self._expects_reset = self._was_reset

    def come_back(self, now: float) -> None:
        self._since = now

    def take(self, body: pb.Body) -> bool:
        """Takes in what a body tells of others, without what was known before the cut; False: nothing is left of it."""
        told = bool(body.awareness or body.locations)
        if body.awareness_reset:
            self._was_reset = True
            body.awareness_reset, self._expects_reset = not self._expects_reset, False
        body.awareness = [one for one in body.awareness if self._is_new(one)]
        body.locations = [one for one in body.locations if self._is_new_place(one)]
        return not told or bool(body.awareness or body.locations)

    def is_unsure(self, now: float) -> bool:
        """Whether somebody who was there before the connection ended may not be named yet, or not as they are now."""
        return self._knew_any and self._since <= now < self._since + GONE_SECONDS

    def gone(self, now: float) -> pb.Body | None:
        """What was before the connection ended, and is not by now: others who were there, and what they shared."""
        if now < self._since + GONE_SECONDS:
            return None
        gone = [
            pb.Awareness(from_=pb.Identity(eid=eid), status=S.OFFLINE)
            for eid in self._statuses_before.keys() - {self._own}
        ]
        ended = [pb.LocationStream(from_=one.from_, conversation=one.conversation) for one in self._no_longer_shared()]
        self._statuses_before.clear()
        self._places_before.clear()
        return pb.Body(awareness=gone, locations=ended) if gone or ended else None

    def _no_longer_shared(self) -> Iterator[pb.LocationStream]:
        """Of what is shared still the position may be missing, until it is said again."""
        told = self._places
        return (one for place, one in self._places_before.items() if place not in told)

    def _is_new(self, one: pb.Awareness) -> bool:
        assert one.from_ is not None
        if one.status not in {*THERE, S.OFFLINE}:
            return self._is_newly_done(one, (one.from_.eid, one.conversation))
        eid = one.from_.eid
        before = self._statuses_before.pop(eid, None)
        is_known = eid == self._own and one.status == S.ONLINE and self._since >= 0 and eid not in self._statuses
        self._statuses[eid] = one
        return not is_known if before is None else before.status != one.status

    def _is_newly_done(self, one: pb.Awareness, place: Place) -> bool:
        self._doing[place] = one
        before = self._doing_before.pop(place, None)
        return before is None or before.status != one.status

    def _is_new_place(self, one: pb.LocationStream) -> bool:
        """Where a position was known, the server knows of none until it is told again."""
        place = (one.from_.eid if one.from_ is not None else "", one.conversation)
        before = self._places_before.get(place)
        self._places[place] = one
        if before is not None and one.enabled and before.has_position and not one.has_position:
            return False
        self._places_before.pop(place, None)
        return before is None or _shown(before) != _shown(one)


def _shown(one: pb.LocationStream) -> tuple[bool, bool, float, float]:
    return one.enabled, one.has_position, one.latitude, one.longitude
