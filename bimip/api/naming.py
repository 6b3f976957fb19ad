"""How a path names a message: by its `signal_id`, by its `signal_offset`, or by the id under which the asking device
sent it, with `id:` before it.
"""

from typing import Final

from bimip.api.endpoint import Json, Parameter, Visit
from bimip.domain.commands.target import Target
from bimip.domain.core.clock import stamp_of
from bimip.domain.core.ids import Stamp
from bimip.http.problems import ProblemError
from bimip.reading.places import read_place
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

OWN: Final = "id:"
SIGNAL_ID_LENGTH: Final = 13

MESSAGE_ID: Final[Json] = {"type": "string", "description": "The message's signal_id."}
ID: Final = Parameter(
    "id",
    "The message: its signal_id (13 characters), its signal_offset in digits, or `id:` and the id under which this "
    "device sent it.",
    place="path",
    example="06AFVTVTG0000",
)


def place_of(visit: Visit) -> Target:
    """Finds where the message of the path stands. Raises ProblemError where there is none for the device."""
    return place_named(visit, visit.path("id"), "id")


def place_named(visit: Visit, name: str, field: str) -> Target:
    """Finds where the message stands that a field names. Raises ProblemError where there is none for the device."""
    caller = visit.caller
    own_id = name.removeprefix(OWN) if name.startswith(OWN) else ""
    found = read_place(caller.services.store, caller.user, caller.number, stamp_named(name), own_id)
    if found is None:
        raise ProblemError(WireError(pb.NOT_FOUND, "there is no such message for you here", field=field))
    return found


def stamp_named(name: str) -> Stamp:
    """The stamp that a path names; 0: none. What is no stamp at all names a message that is not there."""
    if name.startswith(OWN):
        return Stamp(0)
    if name.isascii() and name.isdecimal() and len(name) != SIGNAL_ID_LENGTH:
        return Stamp(min(int(name[:20]), 2**64 - 1) or 1)
    try:
        return Stamp(stamp_of(name) or 1)
    except ValueError:
        return Stamp(1)


def named_in(visit: Visit) -> Json:
    """The message of the path, as a command names it."""
    name = visit.path("id")
    return {"target_id": name.removeprefix(OWN)} if name.startswith(OWN) else {"target": stamp_named(name)}
