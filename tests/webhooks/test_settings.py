"""What an operator may say of back ends, and what is told of it that cannot be."""

from pathlib import Path

import pytest

from bimip.config import ConfigError, load_settings
from bimip.domain.webhooks.feed import EventKind
from tests.kit.webhooks import SECRET

ENDPOINT = f'[webhooks.endpoints.crm]\nurl = "https://crm.example.org/x"\nsecret = "{SECRET}"\n'


def load(tmp_path: Path, text: str) -> str:
    """What is wrong; empty: nothing."""
    file = tmp_path / "some.toml"
    file.write_text(text, encoding="utf-8")
    try:
        load_settings(file, {})
    except ConfigError as error:
        return str(error).removeprefix(f"{file}: ")
    return ""


def test_a_back_end_is_a_table_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "some.toml"
    file.write_text(ENDPOINT + 'events = ["message.read", "user.first_seen"]\ncontent = true\n', encoding="utf-8")
    settings = load_settings(file, {}).webhooks
    crm = settings.endpoints["crm"]

    assert (crm.url, crm.content) == ("https://crm.example.org/x", True)
    assert settings.kinds == {EventKind.READ, EventKind.FIRST_SEEN}
    assert len(crm.read_secrets("crm")) == 1
    assert "whsec" not in repr(settings)


def test_without_a_word_it_is_told_of_all_and_of_no_content(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n", encoding="utf-8")
    given = f'{{"crm": {{"url": "http://localhost:9", "secret_file": "{secret}"}}}}'
    crm = load_settings(None, {"BIMIP_WEBHOOKS_ENDPOINTS": given}).webhooks.endpoints["crm"]

    assert (crm.kinds, crm.content) == (frozenset(EventKind), False)
    assert len(crm.read_secrets("crm")) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (ENDPOINT.replace("secret =", "sceret ="), "webhooks.endpoints is something else; allowed: a table for each"),
        (ENDPOINT.replace("https", "ftp"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("crm.example.org", "crm.example.org:99999"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("crm.example.org", "crm.example.org:abc"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("crm.example.org", "crm.example.org:0"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("crm.example.org", "crm.example.orgé"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("crm.example.org", "crm.example.org "), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("https://crm.example.org", "https://[::1"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("crm.example", "user:pw@crm.example"), "webhooks.endpoints is something else"),
        (ENDPOINT.replace("https", "http"), "webhooks.endpoints.crm.url is 'http://crm.example.org/x'; allowed: https"),
        (ENDPOINT.replace(SECRET, "whsec_c2hvcnQ="), "webhooks.endpoints.crm.secret: a secret is whsec_"),
        (ENDPOINT + 'secret_file = "x"', "webhooks.endpoints.crm has secret and secret_file"),
        (ENDPOINT + "events = []", "webhooks.endpoints is something else"),
        (ENDPOINT + 'events = ["message.lost"]', "webhooks.endpoints is something else"),
        (ENDPOINT + 'content = "yes"', "webhooks.endpoints is something else"),
    ],
)
def test_what_cannot_be_is_told_without_secrets(tmp_path: Path, text: str, sentence: str) -> None:
    told = load(tmp_path, text)

    assert sentence in told
    assert SECRET not in told
