from bimip.domain.ids import UserId
from bimip.users.services import MAX_REMEMBERED, PoisonEntries


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
