"""Who had much of one's time, and for how long that counts."""

from bimip.concurrency.shares import HALVING_SECONDS, Shares


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
