"""Why a user sees of another what they see: of each thing the rule that decided, with what was set, and since when."""

from typing import NamedTuple

from bimip.domain.contacts.access import contact_of
from bimip.domain.contacts.privacy import WORDS, Seen, setting_of, verdict
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Reader, Table, User
from bimip.domain.state.privacy_exceptions import written_for
from bimip.domain.state.settings import SHOW, VISIBLE, written
from bimip.storage.interface import Store


class Explanation(NamedTuple):
    """One thing of the owner's, whether the viewer sees it, and why."""

    seen: Seen
    allowed: bool
    rule: str
    sentence: str  # what the rule says
    since: Millis  # when what decided was set; 0: it never was


def explain(store: Store, viewer: str, owner: str) -> list[Explanation] | None:
    """Explains all that a user may see of another, both by eid; None: there is no such user. In one snapshot, so that
    it is how things stand at one moment.
    """
    with store.snapshot() as view:
        users: list[User | None] = [view.get(Table.USERS, (eid,)) for eid in (viewer, owner)]
        if None in users:
            return None
        numbers = [user.number for user in users if user is not None]
        return [_explained(view, numbers[0], numbers[1], seen) for seen in Seen]


def _explained(view: Reader, viewer: UserId, owner: UserId, seen: Seen) -> Explanation:
    allowed, rule = verdict(view, viewer, owner, seen)
    return Explanation(seen, allowed, rule, WORDS[rule], _since(view, viewer, owner, rule))


def _since(view: Reader, viewer: UserId, owner: UserId, rule: str) -> Millis:
    """Reads when what a rule goes by was set."""
    if rule in {"blocked", "contact", "no_contact"}:
        return contact_of(view, owner, viewer).since
    if rule == "blocks":
        return contact_of(view, viewer, owner).since
    if rule in {"visible", "invisible"}:
        write = written(view, owner, VISIBLE)
    elif (found := setting_of(rule)) is not None:
        setting, by_exception = found
        user, other = (viewer, owner) if setting is SHOW else (owner, viewer)
        write = written_for(view, user, other, setting) if by_exception else written(view, user, setting)
    else:
        return Millis(0)
    return Millis(0) if write is None or not write.stamp else millis_of(write.stamp)
