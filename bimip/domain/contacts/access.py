"""The questions that everybody asks about two users: whether one has blocked the other, lets them see them, and whom.

Each asks for single records, which the journal keeps in memory, also that there is none. Where one of two has blocked
the other, neither is let see the other, whatever stands between them: a block takes nothing back, and when it is lifted
all is as before.

A record that is damaged tells of a stranger: nobody is shown anything by it, and no message is held back.
"""

from collections.abc import Iterable, Iterator

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Contact, DamagedRecordError, Reader, Roster, Standing, Table

STRANGER = Contact()
"""What a user has of whom they have nothing."""

STANDING_NAMES = {standing: standing.name.lower() if standing else "" for standing in Standing}
"""As they are said on the wire."""

AT_ONCE = 100
"""Records read in one reading."""

# As often as here, an enum's members cost more by their class than as names of the module.
CONTACTS, ROSTERS = Table.CONTACTS, Table.ROSTERS


def contact_of(view: Reader, owner: UserId, peer: UserId) -> Contact:
    """Reads what a user has of another."""
    try:
        found: Contact | None = view.get(CONTACTS, (owner, peer))
    except DamagedRecordError:
        return STRANGER
    return found or STRANGER


def blocks(view: Reader, owner: UserId, other: UserId) -> bool:
    """Whether a user has blocked another. Of who blocks nobody, as most, one record is read."""
    try:
        roster: Roster | None = view.get(ROSTERS, (owner,))
    except DamagedRecordError:
        return contact_of(view, owner, other).blocked
    return roster is not None and roster.blocked > 0 and contact_of(view, owner, other).blocked


def blocked_among(view: Reader, owner: UserId, others: Iterable[UserId]) -> set[UserId]:
    """Finds those of some users whom a user has blocked."""
    return {other for other in others if blocks(view, owner, other)}


def lets_see(view: Reader, owner: UserId, viewer: UserId) -> bool:
    """Whether a user lets another see them: they accepted them, and neither has blocked the other. Everybody sees
    themselves.
    """
    if owner == viewer:
        return True
    contact = contact_of(view, owner, viewer)
    return contact.grants and not contact.blocked and not blocks(view, viewer, owner)


def accepted_by(view: Reader, owner: UserId, limit: int) -> list[UserId]:
    """Lists whom a user has accepted and does not block, in ascending order, at most `limit`. Among them may be some
    who have blocked the user, and whom `lets_see` leaves out: what the user is told must not tell them apart.
    """
    return _first(limit, (peer for peer, one in _behind(view, owner, 0) if one.grants and not one.blocked))


def viewers_of(view: Reader, owner: UserId, after: int, limit: int) -> list[UserId]:
    """Lists whom a user lets see them, behind one of them (0: from the first), in ascending order, at most `limit`.
    Fewer: there are no more.
    """
    return _first(limit, (peer for peer, one in _open(view, owner, after) if one.grants))


def seen_by(view: Reader, viewer: UserId, after: int, limit: int) -> list[UserId]:
    """Lists whom a user is let see, as `viewers_of` does."""
    return _first(limit, (peer for peer, one in _open(view, viewer, after) if one.granted))


def _open(view: Reader, user: UserId, after: int) -> Iterator[tuple[UserId, Contact]]:
    """Reads what a user has of others, but for whom they have blocked, or who have blocked them."""
    for peer, contact in _behind(view, user, after):
        if not contact.blocked and not blocks(view, peer, user):
            yield peer, contact


def _behind(view: Reader, owner: UserId, after: int) -> Iterator[tuple[UserId, Contact]]:
    """Reads all that a user has of others, behind one of them. Of who has nobody one record is read: logins ask."""
    if not _has_anybody(view, owner):
        return
    while found := view.scan(CONTACTS, (owner, after + 1), (owner + 1,), limit=AT_ONCE):
        yield from ((peer, contact) for (_, peer), contact in found)
        after = found[-1][0][1]
        if len(found) < AT_ONCE:
            return


def _has_anybody(view: Reader, owner: UserId) -> bool:
    try:
        roster: Roster | None = view.get(ROSTERS, (owner,))
    except DamagedRecordError:
        return True
    return roster is not None and roster.contacts > 0


def _first(limit: int, users: Iterator[UserId]) -> list[UserId]:
    return [user for _, user in zip(range(limit), users, strict=False)]
