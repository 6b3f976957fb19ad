"""An entry is given up once it crashed a fetcher twice, and not for ever."""

from bimip.domain.core.ids import UserId
from bimip.users.poison import MAX_REMEMBERED, PoisonEntries


def test_an_entry_is_damaged_once_it_crashed_a_fetcher_twice() -> None:
    poison = PoisonEntries()
    states = [7 in poison.of(UserId(1), "chat")]
    for _ in range(3):
        poison.note((UserId(1), "chat", 7))
        states.append(7 in poison.of(UserId(1), "chat"))

    assert states == [False, False, True, True]
    assert 7 not in poison.of(UserId(2), "chat")
    assert 7 not in poison.of(UserId(1), "feed")


def test_what_is_remembered_is_bounded_and_forgets_what_crashed_longest_ago() -> None:
    poison = PoisonEntries()
    for _ in range(2):
        poison.note((UserId(1), "chat", 0))
        poison.note((UserId(1), "chat", 1))
    for number in range(2, MAX_REMEMBERED + 1):
        poison.note((UserId(1), "chat", number))

    assert len(poison._crashes) == MAX_REMEMBERED
    assert 0 not in poison.of(UserId(1), "chat")
    assert 1 in poison.of(UserId(1), "chat")
