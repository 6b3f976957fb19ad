"""Messages that disappear: their sender said for how long they may be seen.

When that time has passed, such a message is erased as one that was deleted for everyone: its content is gone from the
store, its place stays, and all who may see it are told. EXPIRING has them in the order in which they are due, and only
them: other messages pay nothing for it.
"""

from typing import NamedTuple

from bimip.domain.conversations.membership import witnesses_of
from bimip.domain.core.decision import BodyNews, Decision, News, Put, Writes
from bimip.domain.core.ids import Millis, Stamp
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Expired
from bimip.domain.core.records import Expiring, MessageRecord, OwnMessage, Reader, Table
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import NOBODY
from bimip.domain.messages.erasing import MAX_ADDRESSED, erase, unmention
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.merges import merge_messages
from bimip.domain.state.messages import MessageState, pack_key, read_own, read_record


class Disappear(NamedTuple):
    """A message's time is over."""

    expires_at: Millis
    message: Stamp


def disappear(view: Reader, op: Disappear, context: Context) -> Decision:
    place: Expiring | None = view.get(Table.EXPIRING, (op.expires_at, op.message))
    if place is None:
        return Decision(Expired(0, more=False))
    conversation, offset, author = place
    done: Put = (Table.EXPIRING, {(op.expires_at, op.message): None})
    known = read_record(view, conversation, offset) or MessageRecord(op.message)
    if known.deleted or view.get(Table.BODIES, (op.message,)) is None:
        return Decision(Expired(0, more=False), Writes((done,)))  # it was deleted, or went by age
    merged = merge_messages(known, known._replace(deleted=context.stamp(), deleter=NOBODY))
    low, high = (conversation, offset), (conversation, offset + 1)
    reactions = view.scan(Table.REACTIONS, low, high, limit=MAX_ADDRESSED)
    changes = StateChanges(view)
    news: list[News] = []
    witnesses = witnesses_of(view, conversation, offset)
    for user in witnesses:
        own = read_own(view, user, conversation, offset) or OwnMessage(op.message)
        changes.tell(user, pack_key(conversation, offset), MessageState(merged, own, (), None))
        news.append(BodyNews(user))
    puts: list[Put] = [
        done,
        (Table.MESSAGE_STATES, {(conversation, offset): merged}),
        *erase(view, author, op.message, context),
        *unmention(view, witnesses, conversation, offset),
        *changes.puts(),
    ]
    if reactions:
        puts.append((Table.REACTIONS, dict.fromkeys(key for key, _ in reactions)))
    return Decision(Expired(1, more=False), Writes(puts), [*news, *changes.news])


def earliest_expiry(view: Reader) -> Millis | None:
    """When the next message disappears; None: none does."""
    found = view.scan(Table.EXPIRING, (0,), Table.EXPIRING.schema.end, limit=1)
    return Millis(found[0][0][0]) if found else None


def due_by(view: Reader, now: Millis, limit: int) -> list[Disappear]:
    """The messages whose time is over, those first whose was over first."""
    found = view.scan(Table.EXPIRING, (0,), (now + 1,), limit=limit)
    return [Disappear(Millis(expires_at), Stamp(stamp)) for (expires_at, stamp), _ in found]


OPERATIONS: dict[type, OperationKind] = {Disappear: OperationKind(disappear)}
