from typing import Any

import pytest

from bimip.concurrency import Timers
from bimip.domain.identity import Claims
from bimip.domain.ids import Millis, UserId
from bimip.domain.records import Changes, Table
from bimip.storage.memory import MemoryStore
from bimip.storage.queue import OperationQueue
from bimip.users.services import MAX_REMEMBERED, PoisonEntries, Services
from bimip.wire.limits import Limits


def no_token(_token: str) -> Claims:
    raise AssertionError


class CountedStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def snapshot(self) -> Any:
        self.reads += 1
        return super().snapshot()

    def put(self, table: Table, *pairs: tuple[Any, Any]) -> None:
        self.begin()
        self.apply(Changes(puts={table: {(key,): record for key, record in pairs}}))
        self.commit()


def services_on(store: MemoryStore) -> Services:
    return Services(
        store=store,
        queue=OperationQueue(),
        limits=Limits(grace_period_ms=12_500),
        partitions=("chat",),
        wall_clock=lambda: Millis(0),
        verify=no_token,
        new_id=lambda: "id",
        report=lambda _what, _error: None,
        timers=Timers(),
    )


async def test_names_are_read_once() -> None:
    store = CountedStore()
    store.put(Table.EIDS, (1, "ann"), (2, "bob"))
    services = services_on(store)

    assert [services.eid_of(UserId(number)) for number in (1, 2, 1, 2)] == ["ann", "bob", "ann", "bob"]
    assert store.reads == 2


async def test_a_number_without_a_name_has_none() -> None:
    assert services_on(MemoryStore()).eid_of(UserId(7)) == ""


async def test_how_many_names_are_remembered_is_bounded() -> None:
    store = MemoryStore()
    services = services_on(store)
    for number in range(MAX_REMEMBERED + 10):
        services.eid_of(UserId(number))

    assert len(services._eids) <= MAX_REMEMBERED


async def test_the_grace_period_is_told_in_milliseconds_and_kept_in_seconds() -> None:
    assert services_on(MemoryStore()).grace_seconds == pytest.approx(12.5)


def test_an_entry_is_damaged_once_it_crashed_a_fetcher_twice() -> None:
    book = PoisonEntries()
    states = [7 in book.of(UserId(1), "chat")]
    for _ in range(3):
        book.note((UserId(1), "chat", 7))
        states.append(7 in book.of(UserId(1), "chat"))

    assert states == [False, False, True, True]
    assert 7 not in book.of(UserId(2), "chat")
    assert 7 not in book.of(UserId(1), "feed")


def test_the_book_is_bounded_and_forgets_what_crashed_longest_ago() -> None:
    book = PoisonEntries()
    for _ in range(2):
        book.note((UserId(1), "chat", 0))
        book.note((UserId(1), "chat", 1))
    for number in range(2, MAX_REMEMBERED + 1):
        book.note((UserId(1), "chat", number))

    assert len(book._crashes) == MAX_REMEMBERED
    assert 0 not in book.of(UserId(1), "chat")
    assert 1 in book.of(UserId(1), "chat")
