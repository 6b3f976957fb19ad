from random import Random

from bimip.client.backoff import Backoff


def test_it_draws_from_nothing_to_a_bound_that_doubles_up_to_the_longest() -> None:
    backoff = Backoff(base=1.0, longest=10.0)
    random = Random(1)
    longest = [max(backoff.delay(attempt, random) for _ in range(500)) for attempt in (0, 1, 2, 3, 4, 1000)]
    shortest = min(backoff.delay(1000, random) for _ in range(500))

    for drawn, bound in zip(longest, (1, 2, 4, 8, 10, 10), strict=True):
        assert 0.9 * bound < drawn <= bound
    assert shortest < 0.2


def test_by_itself_it_waits_no_longer_than_15_seconds() -> None:
    random = Random(1)

    assert 14 < max(Backoff().delay(1000, random) for _ in range(500)) <= 15
