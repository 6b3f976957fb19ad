"""Messages: written, read again, changed, and how far each has come.

A message is named in a path by its `signal_id`, by its `signal_offset`, or by the id under which the asking device sent
it, with `id:` before it.
"""

from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any, Final

from bimip.api.endpoint import NUMBER, Body, Endpoint, Json, Parameter, Reply, Visit, invalid, shown
from bimip.domain.commands.target import Target
from bimip.domain.core.clock import millis_of, signal_id, stamp_of
from bimip.domain.core.ids import Stamp
from bimip.domain.core.records import ReceiptKind
from bimip.domain.state.lifecycle import delivery_state
from bimip.http.problems import ProblemError, problem_of
from bimip.names import conversation_id
from bimip.reading.groups import reach_of
from bimip.reading.places import read_place
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError

OWN: Final = "id:"
MOST_PAGES: Final = 64
"""Of receipts, that one answer is made of: more than the members of the largest group take."""
BACKFILL_LIMIT: Final = 100

ID = Parameter(
    "id",
    "The message: its signal_id (13 characters), its signal_offset in digits, or `id:` and the id under which this "
    "device sent it.",
    place="path",
    example="06AFVTVTG0000",
)
KEY = Parameter(
    "Idempotency-Key",
    "The message's or the request's id: the same again is answered as the first time, and happens once. At most "
    "64 bytes; quotes around it are no part of it.",
    place="header",
)
CONVERSATION = Parameter("id", "The conversation, as its messages name it.", place="path", example="c1")
CURSOR = Parameter("cursor", "Where to go on: the next_cursor of the answer before, in base64.")
LIMIT = Parameter(
    "limit",
    "At most so many in the answer; 0: 100. An answer has 256 at most.",
    schema={"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
)
LAST_MESSAGE: Final = "The newest message that you have, by any of its names."
BACKWARDS = Parameter("backwards", "From the newest towards the oldest.", schema={"type": "boolean"})

TEXT: Final[Json] = {"type": "string", "description": "In place of payload: a text, which is sent as UTF-8."}
TEMP_ID: Final[Json] = {
    "type": "string",
    "maxLength": 64,
    "description": "The message's own id, as the field id and the header Idempotency-Key.",
}
_STATE_PROPERTIES: Final[Json] = {
    "messageId": {"type": "string", "description": "The message's signal_id."},
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
    said = _objects(visit, "messages")
    messages = []
    for number, one in enumerate(said):
        temp_id, own_id = one.pop("tempId", ""), one.get("id", "")
        if not isinstance(temp_id, str) or (temp_id and own_id and temp_id != own_id):
            raise invalid("tempId and id are one id, a text: give one.", f"messages[{number}].tempId")
        message = await visit.fill(pb.Message(), one)
        message.id = message.id or temp_id
        messages.append(("message", message))
    outcomes = await visit.caller.ask_all(messages, visit.size)
    return Reply({"results": results(outcomes)})


def _objects(visit: Visit, name: str) -> list[Json]:
    said: list[Any] = visit.take(name, list, [])
    most = visit.caller.services.limits.max_batch
    if visit.said:
        raise invalid(f"There is nothing beside {name} here.", next(iter(visit.said)))
    if not said or not all(isinstance(one, dict) for one in said):
        raise invalid(f"{name} is a list of one object or more.", name)
    if len(said) > most:
        error = WireError(pb.TOO_LARGE, f"{name} holds more than {most}: send several requests.", field=name)
        raise ProblemError(error)
    return said


def results(outcomes: Iterable[Any]) -> list[Json]:
    """Tells what became of each of many requests: its answer, or its problem."""
    return [
        {"error": problem_of(one)} if isinstance(one, pb.ErrorMessage) else {"sent": {} if one is None else shown(one)}
        for one in outcomes
    ]


def place_of(visit: Visit) -> Target:
    """Finds where the message of the path stands. Raises ProblemError where there is none for the device."""
    name = visit.path("id")
    caller = visit.caller
    own_id = name.removeprefix(OWN) if name.startswith(OWN) else ""
    found = read_place(caller.services.store, caller.user, caller.number, _stamp_of(name), own_id)
    if found is None:
        raise ProblemError(WireError(pb.NOT_FOUND, "there is no such message for you here", field="id"))
    return found


def _stamp_of(name: str) -> Stamp:
    """The stamp that a path names; 0: none. What is no stamp at all names a message that is not there."""
    if name.startswith(OWN):
        return Stamp(0)
    if name.isascii() and name.isdecimal() and len(name) != SIGNAL_ID_LENGTH:
        return Stamp(min(int(name[:20]), 2**64 - 1) or 1)
    try:
        return Stamp(stamp_of(name) or 1)
    except ValueError:
        return Stamp(1)


SIGNAL_ID_LENGTH: Final = 13


def _named(visit: Visit) -> Json:
    """The message of the path, as a command names it."""
    name = visit.path("id")
    return {"target_id": name.removeprefix(OWN)} if name.startswith(OWN) else {"target": _stamp_of(name)}


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
    for number, one in enumerate(_objects(visit, "receipts")):
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
    return Reply(_state_of(target.stamp, target.place, items, visit.caller.eid, count, own=own))


def _state_of(stamp: int, place: int, items: Iterable[pb.StateItem], eid: str, count: int, *, own: bool) -> Json:
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


async def backfill(visit: Visit) -> Reply:
    last = visit.take("lastMessageId", str, "") or visit.query("lastMessageId")
    fetch = pb.Fetch(
        kind=pb.HISTORY,
        conversation=visit.path("id"),
        limit=visit.take("limit", int, 0) if "limit" in visit.said else visit.number("limit", 2**32 - 1),
        backwards=visit.take("backwards", bool, default=False) or visit.flag("backwards"),
        cursor=await visit.cursor(),
    )
    if last:
        visit.request.path_params["id"] = last
        place = place_of(visit)
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
        state = _state_of(message.signal_offset, place, told, caller.eid, count, own=own)
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


async def edit(visit: Visit) -> Reply:
    return await _command(visit, pb.Command.EDIT)


async def delete(visit: Visit) -> Reply:
    whom = visit.query("for", "everyone")
    kinds = {"everyone": pb.Command.DELETE_FOR_EVERYONE, "me": pb.Command.DELETE_FOR_ME}
    if whom not in kinds:
        raise invalid("for is everyone or me.", "for")
    return await _command(visit, kinds[whom], value=whom == "me")


async def react(visit: Visit) -> Reply:
    return await _command(visit, pb.Command.REACT, emoji=visit.path("emoji"))


async def unreact(visit: Visit) -> Reply:
    return await _command(visit, pb.Command.UNREACT, emoji=visit.path("emoji"))


async def _command(visit: Visit, kind: int, **more: Any) -> Reply:  # noqa: ANN401 - fields
    """Gives a command about the message of the path."""
    key = visit.key("id")
    command: pb.Command = await visit.fill(pb.Command())
    command.MergeFrom(pb.Command(**_named(visit), **more))
    command.kind = kind  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    command.id = key
    return Reply(shown(await visit.caller.ask("command", command, visit.size)))


async def command(visit: Visit) -> Reply:
    key = visit.key("id")
    given: pb.Command = await visit.fill(pb.Command())
    given.id = key
    return Reply(shown(await visit.caller.ask("command", given, visit.size)))


PAGE: Final[Json] = {
    "type": "object",
    "properties": {
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
        "states": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/StateItem"},
            "description": "What is so now of these messages: receipts, edits, reactions, deletions.",
        },
        "complete": {"type": "boolean", "description": "Nothing is left behind this page."},
        "nextCursor": {"type": "string", "description": "Where the next page begins: its cursor, in base64."},
        "gaps": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Gap"},
            "description": "What of a log cannot be read.",
        },
    },
    "required": ["messages", "states", "complete", "nextCursor", "gaps"],
}


