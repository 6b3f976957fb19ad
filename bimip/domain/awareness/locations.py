"""Sharing of locations: with one contact, or with whoever is in a conversation, until a time.

A share is durable; where somebody is never is. It ends at its time, by its user's word, or with their membership.
LOCATION_ENDS has the shares in the order in which they end.
"""

from typing import NamedTuple

from bimip.domain.contacts.access import contact_of
from bimip.domain.conversations.membership import is_feed, members_of, membership_of
from bimip.domain.core.decision import Decision, Writes
from bimip.domain.core.ids import ConversationId, Millis, UserId, Version
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import LocationShare, Reader, Table, User
from bimip.domain.core.rules import Context
from bimip.domain.state.changes import StateChanges
from bimip.domain.state.location_shares import OtherEnd, With, pack_key, read_share

MAX_SHARES = 32
"""Of one user."""

SHARES, ENDS = Table.LOCATION_SHARES, Table.LOCATION_ENDS


class Position(NamedTuple):
    """Somebody is there. It is on no disk."""

    latitude: float  # degrees, as below
    longitude: float
    altitude: float  # metres, as below
    accuracy: float
    time: Millis  # when it was measured


class ShareLocation(NamedTuple):
    """A user shares where they are, or does so no more."""

    user: UserId
    peer: str  # eid, where no conversation is named
    conversation: ConversationId | None
    expires_at: Millis  # 0: they do so no more


class LocationShared(NamedTuple):
    """How that stands now."""

    other: OtherEnd
    share: LocationShare | None
    version: Version  # of the user's state, since when it stands so


class EndLocationShare(NamedTuple):
    """A share's time is over."""

    expires_at: Millis
    user: UserId
    other: OtherEnd


def share_location(view: Reader, op: ShareLocation, context: Context) -> Decision:
    other = _other_end(view, op)
    if isinstance(other, Refused):
        return Decision(other)
    known = read_share(view, op.user, other)
    if op.expires_at == (0 if known is None else known.expires_at):
        version: Version | None = view.get(Table.VERSIONS, (op.user, pack_key(other)))
        return Decision(LocationShared(other, known, version or Version(0)))
    if not op.expires_at:
        return _end(view, op.user, other, known, context)
    if known is None and len(shares_of(view, op.user)) >= MAX_SHARES:
        sentence = f"you share where you are with {MAX_SHARES} others already: end one of these shares"
        return Decision(Refused(Fault.CONFLICT, sentence, "enabled"))
    share = LocationShare(op.expires_at, context.now)
    changes = StateChanges(view)
    version = changes.tell(op.user, pack_key(other), share)
    ends = {(op.expires_at, op.user, *other): context.now}
    if known is not None:
        ends[known.expires_at, op.user, *other] = None  # type: ignore[assignment]
    changes.values |= {SHARES: {(op.user, *other): share}, ENDS: dict(ends)}
    return Decision(LocationShared(other, share, version), Writes(changes.puts()), changes.news, needs_room=True)


def _other_end(view: Reader, op: ShareLocation) -> OtherEnd | Refused:
    """Finds with whom it is shared. Who is no contact, and who is none here, are answered alike."""
    if op.conversation is not None:
        found = membership_of(view, op.user, op.conversation)
        if op.expires_at and (found is None or is_feed(found.conversation)):
            return Refused(Fault.NOT_FOUND, "you are in no such conversation", "conversation")
        return OtherEnd(With.CONVERSATION, op.conversation)
    user: User | None = view.get(Table.USERS, (op.peer,))
    number = UserId(0) if user is None else user.number
    if op.expires_at and not contact_of(view, op.user, number).grants:
        sentence = f"{op.peer!r} is no contact whom you let see you: accept them before you show them where you are"
        return Refused(Fault.FORBIDDEN, sentence, "to.eid")
    return OtherEnd(With.USER, number)


def end_location_share(view: Reader, op: EndLocationShare, context: Context) -> Decision:
    known = read_share(view, op.user, op.other)
    if known is not None and known.expires_at == op.expires_at:
        return _end(view, op.user, op.other, known, context)._replace(result=Done())
    row = (op.expires_at, op.user, *op.other)
    return Decision(Done(), Writes(((ENDS, {row: None}),)))


def _end(view: Reader, user: UserId, other: OtherEnd, known: LocationShare | None, context: Context) -> Decision:
    changes = StateChanges(view)
    version = changes.remove(user, pack_key(other), context.now)
    changes.values[SHARES] = {(user, *other): None}
    if known is not None:
        changes.values[ENDS] = {(known.expires_at, user, *other): None}
    return Decision(LocationShared(other, None, version), Writes(changes.puts()), changes.news)


def first_end(view: Reader) -> EndLocationShare | None:
    """Finds the share that ends next; None: there is none."""
    found = view.scan(ENDS, (), ENDS.schema.end, limit=1)
    if not found:
        return None
    expires_at, user, kind, number = found[0][0]
    return EndLocationShare(expires_at, user, OtherEnd(With(kind), number))


def shares_of(view: Reader, user: UserId) -> list[tuple[OtherEnd, LocationShare]]:
    """Lists with whom a user shares where they are."""
    found = view.scan(SHARES, (user,), (user + 1,), limit=MAX_SHARES)
    return [(OtherEnd(With(kind), number), share) for (_, kind, number), share in found]


def reached_by(view: Reader, user: UserId, other: OtherEnd) -> tuple[UserId, ...]:
    """Lists who is shown where a user is by one of their shares, as long as these are in the conversation."""
    if other.kind is With.USER:
        return (UserId(other.number),)
    members = members_of(view, ConversationId(other.number))
    return tuple(member for member in members if member != user) if user in members else ()


def reaches(view: Reader, user: UserId, other: OtherEnd, viewer: UserId) -> bool:
    """Whether a share of a user shows somebody where they are: who is no contact any more is shown nothing."""
    if other.kind is With.USER:
        return other.number == viewer and contact_of(view, user, viewer).grants
    number = ConversationId(other.number)
    return membership_of(view, user, number) is not None and membership_of(view, viewer, number) is not None


OPERATIONS: dict[type, OperationKind] = {
    ShareLocation: OperationKind(share_location),
    EndLocationShare: OperationKind(end_location_share),
}
