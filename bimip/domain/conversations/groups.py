"""Groups: they are created, members come and go, their title and the members' roles change.

Each change is one entry, a message without a payload that says what happened (`GroupEvent`), in the logs of all whom it
concerns, those who leave among them, and in the group's history. Who joins begins there, who goes ends there: both are
in the same decision as the entry, so no message of the group stands between them.

Whoever has blocked who adds them is only *named* a member. To all others it looks as if they were in the group and
away: they are listed, and what is said to the group is answered as ever. For them there is no group: nothing of it
reaches their logs or their state. So it stays, also when the block is lifted, until they are removed and somebody whom
they do not block adds them. Rejected: to refuse to add them, or to leave them out, since the one as the other tells who
added them that they are blocked; and to have them leave at once, which nobody does who is away.

An event is deduplicated as messages are, by the device and the id that it chose: asked again, the first answer is
given again. What would change nothing is refused, so that nothing that was answered can have an effect later.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from functools import wraps
from typing import Any, NamedTuple

from bimip.domain.accounts.registering import allocate, register_users
from bimip.domain.contacts.access import blocks
from bimip.domain.conversations.inbox import come_on_top
from bimip.domain.conversations.membership import Membership, group_of, membership_of, no_conversation
from bimip.domain.core.decision import BodyNews, Decision, LogNews, Put, Writes
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import (
    DIGEST_BYTES,
    NEVER,
    Conversation,
    Entry,
    Group,
    HistoryEntry,
    LogTable,
    Member,
    Reader,
    Role,
    SentRecord,
    Table,
    User,
)
from bimip.domain.core.rules import Context
from bimip.domain.messages.appending import EMPTY_LOG, NOBODY, no_user, other_content, over_quota
from bimip.domain.messages.fan_out import fan_out
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.groups import listed, pack_key, roles_of, state_for

PARTITION = "chat"
"""Where events stand: the one partition that every server has."""

START = ConversationOffset(1)


class EventKind(IntEnum):
    """Numbers as GroupEvent.Kind on the wire."""

    CREATED = 1
    ADDED = 2
    LEFT = 3
    REMOVED = 4
    RENAMED = 5
    ROLE_CHANGED = 6


class GroupEvent(NamedTuple):
    """An event in a group, as its members read it."""

    kind: EventKind
    members: tuple[str, ...] = ()  # eids of those whom it happened to
    title: str = ""  # CREATED, RENAMED
    role: Role = Role.NONE  # ROLE_CHANGED
    owner: str = ""  # who became owner because the last one went


class CreateGroup(NamedTuple):
    """A user creates a group, and is its owner."""

    user: UserId
    device: DeviceId
    id: str
    digest: bytes  # of all that it says
    title: str
    eids: tuple[str, ...]  # who are members from the beginning


class AddMembers(NamedTuple):
    user: UserId
    device: DeviceId
    id: str
    digest: bytes
    conversation: ConversationId
    eids: tuple[str, ...]


class RemoveMember(NamedTuple):
    """A member is removed, or, where they name themselves, leaves."""

    user: UserId
    device: DeviceId
    id: str
    digest: bytes
    conversation: ConversationId
    eid: str


class RenameGroup(NamedTuple):
    user: UserId
    device: DeviceId
    id: str
    digest: bytes
    conversation: ConversationId
    title: str


class SetRole(NamedTuple):
    user: UserId
    device: DeviceId
    id: str
    digest: bytes
    conversation: ConversationId
    eid: str
    role: Role


class GroupChanged(NamedTuple):
    """The answer to each of them."""

    id: str
    conversation: ConversationId
    conversation_offset: ConversationOffset  # where the event stands
    duplicate: bool


GroupOperation = CreateGroup | AddMembers | RemoveMember | RenameGroup | SetRole

RIGHTS: Mapping[Role, frozenset[type]] = {
    Role.OWNER: frozenset({AddMembers, RemoveMember, RenameGroup, SetRole}),
    Role.ADMIN: frozenset({AddMembers, RemoveMember, RenameGroup}),
    Role.MEMBER: frozenset(),
}
"""Who may do what. Everybody may leave; an owner may remove everybody, and others those of a lower role."""


class _Change(NamedTuple):
    """A request's effect on a group."""

    number: ConversationId
    conversation: Conversation  # before
    group: Group  # after
    records: Mapping[UserId, Member]  # that change
    event: GroupEvent
    concerned: Sequence[UserId]  # whose logs the event stands in
    told: Iterable[UserId]  # for whom the group looks different