def results_schema(kind: str) -> Json:
    """The schema of `results`."""
    return {
        "type": "object",
        "properties": {
            "results": {
                "type": "array",
                "description": "One for each, in their order: each stands for itself.",
                "items": {
                    "type": "object",
                    "properties": {
                        "sent": {"$ref": f"#/components/schemas/{kind}"},
                        "error": {"$ref": "#/components/schemas/Problem"},
                    },
                },
            }
        },
        "required": ["results"],
    }


def _listed(kind: str, beside: Sequence[str], description: str) -> Json:
    extra = {"tempId": TEMP_ID, "text": TEXT}
    item: Json = {"allOf": [{"$ref": f"#/components/schemas/{kind}"}]}
    if beside:
        item["allOf"].append({"type": "object", "properties": {name: extra[name] for name in beside}})
    return {"type": "array", "items": item, "minItems": 1, "maxItems": 1024, "description": description}


_OF_COMMANDS = (pb.NOT_FOUND, pb.FORBIDDEN, pb.CONFLICT, pb.UNSUPPORTED, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME)
_COMMAND_BODY = Body(pb.Command, {"text": TEXT}, example={"text": "Hello Bob!"})
_EMPTY_COMMAND = Body(pb.Command, {"text": TEXT}, is_optional=True)
EMOJI = Parameter("emoji", "An emoji or a short word, 64 bytes of UTF-8 at most.", place="path", example="👍")

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
                {"type": "object", "properties": {"messageId": _STATE_PROPERTIES["messageId"]}},
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
            {"messages": _listed("Message", ("tempId", "text"), "The messages, 1,024 at most.")},
            ("messages",),
            {"messages": [_EXAMPLE]},
        ),
        answer=results_schema("Signal"),
    ),
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
        "/messages/acknowledgements",
        acknowledge,
        "Acknowledge what this device holds",
        "Who wrote it is told that it was delivered. `upto`, or `offsets`, of a partition's log.",
        Body(pb.Signal, required=("partition",), example={"partition": "chat", "upto": "1"}),
        errors=(pb.NOT_FOUND, pb.OFFSET_BEYOND_HEAD),
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
            {"receipts": _listed("Signal", (), "Signals, 1,024 at most.")},
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
        errors=(pb.NOT_FOUND,),
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
        "PATCH",
        "/messages/{id}",
        edit,
        "Edit a message of yours",
        body=_COMMAND_BODY,
        parameters=(ID, KEY),
        answer=pb.Command,
        errors=_OF_COMMANDS,
    ),
    Endpoint(
        "DELETE",
        "/messages/{id}",
        delete,
        "Delete a message",
        "For everyone, which only its author may, or for yourself alone.",
        parameters=(
            ID,
            KEY,
            Parameter("for", "everyone (by default) or me.", schema={"type": "string", "enum": ["everyone", "me"]}),
        ),
        answer=pb.Command,
        errors=_OF_COMMANDS,
    ),
    Endpoint(
        "PUT",
        "/messages/{id}/reactions/{emoji}",
        react,
        "React to a message",
        body=_EMPTY_COMMAND,
        parameters=(ID, EMOJI, KEY),
        answer=pb.Command,
        errors=_OF_COMMANDS,
    ),
    Endpoint(
        "DELETE",
        "/messages/{id}/reactions/{emoji}",
        unreact,
        "Take a reaction back",
        parameters=(ID, EMOJI, KEY),
        answer=pb.Command,
        errors=_OF_COMMANDS,
    ),
    Endpoint(
        "POST",
        "/commands",
        command,
        "Give any command",
        "Also those about a conversation: ARCHIVE, MUTE, PIN, DRAFT, MARK_UNREAD, MARK_READ. PROTOCOL.md says under "
        "Command what each needs.",
        Body(
            pb.Command,
            {"text": TEXT},
            ("kind",),
            {"kind": "ARCHIVE", "conversation": "c1", "value": True},
        ),
        (KEY,),
        pb.Command,
        errors=_OF_COMMANDS,
    ),
)
