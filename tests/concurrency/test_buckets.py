from hypothesis import given
from hypothesis import strategies as st

from bimip.concurrency.buckets import Bucket, Rate


def taken(bucket: Bucket, requests: int, size: int, now: float) -> bool:
    if bucket.wait(now) > 0:
        return False
    bucket.take(requests, size, now)
    return True


def test_a_burst_is_taken_at_once_and_then_one_after_another() -> None:
    bucket = Bucket(Rate(requests_per_second=10, burst_seconds=2))
    at_once = sum(taken(bucket, 1, 0, 100.0) for _ in range(100))
    later = sum(taken(bucket, 1, 0, 100 + n / 1000) for n in range(1, 10_001))

    assert at_once == 21  # the burst, and one that goes into debt
    assert later == 100


def test_bytes_count_as_well() -> None:
    bucket = Bucket(Rate(bytes_per_second=1000, burst_seconds=1))

    assert taken(bucket, 1, 5000, 0.0)  # larger than a burst, and taken whole
    assert not taken(bucket, 1, 1, 3.9)
    assert taken(bucket, 1, 1, 4.1)


def test_0_is_without_limit() -> None:
    bucket = Bucket(Rate())

    assert all(taken(bucket, 1_000_000, 1 << 40, 0.0) for _ in range(1000))


@given(
    st.floats(1, 1000),
    st.floats(0.1, 10),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 50)), min_size=1, max_size=60),
)
def test_never_more_than_a_burst_the_rate_and_one_frame(
    rate: float, burst: float, asked: list[tuple[float, int]]
) -> None:
    bucket = Bucket(Rate(requests_per_second=rate, burst_seconds=burst))
    now = total = 0.0
    for pause, requests in asked:
        now += pause
        if taken(bucket, requests, 0, now):
            total += requests

            assert total - requests <= rate * (burst + now) * 1.000001 + 1e-6
