"""What an answer means."""

import pytest

from bimip.push.posting import MAX_RETRY_SECONDS, Verdict, seconds_of, verdict_of

NOW = 1_700_000_000_000  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (200, Verdict.TAKEN),
        (204, Verdict.TAKEN),
        (301, Verdict.REFUSED),
        (400, Verdict.REFUSED),
        (404, Verdict.AGAIN),
        (408, Verdict.AGAIN),
        (410, Verdict.GONE),
        (413, Verdict.REFUSED),
        (429, Verdict.AGAIN),
        (500, Verdict.AGAIN),
        (599, Verdict.AGAIN),
    ],
)
def test_a_status_means_one_thing(status: int, expected: Verdict) -> None:
    assert verdict_of(status, frozenset({410})) is expected


def test_to_a_push_service_404_means_that_nobody_is_there() -> None:
    assert verdict_of(404, frozenset({404, 410})) is Verdict.GONE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("120", 120.0),
        (" 5 ", 5.0),
        ("999999999999", MAX_RETRY_SECONDS),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
def test_when_to_come_again_is_seconds_or_a_date(text: str, expected: float | None) -> None:
    assert seconds_of(text, NOW) == expected
