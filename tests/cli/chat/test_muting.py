"""For how long somebody can be muted, and how that is said."""

from datetime import datetime

import pytest

from bimip.cli.chat.muting import FOREVER, HOUR_MS, LENGTHS, UNMUTE, mute_choices, mute_text, muted_by

NOON = int(datetime(2026, 3, 5, 12).astimezone().timestamp() * 1000)


@pytest.mark.parametrize(
    ("until", "said"),
    [
        (0, ""),
        (NOON, ""),
        (NOON + HOUR_MS, "muted until 13:00"),
        (NOON + 7 * 24 * HOUR_MS, "muted until 12 Mar 12:00"),
        (FOREVER, "muted"),
        (2**53, "muted"),  # another client's word for always
    ],
)
def test_it_is_said_until_when(until: int, said: str) -> None:
    assert mute_text(until, NOON) == said


def test_an_hour_eight_a_week_and_always_are_offered_and_the_end_where_it_is_muted() -> None:
    offered = [value for value, _ in mute_choices(0, NOON)]
    again = mute_choices(NOON + HOUR_MS, NOON)

    assert offered == [*(value for value, _, _ in LENGTHS), "always"]
    assert [muted_by(value, NOON) - NOON for value in offered[:3]] == [HOUR_MS, 8 * HOUR_MS, 168 * HOUR_MS]
    assert muted_by("always", NOON) == FOREVER
    assert again[0] == (UNMUTE, "Not any more: it is muted until 13:00")
    assert (muted_by(UNMUTE, NOON), [value for value, _ in again[1:]]) == (0, offered)
