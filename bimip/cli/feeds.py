"""`bimip feed`: what a user wrote for their friends."""

from datetime import UTC, datetime

from bimip.cli.devices import Device, asking
from bimip.cli.show_events import message_text
from bimip.cli.words import show_json
from bimip.client.wire.bimip import Message


async def show_feed(device: Device, eid: str, *, limit: int, as_json: bool = False) -> None:
    """Shows the newest messages of a feed, a line each, the newest last; the token's own user's where none is named."""
    messages: list[Message] = []
    async with asking(device) as client:
        feed = await client.fetch_feed(eid)
        before: int | None = None
        while len(messages) < limit and before != 1:
            page = await client.history(feed.conversation, before, limit - len(messages))
            if not page:
                break
            messages[:0], before = page, page[0].conversation_offset
    for one in messages:
        if as_json:
            show_json(_fields(one, feed.author))
        else:
            when = datetime.fromtimestamp(one.server_time / 1000, UTC)
            print(f"{when:%Y-%m-%d %H:%M} UTC   {message_text(one)}   #{one.conversation_offset}")


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
