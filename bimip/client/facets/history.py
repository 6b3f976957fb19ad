"""History: looking into the log and into conversations, and whether this device's copies of the logs are whole.

    from bimip.client import FetchKind

    page = await client.history.fetch(kind=FetchKind.LOG, offset=1, limit=50)
    for message, is_acknowledged in page.rows:
        print(message.payload.decode(), "taken" if is_acknowledged else "not taken yet")
    while not page.complete:
        page = await client.history.fetch(kind=FetchKind.LOG, cursor=page.cursor, limit=50)
    for message in await client.history.heads():
        found = await client.history.conversation(message.conversation, before=message.conversation_offset)
        print("before the newest:", len(found))
    dropped = await client.history.forget("c1")
    print(dropped, "are no longer in this device's file")

Events: LogDiverged, ReadAgain, GapFound.
"""

from dataclasses import dataclass

from anyio.lowlevel import checkpoint

from bimip.client.arguments import checked_number, checked_text
from bimip.client.core.kept import KeptMessage
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Body, Fetch, FetchKind, Message, Snapshot
from bimip.client.wire.bimip import Identity as WireIdentity
from bimip.domain.core.clock import earliest_stamp, millis_of, signal_id
from bimip.domain.core.ids import Millis, Stamp

BEYOND_ANY_OFFSET = 2**63 - 1
FORGOTTEN_TOGETHER = 500
"""Messages: some milliseconds of the program's loop."""


@dataclass(frozen=True, slots=True)
class Fetched:
    rows: list[tuple[Message, bool]]  # with each message whether this device has acknowledged it
    next_offset: int
    complete: bool  # nothing is left beyond these
    cursor: bytes = b""  # goes on behind these, on whichever connection


class History(Facet):
    """`client.history`: what is kept on the server, whether or not it came to this device.

    What asks raises Refused, TimedOut, NotConnected, and InvalidArgument for values that cannot be sent. Cancelling it
    drops the answer, and changes nothing.
    On every connecting the copies that this device has of its logs are compared (LogDiverged); `snapshot` and
    `read_again` are for programs that want to do more.
    """

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

        kind            UNACKNOWLEDGED or LOG: of this user's log of a partition. HISTORY: of a `conversation`. BY_SEQ:
                        those whose `seq` lies between `seq_from` and `seq_to`
        offset, cursor  where to begin: a user offset, of HISTORY a conversation offset; or the cursor of an earlier
                        `Fetched` of the same kind and direction. Without either, where this connection's last fetch
                        ended
        limit           so many messages at most; 0: as many as the server likes, 100 by default
        sender          only what this user wrote; with `sender_device`, on this device
        to_device       this device's name; another one's yields nothing
        backwards       LOG and HISTORY: towards the beginning

        What is so now of the messages (receipts) is in the copy of the state by then, and what of it is new comes as
        events.
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

    def kept(self, conversation: str, before: int | None = None, limit: int = 50) -> list[KeptMessage]:
        """Returns the newest messages of a conversation that this device keeps, oldest first, connected or not.

        Those in front of the conversation offset `before`, or the newest. A device keeps messages where `open_client`
        was told to. Raises InvalidArgument for what is no name or no number, StoreError where the file fails.
        """
        newest = BEYOND_ANY_OFFSET if before is None else checked_number("before", before, least=0)
        checked_text("conversation", conversation)
        return self._device.kept.of_conversation(conversation, newest, checked_number("limit", limit))

    def kept_heads(self, limit: int = 500) -> list[KeptMessage]:
        """Returns the newest message that this device keeps of each conversation, the newest first, connected or not.

        Raises InvalidArgument for what is no number, StoreError where the file fails.
        """
        return self._device.kept.heads(checked_number("limit", limit))

    def search(self, text: str, *, before: str = "", limit: int = 50) -> list[KeptMessage]:
        """Returns the messages that this device keeps in which a text stands, whatever its case, the newest first.

        `before`: those in front of this `signal_id`, as the last one found has it. What is encrypted, and what is no
        text, is not searched. Raises InvalidArgument for what is no text or no number, StoreError where the file fails.
        """
        text, before = checked_text("text", text), checked_text("before", before)
        return self._device.kept.search(text, before, checked_number("limit", limit))

    async def forget(self, conversation: str = "", *, before: int | None = None) -> int:
        """Drop messages that this device keeps, and return how many: it changes nothing on the server.

        Of one `conversation`, or of all; `before`: those that the server stored before then, in milliseconds since
        1970; None: all. It goes in slices, the oldest first, so that the program's other tasks run meanwhile.
        Cancelling it keeps what is left. Raises InvalidArgument for what is no name or no time, StoreError where the
        file fails.
        """
        checked_text("conversation", conversation)
        stamp = ""
        if before is not None:
            at = Millis(checked_number("before", before, least=0, most=millis_of(Stamp(2**64 - 1))))
            stamp = signal_id(earliest_stamp(at))
        count, has_more = 0, True
        while has_more:
            dropped, has_more = self._device.kept.forget(conversation, stamp, FORGOTTEN_TOGETHER)
            count += dropped
            await checkpoint()
        return count

    async def thread(
        self, conversation: str, reply_to: str, limit: int = 50, cursor: bytes = b"", *, backwards: bool = False
    ) -> Fetched:
        """Fetch the messages that answer one of a conversation, which `reply_to` names by its signal_id.

        The oldest first, or the newest; `cursor` is that of the page before.
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
        oldest entry, a thousand with each request.
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

    async def conversation(self, conversation: str, before: int | None = None, limit: int = 50) -> list[Message]:
        """Fetch the newest messages of a conversation in front of a conversation offset, oldest first.

        `before`: None is the end of the conversation. `limit`: so many at most, in as many requests as it takes. Raises
        Refused also with NOT_FOUND, where there is no such conversation, or it is not for this user to know.
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

    async def snapshot(self, partition: str = "chat", *, offset: int = 0) -> Snapshot:
        """Ask what it costs to go on behind an offset, `delta`, and to begin anew, `whole`; 0: this device's position.

        `checksum` is the server's chain there; both costs are in entries and bytes.
        """
        checked_text("partition", partition)
        offset = checked_number("offset", offset, least=0) or self._device.inbox.offset_of(partition)
        asked = Snapshot(partition=partition, offset=offset, state_version=self._device.state.version)
        return await self._connector.request(asked, Snapshot)

    def read_again(self, first: int, last: int, partition: str = "chat") -> None:
        """Have entries sent again, as ReadAgain events: a program that finds its own copy damaged asks so.

        It is remembered until it is done, also when there is no connection now. Raises InvalidArgument for what is no
        stretch of offsets that this device was sent.
        """
        checked_number("first", first)
        if not first <= checked_number("last", last) <= self._device.inbox.offset_of(partition):
            raise InvalidArgument(f"{first} to {last} is no stretch of {partition!r} that this device was sent")
        self._device.store.add_stretch(partition, first, last)
        if self._connector.connected:
            self._device.read_again()


def _author_of(message: Message, *, of_device: bool) -> str:
    author = message.from_ or WireIdentity()
    return (author.connection_resource_id or "") if of_device else author.eid
