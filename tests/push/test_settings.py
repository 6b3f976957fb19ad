"""What an operator may say of gateways, and what is told of it that cannot be."""

from pathlib import Path

import pytest

from bimip.config import ConfigError, load_settings
from bimip.push.vapid import VapidKey
from bimip.settings import Secret
from bimip.testing.virtual import settings_for_tests
from tests.kit.push import VAPID_KEY

GATEWAY = '[push.gateways.fcm]\nurl = "https://push.example.org/x"\nsecret = "a secret of the gateway"\n'


def load(tmp_path: Path, text: str, **environment: str) -> str:
    """What is wrong; empty: nothing."""
    file = tmp_path / "some.toml"
    file.write_text(text, encoding="utf-8")
    try:
        load_settings(file, environment)
    except ConfigError as error:
        return str(error).removeprefix(f"{file}: ")
    return ""


def test_a_gateway_is_a_table_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(GATEWAY, encoding="utf-8")
    gateways = load_settings(file, {}).push.gateways

    assert {name: (one.url, one.read_secret(name).reveal()) for name, one in gateways.items()} == {
        "fcm": ("https://push.example.org/x", "a secret of the gateway")
    }
    assert "a secret" not in repr(gateways)


def test_it_may_come_from_the_environment_and_its_secret_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("a secret of the gateway\n", encoding="utf-8")
    given = f'{{"fcm": {{"url": "http://localhost:9", "secret_file": "{secret}"}}}}'
    gateway = load_settings(None, {"BIMIP_PUSH_GATEWAYS": given}).push.gateways["fcm"]

    assert gateway.read_secret("fcm").reveal() == "a secret of the gateway"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (GATEWAY.replace("secret =", "sceret ="), "push.gateways is something else; allowed: a table for each"),
        (GATEWAY.replace("fcm", "webpush"), "push.gateways is something else"),
        (GATEWAY.replace("https", "ftp"), "push.gateways is something else"),
        (GATEWAY.replace("push.example.org", "push.example.org:99999"), "push.gateways is something else"),
        (GATEWAY.replace("push.example.org", "push.example.org:abc"), "push.gateways is something else"),
        (GATEWAY.replace("push.example.org", "push.example.org:0"), "push.gateways is something else"),
        (GATEWAY.replace("push.example.org", "push.example.orgé"), "push.gateways is something else"),
        (GATEWAY.replace("push.example.org", "push.example.org "), "push.gateways is something else"),
        (GATEWAY.replace("https://push.example.org", "https://[::1"), "push.gateways is something else"),
        (GATEWAY.replace("push.example", "user:pw@push.example"), "push.gateways is something else"),
        (GATEWAY.replace("https", "http"), "push.gateways.fcm.url is 'http://push.example.org/x'; allowed: https"),
        (GATEWAY.replace("a secret of the gateway", "short"), "push.gateways.fcm.secret is too short"),
        (GATEWAY + 'secret_file = "x"', "push.gateways.fcm has secret and secret_file"),
        ("[push]\nvapid_key = 'x'", "push.vapid_subject is ''; allowed: an address"),
        ("[push]\nvapid_key = 'x'\nvapid_key_file = 'x'\nvapid_subject = 'mailto:x'", "push.vapid_key and push.vapid"),
        ("[push]\npartitions = ['chat', 'nowhere']", "push.partitions: nowhere does not exist"),
        ("[push]\ncontent = 'all'", "push.content is 'all'; allowed:"),
    ],
)
def test_what_cannot_be_is_told_without_secrets(tmp_path: Path, text: str, sentence: str) -> None:
    told = load(tmp_path, text)

    assert sentence in told
    assert "a secret of the gateway" not in told


def test_a_key_that_is_none_ends_the_start() -> None:
    settings = settings_for_tests(BIMIP_PUSH_VAPID_KEY="no key", BIMIP_PUSH_VAPID_SUBJECT="mailto:x@example.org")
    assert settings.push.vapid_key
    with pytest.raises(ConfigError, match="no private key in PEM"):
        VapidKey(settings.push.read_vapid_key())


def test_the_public_half_is_told_as_browsers_want_it() -> None:
    public = VapidKey(Secret(VAPID_KEY)).public

    assert len(public) == 87
    assert not set(public) & set("+/=")
