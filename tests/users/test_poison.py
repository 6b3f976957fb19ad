"""An entry is given up once it crashed a fetcher twice, and not for ever."""

from bimip.domain.core.ids import UserId
from bimip.storage.errors import StorageError, StoreDamagedError
from bimip.users.poison import MAX_REMEMBERED, PoisonEntries

CRASH = RuntimeError("a defect")


def test_an_entry_is_damaged_once_it_crashed_a_fetcher_twice() -> None:
    poison = PoisonEntries()
    states = [7 in poison.of(UserId(1), "chat")]
    for _ in range(3):
        poison.note((UserId(1), "chat", 7), CRASH)
        states.append(7 in poison.of(UserId(1), "chat"))

    assert states == [False, False, True, True]
    assert 7 not in poison.of(UserId(2), "chat")
    assert 7 not in poison.of(UserId(1), "feed")


def test_what_is_remembered_is_bounded_and_forgets_what_crashed_longest_ago() -> None:
    poison = PoisonEntries()
    for _ in range(2):
        poison.note((UserId(1), "chat", 0), CRASH)
        poison.note((UserId(1), "chat", 1), CRASH)
    for number in range(2, MAX_REMEMBERED + 1):
        poison.note((UserId(1), "chat", number), CRASH)

    assert len(poison._crashes) == MAX_REMEMBERED
    assert 0 not in poison.of(UserId(1), "chat")
    assert 1 in poison.of(UserId(1), "chat")


def test_an_entry_is_not_at_fault_where_the_store_cannot_be_read() -> None:
    poison = PoisonEntries()
    for _ in range(3):
        poison.note((UserId(1), "chat", 7), StorageError("the database is away"))
        poison.note((UserId(1), "chat", 8), StoreDamagedError("there"))

    assert 7 not in poison.of(UserId(1), "chat")
    assert 8 in poison.of(UserId(1), "chat")
