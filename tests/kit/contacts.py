"""Stores in which users are each other's contacts already."""

from collections import Counter
from collections.abc import Iterable

from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Changes, Contact, Roster, Standing, Table, User
from bimip.storage.interface import Store
from bimip.storage.memory import MemoryStore

FRIEND = Contact(standing=Standing.ACCEPTED, grants=True, granted=True)


def with_contacts(*pairs: tuple[str, str]) -> MemoryStore:
    """A store in which the two of each pair see each other."""
    kept = MemoryStore()
    put_contacts(kept, pairs)
    return kept


def put_contacts(store: Store, pairs: Iterable[tuple[str, str]]) -> None:
    """Writes users, numbered as they are named first, and that the two of each pair see each other."""
    pairs = list(pairs)
    numbers = {
        eid: UserId(number) for number, eid in enumerate(dict.fromkeys(eid for pair in pairs for eid in pair), 1)
    }
    contacts = {}
    for one, other in pairs:
        contacts[numbers[one], numbers[other]] = contacts[numbers[other], numbers[one]] = FRIEND
    counts = Counter(owner for owner, _ in contacts)
    store.begin()
    store.apply(
        Changes(
            puts={
                Table.META: {("users",): len(numbers)},
                Table.USERS: {(eid,): User(number, Millis(0)) for eid, number in numbers.items()},
                Table.EIDS: {(number,): eid for eid, number in numbers.items()},
                Table.CONTACTS: dict(contacts),
                Table.ROSTERS: {(owner,): Roster(contacts=count) for owner, count in counts.items()},
            }
        )
    )
    store.commit()
