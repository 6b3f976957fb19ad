"""`bimip history`: what was written in a conversation."""

from bimip.cli.devices import Device, asking
from bimip.cli.show_events import message_text, person_text
from bimip.cli.words import date_text, show_json
from bimip.client.wire.bimip import Message


async def show_history(
    device: Device, conversation: str, *, limit: int, before: int | None = None, as_json: bool = False
) -> None:
    """Shows the newest messages of a conversation, or those in front of one, a line each, the newest last."""
    async with asking(device) as client:
        messages = await client.history.conversation(conversation, before=before, limit=limit)
    for one in messages:
        if as_json:
            show_json(_fields(one))
        else:
            author = person_text(one.from_)
            print(f"{one.conversation_offset:>6}  {date_text(one.server_time)}  {author}: {message_text(one)}")


def _fields(message: Message) -> dict[str, object]:
    """Names for programs what a message says."""
    author = message.from_
    return {
        "conversation": message.conversation,
        "conversation_offset": message.conversation_offset,
        "signal_id": message.signal_id,
        "id": message.id,
        "from": "" if author is None else author.eid,
        "device": "" if author is None else author.connection_resource_id,
        "server_time": message.server_time,
        "deleted": message.erased,
        "text": message_text(message),
    }
