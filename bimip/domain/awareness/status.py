"""A user's one status, from all of their devices and from what the user says of themselves."""

from collections.abc import Iterable
from enum import Enum, auto

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import Intent, Status
from bimip.domain.state.intents import standing


class Focus(Enum):
    """How far somebody is at a connected device."""

    ACTIVE = auto()
    INACTIVE = auto()  # nobody looks at it
    ABSENT = auto()  # it is not to count as being there


def status_of(devices: Iterable[Focus], intent: Intent, now: Millis) -> Status:
    """Derives how a user is; `devices` are those that are connected.

    Nobody is there whose devices are gone, whatever they said. What they said counts before what their devices tell;
    somebody is AWAY while nobody looks at any of them.
    """
    there = {focus for focus in devices if focus is not Focus.ABSENT}
    if not there:
        return Status.OFFLINE
    said = standing(intent, now)
    if said is not Status.ONLINE:
        return said
    return Status.ONLINE if Focus.ACTIVE in there else Status.AWAY
