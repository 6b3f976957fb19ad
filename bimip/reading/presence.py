"""What is stored of who is there, and who may see it of whom."""

from collections.abc import Container
from itertools import islice
from typing import NamedTuple

from bimip.domain.contacts.access import seen_by, viewers_of
from bimip.domain.contacts.privacy import Seen, look_evenly, verdict
from bimip.domain.conversations.membership import (
    NOBODY,
    SMALL_GROUP,
    author_of,
    group_of,
    is_feed,
    membership_of,
    readers_of,
)
from bimip.domain.core.ids import ConversationId, Millis, UserId
from bimip.domain.core.records import Conversation, DamagedRecordError, Device, Intent, Reader, Table, User
from bimip.domain.state.intents import intent_of
from bimip.storage.interface import Store

AT_ONCE = 32
"""Users judged in one turn, each by some ten reads."""
READERS = 96
"""Of a feed, looked at for whom its author's doing is told: those of before are among them."""
MAX_DEVICES = 256
"""Of one user, looked at for when one of them was last there."""


class Sight(NamedTuple):
    """One user's view of another: what of them may be seen."""

    user: UserId  # the one that the question was about: who sees, or who is seen
    is_shown: bool  # whether they are there, and what they say of it
    last_seen: bool
    frozen: Millis = Millis(0)  # when they were last there to who is blocked; 0: they are not, or see nothing of it


class Sights(NamedTuple):
    found: list[Sight]
    behind: UserId | None  # where the next ones begin; None: these are all


def read_intent(store: Store, user: UserId) -> Intent:
    with store.snapshot() as view:
        return intent_of(view, user)


def read_viewers(store: Store, owner: UserId, behind: UserId, there: Container[UserId]) -> Sights:
    """Reads whom a user lets see them and who are there, and what of it each may see now."""
    with store.snapshot() as view:
        users = viewers_of(view, owner, behind, AT_ONCE)
        found = [_sight(view, viewer, owner, viewer) for viewer in users if viewer in there]
    return Sights(found, users[-1] if len(users) == AT_ONCE else None)


def read_seen(store: Store, viewer: UserId, behind: UserId, there: Container[UserId]) -> Sights:
    """Reads whom a user is let see and who are there, and what of each they may see now."""
    with store.snapshot() as view:
        users = seen_by(view, viewer, behind, AT_ONCE)
        found = [_sight(view, viewer, owner, owner) for owner in users if owner in there]
    return Sights(found, users[-1] if len(users) == AT_ONCE else None)


def read_sight(store: Store, viewer: UserId, owner: UserId) -> Sight:
    """Reads what one user may see of another."""
    with store.snapshot() as view:
        return _sight(view, viewer, owner, owner)


def _sight(view: Reader, viewer: UserId, owner: UserId, user: UserId) -> Sight:
    return Sight(user, *look_evenly(view, viewer, owner))


def find_user(store: Store, eid: str) -> UserId:
    """Finds a user by name; NOBODY: there is none."""
    with store.snapshot() as view:
        known: User | None = view.get(Table.USERS, (eid,))
    return NOBODY if known is None else known.number


def read_sight_and_last(store: Store, viewer: UserId, owner: UserId) -> tuple[Sight, Millis]:
    """Reads what one user may see of another, and when that one was last there. It takes the same work whatever they
    may see, and where there is no such user.
    """
    with store.snapshot() as view:
        sight = _sight(view, viewer, owner, owner)
    return sight, read_last_seen(store, owner)


def read_last_seen(store: Store, user: UserId) -> Millis:
    """Reads when a device of a user was last known to be connected; 0: never."""
    with store.snapshot() as view:
        try:
            found: list[tuple[tuple[int, str], Device]] = view.scan(
                Table.DEVICES, (user,), (user + 1,), limit=MAX_DEVICES
            )
        except DamagedRecordError:
            return Millis(0)
    return max([device.last_seen for _, device in found], default=Millis(0))


def read_witnesses(store: Store, user: UserId, conversation: ConversationId | None, peer: UserId) -> list[UserId]:
    """Reads who may see what a user does in a conversation, or, where there is none, the peer if they may: nobody in a
    large group.
    """
    with store.snapshot() as view:
        others = [peer] if conversation is None else _members(view, user, conversation)
        return [
            other
            for other in others
            if other not in {user, NOBODY} and verdict(view, other, user, Seen.ACTIVITY).allowed
        ]


def _members(view: Reader, user: UserId, conversation: ConversationId) -> tuple[UserId, ...]:
    """Lists whom a member's doing may be told: in a feed a reader's its author alone, the author's who reads it now."""
    known: Conversation | None = view.get(Table.CONVERSATIONS, (conversation,))
    if known is None:
        return ()
    if not is_feed(known):
        group = None if known.members else group_of(view, conversation)
        members, count = (known.members, 2) if group is None else (group.members, len(group.everybody))
        return members if count <= SMALL_GROUP else ()
    author = author_of(known)
    looked_at = list(islice(readers_of(view, conversation), READERS + 1)) if user == author else []
    members = (author, *(one for one, member in looked_at if member.role)) if user == author else (author, user)
    if len(members) > SMALL_GROUP or len(looked_at) > READERS:
        return ()
    return tuple(one for one in members if membership_of(view, one, conversation) is not None)
