"""What became of a message since it was sent: edited, deleted, reacted to, forwarded; and who hid or pinned it.

What everybody in the conversation sees stands once, under its place there; what a user made of it for themselves stands
with the user. Both have one key, so that a device is told of a message in one item.
"""

from struct import Struct
from typing import NamedTuple

from bimip.domain.conversations.membership import is_feed, is_unheard, membership_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import (
    Conversation,
    DamagedRecordError,
    MessageRecord,
    OwnMessage,
    Reaction,
    Reader,
    StateKey,
    Table,
)
from bimip.domain.state.changes import Meant, StateKind

TAG = 3
_KEY = Struct(">BIQ")

MOST_REACTING = 10_000
"""Users who reacted to one message, in one reading: more than a group may have members."""

Reactions = tuple[tuple[UserId, tuple[Reaction, ...]], ...]
"""By user, of each one for each emoji."""


class MessageState(NamedTuple):
    """A message as one user may know it."""

    record: MessageRecord
    own: OwnMessage
    reactions: Reactions
    body: bytes | None
    """The stored message, where it was edited: its content is what counts."""


def pack_key(conversation: ConversationId, place: ConversationOffset) -> StateKey:
    return _KEY.pack(TAG, conversation, place)


def unpack_key(key: StateKey) -> tuple[ConversationId, ConversationOffset]:
    _, conversation, place = _KEY.unpack(key)
    return ConversationId(conversation), ConversationOffset(place)


def keys_of(
    view: Reader, user: UserId, conversation: ConversationId, first: ConversationOffset, last: ConversationOffset
) -> list[StateKey]:
    """Lists the keys of those messages of a part of a conversation of which a user has state, in their order."""
    most = last - first + 1
    shared = view.scan(Table.MESSAGE_STATES, (conversation, first), (conversation, last + 1), limit=most)
    own = view.scan(Table.OWN_MESSAGES, (user, conversation, first), (user, conversation, last + 1), limit=most)
    places = {place for (_, place), _ in shared} | {place for (_, _, place), _ in own}
    return [pack_key(conversation, place) for place in sorted(places)]


def read_record(view: Reader, conversation: ConversationId, place: ConversationOffset) -> MessageRecord | None:
    """Reads what became of a message; None: nothing, or it is damaged, and begins anew."""
    try:
        record: MessageRecord | None = view.get(Table.MESSAGE_STATES, (conversation, place))
    except DamagedRecordError:
        return None
    return record


def read_own(view: Reader, user: UserId, conversation: ConversationId, place: ConversationOffset) -> OwnMessage | None:
    """Reads what a user made of a message for themselves; None as above."""
    try:
        own: OwnMessage | None = view.get(Table.OWN_MESSAGES, (user, conversation, place))
    except DamagedRecordError:
        return None
    return own


def read_reactions(
    view: Reader, user: UserId, conversation: ConversationId, place: ConversationOffset
) -> tuple[Reaction, ...]:
    """Reads those of one user to a message."""
    try:
        return view.get(Table.REACTIONS, (conversation, place, user)) or ()
    except DamagedRecordError:
        return ()


def read_message(
    view: Reader, user: UserId, conversation: ConversationId, place: ConversationOffset
) -> MessageState | None:
    """Reads a message as the user may know it; None where nothing became of it."""
    record, own = read_record(view, conversation, place), read_own(view, user, conversation, place)
    if record is None and own is None:
        return None
    return message_state(view, record, own, listed_reactions(view, user, conversation, place))


def listed_reactions(view: Reader, user: UserId, conversation: ConversationId, place: ConversationOffset) -> Reactions:
    """Reads the reactions to a message that a user may know of: in a feed its reader knows of their own, and of its
    author's; of whom one had blocked when they made them nobody is told, then or later.
    """
    low, high = (conversation, place), (conversation, place + 1)
    listed = view.scan(Table.REACTIONS, low, high, limit=MOST_REACTING)
    if any(one.unheard for key, each in listed for one in each if key[2] != user):
        listed = [(key, _heard(each) if key[2] != user else each) for key, each in listed]
    known: Conversation | None = view.get(Table.CONVERSATIONS, (conversation,)) if listed else None
    if known is not None and is_feed(known) and user not in known.members:
        return tuple((key[2], each) for key, each in listed if key[2] in {user, *known.members})
    return tuple((key[2], each) for key, each in listed)


def _heard(reactions: tuple[Reaction, ...]) -> tuple[Reaction, ...]:
    return tuple(one for one in reactions if not one.unheard)


def message_state(
    view: Reader, record: MessageRecord | None, own: OwnMessage | None, reactions: Reactions
) -> MessageState:
    """Puts together what is known of a message, of which one thing at least is there."""
    if record is None:
        assert own is not None
        record = MessageRecord(own.message)
    if record.deleted:
        return MessageState(record, own or OwnMessage(record.message), (), None)
    body: bytes | None = view.get(Table.BODIES, (record.message,)) if record.edited else None
    return MessageState(record, own or OwnMessage(record.message), reactions, body)


def cut(_user: UserId, key: StateKey, message: MessageState, meant: Meant) -> MessageState | None:
    """Leaves out what is not of the messages that are meant."""
    _, place = unpack_key(key)
    return message if contains(meant.own, place) or contains(meant.others, place) else None


def _read(view: Reader, user: UserId, key: StateKey) -> MessageState | None:
    """Reads a message for who may see it now: whoever left its group is told no more of it than before."""
    conversation, place = unpack_key(key)
    membership = membership_of(view, user, conversation)
    if membership is None or place < max(membership.since, membership.conversation.first):
        return None
    if not membership.conversation.members:
        return read_message(view, user, conversation, place)
    if is_unheard(view, user, conversation, place):
        return None
    return read_message(view, user, conversation, place)


KIND = StateKind(TAG, _read, of_messages=keys_of, cut=cut, has_removals=True)
