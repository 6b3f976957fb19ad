"""Feeds: what a user wrote for their friends. What one writes for one's own is a message with `scope` friend."""

from bimip.api.endpoint import Endpoint, Parameter, Reply, Visit, shown
from bimip.api.history import PAGE, page_of
from bimip.api.paging import BACKWARDS, CURSOR, LIMIT, NAMES_LIMIT
from bimip.wire import bimip_pb2 as pb

EID = Parameter(
    "eid", "Whose feed: a user who lets you see them, or yourself.", place="path", example="bob@example.org"
)


async def _feed(visit: Visit, after: str, limit: int) -> pb.Conversation:
    asked = pb.Conversation(action=pb.Conversation.GET, feed=True, peer=visit.path("eid"), after=after, limit=limit)
    found: pb.Conversation = await visit.caller.ask("conversation", asked)
    return found


async def show(visit: Visit) -> Reply:
    return Reply(shown(await _feed(visit, visit.query("after"), visit.number("limit", 2**32 - 1))))


async def read(visit: Visit) -> Reply:
    fetch = pb.Fetch(
        kind=pb.HISTORY,
        conversation=(await _feed(visit, "", 1)).id,
        limit=visit.number("limit", 2**32 - 1),
        backwards=visit.flag("backwards"),
        cursor=await visit.cursor(),
    )
    return Reply(page_of(visit, await visit.caller.ask("fetch", fetch)))


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/feeds/{eid}",
        show,
        "Show a feed",
        "Its conversation, by whose id it is read, receipts are given and it is archived or muted. Its members are all "
        "who read it, to its author, and else its author and you; those behind `after`.",
        parameters=(EID, Parameter("after", "Members behind this eid."), NAMES_LIMIT),
        answer=pb.Conversation,
        errors=(pb.NOT_FOUND,),
    ),
    Endpoint(
        "GET",
        "/feeds/{eid}/messages",
        read,
        "Page through a feed",
        "From where your history of it begins, or where cursor says; backwards from the newest.",
        parameters=(EID, CURSOR, LIMIT, BACKWARDS),
        answer=PAGE,
        errors=(pb.NOT_FOUND,),
    ),
)
