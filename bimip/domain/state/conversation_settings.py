"""How a user keeps a conversation, for their own devices alone: archived, pinned, muted, marked unread, with a draft.

Each of these is a register of its own, of which the last writer's value counts: so a device that archived and another
that muted, apart from each other, both have their way.
"""

from struct import Struct

from bimip.domain.core.ids import ConversationId, Stamp, UserId
from bimip.domain.core.merges import LastWrite, later
from bimip.domain.core.records import ConversationSettings, DamagedRecordError, Reader, StateKey, Table
from bimip.domain.state.changes import StateKind

TAG = 4
_KEY = Struct(">BI")

AS_THEY_WERE = ConversationSettings()


def pack_key(conversation: ConversationId) -> StateKey:
    return _KEY.pack(TAG, conversation)


def unpack_key(key: StateKey) -> ConversationId:
    _, conversation = _KEY.unpack(key)
    return ConversationId(conversation)


def read_settings(view: Reader, user: UserId, conversation: ConversationId) -> ConversationSettings | None:
    """Reads a user's settings of a conversation; None: there are none, or they are damaged, and begin anew."""
    try:
        settings: ConversationSettings | None = view.get(Table.CONVERSATION_SETTINGS, (user, conversation))
    except DamagedRecordError:
        return None
    return settings


def as_read(settings: ConversationSettings | None, stamp: Stamp) -> ConversationSettings | None:
    """Takes the mark of an unread conversation away, since somebody reads in it; None: there is none."""
    if settings is None or not settings.unread.value:
        return None
    return settings._replace(unread=later(settings.unread, LastWrite(value=False, stamp=stamp)))


KIND = StateKind(TAG, lambda view, user, key: read_settings(view, user, unpack_key(key)))