def _deciding(plan: Callable[[Reader, Any, Context, list[Put]], _Change | Refused]) -> Callable[..., Decision]:
    """Makes the rule of an operation from the plan of what it comes to."""

    @wraps(plan)
    def decide(view: Reader, op: GroupOperation, context: Context) -> Decision:
        seen: SentRecord | None = view.get(Table.SEEN, (op.device, op.id))
        if seen is not None and seen.digest != op.digest:
            return Decision(other_content())
        if seen is not None:
            return Decision(GroupChanged(op.id, seen.conversation, seen.conversation_offset, duplicate=True))
        puts: list[Put] = []
        change = plan(view, op, context, puts)
        return Decision(change) if isinstance(change, Refused) else _enact(view, op, context, change, puts)

    return decide


def _enact(view: Reader, op: GroupOperation, context: Context, change: _Change, puts: list[Put]) -> Decision:
    """Makes a change for who asked for it: noted under their id, and counted among what they have stored."""
    most = context.rules.max_stored_bytes
    body, decision = _happen(view, op.user, op.id, op.digest, context, change)
    stored: int = (view.get(Table.USAGE, (op.user,)) or 0) + len(body)
    if 0 < most < stored and not isinstance(op, RemoveMember):  # whoever has no room can go all the same
        return Decision(over_quota(most))
    entries = next(told for told in decision.news if isinstance(told, LogNews) and told.user == op.user)
    entry = entries.entries[0]
    seen = SentRecord(op.digest, entry.stamp, PARTITION, entries.first, entry.conversation, entry.conversation_offset)
    puts += [(Table.SEEN, {(op.device, op.id): seen}), (Table.USAGE, {(op.user,): stored})]
    return decision._replace(writes=decision.writes._replace(puts=[*decision.writes.puts, *puts]))


def _happen(
    view: Reader, user: UserId, event_id: str, digest: bytes, context: Context, change: _Change
) -> tuple[bytes, Decision]:
    """Writes the event to all logs concerned, and tells those for whom the group looks different. With its stored
    form.
    """
    number, conversation, group, records, event, concerned, told = change
    place, stamp = ConversationOffset(conversation.head + 1), context.stamp()
    eid: str = view.get(Table.EIDS, (user,)) or ""  # of who is being erased nothing is said
    written = context.rules.bodies.encode_event(event_id, eid, number, event, digest)
    bodies = context.rules.bodies.encode([written], [stamp], context.now, number, place)
    entry = Entry(stamp, number, place, user, NOBODY, addressed=False, digest=digest)
    logs = [(one, view.get(Table.LOGS, (one, PARTITION)) or EMPTY_LOG) for one in concerned]
    heads, appends, news = fan_out(PARTITION, logs, [entry], bodies)
    appends.append((LogTable.HISTORY, (number,), [(place, HistoryEntry(stamp, user, NOBODY, addressed=False))]))
    changes = StateChanges(view)
    group = group._replace(changed=place)
    members = {**roles_of(view, number, group), **records}
    shown = listed(group, members)
    for one in told:
        if members[one].role:
            changes.tell(one, pack_key(number), state_for(group, members[one], shown))
        else:
            changes.remove(one, pack_key(number), context.now)
    puts: list[Put] = [
        (Table.CONVERSATIONS, {(number,): conversation._replace(head=place)}),
        (Table.GROUPS, {(number,): group}),
        (Table.MEMBERS, {(number, one): record for one, record in records.items()}),
        (Table.BODIES, {(stamp,): bodies[0]}),
        (Table.LOGS, heads),
        (Table.REFERENCES, {(stamp,): len(heads)} if heads and PARTITION in context.rules.until_acked else {}),
        *changes.puts(),
    ]
    come_on_top(view, puts, news, number, stamp)
    result = GroupChanged(event_id, number, place, duplicate=False)
    writes = Writes([put for put in puts if put[1]], appends)
    # Who goes is told nothing more of the messages, also not that one was deleted: what is in memory is not to be sent.
    gone = [BodyNews(one) for one, record in records.items() if not record.role]
    return bodies[0], Decision(result, writes, [*news, *gone, *changes.news], needs_room=True)


@_deciding
def create_group(view: Reader, op: CreateGroup, context: Context, puts: list[Put]) -> _Change | Refused:
    users = _users(view, op.eids, context, puts)
    if isinstance(users, Refused):
        return users
    roles = {**dict.fromkeys(users, Role.MEMBER), op.user: Role.OWNER}
    if len(roles) > context.rules.max_group_members:
        return _too_many(context)
    number = ConversationId(allocate(view, "conversations", puts))
    named = {user for user in users if user != op.user and blocks(view, user, op.user)}
    group = Group(op.title, tuple(sorted(roles.keys() - named)), START, tuple(sorted(named)))
    records = {user: _joining(role, START, context, is_named=user in named) for user, role in roles.items()}
    event = GroupEvent(
        EventKind.CREATED, tuple(eid for eid, one in zip(op.eids, users, strict=True) if one != op.user), op.title
    )
    conversation = Conversation(START, ConversationOffset(0), ())
    return _Change(number, conversation, group, records, event, group.members, group.members)


