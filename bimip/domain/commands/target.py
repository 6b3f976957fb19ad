"""Which message a command is about. One that its user may not see is answered like one that does not exist."""

from collections.abc import Callable
from typing import NamedTuple

from bimip.domain.commands.operation import Command
from bimip.domain.conversations.membership import is_feed, is_unheard, membership_of
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Millis, Stamp, UserId
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import HistoryEntry, LogTable, Reader, SentRecord, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import NOBODY, is_addressed

NOWHERE = (ConversationId(0), ConversationOffset(0))
"""A place in a conversation that never is."""


class Target(NamedTuple):
    """A message that a command is about."""

    conversation: ConversationId
    place: ConversationOffset
    stamp: Stamp
    author: UserId
    addressed: bool  # only the devices that it names get it
    is_event: bool  # of a group, or a missed call, which the server wrote
    head: ConversationOffset  # of the conversation
    is_direct: bool = False  # it is a conversation of two, or with oneself
    is_feed: bool = False


Locate = Callable[[bytes], tuple[ConversationId, ConversationOffset] | None]
"""Finds where a stored message stands."""


def find_target(view: Reader, op: Command, context: Context) -> Target | Refused:
    """Finds the message that a command is about."""
    bodies = context.rules.bodies
    found = find_message(view, op.user, op.device, op.target, op.target_id, bodies.locate, bodies.nowhere)
    return _no_message(op) if found is None else found


def find_message(
    view: Reader, user: UserId, device: DeviceId, stamp: Stamp, own_id: str, locate: Locate, nowhere: bytes
) -> Target | None:
    """Finds a message that a device may see, by its stamp, or by the id under which it sent it. To find none takes the
    same reads where it is somebody else's as where it does not exist: `nowhere` is a body that stands nowhere.
    """
    found = _place_of(view, device, stamp, own_id, locate, nowhere)
    if found is None:
        return None
    stamp, number, place = found
    membership = membership_of(view, user, number)
    if membership is None or place < max(membership.since, membership.conversation.first):
        return None
    listed: list[tuple[int, HistoryEntry]] = view.read(LogTable.HISTORY, (number,), place - 1, limit=1)
    if not listed or listed[0][0] != place or listed[0][1].stamp != stamp:
        return None
    if membership.conversation.members and is_unheard(view, user, number, place):
        return None
    entry = listed[0][1]
    if entry.addressed and entry.origin != device and not is_addressed(view, stamp, user, device):
        return None
    head = membership.conversation.head
    feed = is_feed(membership.conversation)
    is_direct = bool(membership.conversation.members) and not feed
    return Target(number, place, stamp, entry.author, entry.addressed, entry.origin == NOBODY, head, is_direct, feed)


def refuse_others(target: Target, user: UserId) -> Refused | None:
    """Refuses who did not write a message to change it: an event of a group is nobody's to change."""
    if target.is_event:
        sentence = "what happened in a group, or to a call, is told by the server: nobody may change it"
        return Refused(Fault.FORBIDDEN, sentence, "target")
    if target.author == user:
        return None
    return Refused(Fault.FORBIDDEN, "only who wrote a message may change or delete it for everyone", "target")


def refuse_late(target: Target, now: Millis, seconds: int, what: str) -> Refused | None:
    """Refuses what comes too long after a message was sent; 0 seconds: it is never too late."""
    if not seconds or now - millis_of(target.stamp) <= seconds * 1000:
        return None
    sentence = f"a message may be {what} for {seconds} seconds after it was sent, and that time is over"
    return Refused(Fault.FORBIDDEN, sentence, "target")


def _place_of(
    view: Reader, device: DeviceId, stamp: Stamp, own_id: str, locate: Locate, nowhere: bytes
) -> tuple[Stamp, ConversationId, ConversationOffset] | None:
    if stamp:
        body: bytes | None = view.get(Table.BODIES, (stamp,))
        place = locate(nowhere if body is None else body)
        return (stamp, *(place or NOWHERE))
    sent: SentRecord | None = view.get(Table.SEEN, (device, own_id))
    return sent and (sent.stamp, sent.conversation, sent.conversation_offset)


def _no_message(op: Command) -> Refused:
    field = "target" if op.target else "target_id"
    sentence = "there is no such message for you here; name one by its signal_offset, or the id under which you sent it"
    return Refused(Fault.NOT_FOUND, sentence, field)
