"""Who has received and read which messages: this user's own reading, and others'."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import anyio.lowlevel

from bimip.client.arguments import checked_number, checked_text
from bimip.client.core.kinds.receipts import times_of
from bimip.client.facets.facet import Facet
from bimip.client.store import PendingRead
from bimip.client.wire.bimip import Body, Fetch, FetchKind
from bimip.client.wire.bimip import Receipts as WireReceipts
from bimip.domain.core.ids import ConversationOffset, Millis
from bimip.domain.core.records import ReceiptKind, ReceiptRun
from bimip.domain.state.lifecycle import delivery_state

TWO = 2
"""Members of a direct conversation."""


@dataclass(frozen=True, slots=True)
class MemberReceipts:
    """Tells what one member received, read or played of a conversation."""

    member: str
    kind: ReceiptKind
    runs: tuple[ReceiptRun, ...]  # of conversation offsets


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """Tells how far a message of this user has come: the state is that of the member who is furthest behind."""

    state: str  # sent, delivered, read or played
    delivered_to: tuple[str, ...] = ()
    read_by: tuple[str, ...] = ()
    played_by: tuple[str, ...] = ()
    times: dict[str, dict[str, int]] = field(default_factory=dict)  # by member, when: as `receipts` returns them


class Receipts(Facet):
    """Receipts name messages by conversation and conversation offset, which every message and `Sent` has.

    Those that ask raise Refused (NOT_FOUND: there is no such conversation), TimedOut and NotConnected; cancelling them
    drops the answer, of which the client's copy of the state may have some already.
    """

    async def mark_read(self, conversation_or_peer: str, upto: int, *, is_peer: bool | None = None) -> None:
        """Say that everything in the conversation up to and with this conversation offset has been read.

        It is remembered and sent again until the server has it, also when there is no connection now, and when this is
        cancelled. A name with an @ is a peer, unless `is_peer` says otherwise. Raises InvalidArgument for what is no
        name or no offset, StoreError where the file fails.
        """
        mark = _pending_read(conversation_or_peer, upto, is_peer=is_peer)
        self._device.mark_read(mark, connected=self._connector.connected)
        await anyio.lowlevel.checkpoint()

    async def mark_read_many(self, upto_by_conversation_or_peer: Mapping[str, int]) -> None:
        """Say of many conversations up to which offset they have been read, in one batch, as `mark_read` does of one.

        Raises InvalidArgument, before any is said, for what is no name or no offset. Cancelled, they are said too.
        """
        marks = [_pending_read(name, upto) for name, upto in upto_by_conversation_or_peer.items()]
        self._device.mark_read_many(marks, connected=self._connector.connected)
        await anyio.lowlevel.checkpoint()

    def receipts(self, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
        """Returns by member's eid when the message was "delivered", "read" and "played", as far as it was and this
        device knows: milliseconds since 1970.

        Raises InvalidArgument for what is no name or no offset.
        """
        checked_text("conversation", conversation)
        conversation_offset = checked_number("conversation_offset", conversation_offset)
        return times_of(self._device.store, conversation, conversation_offset)

    async def fetch_receipts(self, conversation: str, first: int = 1, last: int = 0) -> list[MemberReceipts]:
        """Ask the server who received, read and played the messages from one offset to another (0: to the newest).

        It is told of this user's messages alone, and of others' what this user read. In large conversations nothing
        comes of that by itself. The copy of the state has it then. Raises also InvalidArgument for what is no name or
        no offset.
        """
        checked_text("conversation", conversation)
        first, last = checked_number("first", first), checked_number("last", last, least=0)
        found: list[MemberReceipts] = []
        body: Body | None = None
        while body is None or not body.complete:
            fetch = Fetch(kind=FetchKind.RECEIPTS, conversation=conversation, upto=last)
            if body is None:
                fetch.offset = first
            else:
                fetch.cursor = body.next_cursor
            body = await self._connector.request(fetch, Body)
            self._device.note_conversations(body.conversations)
            items = [item.receipts for state in body.states for item in state.items]
            found += [_of_member(receipts) for receipts in items if receipts is not None]
        return found

    async def delivery_state(self, conversation: str, conversation_offset: int) -> DeliveryState:
        """Tells how far a message of this user has come, from the copy of the state where that has it, else by asking.

        Raises as `fetch_receipts` does, where it has to ask.
        """
        known = self._times_of_others(conversation, conversation_offset)
        count = self._device.members_of(conversation)
        if count != TWO or not known:  # of which the copy has all that there is
            await self.fetch_receipts(conversation, conversation_offset, conversation_offset)
            known = self._times_of_others(conversation, conversation_offset)
            count = self._device.members_of(conversation)
        return delivery_state_of(known, count - 1)

    def _times_of_others(self, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
        identity = self._device.inbox.identity
        times = self.receipts(conversation, conversation_offset)
        return {member: when for member, when in times.items() if identity is None or member != identity.eid}


def _pending_read(conversation_or_peer: str, upto: int, *, is_peer: bool | None = None) -> PendingRead:
    checked_text("conversation_or_peer", conversation_or_peer)
    checked_number("upto", upto)
    return PendingRead(conversation_or_peer, "@" in conversation_or_peer if is_peer is None else is_peer, upto)


def _of_member(receipts: WireReceipts) -> MemberReceipts:
    runs = tuple(
        ReceiptRun(ConversationOffset(run.from_), ConversationOffset(run.to), Millis(run.time)) for run in receipts.runs
    )
    return MemberReceipts(receipts.member, ReceiptKind(int(receipts.kind)), runs)


def delivery_state_of(times: dict[str, dict[str, int]], others: int) -> DeliveryState:
    """Returns the delivery state of a message that so many others are to receive."""
    known = {
        member: {ReceiptKind[what.upper()]: Millis(time) for what, time in when.items()}
        for member, when in times.items()
    }
    state = delivery_state(known, others)
    return DeliveryState(
        state.stage.name.lower(), tuple(state.delivered_to), tuple(state.read_by), tuple(state.played_by), times
    )
