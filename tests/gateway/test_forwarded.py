"""Who a peer behind a proxy is."""

from ipaddress import ip_network

import pytest

from bimip.gateway.forwarded import peer_address

PROXIES = [ip_network("10.0.0.0/8"), ip_network("::1/128")]


@pytest.mark.parametrize(
    ("address", "told", "expected"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),  # no proxy of ours
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),  # what stands before it anybody may have written
        ("10.0.0.1", ["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("::1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nobody"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nobody"], "10.0.0.1"),
        ("10.0.0.1", ["\xff"], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (None, ["198.51.100.7"], None),
    ],
)
def test_a_proxy_says_who_asks_and_nobody_else_does(address: str | None, told: list[str], expected: str | None) -> None:
    headers = [(b"host", b"h"), *((b"x-forwarded-for", one.encode("latin-1")) for one in told)]

    assert peer_address(address, headers, PROXIES) == expected


def test_without_proxies_the_header_is_ignored() -> None:
    assert peer_address("10.0.0.1", [(b"x-forwarded-for", b"198.51.100.7")], []) == "10.0.0.1"
