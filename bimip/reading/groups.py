"""Who is in a conversation: what a member asks, a page at a time, and how many a message to it reaches."""

from bisect import bisect_right
from typing import NamedTuple

from bimip.domain.conversations.membership import (
    Membership,
    author_of,
    feed_of,
    is_feed,
    listed_members,
    members_of,
    membership_of,
)
from bimip.domain.core.ids import ConversationId, UserId
from bimip.domain.core.records import NEVER, Conversation, DamagedRecordError, Member, Reader, Role, Roster, Table
from bimip.names import conversation_number
from bimip.storage.interface import Store


class ListedMember(NamedTuple):
    eid: str
    role: Role
    since: int  # where their history begins
    joined: int  # milliseconds; 0 in a direct conversation


class MembersPage(NamedTuple):
    """A conversation as a member sees it, with some of its members."""

    membership: Membership
    title: str
    size: int
    members: list[ListedMember]
    complete: bool  # none are left behind these
    feed_of: str  # whose feed it is; empty: it is none


def read_members(store: Store, user: UserId, number: ConversationId, after: str, limit: int) -> MembersPage | None:
    """Reads a conversation and its members, those behind the user `after`; None: the user is not in it."""
    with store.snapshot() as view:
        membership = membership_of(view, user, number)
        if membership is None:
            return None
        group = None if membership.conversation.members else view.get(Table.GROUPS, (number,))
        everybody = listed_members(view, user, number)
        last = view.get(Table.USERS, (after,)) if after else None
        begin = 0 if last is None else bisect_right(everybody, last.number)
        some = everybody[begin : begin + limit]
        members = [_listed(view, number, one, is_group=group is not None) for one in some]
        author = feed_author(view, membership.conversation)
    title = "" if group is None else group.title
    return MembersPage(membership, title, len(everybody), members, begin + len(some) >= len(everybody), author)


def find_feed(store: Store, eid: str) -> ConversationId:
    """Reads which conversation is a user's feed; where there is none, one that never is."""
    with store.snapshot() as view:
        return feed_of(view, eid)


def feed_author(view: Reader, known: Conversation) -> str:
    """Reads the eid of whose feed a conversation is; empty: it is no feed."""
    return view.get(Table.EIDS, (author_of(known),)) or "" if is_feed(known) else ""


def _listed(view: Reader, number: ConversationId, user: UserId, *, is_group: bool) -> ListedMember:
    eid: str = view.get(Table.EIDS, (user,)) or ""
    member: Member | None = view.get(Table.MEMBERS, (number, user)) if is_group else None
    if member is None:
        return ListedMember(eid, Role.MEMBER, 1, 0)
    since = member.upto if member.since == NEVER else member.since
    return ListedMember(eid, Role(member.role), since, member.joined)


def reach_of(store: Store, user: UserId, to: str) -> int:
    """Reads how many logs a message to a group is written to; 1 for all that is no group of the user's."""
    number = conversation_number(to)
    if number is None:
        return 1
    with store.snapshot() as view:
        membership = membership_of(view, user, ConversationId(number))
        known = None if membership is None else membership.conversation
        if known is None or (known.members and not (is_feed(known) and user in known.members)):
            return 1
        return max(1, len(members_of(view, ConversationId(number))))


def friends_reach(store: Store, user: UserId) -> int:
    """Reads how many logs what a user writes for their friends is written to, at most."""
    with store.snapshot() as view:
        try:
            roster: Roster | None = view.get(Table.ROSTERS, (user,))
        except DamagedRecordError:
            roster = None
    return 1 if roster is None else 1 + roster.contacts