@_deciding
def add_members(view: Reader, op: AddMembers, context: Context, puts: list[Put]) -> _Change | Refused:
    found = _allowed(view, op)
    if isinstance(found, Refused):
        return found
    users = _users(view, op.eids, context, puts)
    if isinstance(users, Refused):
        return users
    group = group_of(view, op.conversation)
    known = set(group.everybody)
    new = {user: eid for eid, user in zip(op.eids, users, strict=True) if user not in known}
    if not new:
        return _no_change("they are members already", "members")
    if len(known) + len(new) > context.rules.max_group_members:
        return _too_many(context)
    place = ConversationOffset(found.conversation.head + 1)
    named = {user for user in new if blocks(view, user, op.user)}
    records = {user: _joining(Role.MEMBER, place, context, is_named=user in named) for user in new}
    after = group._replace(
        members=tuple(sorted({*group.members, *new} - named)), named=tuple(sorted({*group.named, *named}))
    )
    event = GroupEvent(EventKind.ADDED, tuple(new.values()))
    return _Change(op.conversation, found.conversation, after, records, event, after.members, after.members)


def _joining(role: Role, place: ConversationOffset, context: Context, *, is_named: bool) -> Member:
    """Makes the record of who is a member from a place on, or is only named so."""
    since, upto = (NEVER, place) if is_named else (place, ConversationOffset(0))
    return Member(role, since, upto, context.now)


@_deciding
def remove_member(view: Reader, op: RemoveMember, context: Context, _puts: list[Put]) -> _Change | Refused:
    found = _in_group(view, op)
    if isinstance(found, Refused):
        return found
    target = _member_named(view, op.conversation, op.eid)
    leaves = target is not None and target[0] == op.user
    if not leaves and (refused := _forbidden(found, op)):
        return refused
    if target is None:
        return _no_member(op.eid)
    user, theirs = target
    if not leaves and found.role != Role.OWNER and theirs.role >= found.role:
        return Refused(Fault.FORBIDDEN, f"{op.eid!r} has a role that only an owner may remove", "members")
    kind = EventKind.LEFT if leaves else EventKind.REMOVED
    return _going(view, op.conversation, found.conversation, (user, op.eid, theirs), kind, context)


def _going(
    view: Reader,
    number: ConversationId,
    conversation: Conversation,
    who: tuple[UserId, str, Member],
    kind: EventKind,
    context: Context,
) -> _Change:
    """A member goes: the event is the last that they have of the group. Where no owner is left, somebody becomes it."""
    user, eid, theirs = who
    group = group_of(view, number)
    after = group._replace(
        members=tuple(one for one in group.members if one != user),
        named=tuple(one for one in group.named if one != user),
    )
    place = ConversationOffset(conversation.head + 1)
    records = {user: Member(Role.NONE, theirs.since, place, context.now)}
    heir = _heir(view, number, after) if theirs.role == Role.OWNER else None  # a store may keep the number
    if heir is not None:
        records[heir[0]] = heir[1]._replace(role=Role.OWNER)
    owner = "" if heir is None else view.get(Table.EIDS, (heir[0],))
    event = GroupEvent(kind, (eid,), owner=owner)
    return _Change(number, conversation, after, records, event, group.members, group.members)


class LeaveErased(NamedTuple):
    """A user who is being erased leaves a group. The members read that one of them left, and not who."""

    user: UserId
    conversation: ConversationId


def leave_erased(view: Reader, op: LeaveErased, context: Context) -> Decision:
    known: Conversation | None = view.get(Table.CONVERSATIONS, (op.conversation,))
    theirs: Member | None = view.get(Table.MEMBERS, (op.conversation, op.user))
    is_there = known is not None and theirs is not None and theirs.role and not known.members
    if known is None or theirs is None or not is_there or view.get(Table.ERASING, (op.user,)) is None:
        return Decision(Done())
    change = _going(view, op.conversation, known, (op.user, "", theirs), EventKind.LEFT, context)
    others = change.group.members
    change = change._replace(concerned=others, told=others)
    stamp_id = f"{op.conversation}-{change.conversation.head + 1}"
    return _happen(view, op.user, stamp_id, bytes(DIGEST_BYTES), context, change)[1]._replace(
        result=Done(), needs_room=False
    )


