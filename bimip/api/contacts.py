"""Other people: the roster and blocks, the switch of visibility, and how devices that are away are reached."""

from typing import Final

from bimip.api.batches import KEY
from bimip.api.endpoint import Body, Endpoint, Json, Parameter, Reply, Visit, invalid, shown
from bimip.api.paging import NAMES_LIMIT
from bimip.wire import bimip_pb2 as pb

ACTIONS: Final = {
    name.lower(): number
    for name, number in pb.Contact.Action.items()
    if number not in {pb.Contact.ACTION_UNSPECIFIED, pb.Contact.LIST}
}
EID = Parameter("eid", "The other user.", place="path", example="bob@example.org")
ACTION = Parameter(
    "action",
    "request: you want to see them; accept, deny: they want to see you; remove; block, unblock; name: what you call "
    "them.",
    schema={"type": "string", "enum": sorted(ACTIONS)},
    place="path",
    example="request",
)
SUBSCRIPTION = Parameter("id", "The subscription, by an id of your own.", place="path", example="browser")

_PUSH: Final[Json] = {"platform": "fcm", "token": "what the platform calls this device"}
_ERRORS = (pb.NOT_FOUND, pb.CONFLICT, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME)


async def list_contacts(visit: Visit) -> Reply:
    asked = pb.Contact(action=pb.Contact.LIST, after=visit.query("after"), limit=visit.number("limit", 2**32 - 1))
    return Reply(shown(await visit.caller.ask("contact", asked)))


async def change_contact(visit: Visit) -> Reply:
    action = ACTIONS.get(visit.path("action"))
    if action is None:
        raise invalid(f"action is one of: {', '.join(sorted(ACTIONS))}.", "action")
    key = visit.key("id")
    contact: pb.Contact = await visit.fill(pb.Contact())
    contact.eid, contact.id = visit.path("eid"), key
    contact.action = action  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    return Reply(shown(await visit.caller.ask("contact", contact, visit.size)))


async def switch_visibility(visit: Visit) -> Reply:
    switch = await visit.fill(pb.AwarenessVisibility())
    return Reply(shown(await visit.caller.ask("awareness_visibility", switch, visit.size)))


async def say_location(visit: Visit) -> Reply:
    location: pb.LocationStream = await visit.fill(pb.LocationStream())
    return Reply(shown(await visit.caller.ask("location_stream", location, visit.size)))


async def list_subscriptions(visit: Visit) -> Reply:
    return Reply(shown(await visit.caller.ask("push_notification", pb.PushNotification(query=True))))


async def subscribe(visit: Visit) -> Reply:
    asked: pb.PushNotification = await visit.fill(pb.PushNotification())
    asked.id, asked.remove, asked.query = visit.path("id"), False, False
    return Reply(shown(await visit.caller.ask("push_notification", asked, visit.size)))


async def unsubscribe(visit: Visit) -> Reply:
    asked = pb.PushNotification(id=visit.path("id"), remove=True, device=visit.query("device"))
    await visit.caller.ask("push_notification", asked)
    return Reply(None)


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/contacts",
        list_contacts,
        "List your contacts",
        "Whom you see, who sees you, and whom you block.",
        parameters=(Parameter("after", "Those behind this eid."), NAMES_LIMIT),
        answer=pb.Contact,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "POST",
        "/contacts/{eid}/{action}",
        change_contact,
        "Ask to see somebody, answer, end it, block, or give a name",
        "The other learns of a request and of its acceptance, and of nothing else.",
        Body(pb.Contact, example={"mutual": True}, is_optional=True),
        (EID, ACTION, KEY),
        pb.Contact,
        errors=_ERRORS,
    ),
    Endpoint(
        "PUT",
        "/visibility",
        switch_visibility,
        "Say whether you are seen at all",
        "For all of your devices, until it is said again: the setting `visible`.",
        Body(pb.AwarenessVisibility, required=("visible",), example={"visible": False}),
        answer=pb.AwarenessVisibility,
        errors=(pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "POST",
        "/location",
        say_location,
        "Share where you are, or say where that is",
        "With a contact (`to`) or a conversation: begins or ends that they are told. Without: whoever is told now.",
        Body(pb.LocationStream, example={"has_position": True, "latitude": 52.5, "longitude": 13.4}),
        answer=pb.LocationStream,
        errors=_ERRORS,
    ),
    Endpoint(
        "GET",
        "/push",
        list_subscriptions,
        "List how your devices are reached while they are away",
        "With the platforms that there are, and the key to subscribe by Web Push with.",
        answer=pb.PushNotification,
    ),
    Endpoint(
        "PUT",
        "/push/{id}",
        subscribe,
        "Have this device reached while it is away",
        body=Body(pb.PushNotification, required=("platform", "token"), example=_PUSH),
        parameters=(SUBSCRIPTION,),
        answer=pb.PushNotification,
        errors=(pb.CONFLICT, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "DELETE",
        "/push/{id}",
        unsubscribe,
        "Have a device reached no more",
        parameters=(SUBSCRIPTION, Parameter("device", "Another device of yours whose subscription it is.")),
        errors=(pb.NOT_FOUND, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
        status=204,
    ),
)
