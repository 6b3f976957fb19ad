from hypothesis import given
from hypothesis import strategies as st

from bimip.histograms import SECONDS, Histogram


def test_a_bound_is_within_its_bucket() -> None:
    histogram = Histogram((1, 10))
    for value in (0, 1, 1.5, 10, 11):
        histogram.observe(value)

    assert histogram.cumulative() == [("1", 2), ("10", 4), ("+Inf", 5)]
    assert histogram.total == 23.5


@given(st.lists(st.floats(0, 100)))
def test_each_bound_tells_how_many_were_no_larger(values: list[float]) -> None:
    histogram = Histogram(SECONDS)
    for value in values:
        histogram.observe(value)

    told = histogram.cumulative()
    assert [count for _, count in told[:-1]] == [sum(value <= bound for value in values) for bound in SECONDS]
    assert told[-1] == ("+Inf", len(values))
