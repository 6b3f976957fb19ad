"""Looking into the log and into conversations."""

from dataclasses import dataclass

from bimip.client.arguments import checked_number, checked_text
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Body, Fetch, FetchKind, Message
from bimip.client.wire.bimip import Identity as WireIdentity

BEYOND_ANY_OFFSET = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Fetched:
    rows: list[tuple[Message, bool]]  # with each message whether this device has acknowledged it
    next_offset: int
    complete: bool  # nothing is left beyond these
    cursor: bytes = b""  # goes on behind these, on whichever connection


class History(Facet):
    async def fetch(
        self,
        *,
        kind: FetchKind = FetchKind.UNACKNOWLEDGED,
        partition: str = "chat",
        offset: int | None = None,
        limit: int = 0,
        sender: str = "",
        sender_device: str | None = None,
        to_device: str | None = None,
        conversation: str = "",
        backwards: bool = False,
        seq_from: str = "",
        seq_to: str = "",
        cursor: bytes = b"",
    ) -> Fetched:
        """Look into the log. It moves no position: what is fetched also comes as an event (but see `acknowledge`).

        `offset` is where to begin, or `cursor`, that of an earlier `Fetched` of the same kind and direction; without
        either, where this connection's last fetch ended. What is so now of the messages (receipts) is in the copy of
        the state by then, and what of it is new comes as events.
        Raises Refused, TimedOut, NotConnected, and InvalidArgument for values that cannot be sent. Cancelling it drops
        the answer.
        """
        fetch = Fetch(
            kind=kind,
            partition=partition,
            offset=offset,
            limit=limit,
            conversation=conversation,
            backwards=backwards,
            seq_from=seq_from,
            seq_to=seq_to,
            cursor=cursor,
        )
        if sender:
            fetch.from_ = WireIdentity(eid=sender, connection_resource_id=sender_device)
        if to_device is not None:
            identity = self._device.inbox.identity
            fetch.to = WireIdentity(eid=identity.eid if identity else "", connection_resource_id=to_device)
        body = await self._connector.request(fetch, Body)
        acknowledged = [*body.acknowledged, *[False] * len(body.messages)]
        return Fetched(
            list(zip(body.messages, acknowledged, strict=False)), body.next_offset, body.complete, body.next_cursor
        )

    async def thread(
        self, conversation: str, reply_to: str, limit: int = 50, cursor: bytes = b"", *, backwards: bool = False
    ) -> Fetched:
        """Fetch the messages that answer one of a conversation, which `reply_to` names by its signal_id.

        The oldest first, or the newest; `cursor` is that of the page before. Raises as `fetch` does.
        """
        fetch = Fetch(
            kind=FetchKind.THREAD,
            conversation=conversation,
            reply_to=reply_to,
            limit=checked_number("limit", limit, least=0),
            cursor=cursor,
            backwards=backwards,
        )
        body = await self._connector.request(fetch, Body)
        rows = list(zip(body.messages, [*body.acknowledged, *[False] * len(body.messages)], strict=False))
        return Fetched(rows, body.next_offset, body.complete, body.next_cursor)

    async def heads(self, partition: str = "chat", *, sender: str = "", limit: int = 100) -> list[Message]:
        """Fetch the newest message of each user who wrote to this user's log, the newest of them first.

        With `sender` of each of that user's devices. `limit`: so many at most; with fewer the log is walked to its
        oldest entry, a thousand with each request. Raises as `fetch` does.
        """
        checked_text("partition", partition)
        asked = Fetch(kind=FetchKind.HEADS, partition=partition, limit=checked_number("limit", limit))
        if sender:
            asked.from_ = WireIdentity(eid=checked_text("sender", sender))
        found: dict[str, Message] = {}
        body: Body | None = None
        while body is None or (not body.complete and len(found) < limit):
            if body is not None:
                asked.cursor = body.next_cursor
            body = await self._connector.request(asked, Body)
            for message in body.messages:  # those of a later page are older
                found.setdefault(_author_of(message, of_device=bool(sender)), message)
        return list(found.values())[:limit]

    async def history(self, conversation: str, before: int | None = None, limit: int = 50) -> list[Message]:
        """Fetch the newest messages of a conversation in front of a conversation offset, oldest first.

        `limit`: so many at most, in as many requests as it takes. Raises as `fetch` does.
        """
        newest = BEYOND_ANY_OFFSET if before is None else checked_number("before", before, least=0)
        newest -= 1
        if newest < 1:
            return []
        found: list[Message] = []
        fetched: Fetched | None = None
        while fetched is None or (not fetched.complete and len(found) < limit):
            fetched = await self.fetch(
                kind=FetchKind.HISTORY,
                partition="",
                conversation=conversation,
                offset=newest if fetched is None else None,
                backwards=True,
                limit=limit - len(found),
                cursor=b"" if fetched is None else fetched.cursor,
            )
            found += [message for message, _ in fetched.rows]
        return found[::-1]


def _author_of(message: Message, *, of_device: bool) -> str:
    author = message.from_ or WireIdentity()
    return (author.connection_resource_id or "") if of_device else author.eid
