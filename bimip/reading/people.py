"""Users' names, and tokens that count no more."""

from bimip.domain.core.ids import UserId
from bimip.domain.core.records import Table
from bimip.storage.interface import Store

MAX_REMEMBERED = 4096


class Eids:
    """The eid of each user's number. Numbers are never used twice, so what was read once stays true, until the user is
    erased.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[UserId, str] = {}

    def of(self, number: UserId) -> str:
        """The user's eid; nothing where the number is nobody's."""
        eid = self._known.get(number)
        if eid is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            with self._store.snapshot() as view:
                eid = self._known[number] = view.get(Table.EIDS, (number,)) or ""
        return eid

    def forget(self, number: UserId) -> None:
        self._known.pop(number, None)


def is_erased(store: Store, user: UserId) -> bool:
    """Whether a user was erased, or is being erased."""
    with store.snapshot() as view:
        eid: str | None = view.get(Table.EIDS, (user,))
    return eid == ""


def is_revoked(store: Store, user: UserId, jti: str) -> bool:
    with store.snapshot() as view:
        return view.get(Table.REVOKED, (user, jti)) is not None


def is_revoked_of(store: Store, eid: str, jti: str) -> bool:
    """Whether the token was revoked of a user who may not be known yet."""
    with store.snapshot() as view:
        user = view.get(Table.USERS, (eid,))
        return user is not None and view.get(Table.REVOKED, (user.number, jti)) is not None
