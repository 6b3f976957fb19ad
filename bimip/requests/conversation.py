"""Conversation: groups are created, and their members, title and roles changed; and a conversation is looked at."""

from collections.abc import Callable
from functools import partial
from hashlib import blake2b

from bimip.domain.conversations.groups import (
    AddMembers,
    CreateGroup,
    GroupChanged,
    GroupOperation,
    RemoveMember,
    RenameGroup,
    SetRole,
)
from bimip.domain.conversations.membership import ROLE_NAMES
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.operations import Barrier, Refused, Result
from bimip.domain.core.records import DIGEST_BYTES, Role
from bimip.names import conversation_id, conversation_number, is_printable
from bimip.reading.groups import MembersPage, find_feed, reach_of, read_members
from bimip.requests.asker import Asker
from bimip.requests.message import LOGS_FOR_A_REQUEST, NAMES_FOR_A_REQUEST
from bimip.requests.refusals import error_of, no_conversation
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.checks import check_eid, check_id, check_length
from bimip.wire.errors import WireError
from bimip.wire.limits import Limits

ROLES = {name: role for role, name in ROLE_NAMES.items() if role}


def ask(asker: Asker, payload: pb.Conversation, ref: int) -> None:
    if payload.request_id:
        check_id(payload.request_id, "request_id", asker.services.limits)
    try:
        _ask(asker, payload, ref)
    except WireError as error:
        error.id = payload.request_id
        raise


