"""Who has received and read what: this user's own reading, and others'."""

import anyio.lowlevel

from bimip.client.arguments import checked_number, checked_text
from bimip.client.core.kinds.read_markers import marker_of
from bimip.client.core.kinds.receipts import times_of
from bimip.client.facets.facet import Facet
from bimip.client.store import PendingRead
from bimip.client.wire.bimip import Command, CommandKind


class Receipts(Facet):
    async def mark_read(self, conversation_or_peer: str, upto: int, *, is_peer: bool | None = None) -> None:
        """Say that everything in the conversation up to and with this conversation offset has been read.

        It is remembered and sent again until the server has it, also when there is no connection now.
        A name with an @ is a peer, unless `is_peer` says otherwise. Raises InvalidArgument for what is no name or no
        offset.
        """
        checked_text("conversation_or_peer", conversation_or_peer)
        checked_number("upto", upto)
        peer = "@" in conversation_or_peer if is_peer is None else is_peer
        self._device.mark_read(PendingRead(conversation_or_peer, peer, upto), connected=self._connector.connected)
        await anyio.lowlevel.checkpoint()

    async def move_read_marker(self, conversation: str, upto: int) -> int:
        """Move this user's own read marker, for their devices alone: whoever wrote the messages learns nothing of it.

        Returns where it stands then, which may be further: it only moves forward. Other devices are told by
        ReadMarkerChanged. Raises Refused, TimedOut, NotConnected, and InvalidArgument for what is no name or no offset.
        """
        checked_text("conversation", conversation)
        command = Command(
            kind=CommandKind.MARK_READ, conversation=conversation, conversation_offset=checked_number("upto", upto)
        )
        return (await self._connector.request(command, Command)).conversation_offset

    def receipts(self, conversation: str, conversation_offset: int) -> dict[str, dict[str, int]]:
        """Returns by member when the message was "delivered", "read" and "played", as far as it was: milliseconds.

        Raises InvalidArgument for what is no name or no offset.
        """
        checked_text("conversation", conversation)
        conversation_offset = checked_number("conversation_offset", conversation_offset)
        return times_of(self._device.store, conversation, conversation_offset)

    def read_marker(self, conversation: str) -> int:
        """Returns the conversation offset up to which this user has read, on whichever device; 0 where nothing was.

        Raises InvalidArgument for what is no name.
        """
        return marker_of(self._device.store, checked_text("conversation", conversation))