def _heir(view: Reader, number: ConversationId, after: Group) -> tuple[UserId, Member] | None:
    """Finds who becomes owner where the last one goes: of those with the highest role the one who joined first. None:
    there is an owner still, or nobody.
    """
    members = roles_of(view, number, after)
    if any(one.role == Role.OWNER for one in members.values()):
        return None  # who is only named, perhaps: to the others they are an owner who is away
    there = [(user, one) for user, one in members.items() if one.since != NEVER]
    return max(there, key=lambda item: (item[1].role, -item[1].since, -item[0]), default=None)


@_deciding
def rename_group(view: Reader, op: RenameGroup, _context: Context, _puts: list[Put]) -> _Change | Refused:
    found = _allowed(view, op)
    if isinstance(found, Refused):
        return found
    group = group_of(view, op.conversation)
    if group.title == op.title:
        return _no_change("that is its title already", "title")
    after = group._replace(title=op.title)
    event = GroupEvent(EventKind.RENAMED, title=op.title)
    return _Change(op.conversation, found.conversation, after, {}, event, group.members, group.members)


@_deciding
def set_role(view: Reader, op: SetRole, _context: Context, _puts: list[Put]) -> _Change | Refused:
    found = _allowed(view, op)
    if isinstance(found, Refused):
        return found
    target = _member_named(view, op.conversation, op.eid)
    if target is None:
        return _no_member(op.eid)
    user, theirs = target
    if theirs.role == op.role:
        return _no_change(f"{op.eid!r} has that role already", "members")
    group = group_of(view, op.conversation)
    members = roles_of(view, op.conversation, group)
    if theirs.role == Role.OWNER and sum(one.role == Role.OWNER for one in members.values()) == 1:
        return Refused(Fault.CONFLICT, "the group has no other owner; make somebody owner first", "members")
    event = GroupEvent(EventKind.ROLE_CHANGED, (op.eid,), role=op.role)
    records = {user: theirs._replace(role=op.role)}
    told = group.members if listed(group, members) else tuple(one for one in (user,) if one in group.members)
    return _Change(op.conversation, found.conversation, group, records, event, group.members, told)


def _in_group(view: Reader, op: Any) -> Membership | Refused:  # noqa: ANN401 - one that names a group
    found = membership_of(view, op.user, op.conversation)
    if found is None:
        return no_conversation("name a group by the id that its messages carry", "id")
    if found.conversation.members:
        return Refused(
            Fault.INVALID,
            "this is no group, but a conversation of two, or for somebody's friends: create a group",
            "id",
        )
    return found


def _allowed(view: Reader, op: Any) -> Membership | Refused:  # noqa: ANN401 - one that names a group
    found = _in_group(view, op)
    return found if isinstance(found, Refused) else _forbidden(found, op) or found


def _forbidden(found: Membership, op: Any) -> Refused | None:  # noqa: ANN401 - one that names a group
    if type(op) in RIGHTS[found.role]:
        return None
    least = min(role for role, rights in RIGHTS.items() if type(op) in rights)
    sentence = f"your role in this group does not allow it; it takes the role {least.name.lower()}"
    return Refused(Fault.FORBIDDEN, sentence, "action")


def _users(view: Reader, eids: Iterable[str], context: Context, puts: list[Put]) -> list[UserId] | Refused:
    """Reads who is named. Whether they may be added is asked here, as it is of a message's recipient."""
    users: dict[str, User | None] = {eid: view.get(Table.USERS, (eid,)) for eid in eids}
    unknown = [eid for eid, user in users.items() if user is None]
    if unknown and not context.rules.accept_unknown_recipients:
        return no_user(unknown[0], "members")
    if unknown:
        users |= zip(unknown, register_users(view, unknown, context, puts), strict=True)
    return [user.number for user in users.values() if user is not None]


def _member_named(view: Reader, number: ConversationId, eid: str) -> tuple[UserId, Member] | None:
    user: User | None = view.get(Table.USERS, (eid,))
    member: Member | None = None if user is None else view.get(Table.MEMBERS, (number, user.number))
    return None if user is None or member is None or not member.role else (user.number, member)


def _no_member(eid: str) -> Refused:
    return Refused(Fault.NOT_FOUND, f"{eid!r} is no member of this group", "members")


def _no_change(why: str, field: str) -> Refused:
    return Refused(Fault.CONFLICT, f"nothing was changed: {why}", field)


def _too_many(context: Context) -> Refused:
    sentence = f"a group has at most {context.rules.max_group_members} members here; create another"
    return Refused(Fault.CONFLICT, sentence, "members")


OPERATIONS: dict[type, OperationKind] = {
    CreateGroup: OperationKind(create_group),
    AddMembers: OperationKind(add_members),
    RemoveMember: OperationKind(remove_member),
    RenameGroup: OperationKind(rename_group),
    SetRole: OperationKind(set_role),
    LeaveErased: OperationKind(leave_erased),
}
