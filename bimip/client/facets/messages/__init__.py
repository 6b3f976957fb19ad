"""Messages: writing them (sending.py), what is done to them later (changing.py), and who has received and read them
(receipts.py), which can be waited for (waiting.py).

    from bimip.client import ReceiptKind, events

    sent = await client.messages.send("bob@example.org", b"Helo Bob")
    await client.messages.edit(sent.signal_offset, b"Hello Bob")
    await client.messages.react(sent.signal_offset, "👋")
    async for event in client:
        match event:
            case events.Received(message=message, own=False):
                print("answered:", message.payload.decode())
                await client.messages.mark_read(message.conversation, message.conversation_offset)
            case events.ReceiptsChanged(kind=ReceiptKind.READ, member="bob@example.org"):
                break
    print((await client.messages.delivery_state(sent.conversation, sent.conversation_offset)).state)

Events: Received, Sent, SendRefused, MessageChanged, ReceiptsChanged, CommandDone, CommandRefused.
"""

from bimip.client.facets.messages.changing import Changing
from bimip.client.facets.messages.receipts import DeliveryState, MemberReceipts
from bimip.client.facets.messages.sending import Sending
from bimip.client.facets.messages.waiting import Waiting

__all__ = ["DeliveryState", "MemberReceipts", "Messages"]


class Messages(Sending, Changing, Waiting):
    """`client.messages`: a user's messages. Others' come as Received events, what becomes of them as MessageChanged."""
