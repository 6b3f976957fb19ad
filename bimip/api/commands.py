"""Commands: what becomes of messages and conversations after they were written."""

from typing import Any

from bimip.api.batches import KEY, TEXT
from bimip.api.endpoint import Body, Endpoint, Parameter, Reply, Visit, invalid, shown
from bimip.api.naming import ID, named_in
from bimip.wire import bimip_pb2 as pb


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
    command.MergeFrom(pb.Command(**named_in(visit), **more))
    command.kind = kind  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    command.id = key
    return Reply(shown(await visit.caller.ask("command", command, visit.size)))


async def command(visit: Visit) -> Reply:
    key = visit.key("id")
    given: pb.Command = await visit.fill(pb.Command())
    given.id = key
    return Reply(shown(await visit.caller.ask("command", given, visit.size)))


_OF_COMMANDS = (pb.NOT_FOUND, pb.FORBIDDEN, pb.CONFLICT, pb.UNSUPPORTED, pb.STORAGE_FULL, pb.UNKNOWN_OUTCOME)
_COMMAND_BODY = Body(pb.Command, {"text": TEXT}, example={"text": "Hello Bob!"})
_EMPTY_COMMAND = Body(pb.Command, {"text": TEXT}, is_optional=True)
EMOJI = Parameter("emoji", "An emoji or a short word, 64 bytes of UTF-8 at most.", place="path", example="👍")

ENDPOINTS: tuple[Endpoint, ...] = (
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
