"""Read markers: how far a user has read each conversation, for their own devices alone.

A marker is a conversation offset that only moves forward: merging is the maximum, which commutes, associates and is
idempotent, so devices that read apart from each other end at the same place, in whatever order they say so. Whoever
wrote the messages learns nothing of it: that is what receipts are for. Who reads takes the mark of an unread
conversation away.
"""

from struct import Struct

from bimip.domain.conversations.membership import beyond_head, conversation_of
from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId, Version
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import MarkRead, ReadMarked, Refused
from bimip.domain.core.records import Conversation, DamagedRecordError, Reader, StateKey, Table
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import StateChanges, StateKind
from bimip.domain.state.conversation_settings import as_read, read_settings
from bimip.domain.state.conversation_settings import pack_key as settings_key

TAG = 2
_KEY = Struct(">BI")


def pack_key(conversation: ConversationId) -> StateKey:
    return _KEY.pack(TAG, conversation)


def unpack_key(key: StateKey) -> ConversationId:
    _, conversation = _KEY.unpack(key)
    return ConversationId(conversation)


def read_marker(view: Reader, user: UserId, conversation: ConversationId) -> ConversationOffset:
    """Reads where a user's marker stands; 0 where they never set one, or it is damaged: then it is set anew."""
    return _stored(view, user, conversation) or ConversationOffset(0)


def mark_read(view: Reader, op: MarkRead, context: Context) -> Decision:
    number = conversation_of(view, op.user, op.conversation, "")
    if isinstance(number, Refused):
        return Decision(number)
    conversation: Conversation = view.get(Table.CONVERSATIONS, (number,))
    if refused := beyond_head(conversation, op.upto, "conversation_offset"):
        return Decision(refused)
    key, known = pack_key(number), read_marker(view, op.user, number)
    changes = StateChanges(view)
    if (read := as_read(read_settings(view, op.user, number), context.stamp())) is not None:
        changes.values[Table.CONVERSATION_SETTINGS] = {(op.user, number): read}
        changes.tell(op.user, settings_key(number), read)
    told: Version | None = view.get(Table.VERSIONS, (op.user, key))
    if op.upto > known:
        changes.values[Table.READ_MARKERS] = {(op.user, number): op.upto}
        told = changes.tell(op.user, key, op.upto)
    marked = ReadMarked(number, max(op.upto, known), told or Version(0))
    return Decision(marked, Writes(changes.puts()), changes.news)


def _stored(view: Reader, user: UserId, conversation: ConversationId) -> ConversationOffset | None:
    try:
        found: ConversationOffset | None = view.get(Table.READ_MARKERS, (user, conversation))
    except DamagedRecordError:
        return None
    return found


KIND = StateKind(TAG, lambda view, user, key: _stored(view, user, unpack_key(key)))

OPERATIONS: dict[type, OperationKind] = {MarkRead: OperationKind(mark_read)}
