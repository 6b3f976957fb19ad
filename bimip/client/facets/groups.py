"""Groups: making them, their members, their title and roles. Messages go to a group's id as they go to a user.

    group = await client.groups.create("Trip", ["bob@example.org"])
    await client.messages.send(group, b"Where do we go?")
    await client.groups.set_role(group, "bob@example.org", "admin")
    await client.groups.rename(group, "Trip to Rome")
    found = await client.groups.fetch(group)
    for member in found.members:
        print(member.eid, "is", member.role, "of", found.title)
    await client.groups.leave(group)

Events: GroupChanged; and Received, whose message has a `group_event`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bimip.client.arguments import checked_text
from bimip.client.core.kinds.groups import KnownGroup, groups_of
from bimip.client.errors import InvalidArgument
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Conversation, ConversationAction, Member


@dataclass(frozen=True, slots=True)
class GroupMember:
    eid: str
    role: str  # owner, admin or member
    history_from: int  # the conversation offset at which their history begins
    joined: int  # milliseconds; 0 in a conversation of two


@dataclass(frozen=True, slots=True)
class GroupInfo:
    """A conversation as the server has it now. One of two has no title, and both are its members."""

    id: str
    title: str
    role: str  # this user's own
    head: int  # the newest conversation offset
    history_from: int
    members: tuple[GroupMember, ...]


class Groups(Facet):
    """Each change returns when it is on disk; all members' devices are told by an entry, and by GroupChanged.

    Each raises Refused (FORBIDDEN: the role does not allow it; NOT_FOUND: there is no such group, user or member;
    CONFLICT: nothing would change), TimedOut, NotConnected, and InvalidArgument for what is no name. Who was cut before
    the answer may ask again with the same `request_id`, and is answered with the first one's result. Cancelled, it may
    have been done or not: so may they.
    """

    async def create(self, title: str = "", members: Iterable[str] = (), *, request_id: str = "") -> str:
        """Create a group whose owner this user is. Returns its id, which messages name in `to`."""
        asked = Conversation(
            action=ConversationAction.CREATE, title=checked_text("title", title), members=_members(members)
        )
        return (await self._change(asked, request_id)).id

    async def add(self, group: str, *eids: str, request_id: str = "") -> None:
        """Add users to a group. Their history of it begins here. Takes an admin or an owner."""
        await self._change(_about(ConversationAction.INVITE, group, members=_members(eids)), request_id)

    async def remove(self, group: str, eid: str, *, request_id: str = "") -> None:
        """Remove a member, who gets nothing more of the group. Takes an admin, or an owner where that is one too."""
        await self._change(_about(ConversationAction.REMOVE_MEMBER, group, members=_members([eid])), request_id)

    async def leave(self, group: str, *, request_id: str = "") -> None:
        """Leave a group. Where this user was its last owner, another member becomes one."""
        await self._change(_about(ConversationAction.LEAVE, group), request_id)

    async def rename(self, group: str, title: str, *, request_id: str = "") -> None:
        """Give a group another title. Takes an admin or an owner."""
        await self._change(_about(ConversationAction.RENAME, group, title=checked_text("title", title)), request_id)

    async def set_role(self, group: str, eid: str, role: str, *, request_id: str = "") -> None:
        """Give a member another role: owner, admin or member. Takes an owner."""
        members = _members([eid], checked_text("role", role))
        await self._change(_about(ConversationAction.SET_ROLE, group, members=members), request_id)

    async def fetch(self, group: str) -> GroupInfo:
        """Asks for a group, or a conversation of two, with all its members. Cancelling it drops the answer."""
        found: list[GroupMember] = []
        while True:
            asked = _about(ConversationAction.GET, group, after=found[-1].eid if found else "")
            page = await self._connector.request(asked, Conversation)
            found += [GroupMember(one.eid, one.role, one.history_from, one.joined) for one in page.members]
            if page.complete or not page.members:
                return GroupInfo(page.id, page.title, page.role, page.head, page.history_from, tuple(found))

    def known(self) -> dict[str, KnownGroup]:
        """Returns by id the groups that this user is in, as this device was last told, also without a connection."""
        return groups_of(self._device.store)

    async def _change(self, asked: Conversation, request_id: str) -> Conversation:
        drawn = self._environment.new_id()
        asked.request_id = checked_text("request_id", request_id) or drawn
        return await self._connector.request(asked, Conversation)


def _about(
    action: ConversationAction, group: str, *, title: str = "", after: str = "", members: list[Member] | None = None
) -> Conversation:
    return Conversation(action=action, id=checked_text("group", group), title=title, after=after, members=members or [])


def _members(eids: Iterable[str], role: str = "") -> list[Member]:
    if isinstance(eids, str):
        raise InvalidArgument(f"members is a sequence of names, such as ({eids!r},)")
    return [Member(eid=checked_text("members", eid), role=role) for eid in eids]
