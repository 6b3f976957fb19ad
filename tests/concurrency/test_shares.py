"""Who had much of one's time, and for how long that counts."""

from bimip.concurrency.shares import CALM_SECONDS, HALVING_SECONDS, MOST_SECONDS, Shares


def test_what_was_long_ago_counts_less_and_is_forgotten() -> None:
    shares = Shares()
    shares["ann"] += 1.0
    shares["bob"] += 0.0001
    shares.age(10.0)
    once, due = dict(shares), shares.due
    for _ in range(20):
        shares.age(11.0)

    assert once == {"ann": 0.5}
    assert due == 10.0 + HALVING_SECONDS
    assert shares == {}
    assert shares["who is new"] == 0


def test_who_had_much_is_held_back_while_others_are_there_who_ask_for_little() -> None:
    shares = Shares()
    had = {"much": 2 * MOST_SECONDS, "little": MOST_SECONDS / 2}
    held = []
    for now in (5.0, 6.0, 7.0):
        shares.update(had)
        shares.little_until = 6.5 if now > 5.0 else 0.0
        shares.age(now)
        held.append(set(shares.held))

    assert held == [set(), {"much"}, set()]


def test_who_is_held_back_is_so_for_as_long_as_they_take_what_they_get() -> None:
    shares = Shares()
    shares.little_until = 10.0
    held = []
    for seconds in (2 * MOST_SECONDS, CALM_SECONDS + 0.001, CALM_SECONDS, CALM_SECONDS + 0.001):
        shares["much"] = seconds
        shares.age(1.0)
        held.append("much" in shares.held)

    assert held == [True, True, False, False]
