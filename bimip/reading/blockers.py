"""Who has blocked a user, of those with whom they wrote last: the user is not told, and an operator who looks why what
they write reaches nobody is.
"""

from typing import Final

from bimip.domain.contacts.access import blocks
from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Conversation, DamagedRecordError, Reader, Table
from bimip.storage.interface import Store

NEWEST: Final = (1 << 64) - 1
"""Beyond all stamps."""
MOST: Final = 100
"""Conversations that are looked at, the newest first."""


def read_blockers(store: Store, user: UserId) -> list[str]:
    """Reads the names of those who have blocked a user, the one with whom they wrote last first."""
    with store.snapshot() as view:
        found = view.scan(Table.RECENT, (user, 0), (user, NEWEST), limit=MOST, reverse=True)
        peers = [peer for _, number in found for peer in _peers(view, user, number)]
        eids = [view.get(Table.EIDS, (peer,)) for peer in peers if blocks(view, peer, user)]
    return [eid for eid in eids if eid is not None]


def _peers(view: Reader, user: UserId, number: int) -> list[UserId]:
    """Lists the other one of a direct conversation; nobody, of a group or what is damaged."""
    try:
        known: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
    except DamagedRecordError:
        return []
    return [] if known is None else [one for one in known.members if one != user]
