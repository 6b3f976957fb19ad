"""Users' names are read once; revoked tokens are found by number and by eid."""

from typing import Any

from bimip.domain.accounts.barring import DISABLED, Bar
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.records import Changes, Table, User
from bimip.reading.people import MAX_REMEMBERED, Eids, list_users, read_bar, read_bar_of
from bimip.storage.memory import MemoryStore


class CountedStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def snapshot(self) -> Any:
        self.reads += 1
        return super().snapshot()

    def put(self, table: Table, *pairs: tuple[Any, Any]) -> None:
        self.begin()
        self.apply(Changes(puts={table: {key if isinstance(key, tuple) else (key,): record for key, record in pairs}}))
        self.commit()


def test_names_are_read_once() -> None:
    store = CountedStore()
    store.put(Table.EIDS, (1, "ann"), (2, "bob"))
    eids = Eids(store)

    assert [eids.of(UserId(number)) for number in (1, 2, 1, 2)] == ["ann", "bob", "ann", "bob"]
    assert store.reads == 2


def test_a_number_without_a_name_has_none() -> None:
    assert Eids(MemoryStore()).of(UserId(7)) == ""


def test_how_many_names_are_remembered_is_bounded() -> None:
    store = MemoryStore()
    eids = Eids(store)
    for number in range(MAX_REMEMBERED + 10):
        eids.of(UserId(number))

    assert len(eids._known) <= MAX_REMEMBERED


def test_a_token_is_revoked_of_its_user_alone() -> None:
    store = CountedStore()
    store.put(Table.REVOKED, ((1, "t"), Millis(9)))
    store.put(Table.USERS, ("ann", User(UserId(1), Millis(0))), ("bob", User(UserId(2), Millis(0))))

    found = [read_bar(store, UserId(user), claims("ann", jti)) for user, jti in ((1, "t"), (1, "u"), (2, "t"))]
    assert found == [Bar.REVOKED, None, None]
    assert [read_bar_of(store, claims(eid, "t")) for eid in ("ann", "bob", "nobody")] == [Bar.REVOKED, None, None]


def test_users_are_listed_by_name_some_at_a_time() -> None:
    store = CountedStore()
    for number, eid in enumerate(("cid", "ann", "bob"), 1):
        store.put(Table.USERS, (eid, User(UserId(number), Millis(number))))
    store.put(Table.REVOKED, ((2, DISABLED), Millis(9)), ((3, "t"), Millis(9)))

    first, rest = list_users(store, "", 2), list_users(store, "bob", 2)
    assert first == [{"eid": "ann", "created": 2, "disabled": 9}, {"eid": "bob", "created": 3, "disabled": 0}]
    assert [one["eid"] for one in rest] == ["cid"]


def claims(eid: str, jti: str) -> Claims:
    return Claims(eid, "phone", Millis(10**13), jti)
