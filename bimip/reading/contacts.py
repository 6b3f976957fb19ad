"""A user's contacts, page by page, in the order in which the server numbers users."""

from typing import NamedTuple

from bimip.domain.contacts.roster import version_of
from bimip.domain.core.ids import UserId, Version
from bimip.domain.core.records import Contact, Table, User
from bimip.storage.interface import Store


class KnownContact(NamedTuple):
    peer: UserId
    contact: Contact
    version: Version  # of the owner's state, since when it stands so


class ContactsPage(NamedTuple):
    contacts: list[KnownContact]
    complete: bool  # none is left behind these


def read_contacts(store: Store, owner: UserId, after: str, limit: int) -> ContactsPage | None:
    """Reads contacts behind the one with this eid; empty: from the first. None: there is no such user."""
    with store.snapshot() as view:
        behind: User | None = view.get(Table.USERS, (after,)) if after else None
        if after and behind is None:
            return None
        low = (owner, 0 if behind is None else behind.number + 1)
        found = view.scan(Table.CONTACTS, low, (owner + 1,), limit=limit + 1)
        known = [KnownContact(key[1], contact, version_of(view, owner, key[1])) for key, contact in found[:limit]]
    return ContactsPage(known, len(found) <= limit)
