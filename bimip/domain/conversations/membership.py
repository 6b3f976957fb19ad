"""The one door to who is in which conversation: who may read it, from where on, who may write to it, who is reached.

A direct conversation exists by being used, and has its two members in its own record. A group is created, and each
member's history in it begins where they joined. A feed is what one user writes for all whom they let see them: see
`feeds.py`. Whoever asks on behalf of a user asks here, so that somebody else's conversation is answered everywhere like
one that does not exist.
"""

from collections.abc import Iterator
from typing import NamedTuple

from bimip.domain.contacts.access import AT_ONCE, lets_see
from bimip.domain.core.decision import Put
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import (
    NEVER,
    Conversation,
    DamagedRecordError,
    Group,
    HistoryEntry,
    Key,
    LogTable,
    Member,
    Reader,
    Role,
    Table,
    User,
    maker,
)

CONVERSATIONS, GROUPS, MEMBERS = Table.CONVERSATIONS, Table.GROUPS, Table.MEMBERS
UNHEARD = Table.UNHEARD

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
    if known is None or member is None or not member.role or member.since == NEVER:
        return None
    if known.members and not (is_feed(known) and lets_see(view, author_of(known), user)):
        return None
    return _membership((known, member.since, Role(member.role)))


def is_feed(known: Conversation) -> bool:
    """Whether a conversation is a user's feed."""
    return known.members[:1] == (NOBODY,)


def author_of(feed: Conversation) -> UserId:
    """Reads whose feed it is; NOBODY: they were erased."""
    return feed.members[-1]


def feed_of(view: Reader, eid: str) -> ConversationId:
    """Reads which conversation is a user's feed. Where there is none, or no such user, it is one that never is: whoever
    asks for it takes the same reads.
    """
    known: User | None = view.get(Table.USERS, (eid,))
    number: ConversationId | None = view.get(Table.DIRECT, (NOBODY if known is None else known.number, NOBODY))
    return number or ConversationId(0)


def readers_of(view: Reader, number: ConversationId) -> Iterator[tuple[UserId, Member]]:
    """Reads who is or was a member of a group, or a reader of a feed, in ascending order."""
    after = -1
    while found := view.scan(MEMBERS, (number, after + 1), (number + 1,), limit=AT_ONCE):
        yield from ((user, member) for (_, user), member in found)
        after = found[-1][0][1]


def was_member_at(view: Reader, user: UserId, number: ConversationId, place: int) -> bool:
    """Whether a place in a conversation lies in the user's membership, in the last one where they are no member now."""
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None:
        return False
    if known.members and not is_feed(known):
        return user in known.members and not is_unheard(view, user, number, place)
    if user in known.members:
        return True
    member: Member | None = view.get(MEMBERS, (number, user))
    return member is not None and member.since <= place <= (member.upto or place)


def is_unheard(view: Reader, user: UserId, number: ConversationId, place: int) -> bool:
    """Whether a message of a conversation of two never was for one of them, since they had blocked who wrote it."""
    found = view.scan(UNHEARD, (user, number, 0), (user, number, place + 1), limit=1, reverse=True)
    return bool(found) and found[0][1] >= place


def hears_all(view: Reader, user: UserId, number: ConversationId) -> bool:
    """Whether there is no message in a conversation that is unheard by one of its members."""
    return not view.scan(UNHEARD, (user, number, 0), (user, number + 1, 0), limit=1)


def unhear(view: Reader, user: UserId, number: ConversationId, first: int, last: int) -> Put:
    """Notes that messages of a conversation are unheard by one of its members: they join those right before them."""
    found: list[tuple[Key, int]] = view.scan(
        UNHEARD, (user, number, 0), (user, number, first + 1), limit=1, reverse=True
    )
    begins, ends = (found[0][0][2], found[0][1]) if found else (0, 0)
    if begins and ends >= first - 1:
        return UNHEARD, {(user, number, begins): max(ends, last)}
    return UNHEARD, {(user, number, first): last}


def left_before(view: Reader, user: UserId, number: ConversationId, place: int, head: int) -> bool:
    """Whether a user was in a conversation at a place of it, and had left when its head was another one; in one of two,
    whether the message there is unheard by them.
    """
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None:
        return False
    if user in known.members or (known.members and not is_feed(known)):
        return is_unheard(view, user, number, place)
    member: Member | None = view.get(MEMBERS, (number, user))
    if member is None or place < member.since:
        return True  # of an earlier membership, or of none that is known
    return not member.role and member.upto <= head


def members_of(view: Reader, number: ConversationId) -> tuple[UserId, ...]:
    """Reads who is in a conversation now, in ascending order."""
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None:
        return ()
    if is_feed(known):
        readers = [user for user, member in readers_of(view, number) if member.role]
        return tuple(sorted((*known.members[1:], *readers)))
    return known.members or group_of(view, number).members


def known_members(view: Reader, user: UserId, number: ConversationId) -> tuple[UserId, ...]:
    """Reads whom a member of a conversation may know of: of a feed, who reads it is known to its author alone."""
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    if known is None or not is_feed(known) or user in known.members:
        return members_of(view, number)
    return tuple(sorted((*known.members[1:], user)))


def listed_members(view: Reader, user: UserId, number: ConversationId) -> tuple[UserId, ...]:
    """Reads whom a member is shown as members: those who are only named, too."""
    return group_of(view, number).everybody or known_members(view, user, number)


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
    known: Conversation | None = view.get(CONVERSATIONS, (number,))
    members = [user for user in members_of(view, number) if was_member_at(view, user, number, place)]
    if known is not None and is_feed(known):
        return [user for user in members if membership_of(view, user, number) is not None]
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
