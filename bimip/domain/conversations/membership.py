"""The one door to who is in which conversation: who may read it, from where on, who may write to it, who is reached.

A direct conversation exists by being used, and has its two members in its own record. A group is created, and each
member's history in it begins where they joined. Whoever asks on behalf of a user asks here, so that somebody else's
conversation is answered everywhere like one that does not exist.
"""

from typing import NamedTuple

from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import (
    Conversation,
    DamagedRecordError,
    Group,
    HistoryEntry,
    LogTable,
    Member,
    Reader,
    Role,
    Table,
    User,
    maker,
)

CONVERSATIONS, GROUPS, MEMBERS = Table.CONVERSATIONS, Table.GROUPS, Table.MEMBERS

SMALL_GROUP = 32
"""Members up to which receipts, and the list of the members itself, are state that all of them are told. In a larger
group each change would be told to so many that they ask instead.
"""

ROLE_NAMES = {role: role.name.lower() if role else "" for role in Role}
"""As they are said on the wire."""

START = ConversationOffset(1)

NOBODY = UserId(0)
"""No user has this number."""


class Membership(NamedTuple):
    """A user's place in a conversation that they are in."""

    conversation: Conversation
    since: ConversationOffset  # what stands before it is not theirs to see
    role: Role


_membership = maker(Membership)


def membership_of(view: Reader, user: UserId, number: ConversationId | None) -> Membership | None:
    """Reads a user's membership in a conversation; None: they are not in it, or there is none.

    Whatever the reason is, None takes the same reads, so that nobody learns from the time what there is of others'.
    """
    if number is None:
        return None
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is not None and user in known.members:
        return _membership((known, START, Role.MEMBER))
    member: Member | None = view.get(MEMBERS, (number, user))
    if known is None or known.members or member is None or not member.role:
        return None
    return _membership((known, member.since, Role(member.role)))


def was_member_at(view: Reader, user: UserId, number: ConversationId, place: int) -> bool:
    """Whether a place in a conversation lies in the user's membership, in the last one where they are no member now."""
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None:
        return False
    if known.members:
        return user in known.members
    member: Member | None = view.get(MEMBERS, (number, user))
    return member is not None and member.since <= place <= (member.upto or place)


def left_before(view: Reader, user: UserId, number: ConversationId, place: int, head: int) -> bool:
    """Whether a user was in a conversation at a place of it, and had left when its head was another one."""
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None or known.members:
        return False
    member: Member | None = view.get(MEMBERS, (number, user))
    if member is None or place < member.since:
        return True  # of an earlier membership, or of none that is known
    return not member.role and member.upto <= head


def members_of(view: Reader, number: ConversationId) -> tuple[UserId, ...]:
    """Reads who is in a conversation now, in ascending order."""
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None:
        return ()
    return known.members or group_of(view, number).members


def group_of(view: Reader, number: ConversationId) -> Group:
    group: Group | None = view.get(GROUPS, (number,))
    return group or Group("", (), ConversationOffset(0))


def conversation_of(
    view: Reader, user: UserId, conversation: ConversationId | None, peer: str
) -> ConversationId | Refused:
    """The conversation that a user names, by its number or by its other member's eid. Somebody else's is answered like
    one that does not exist.
    """
    number = direct_with(view, user, peer) if conversation is None else conversation
    if number is None or membership_of(view, user, number) is None:
        return no_conversation("name one by the id that its messages carry, or its other member", "conversation")
    return number


def direct_with(view: Reader, user: UserId, peer: str) -> ConversationId | None:
    """Reads which conversation a user has with another; None: none, or there is no such user."""
    known: User | None = view.get(Table.USERS, (peer,))
    other = NOBODY if known is None else known.number
    number: ConversationId | None = view.get(Table.DIRECT, (min(user, other), max(user, other)))
    return number


def no_conversation(advice: str, field: str) -> Refused:
    """Refuses a conversation that the user is not in, and one that does not exist, alike."""
    return Refused(Fault.NOT_FOUND, f"you are in no such conversation; {advice}", field)


def witnesses_of(view: Reader, number: ConversationId, place: int) -> list[UserId]:
    """Lists those who are in a conversation now and may see the message at a place of it: of what was addressed to
    single devices, those who have one of them, and who wrote it.
    """
    members = [user for user in members_of(view, number) if was_member_at(view, user, number, place)]
    try:
        listed: list[tuple[int, HistoryEntry]] = view.read(LogTable.HISTORY, (number,), place - 1, limit=1)
    except DamagedRecordError:
        return members
    if not listed or listed[0][0] != place or not listed[0][1].addressed:
        return members
    entry = listed[0][1]
    return [user for user in members if user == entry.author or _has_addressed(view, user, entry)]


def _has_addressed(view: Reader, user: UserId, entry: HistoryEntry) -> bool:
    """Whether a message was addressed to a device that its user has: to one that is not there it is for nobody."""
    return any(one.device for one in view.get(Table.ADDRESSED, (entry.stamp, user)) or ())


def beyond_head(conversation: Conversation, offset: int, field: str) -> Refused | None:
    """Refuses an offset that was never given; None: it was."""
    if offset <= conversation.head:
        return None
    sentence = f"conversation offset {offset} was never given; the conversation ends at {conversation.head}"
    return Refused(Fault.OFFSET_BEYOND_HEAD, sentence, field)
