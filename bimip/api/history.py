"""Messages are read again: a user's log, a conversation's history, and what answers a message."""

from functools import cache, partial
from typing import Final

from bimip.api.endpoint import Body, Endpoint, Json, Parameter, Reply, Visit, shown
from bimip.api.naming import ID, place_named, place_of
from bimip.api.paging import BACKWARDS, CONVERSATION, CURSOR, LIMIT, page_schema
from bimip.api.receipts import state_of
from bimip.domain.core.clock import signal_id
from bimip.http.problems import ProblemError
from bimip.names import conversation_id
from bimip.reading.groups import reach_of
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

LAST_MESSAGE: Final = "The newest message that you have, by any of its names."


async def backfill(visit: Visit) -> Reply:
    last = visit.take("lastMessageId", str, "") or visit.query("lastMessageId")
    fetch = pb.Fetch(
        kind=pb.HISTORY,
        conversation=visit.path("id"),
        limit=visit.take_number("limit", 2**32 - 1) if "limit" in visit.said else visit.number("limit", 2**32 - 1),
        backwards=visit.take("backwards", bool, default=False) or visit.flag("backwards"),
        cursor=await visit.cursor(),
    )
    if last:
        place = place_named(visit, last, "lastMessageId")
        if conversation_id(place.conversation) != fetch.conversation:
            error = WireError(pb.NOT_FOUND, "the message is in another conversation", field="lastMessageId")
            raise ProblemError(error)
        fetch.offset = place.place - 1 if fetch.backwards else place.place + 1
    return Reply(page_of(visit, await visit.caller.ask("fetch", fetch, visit.size)))


def page_of(visit: Visit, body: pb.Body) -> Json:
    """A page of messages, each as it is now and with how far it has come, as far as the page's receipts tell."""
    items = [item for state in body.states for item in state.items]
    receipts = [item for item in items if item.HasField("receipts") or item.HasField("private_receipts")]
    by_conversation: dict[str, list[pb.StateItem]] = {}
    for item in receipts:
        said = item.receipts if item.HasField("receipts") else item.private_receipts
        by_conversation.setdefault(said.conversation, []).append(item)
    caller = visit.caller
    reach = cache(partial(reach_of, caller.services.store, caller.user))
    messages = []
    for number, message in enumerate(body.messages):
        own = getattr(message, "from").eid == caller.eid
        told = by_conversation.get(message.conversation, [])
        count = max(2, reach(message.conversation))
        place = message.conversation_offset
        state = state_of(message.signal_offset, place, told, caller.eid, count, own=own)
        one = shown(message) | {"deliveryState": state}
        if number < len(body.acknowledged):
            one["acknowledged"] = body.acknowledged[number]
        messages.append(one)
    rest = shown(pb.Body(next_cursor=body.next_cursor, gaps=body.gaps))
    return {
        "messages": messages,
        "states": [shown(item) for item in items],
        "complete": body.complete,
        "nextCursor": rest.get("next_cursor", ""),
        "gaps": rest.get("gaps", []),
    }


async def read_log(visit: Visit) -> Reply:
    fetch = pb.Fetch(
        kind=pb.LOG,
        partition=visit.query("partition", "chat"),
        limit=visit.number("limit", 2**32 - 1),
        backwards=visit.flag("backwards"),
        cursor=await visit.cursor(),
    )
    if visit.query("after"):
        fetch.offset = min(visit.number("after", 2**63) + 1, 2**63)
    return Reply(page_of(visit, await visit.caller.ask("fetch", fetch)))


async def read_thread(visit: Visit) -> Reply:
    place = place_of(visit)
    fetch = pb.Fetch(
        kind=pb.THREAD,
        conversation=conversation_id(place.conversation),
        reply_to=signal_id(place.stamp),
        limit=visit.number("limit", 2**32 - 1),
        backwards=visit.flag("backwards"),
        cursor=await visit.cursor(),
    )
    return Reply(page_of(visit, await visit.caller.ask("fetch", fetch)))


PAGE: Final = page_schema(
    {
        "messages": {
            "type": "array",
            "items": {
                "allOf": [
                    {"$ref": "#/components/schemas/Message"},
                    {
                        "type": "object",
                        "properties": {
                            "deliveryState": {"$ref": "#/components/schemas/DeliveryState"},
                            "acknowledged": {
                                "type": "boolean",
                                "description": "Of a log: whether this device acknowledged it.",
                            },
                        },
                    },
                ]
            },
            "description": "In the order that was asked for.",
        },
        "gaps": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Gap"},
            "description": "What of a log cannot be read.",
        },
    },
    "What is so now of these messages: receipts, edits, reactions, deletions.",
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/messages",
        read_log,
        "Read your log",
        "All that concerns you, in its order, whatever conversation it is of: what a device would be sent.",
        parameters=(
            Parameter("partition", "The log: chat, notification, feed or sync, by default chat."),
            Parameter("after", "Those behind this user_offset.", schema={"type": "integer", "minimum": 0}),
            CURSOR,
            LIMIT,
            BACKWARDS,
        ),
        answer=PAGE,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "POST",
        "/messages/conversation/{id}/backfill",
        backfill,
        "Page through a conversation",
        "Beginning behind lastMessageId, or where cursor says, or at its beginning; backwards from the newest.",
        Body(
            None,
            {
                "lastMessageId": {"type": "string", "description": LAST_MESSAGE},
                "cursor": {"type": "string", "description": CURSOR.description},
                "limit": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1, "description": LIMIT.description},
                "backwards": {"type": "boolean", "description": BACKWARDS.description},
            },
            is_optional=True,
            example={"limit": 100},
        ),
        (CONVERSATION,),
        PAGE,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "GET",
        "/messages/conversation/{id}/backfill",
        backfill,
        "Page through a conversation",
        "As by POST, by parameters.",
        parameters=(
            CONVERSATION,
            Parameter("lastMessageId", LAST_MESSAGE),
            CURSOR,
            LIMIT,
            BACKWARDS,
        ),
        answer=PAGE,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "GET",
        "/messages/{id}/thread",
        read_thread,
        "Page through what answers a message",
        "The messages of its conversation that name it as `reply_to`, in their order.",
        parameters=(ID, CURSOR, LIMIT, BACKWARDS),
        answer=PAGE,
        errors=(pb.NOT_FOUND,),
    ),
)
