import pytest

from bimip.concurrency import Timers
from bimip.domain.identity import Claims
from bimip.domain.ids import Millis, UserId
from bimip.journal.queue import OperationQueue
from bimip.reading.people import Eids
from bimip.storage.memory import MemoryStore
from bimip.users.services import MAX_REMEMBERED, PoisonEntries, Services
from bimip.wire.limits import Limits


def no_token(_token: str) -> Claims:
    raise AssertionError


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
        eids=Eids(store),
    )


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