def _ask(asker: Asker, payload: pb.Conversation, ref: int) -> None:
    if payload.action == pb.Conversation.GET:
        _get(asker, payload, ref)
        return
    make = ACTIONS.get(payload.action)
    if make is None:
        raise _no_action(payload.action)
    request_id = payload.request_id or asker.services.new_id()
    operation = make(asker, payload, request_id)
    asker.weigh(len(payload.members) // NAMES_FOR_A_REQUEST)
    reached = reach_of(asker.services.store, asker.user, payload.id) + len(payload.members)
    asker.weigh(reached // LOGS_FOR_A_REQUEST)
    asker.services.queue.submit(operation, partial(_changed, asker, payload.action, request_id, ref), owner=asker.user)


def _no_action(action: int) -> WireError:
    if action == pb.Conversation.JOIN:
        sentence = "Nobody joins a group by themselves here: one of its members adds them, with INVITE."
        return WireError(pb.UNSUPPORTED, sentence, field="action")
    return WireError(pb.INVALID, f"There is no action {action}: 1 is CREATE, 8 is GET.", field="action")


def _create(asker: Asker, payload: pb.Conversation, request_id: str) -> GroupOperation:
    eids = _named(payload, asker.services.limits)
    title = _title(payload, asker.services.limits)
    return CreateGroup(asker.user, asker.number, request_id, _digest(payload), title, eids)


def _invite(asker: Asker, payload: pb.Conversation, request_id: str) -> GroupOperation:
    number, eids = _group(asker, payload), _named(payload, asker.services.limits)
    if not eids:
        raise WireError(pb.INVALID, "Nobody is added: name users in members.", field="members")
    return AddMembers(asker.user, asker.number, request_id, _digest(payload), number, eids)


def _leave(asker: Asker, payload: pb.Conversation, request_id: str) -> GroupOperation:
    number = _group(asker, payload)
    return RemoveMember(asker.user, asker.number, request_id, _digest(payload), number, asker.eid)


def _remove(asker: Asker, payload: pb.Conversation, request_id: str) -> GroupOperation:
    number, member = _group(asker, payload), _one_named(payload, asker.services.limits)
    return RemoveMember(asker.user, asker.number, request_id, _digest(payload), number, member.eid)


def _rename(asker: Asker, payload: pb.Conversation, request_id: str) -> GroupOperation:
    number, title = _group(asker, payload), _title(payload, asker.services.limits)
    return RenameGroup(asker.user, asker.number, request_id, _digest(payload), number, title)


def _set_role(asker: Asker, payload: pb.Conversation, request_id: str) -> GroupOperation:
    number, member = _group(asker, payload), _one_named(payload, asker.services.limits)
    role = ROLES.get(member.role)
    if role is None:
        raise WireError(pb.INVALID, "role is owner, admin or member.", field="members.role")
    return SetRole(asker.user, asker.number, request_id, _digest(payload), number, member.eid, role)


ACTIONS: dict[int, Callable[[Asker, pb.Conversation, str], GroupOperation]] = {
    pb.Conversation.CREATE: _create,
    pb.Conversation.INVITE: _invite,
    pb.Conversation.LEAVE: _leave,
    pb.Conversation.REMOVE_MEMBER: _remove,
    pb.Conversation.RENAME: _rename,
    pb.Conversation.SET_ROLE: _set_role,
}
"""What changes something. Each raises WireError, which is the answer."""


def _group(asker: Asker, payload: pb.Conversation) -> ConversationId:
    check_id(payload.id, "id", asker.services.limits)
    number = conversation_number(payload.id)
    if number is None:
        raise no_conversation(payload.id, "id")
    return ConversationId(number)


def _named(payload: pb.Conversation, limits: Limits) -> tuple[str, ...]:
    """The eids of those who are named to become members, each once."""
    most = limits.max_group_members
    if len(payload.members) > most:
        raise WireError(pb.TOO_LARGE, f"A group has at most {most} members: name fewer.", field="members")
    for member in payload.members:
        member.eid = check_eid(member.eid, "members.eid", limits)
        if member.role not in {"", ROLE_NAMES[Role.MEMBER]}:
            sentence = "Whoever is added begins as a member: leave role away, and use SET_ROLE."
            raise WireError(pb.INVALID, sentence, field="members.role")
    return tuple(dict.fromkeys(member.eid for member in payload.members))


def _one_named(payload: pb.Conversation, limits: Limits) -> pb.Member:
    if len(payload.members) != 1:
        raise WireError(pb.INVALID, "Name one user in members.", field="members")
    member = payload.members[0]
    member.eid = check_eid(member.eid, "members.eid", limits)
    return member


def _title(payload: pb.Conversation, limits: Limits) -> str:
    """The title, which may be empty. The invisible joiners are allowed: of words and pictographs, not of names."""
    title, most = payload.title, limits.max_title_bytes
    check_length(len(title), "title", most)
    check_length(len(title.encode()), "title", most)
    if not is_printable(title.replace("\u200c", "").replace("\u200d", "")):
        raise WireError(pb.INVALID, "title holds unprintable characters: leave them out.", field="title")
    return title


def _digest(payload: pb.Conversation) -> bytes:
    """Tells apart two requests with one id: by what they ask for, in its normal form."""
    said = pb.Conversation(action=payload.action, id=payload.id, title=payload.title, members=payload.members)
    return blake2b(said.SerializeToString(deterministic=True), digest_size=DIGEST_BYTES).digest()


def _changed(asker: Asker, action: int, request_id: str, ref: int, result: Result) -> None:
    if isinstance(result, Refused):
        asker.answer_error(error_of(result, ref, request_id))
        return
    assert isinstance(result, GroupChanged)
    answer = pb.Conversation(
        id=conversation_id(result.conversation),
        request_id=result.id,
        conversation_offset=result.conversation_offset,
        duplicate=result.duplicate,
    )
    answer.action = action  # type: ignore[assignment]  # the stub knows names of enums, not their numbers
    asker.answer_alone(codec.encode(answer, ref))


def _get(asker: Asker, payload: pb.Conversation, ref: int) -> None:
    """Looks when everything that the device sent before is decided."""
    services, limits = asker.services, asker.services.limits
    number = None if payload.feed else _group(asker, payload)
    if payload.feed:
        _check_feed(payload, limits)
    after = check_eid(payload.after, "after", limits) if payload.after else ""
    limit = min(payload.limit or limits.max_fetch, limits.max_fetch)

    def decided(result: Result) -> None:
        if isinstance(result, Refused):
            asker.answer_error(error_of(result, ref, payload.request_id))
            return
        named = find_feed(services.store, payload.peer) if number is None else number
        page = read_members(services.store, asker.user, named, after, limit)
        if page is None:
            asker.fail(_not_there(payload), ref)
        else:
            asker.rates.charge(len(page.members) / NAMES_FOR_A_REQUEST, asker.heard_at)
            asker.answer_alone(codec.encode(_shown(payload, named, page), ref))

    services.queue.submit(Barrier(), decided, owner=asker.user)


def _check_feed(payload: pb.Conversation, limits: Limits) -> None:
    """Checks what asks for a feed by whose it is."""
    if payload.id:
        sentence = "A feed is asked for by its id, or with feed and peer: give one of them."
        raise WireError(pb.INVALID, sentence, field="id")
    payload.peer = check_eid(payload.peer, "peer", limits)


def _not_there(payload: pb.Conversation) -> WireError:
    if payload.feed:
        sentence = "there is no feed of theirs for you: they let you see none, or never wrote one"
        return WireError(pb.NOT_FOUND, sentence, field="peer", id=payload.request_id)
    return WireError(pb.NOT_FOUND, "you are in no such conversation", field="id", id=payload.request_id)


def _shown(payload: pb.Conversation, number: ConversationId, page: MembersPage) -> pb.Conversation:
    membership = page.membership
    answer = pb.Conversation(
        action=pb.Conversation.GET,
        id=conversation_id(number),
        request_id=payload.request_id,
        title=page.title,
        head=membership.conversation.head,
        member_count=page.size,
        role=ROLE_NAMES[membership.role],
        history_from=membership.since,
        complete=page.complete,
        feed=bool(page.feed_of),
        peer=page.feed_of,
    )
    for eid, role, since, joined in page.members:
        answer.members.add(eid=eid, role=ROLE_NAMES[role], history_from=since, joined=joined)
    return answer
