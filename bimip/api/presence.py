"""Who is there: how somebody else is, and what one says of oneself."""

from typing import Final

from bimip.api.contacts import EID
from bimip.api.endpoint import Body, Endpoint, Reply, Visit, invalid, shown
from bimip.requests.intents import SAID
from bimip.wire import bimip_pb2 as pb

OF_DEVICES: Final = ("inactive", "keep_intent")
"""Fields that say something of a connection."""


async def show_presence(visit: Visit) -> Reply:
    asked = pb.Awareness(to=pb.Identity(eid=visit.path("eid")))
    return Reply(shown(await visit.caller.ask("awareness", asked)))


async def say_presence(visit: Visit) -> Reply:
    said: pb.Awareness = await visit.fill(pb.Awareness())
    if int(said.status) not in SAID:
        names = ", ".join(status.name for status in sorted(SAID))
        raise invalid(f"status is what you say of yourself, one of: {names}.", "status")
    for name in OF_DEVICES:
        if getattr(said, name):
            raise invalid(f"{name} says something of a connected device: it is for the WebSocket.", name)
    return Reply(shown(await visit.caller.ask("awareness", said, visit.size)))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/presence/{eid}",
        show_presence,
        "Look how somebody is",
        "And where, if they share that with you. Who is not yours to see, and who does not exist, are OFFLINE.",
        parameters=(EID,),
        answer=pb.Awareness,
    ),
    Endpoint(
        "PUT",
        "/presence",
        say_presence,
        "Say how you are: AWAY, BUSY or DND, until a time or another word; or take it back with ONLINE",
        "For all of your devices. It does not make you be there: a WebSocket or a stream does.",
        Body(pb.Awareness, required=("status",), example={"status": "DND"}),
        answer=pb.Awareness,
        errors=(pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
)
