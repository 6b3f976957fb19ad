"""Receipts: what was received, read and played, said and asked."""

from collections.abc import Iterable
from typing import Any, Final

from bimip.api.batches import listed, objects_of, results, results_schema
from bimip.api.endpoint import NUMBER, Body, Endpoint, Json, Reply, Visit, invalid
from bimip.api.naming import ID, MESSAGE_ID, place_of
from bimip.domain.core.clock import millis_of, signal_id
from bimip.domain.core.ids import Stamp
from bimip.domain.core.records import ReceiptKind
from bimip.domain.state.lifecycle import delivery_state
from bimip.http.problems import ProblemError
from bimip.names import conversation_id
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

MOST_PAGES: Final = 64
"""Of receipts, that one answer is made of: more than the members of the largest group take."""

_STATE_PROPERTIES: Final[Json] = {
    "messageId": MESSAGE_ID,
    "state": {
        "type": "string",
        "enum": ["sent", "delivered", "read", "played"],
        "description": "How far it has come with all of its recipients, as far as you may know.",
    },
    "deliveredTo": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The eids of those who have it on a device.",
    },
    "readBy": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The eids of those who read it and let you know.",
    },
    "timestamp": NUMBER | {"description": "When that last changed; ms since 1970."},
}
DELIVERY_STATE: Final[Json] = {
    "type": "object",
    "properties": _STATE_PROPERTIES,
    "required": ["messageId", "state", "deliveredTo", "readBy", "timestamp"],
}


async def mark_read(visit: Visit) -> Reply:
    conversation = visit.take("conversationId", str, "")
    target = place_of(visit)
    named = conversation_id(target.conversation)
    if conversation not in {"", named}:
        error = WireError(pb.NOT_FOUND, "the message is in another conversation", field="conversationId")
        raise ProblemError(error)
    read = pb.Signal(status=pb.READ, conversation=named, conversation_offset=target.place)
    await visit.caller.ask("signal", read, visit.size)
    return Reply(None)


async def receipts(visit: Visit) -> Reply:
    signals = []
    for number, one in enumerate(objects_of(visit, "receipts")):
        signal = await visit.fill(pb.Signal(), one)
        if signal.status not in {pb.READ, pb.PLAYED}:
            raise invalid("status is 3 (READ) or 5 (PLAYED).", f"receipts[{number}].status")
        signals.append(("signal", signal))
    return Reply({"results": results(await visit.caller.ask_all(signals, visit.size))})


async def acknowledge(visit: Visit) -> Reply:
    signal = await visit.fill(pb.Signal(status=pb.DELIVERED))
    signal.status = pb.DELIVERED
    await visit.caller.ask("signal", signal, visit.size)
    return Reply(None)


async def read_delivery_state(visit: Visit) -> Reply:
    target = place_of(visit)
    conversation = conversation_id(target.conversation)
    fetch = pb.Fetch(kind=pb.RECEIPTS, conversation=conversation, offset=target.place, upto=target.place)
    items: list[pb.StateItem] = []
    count = 0
    for _ in range(MOST_PAGES):
        body = await visit.caller.ask("fetch", fetch)
        items += [item for state in body.states for item in state.items]
        count = body.conversations[0].member_count if body.conversations else count
        if body.complete:
            break
        fetch = pb.Fetch(kind=pb.RECEIPTS, conversation=conversation, upto=target.place, cursor=body.next_cursor)
    own = target.author == visit.caller.user
    return Reply(state_of(target.stamp, target.place, items, visit.caller.eid, count, own=own))


def state_of(stamp: int, place: int, items: Iterable[pb.StateItem], eid: str, count: int, *, own: bool) -> Json:
    """How far a message has come, by receipts of its conversation: with the others, where it is one's own, and else
    with oneself.
    """
    times: dict[str, dict[ReceiptKind, Any]] = {}
    for item in items:
        said = item.receipts if item.HasField("receipts") else item.private_receipts
        if said.member and (said.member != eid) == own:
            for run in said.runs:
                if getattr(run, "from") <= place <= run.to:
                    times.setdefault(said.member, {})[ReceiptKind(said.kind)] = run.time
    state = delivery_state(times, count - 1 if own else 1)
    moments = [time for by in (state.delivered_to, state.read_by, state.played_by) for time in by.values()]
    return {
        "messageId": signal_id(Stamp(stamp)),
        "state": state.stage.name.lower(),
        "deliveredTo": list(state.delivered_to),
        "readBy": list(state.read_by),
        "timestamp": str(max([*moments, millis_of(Stamp(stamp))])),
    }


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/messages/acknowledgements",
        acknowledge,
        "Acknowledge what this device holds",
        "Who wrote it is told that it was delivered. `upto`, or `offsets`, of a partition's log.",
        Body(pb.Signal, required=("partition",), example={"partition": "chat", "upto": "1"}),
        errors=(pb.NOT_FOUND, pb.OFFSET_BEYOND_HEAD, pb.UNKNOWN_OUTCOME),
        status=204,
    ),
    Endpoint(
        "POST",
        "/messages/receipts",
        receipts,
        "Say of many messages that they were read or played",
        "Each is noted or refused for itself: `status` 3 (READ) or 5 (PLAYED), `conversation`, `upto` or `offsets`.",
        Body(
            None,
            {"receipts": listed("Signal", (), "Signals, 1,024 at most.")},
            ("receipts",),
            {"receipts": [{"status": "3", "conversation": "c1", "upto": "1"}]},
        ),
        answer=results_schema("Signal"),
    ),
    Endpoint(
        "POST",
        "/messages/{id}/read",
        mark_read,
        "Say that a message was read",
        "Whoever wrote it is told, as far as both sides' settings let them. What no device was sent was not read.",
        Body(
            None,
            {"conversationId": {"type": "string", "description": "The message's conversation: it must be that."}},
            example={"conversationId": "c1"},
            is_optional=True,
        ),
        (ID,),
        errors=(pb.NOT_FOUND, pb.UNKNOWN_OUTCOME),
        status=204,
    ),
    Endpoint(
        "GET",
        "/messages/{id}/delivery-state",
        read_delivery_state,
        "Ask how far a message has come",
        "Of your own messages with their recipients, as far as the settings let you know; of others' with you.",
        parameters=(ID,),
        answer={"$ref": "#/components/schemas/DeliveryState"},
        errors=(pb.NOT_FOUND,),
    ),
)
