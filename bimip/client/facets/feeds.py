"""Feeds: what a user writes for all whom they let see them, their friends; and what others write for theirs.

    await client.feeds.publish(b"On holiday from tomorrow")
    feed = await client.feeds.fetch()
    print("written for", feed.readers)
    for message in await client.feeds.history(limit=10):
        print(message.payload.decode())
    bobs = await client.feeds.history("bob@example.org")
    print(len(bobs), "of Bob's")

Events: PostReceived.
"""

from dataclasses import dataclass
from typing import Any

from bimip.client.arguments import checked_text
from bimip.client.connector import Connector
from bimip.client.core.device import Device
from bimip.client.environment import Environment
from bimip.client.events import Sent
from bimip.client.facets.history import History
from bimip.client.facets.writing import Writing
from bimip.client.wire.bimip import Conversation, ConversationAction, Message
from bimip.domain.core.operations import FRIEND


@dataclass(frozen=True, slots=True)
class FeedInfo:
    """A feed as the server has it now, for who reads it."""

    conversation: str  # its id, by which the other facets name it
    author: str
    head: int  # the newest conversation offset
    history_from: int  # where this user's history of it begins
    readers: tuple[str, ...]  # to its author all who read it; to others nobody but themselves


class Feeds(Writing):
    """Writes for friends. What others write comes as PostReceived, where `open_client` was given the partition `feed`.

    A post is edited, deleted and reacted to as any message is; who reacts, or reads it, is told to its author alone.
    """

    def __init__(self, device: Device, connector: Connector, environment: Environment, history: History) -> None:
        super().__init__(device, connector, environment)
        self._history = history

    def publish_nowait(
        self,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        ttl: float | None = None,
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> str:
        """Put a message for this user's friends into the outbox and return its id.

        Raises as `messages.send_nowait` does.
        """
        message = self._write(None, payload, type=type, partition=partition, id=id, ttl=ttl, scope=FRIEND, **fields)
        self._device.outbox.put(message)
        return message.id

    async def publish(
        self,
        payload: bytes,
        *,
        type: int = 1,  # noqa: A002 - the field's name
        partition: str = "",
        id: str | None = None,  # noqa: A002 - the field's name
        ttl: float | None = None,
        **fields: Any,  # noqa: ANN401 - each field has its own type
    ) -> Sent:
        """Write for all whom this user lets see them at the moment when the server takes it, and wait until it is on
        disk. It stands in this user's feed, whose id is `Sent.conversation`.

        Raises and is cancelled as `messages.send` is; Refused with CONFLICT also where more are let see this user than
        a message may reach.
        """
        message_id = self.publish_nowait(payload, type=type, partition=partition, id=id, ttl=ttl, **fields)
        return await self._wait_sent(message_id)

    async def fetch(self, eid: str = "") -> FeedInfo:
        """Asks for a user's feed; without a name for this user's own. Cancelling it drops the answer.

        Raises Refused (NOT_FOUND: they let this user see none, or never wrote one), TimedOut, NotConnected, and
        InvalidArgument for what is no name.
        """
        identity = self._device.inbox.identity
        author = checked_text("eid", eid) or (identity.eid if identity else "")
        readers: list[str] = []
        while True:
            after = readers[-1] if readers else ""
            asked = Conversation(action=ConversationAction.GET, feed=True, peer=author, after=after)
            page = await self._connector.request(asked, Conversation)
            readers += [one.eid for one in page.members]
            if page.complete or not page.members:
                others = tuple(reader for reader in readers if reader != page.peer)
                return FeedInfo(page.id, page.peer, page.head, page.history_from, others)

    async def history(self, eid: str = "", before: int | None = None, limit: int = 50) -> list[Message]:
        """Fetch the newest messages of a user's feed in front of a conversation offset, oldest first. Raises and
        is cancelled as `fetch` is.
        """
        feed = await self.fetch(eid)
        return await self._history.conversation(feed.conversation, before, limit)
