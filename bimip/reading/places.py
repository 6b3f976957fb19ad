"""Where a message stands, by what its name says: its stamp, or the id under which a device sent it."""

from typing import Final

from google.protobuf.message import DecodeError

from bimip.domain.commands.target import Target, find_message
from bimip.domain.core.clock import signal_id
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.names import conversation_id, conversation_number
from bimip.storage.interface import Store
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored


def locate(body: bytes) -> tuple[ConversationId, ConversationOffset] | None:
    """Finds where a stored message stands."""
    try:
        message = stored.parse(body)
    except (DecodeError, IndexError):
        return None
    number = conversation_number(message.conversation)
    return None if number is None else (ConversationId(number), ConversationOffset(message.conversation_offset))


def _nowhere() -> bytes:
    message = pb.Message(id="nobody's", to=pb.Identity(eid="nobody"), type=pb.CHAT, payload=bytes(200))
    sent = stored.outgoing(message, stored.author_part("nobody", "nothing"))
    (body,) = stored.store(
        [sent],
        stamps=[(Stamp(0), signal_id(Stamp(0)), 0)],
        conversation=conversation_id(ConversationId(0)),
        conversation_offset=0,
    )
    return body


NOWHERE: Final = _nowhere()
"""The body of a message that stands nowhere: to look for what does not exist takes as long as for what does."""


def read_place(store: Store, user: UserId, device: DeviceId, stamp: Stamp, own_id: str) -> Target | None:
    """Reads where a message stands that a device may see: by its stamp, or, where that is 0, by the id under which the
    device sent it. None: there is no such message for it; that takes the same reads, whoever's it is.
    """
    with store.snapshot() as view:
        return find_message(view, user, device, stamp, own_id, locate, NOWHERE)
