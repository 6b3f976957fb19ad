"""Users' names, and tokens that count no more."""

from collections.abc import Mapping
from typing import NamedTuple

from bimip.domain.accounts.barring import DISABLED, ISSUED, MARK, OF_DEVICE, Bar, bar_of
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Table, User
from bimip.domain.core.schema import behind
from bimip.storage.interface import Store

MAX_REMEMBERED = 4096
MAX_BARS = 1000
"""Looked at of one user: those of all devices come before those of single ones."""


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


def read_bar(store: Store, user: UserId, claims: Claims) -> Bar | None:
    """Reads what bars a token of a user; None: it counts."""
    with store.snapshot() as view:
        if view.get(Table.EIDS, (user,)) == "":
            return Bar.ERASED
        return bar_of(view, user, claims)


def read_bar_of(store: Store, claims: Claims) -> Bar | None:
    """Reads what bars a token of a user who may not be known yet."""
    with store.snapshot() as view:
        user = view.get(Table.USERS, (claims.eid,))
        return None if user is None else bar_of(view, user.number, claims)


class Bars(NamedTuple):
    """A user's bars of tokens, each since when; 0: there is none."""

    disabled: Millis
    issued: Millis
    """Of all devices those that were issued until then."""
    of_devices: Mapping[str, Millis]


def read_bars(store: Store, eid: str) -> Bars | None:
    """Reads what bars many tokens of a user; None: there is no such user."""
    with store.snapshot() as view:
        user: User | None = view.get(Table.USERS, (eid,))
        if user is None:
            return None
        found = view.scan(Table.REVOKED, (user.number, MARK), (user.number, f"{MARK}\uffff"), limit=MAX_BARS)
    bars = {key: at for (_, key), at in found}
    devices = {key.removeprefix(OF_DEVICE): at for key, at in bars.items() if key.startswith(OF_DEVICE)}
    return Bars(bars.get(DISABLED, Millis(0)), bars.get(ISSUED, Millis(0)), devices)


def list_users(store: Store, after: str, limit: int) -> list[Mapping[str, object]]:
    """Lists users behind a name, in the order of their names as bytes, as JSON has them: since when they are known,
    and whether they are disabled, since when.
    """
    with store.snapshot() as view:
        start = behind((after,)) if after else ()
        found: list[tuple[tuple[str], User]] = view.scan(Table.USERS, start, Table.USERS.schema.end, limit=limit)
        return [
            {"eid": eid, "created": user.created, "disabled": view.get(Table.REVOKED, (user.number, DISABLED)) or 0}
            for (eid,), user in found
        ]
