"""Messages are written: one, or many in one request."""

from typing import Final

from bimip.api.batches import KEY, TEMP_ID, TEXT, listed, objects_of, results, results_schema
from bimip.api.endpoint import Body, Endpoint, Json, Reply, Visit, encoded, invalid, shown
from bimip.api.naming import MESSAGE_ID
from bimip.wire import bimip_pb2 as pb

_EXAMPLE: Final[Json] = {"to": {"eid": "bob@example.org"}, "type": 1, "text": "Hello Bob", "tempId": "m1"}


async def create(visit: Visit) -> Reply:
    message = await _message(visit)
    sent = await visit.caller.ask("message", message, visit.size)
    return Reply({**shown(sent), "messageId": sent.signal_id}, 200 if sent.duplicate else 201)


async def _message(visit: Visit) -> pb.Message:
    key = visit.key("tempId", "id")
    message: pb.Message = await visit.fill(pb.Message())
    message.id = key
    return message


async def create_batch(visit: Visit) -> Reply:
    said = objects_of(visit, "messages")
    messages = []
    for number, one in enumerate(said):
        temp_id, own_id = one.pop("tempId", ""), one.get("id", "")
        if not isinstance(temp_id, str) or (temp_id and own_id and temp_id != own_id):
            raise invalid("tempId and id are one id, a text: give one.", f"messages[{number}].tempId")
        encoded(temp_id, f"messages[{number}].tempId")
        message = await visit.fill(pb.Message(), one)
        message.id = message.id or temp_id
        messages.append(("message", message))
    outcomes = await visit.caller.ask_all(messages, visit.size)
    return Reply({"results": results(outcomes)})


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/messages",
        create,
        "Write a message",
        "201: it is on disk, in every log concerned, and connected devices are told. 200: the id was known, with the "
        "same content; this is the first answer again. `to` names a user or a conversation; without it, with `scope` "
        "friend, it is for all whom you let see you, and stands in your feed.",
        Body(pb.Message, {"text": TEXT, "tempId": TEMP_ID}, example=_EXAMPLE),
        (KEY,),
        {
            "allOf": [
                {"$ref": "#/components/schemas/Signal"},
                {
                    "type": "object",
                    "properties": {"messageId": MESSAGE_ID},
                },
            ]
        },
        201,
        (200,),
        (pb.NOT_FOUND, pb.FORBIDDEN, pb.CONFLICT, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "POST",
        "/messages/batch",
        create_batch,
        "Write many messages",
        "Each is accepted or refused for itself, in their order. Give each an id, to send what is not answered again.",
        Body(
            None,
            {"messages": listed("Message", ("tempId", "text"), "The messages, 1,024 at most.")},
            ("messages",),
            {"messages": [_EXAMPLE]},
        ),
        answer=results_schema("Signal"),
    ),
)
