"""`bimip history`: what was written in a conversation, and what a device is to keep of it no longer."""

import time
from contextlib import closing
from pathlib import Path

from bimip.cli.devices import Device, asking
from bimip.cli.failures import Exit, Failure
from bimip.cli.show_events import message_text, person_text
from bimip.cli.words import counted, date_text, show_json
from bimip.client import StoreError
from bimip.client.core.kept import KeptMessages
from bimip.client.store import Store
from bimip.client.wire.bimip import Message
from bimip.domain.core.clock import earliest_stamp, signal_id
from bimip.domain.core.ids import Millis

FORGOTTEN_TOGETHER = 5000
"""Messages that go in one transaction: whoever stops the command keeps those that are left."""


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


def forget_history(path: Path, conversation: str, *, older_than: float | None, as_json: bool = False) -> None:
    """Drops what the file of a device keeps: of a conversation or of all, of any age or older than so many seconds.

    The server is not asked and keeps its own. Raises Failure where there is no such file, or it is in use.
    """
    if not path.exists():
        raise Failure(Exit.FAILED, f"{path} does not exist: `bimip chat --store FILE` makes one")
    now = time.time_ns() // 1_000_000
    before = "" if older_than is None else signal_id(earliest_stamp(Millis(max(0, now - round(older_than * 1000)))))
    count, has_more = 0, True
    try:
        with closing(Store(path)) as store:
            kept = KeptMessages(store, lambda: now, wanted=True)
            while has_more:
                dropped, has_more = kept.forget(conversation, before, FORGOTTEN_TOGETHER)
                count += dropped
    except StoreError as error:  # `bimip chat` has it open, for example
        raise Failure(Exit.FAILED, str(error)) from error
    if as_json:
        show_json({"forgotten": count})
    else:
        print(f"{path} keeps {counted(count, 'message')} fewer" if count else f"{path} kept none of these")


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
