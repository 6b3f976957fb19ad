"""What requests need is handed down in the units in which they use it."""

import pytest

from tests.requests.support import Peer


def test_the_grace_period_is_told_in_milliseconds_and_kept_in_seconds() -> None:
    services = Peer().services

    assert services.grace_seconds == pytest.approx(services.limits.grace_period_ms / 1000)
