"""Which message a command is about. One that its user may not see is answered like one that does not exist."""

from typing import NamedTuple

from bimip.domain.commands.operation import Command
from bimip.domain.conversations.membership import membership_of
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, Millis, Stamp, UserId
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
    is_event: bool  # of a group, which the server wrote
    head: ConversationOffset  # of the conversation


def find_target(view: Reader, op: Command, context: Context) -> Target | Refused:
    """Finds the message that a command is about. To refuse one that is somebody else's takes the same reads as one
    that does not exist.
    """
    found = _place_of(view, op, context)
    if found is None:
        return _no_message(op)
    stamp, number, place = found
    membership = membership_of(view, op.user, number)
    if membership is None or place < max(membership.since, membership.conversation.first):
        return _no_message(op)
    listed: list[tuple[int, HistoryEntry]] = view.read(LogTable.HISTORY, (number,), place - 1, limit=1)
    if not listed or listed[0][0] != place or listed[0][1].stamp != stamp:
        return _no_message(op)
    entry = listed[0][1]
    if entry.addressed and entry.origin != op.device and not is_addressed(view, stamp, op.user, op.device):
        return _no_message(op)
    head = membership.conversation.head
    return Target(number, place, stamp, entry.author, entry.addressed, entry.origin == NOBODY, head)


def refuse_others(target: Target, user: UserId) -> Refused | None:
    """Refuses who did not write a message to change it: an event of a group is nobody's to change."""
    if target.is_event:
        sentence = "what happened in a group is told by the server: nobody may change it"
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


def _place_of(view: Reader, op: Command, context: Context) -> tuple[Stamp, ConversationId, ConversationOffset] | None:
    if op.target:
        body: bytes | None = view.get(Table.BODIES, (op.target,))
        bodies = context.rules.bodies
        place = bodies.locate(bodies.nowhere if body is None else body)
        return (op.target, *(place or NOWHERE))
    sent: SentRecord | None = view.get(Table.SEEN, (op.device, op.target_id))
    return sent and (sent.stamp, sent.conversation, sent.conversation_offset)


def _no_message(op: Command) -> Refused:
    field = "target" if op.target else "target_id"
    sentence = "there is no such message for you here; name one by its signal_offset, or the id under which you sent it"
    return Refused(Fault.NOT_FOUND, sentence, field)
