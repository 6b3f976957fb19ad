"""Which web pages may ask: `tests/gateway/test_upgrade_policy.py` has them all; here is the rule."""

import pytest

from bimip.http.origins import may_come_from


@pytest.mark.parametrize(
    ("origin", "host", "allowed"),
    [
        ("https://chat.example.org", "anything", True),
        ("https://other.example.org", "anything", False),
        ("http://localhost:8470", "localhost:8470", True),
        ("http://localhost:8471", "localhost:8470", False),
        ("https://own.example.org", "own.example.org:443", True),
        ("http://evil.net", "evil.net", False),  # whose name leads here for a moment
        ("null", "localhost", False),
        ("file://", "", False),
        ("http://[", "[", False),
    ],
)
def test_pages_are_listed_or_the_servers_own(origin: str, host: str, allowed: bool) -> None:  # noqa: FBT001
    assert may_come_from(origin, host, ["https://chat.example.org"], ["own.example.org"]) is allowed


def test_all_pages_may_ask_where_the_settings_say_so() -> None:
    assert may_come_from("https://evil.net", "h", ["*"], [])
