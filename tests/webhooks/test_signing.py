"""Signatures as Standard Webhooks has them."""

from base64 import b64encode

import pytest

from bimip.webhooks.signing import read_secrets, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_example_of_the_specification_has_its_signature() -> None:
    """That of the libraries of Standard Webhooks, in each of their tests."""
    headers = sign(read_secrets(SECRET), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_while_a_secret_is_exchanged_both_sign() -> None:
    other = "whsec_" + b64encode(b"x" * 32).decode()
    one, two, both = (
        sign(read_secrets(text), "msg_1", 1, b"{}")["webhook-signature"]
        for text in (SECRET, other, f"{SECRET}\n{other}\n")
    )

    assert both == f"{one} {two}"


@pytest.mark.parametrize(
    "text", ["", "\n", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_?", SECRET + "\nno"]
)
def test_what_is_no_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        read_secrets(text)
