"""The defaults are what they are said to be."""

from bimip.domain.awareness.settings import CallSettings


def test_a_call_rings_for_longer_than_a_device_may_be_away() -> None:
    settings = CallSettings()

    assert settings.ring_seconds > settings.away_seconds
