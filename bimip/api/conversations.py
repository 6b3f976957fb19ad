"""Conversations: the inbox, and groups with their members."""

from typing import Any, Final

from bimip.api.batches import KEY
from bimip.api.endpoint import Body, Endpoint, Parameter, Reply, Visit, invalid, shown
from bimip.api.paging import CONVERSATION, CURSOR, LIMIT, NAMES_LIMIT, page_schema
from bimip.wire import bimip_pb2 as pb

EID = Parameter("eid", "The member.", place="path", example="bob@example.org")

_ERRORS = (pb.NOT_FOUND, pb.FORBIDDEN, pb.CONFLICT, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME)


async def _change(visit: Visit, action: int, **more: Any) -> pb.Conversation:  # noqa: ANN401 - fields
    key = visit.key("request_id")
    asked: pb.Conversation = await visit.fill(pb.Conversation())
    asked.MergeFrom(pb.Conversation(**more))
    asked.action = action  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    asked.request_id = key
    changed: pb.Conversation = await visit.caller.ask("conversation", asked, visit.size)
    return changed


async def create(visit: Visit) -> Reply:
    made = await _change(visit, pb.Conversation.CREATE)
    return Reply(shown(made), 200 if made.duplicate else 201)


async def rename(visit: Visit) -> Reply:
    if "title" not in visit.said:
        raise invalid("title is missing; an empty one takes the title away.", "title")
    return Reply(shown(await _change(visit, pb.Conversation.RENAME, id=visit.path("id"))))


async def add_members(visit: Visit) -> Reply:
    return Reply(shown(await _change(visit, pb.Conversation.INVITE, id=visit.path("id"))))


async def remove_member(visit: Visit) -> Reply:
    named, eid = visit.path("id"), visit.path("eid")
    if eid == visit.caller.eid:
        return Reply(shown(await _change(visit, pb.Conversation.LEAVE, id=named)))
    return Reply(shown(await _change(visit, pb.Conversation.REMOVE_MEMBER, id=named, members=[pb.Member(eid=eid)])))


async def set_role(visit: Visit) -> Reply:
    member = pb.Member(eid=visit.path("eid"), role=visit.take("role", str, ""))
    return Reply(shown(await _change(visit, pb.Conversation.SET_ROLE, id=visit.path("id"), members=[member])))


async def show(visit: Visit) -> Reply:
    asked = pb.Conversation(
        action=pb.Conversation.GET,
        id=visit.path("id"),
        after=visit.query("after"),
        limit=visit.number("limit", 2**32 - 1),
    )
    return Reply(shown(await visit.caller.ask("conversation", asked)))


async def read_inbox(visit: Visit) -> Reply:
    fetch = pb.Fetch(kind=pb.INBOX, limit=visit.number("limit", 2**32 - 1), cursor=await visit.cursor())
    body = await visit.caller.ask("fetch", fetch)
    page = shown(pb.Body(conversations=body.conversations, next_cursor=body.next_cursor, states=body.states))
    return Reply(
        {
            "conversations": page.get("conversations", []),
            "states": [item for state in page.get("states", []) for item in state.get("items", [])],
            "complete": body.complete,
            "nextCursor": page.get("next_cursor", ""),
        }
    )


_INBOX: Final = page_schema(
    {
        "conversations": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Conversation"},
            "description": "The newest first, each with its last message and what of it is unread.",
        },
    },
    "What is so now of the last messages.",
)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/inbox",
        read_inbox,
        "List your conversations",
        "The newest first: a first screen is one request.",
        parameters=(CURSOR, LIMIT),
        answer=_INBOX,
        errors=(pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME),
    ),
    Endpoint(
        "POST",
        "/conversations",
        create,
        "Create a group",
        "You are its owner. 200: the request's id was known; this is the first answer again.",
        Body(pb.Conversation, example={"title": "Trip", "members": [{"eid": "bob@example.org"}], "request_id": "g1"}),
        (KEY,),
        pb.Conversation,
        201,
        (200,),
        _ERRORS,
    ),
    Endpoint(
        "GET",
        "/conversations/{id}",
        show,
        "Show a conversation",
        "Its title, your role, and its members, of whom those behind `after`.",
        parameters=(
            CONVERSATION,
            Parameter("after", "Members behind this eid."),
            NAMES_LIMIT,
        ),
        answer=pb.Conversation,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "PATCH",
        "/conversations/{id}",
        rename,
        "Rename a group",
        body=Body(pb.Conversation, required=("title",), example={"title": "Trip to the sea"}),
        parameters=(CONVERSATION, KEY),
        answer=pb.Conversation,
        errors=_ERRORS,
    ),
    Endpoint(
        "POST",
        "/conversations/{id}/members",
        add_members,
        "Add members to a group",
        "Their history of it begins there.",
        Body(pb.Conversation, required=("members",), example={"members": [{"eid": "carol@example.org"}]}),
        (CONVERSATION, KEY),
        pb.Conversation,
        errors=_ERRORS,
    ),
    Endpoint(
        "PATCH",
        "/conversations/{id}/members/{eid}",
        set_role,
        "Give a member a role",
        body=Body(
            None,
            {
                "role": {"type": "string", "description": "owner, admin or member."},
                "request_id": {"type": "string", "description": "The request's id, as the header Idempotency-Key."},
            },
            ("role",),
            {"role": "admin"},
        ),
        parameters=(CONVERSATION, EID, KEY),
        answer=pb.Conversation,
        errors=_ERRORS,
    ),
    Endpoint(
        "DELETE",
        "/conversations/{id}/members/{eid}",
        remove_member,
        "Remove a member from a group",
        "Yourself: you leave it.",
        parameters=(CONVERSATION, EID, KEY),
        answer=pb.Conversation,
        errors=_ERRORS,
    ),
)
