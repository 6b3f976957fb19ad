"""Groups as their members' devices are told of them: title, number of members, one's own role, where history begins.
To who is no member any more the group is a value that was removed.

The members themselves are in it while the group is small. In a larger one each change of one member would be told to
all others with all others in it; their devices ask for the list when somebody looks at it.
"""

from collections.abc import Mapping
from struct import Struct
from typing import Any, NamedTuple

from bimip.domain.conversations.membership import MEMBERS, SMALL_GROUP, group_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.records import NEVER, DamagedRecordError, Group, Member, Reader, Role, StateKey
from bimip.domain.state.changes import UNSEEN, StateKind

TAG = 8
_KEY = Struct(">BI")


class GroupState(NamedTuple):
    """A group as one user is told of it."""

    title: str
    size: int  # how many members
    role: Role  # the user's own
    since: ConversationOffset  # their history begins here
    changed: ConversationOffset  # where the last event stands: of two the one with the greater is the newer
    members: tuple[tuple[UserId, Role], ...]  # of a small group; else empty


def pack_key(conversation: ConversationId) -> StateKey:
    return _KEY.pack(TAG, conversation)


def unpack_key(key: StateKey) -> ConversationId:
    _, conversation = _KEY.unpack(key)
    return ConversationId(conversation)


def roles_of(view: Reader, number: ConversationId, group: Group) -> dict[UserId, Member]:
    """Reads the record of each who is listed as a member of a group."""
    everybody = group.everybody
    records = view.get_all(MEMBERS, [(number, member) for member in everybody])
    return {member: record for member, record in zip(everybody, records, strict=True) if record is not None}


def listed(group: Group, members: Mapping[UserId, Member]) -> tuple[tuple[UserId, Role], ...]:
    """Lists the members with their roles where the group is small."""
    if len(group.everybody) > SMALL_GROUP:
        return ()
    return tuple((user, Role(members[user].role)) for user in group.everybody if user in members)


def state_for(group: Group, member: Member, members: tuple[tuple[UserId, Role], ...]) -> GroupState:
    """Makes the group as one member is told of it."""
    return GroupState(group.title, len(group.everybody), Role(member.role), member.since, group.changed, members)


def _read(view: Reader, user: UserId, key: StateKey) -> Any:  # noqa: ANN401 - a GroupState, None, or UNSEEN
    """Reads a group as a user may know it; None: they are no member. Where that is damaged nothing is told of it: it
    was not removed.
    """
    number = unpack_key(key)
    try:
        member: Member | None = view.get(MEMBERS, (number, user))
        if member is None or not member.role or member.since == NEVER:
            return None
        group = group_of(view, number)
        is_small = len(group.everybody) <= SMALL_GROUP
        members = listed(group, roles_of(view, number, group)) if is_small else ()
    except DamagedRecordError:
        return UNSEEN
    return state_for(group, member, members)


KIND = StateKind(TAG, _read, has_removals=True)
