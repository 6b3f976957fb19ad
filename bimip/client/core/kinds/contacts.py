"""Whom this user knows, as the server has it: its newest word counts."""

from typing import Any

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import ContactChanged, KnownContact
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Contact

Versioned = tuple[int, KnownContact]
"""With the version of this user's state, since when it stands so."""


class ContactsKind(Kind[Contact, Versioned]):
    field = "contact"

    def key(self, item: Contact) -> StateKey | None:
        return (item.eid,)

    def value(self, item: Contact) -> Versioned:
        return item.version, contact_told(item)

    def merge(self, known: Versioned, arrived: Versioned) -> Versioned:
        return max(known, arrived)

    def event(self, key: StateKey, before: Versioned | None, now: Versioned | None) -> ContactChanged | None:
        if before is not None and now is not None and before[1] == now[1]:
            return None
        return ContactChanged(str(key[0]), KnownContact() if now is None else now[1], is_gone=now is None)

    def load(self, stored: Any) -> Versioned:  # noqa: ANN401 - as in Kind
        version, contact = stored
        return int(version), KnownContact(*contact)


CONTACTS = ContactsKind()


def contact_told(told: Contact) -> KnownContact:
    return KnownContact(told.state, told.sees_you, told.seen, told.blocked, told.name, told.mutual, told.id, told.time)


def contacts_of(store: Store) -> dict[str, KnownContact]:
    """Returns by eid whom this user knows."""
    return {str(eid): contact for (eid,), (_, contact) in sorted(Table(store, CONTACTS).under(()))}
