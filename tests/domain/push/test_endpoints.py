"""Users choose where their subscriptions lead: only to public addresses, over https."""

from ipaddress import ip_address

import pytest

from bimip.domain.push.endpoints import is_p256_point, is_public, problem_of
from tests.kit.push import BROWSER, PRIVATE_URLS

PUBLIC_URLS = (
    BROWSER["token"],
    "https://fcm.googleapis.com/fcm/send/abc:def?x=1",
    "https://updates.push.services.mozilla.com/wpush/v2/abc",
    "https://push.example.org:443/",
    "https://PUSH.example.org./",
    "https://xn--psh-hoa.example.org/",
    "https://8.8.8.8/",
    "https://[2001:4860:4860::8888]/",
)


@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_what_is_public_may_be_pushed_to(url: str) -> None:
    assert problem_of(url, allow_private=False) == ""


@pytest.mark.parametrize("url", PRIVATE_URLS)
def test_what_is_not_is_refused(url: str) -> None:
    assert problem_of(url, allow_private=False) != ""


@pytest.mark.parametrize("url", ["https://localhost:8443/", "https://127.0.0.1/", "https://[::1]:1/"])
def test_private_ones_may_be_allowed(url: str) -> None:
    assert problem_of(url, allow_private=True) == ""


@pytest.mark.parametrize("url", ["http://localhost/", "https://user@localhost/", "https:///", "https://localhost:x/"])
def test_what_is_no_endpoint_is_refused_all_the_same(url: str) -> None:
    assert problem_of(url, allow_private=True) != ""


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", True),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("192.0.0.192", False),
        ("2606:4700::1111", True),
        ("::ffff:8.8.8.8", True),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::808:808", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:808:808::", True),
        ("2002:a00:1::", False),
        ("fec0::1", False),
        ("2001:db8::1", False),
        ("240.0.0.1", False),
    ],
)
def test_an_address_is_public_or_not(address: str, expected: bool) -> None:  # noqa: FBT001 - the table's
    assert is_public(ip_address(address)) is expected


def test_a_key_is_a_point_of_the_curve() -> None:
    key = BROWSER["p256dh"]

    assert is_p256_point(key)
    assert not is_p256_point(key[:-1] + bytes((key[-1] ^ 1,)))
    assert not is_p256_point(b"\x02" + key[1:])
    assert not is_p256_point(b"\x04" + b"\xff" * 64)
