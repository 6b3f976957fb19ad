"""`bimip feed`: what a user wrote for their friends."""

from bimip.cli.devices import Device, asking
from bimip.cli.show_events import message_text
from bimip.cli.words import date_text, show_json
from bimip.client.wire.bimip import Message


async def show_feed(device: Device, eid: str, *, limit: int, as_json: bool = False) -> None:
    """Shows the newest messages of a feed, a line each, the newest last; the token's own user's where none is named."""
    async with asking(device) as client:
        feed = await client.feeds.fetch(eid)
        messages = await client.history.conversation(feed.conversation, limit=limit)
    for one in messages:
        if as_json:
            show_json(_fields(one, feed.author))
        else:
            print(f"{date_text(one.server_time)}   {message_text(one)}   #{one.conversation_offset}")


def _fields(message: Message, author: str) -> dict[str, object]:
    """Names for programs what a message of a feed says."""
    return {
        "author": author,
        "conversation": message.conversation,
        "conversation_offset": message.conversation_offset,
        "signal_id": message.signal_id,
        "server_time": message.server_time,
        "text": message_text(message),
    }
