"""The groups that this user is in, as their devices are told of them. Of two the one that changed later counts."""

from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import GroupChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Conversation


class KnownGroup(NamedTuple):
    """A group, as this device was last told."""

    changed: int  # the conversation offset of the last event
    title: str
    role: str  # this user's own: owner, admin or member
    member_count: int
    history_from: int  # the conversation offset at which this user's history begins
    members: tuple[tuple[str, str], ...]  # eid and role, of a small group; of a large one nothing


class GroupsKind(Kind[Conversation, KnownGroup]):
    field = "group"

    def key(self, item: Conversation) -> StateKey | None:
        return (item.id,)

    def value(self, item: Conversation) -> KnownGroup:
        members = tuple((member.eid, member.role) for member in item.members)
        return KnownGroup(
            item.conversation_offset, item.title, item.role, item.member_count, item.history_from, members
        )

    def merge(self, known: KnownGroup, arrived: KnownGroup) -> KnownGroup:
        return max(known, arrived)

    def event(self, key: StateKey, before: KnownGroup | None, now: KnownGroup | None) -> GroupChanged | None:
        if before == now:
            return None
        if now is None:
            return GroupChanged(str(key[0]), before.title if before else "", "", 0, {}, is_gone=True)
        return GroupChanged(str(key[0]), now.title, now.role, now.member_count, dict(now.members))

    def load(self, stored: Any) -> KnownGroup:  # noqa: ANN401 - as in Kind
        changed, title, role, member_count, history_from, members = stored
        listed = tuple((str(eid), str(their_role)) for eid, their_role in members)
        return KnownGroup(int(changed), str(title), str(role), int(member_count), int(history_from), listed)


GROUPS = GroupsKind()


def groups_of(store: Store) -> dict[str, KnownGroup]:
    """Returns by conversation id the groups that this user is in."""
    return {str(conversation): group for (conversation,), group in sorted(Table(store, GROUPS).under(()))}
