"""What the settings are and where they came from, and whether a server could start with them."""

import base64
import json
from pathlib import Path

import pytest

from bimip.cli.config import check_settings, show_settings
from bimip.cli.failures import Exit, Failure
from bimip.config import ConfigError
from bimip.config.sections import SECTIONS
from bimip.testing.tokens import KEY

SECRET = "a secret that nobody is to be shown"
SIGNING = "whsec_" + base64.b64encode(b"x" * 24).decode()
ENVIRONMENT = {
    "BIMIP_TOKENS_ALGORITHM": "HS256",
    "BIMIP_TOKENS_KEY": KEY,
    "BIMIP_CONSOLE_OPERATOR_TOKEN": SECRET,
    "BIMIP_GATEWAY_PORT": "9000",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "some\x1b.toml"
    written.write_text('[store]\npath = "here"\n[gateway]\nport = 8000\nnames = ["a", "b"]\n', encoding="utf-8")
    return written


def test_each_setting_is_shown_with_where_it_came_from(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_settings(file, given_only=False, environ=ENVIRONMENT)
    lines = dict(line.split(" = ", 1) for line in capsys.readouterr().out.splitlines())
    shown_file = str(file).replace("\x1b", "\\x1b")

    assert set(lines) == {f"{section}.{key}" for section, keys in SECTIONS.items() for key in keys}
    assert lines["store.path"] == f"'here'   ({shown_file})"
    assert lines["gateway.names"] == f"['a', 'b']   ({shown_file})"
    assert lines["gateway.port"] == "9000   (environment: BIMIP_GATEWAY_PORT)"
    assert lines["console.port"] == "8471   (default)"
    assert lines["console.operator_token"] == "set   (environment: BIMIP_CONSOLE_OPERATOR_TOKEN)"
    assert lines["console.metrics_token"] == "not set   (default)"
    assert lines["logging.level"] == "'info'   (default; reloads)"
    assert lines["tokens.key"] == "set   (environment: BIMIP_TOKENS_KEY; reloads)"


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_is_shown(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001 - of the table
    endpoint = {"crm": {"url": "https://crm.example.org/hook", "secret": SIGNING}}
    gateway = {"fcm": {"url": "https://push.example.org/fcm", "secret": SECRET}}
    environment = ENVIRONMENT | {
        "BIMIP_WEBHOOKS_ENDPOINTS": json.dumps(endpoint),
        "BIMIP_PUSH_GATEWAYS": json.dumps(gateway),
        "BIMIP_CONSOLE_METRICS_TOKEN": SECRET + SECRET,
    }
    show_settings(None, given_only=False, as_json=as_json, environ=environment)
    shown = capsys.readouterr().out

    for secret in (SECRET, SIGNING, KEY):
        assert secret not in shown
    assert "webhooks" in shown


def test_only_what_was_given_is_shown_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    show_settings(None, given_only=True, as_json=True, environ=ENVIRONMENT | {"BIMIP_CONFIG": str(file)})
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert {(one["section"], one["key"], one["source"]) for one in found} == {
        ("store", "path", str(file)),
        ("gateway", "names", str(file)),
        ("gateway", "port", "environment: BIMIP_GATEWAY_PORT"),
        ("tokens", "algorithm", "environment: BIMIP_TOKENS_ALGORITHM"),
        ("tokens", "key", "environment: BIMIP_TOKENS_KEY"),
        ("console", "operator_token", "environment: BIMIP_CONSOLE_OPERATOR_TOKEN"),
    }


def test_it_is_told_which_settings_reload(capsys: pytest.CaptureFixture[str]) -> None:
    show_settings(None, given_only=False, as_json=True, environ=ENVIRONMENT)
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert {(one["section"], one["key"]) for one in found if one["reloads"]} == {
        (section, name) for section, keys in SECTIONS.items() for name, key in keys.items() if key.reloads
    }


def test_what_a_server_can_start_with_is_whole(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_settings(file, environ=ENVIRONMENT)
    check_settings(None, as_json=True, environ=ENVIRONMENT)
    said, as_json = capsys.readouterr().out.splitlines()

    assert said.startswith("a server can start with these: 6 settings from ")
    assert json.loads(as_json) == {"problems": []}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"BIMIP_TOKENS_KEY": "short"}, "tokens.key is too short for HS256"),
        ({"BIMIP_TOKENS_KEY": ""}, "tokens.key is not set"),
        ({"BIMIP_CONSOLE_OPERATOR_TOKEN": "short"}, "console.operator_token is too short to be safe"),
        ({"BIMIP_CONSOLE_METRICS_TOKEN_FILE": "nowhere"}, "console.metrics_token_file: nowhere cannot be read"),
        ({"BIMIP_GATEWAY_TLS_CERTIFICATE": "nowhere.pem"}, "gateway.tls_certificate cannot be used: nowhere.pem"),
        (
            {"BIMIP_PUSH_VAPID_KEY_FILE": "nowhere.pem", "BIMIP_PUSH_VAPID_SUBJECT": "mailto:push@example.org"},
            "nowhere.pem cannot be read",
        ),
        (
            {"BIMIP_WEBHOOKS_ENDPOINTS": '{"crm": {"url": "https://a.example", "secret_file": "nowhere"}}'},
            "webhooks.endpoints.crm.secret_file: nowhere cannot be read",
        ),
        ({"BIMIP_GATEWAY_PORT": "many"}, "environment: BIMIP_GATEWAY_PORT is 'many'; allowed:"),
        ({"BIMIP_GATEWAY_TLS_KEY": "key.pem"}, "gateway.tls_key is set without gateway.tls_certificate"),
    ],
)
def test_what_a_start_would_stumble_over_is_told(
    given: dict[str, str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Failure) as caught:
        check_settings(None, environ=ENVIRONMENT | given)
    with pytest.raises(Failure):
        check_settings(None, as_json=True, environ=ENVIRONMENT | given)
    told = json.loads(capsys.readouterr().out)["problems"]

    assert caught.value.code is Exit.SETTINGS
    *problems, count = str(caught.value).splitlines()
    assert problems == told
    assert any(problem in line for line in problems)
    assert count == f"{len(problems)} problem{'s' if len(problems) > 1 else ''} in the settings"


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(Failure, match="2 problems in the settings"):
        check_settings(None, environ=ENVIRONMENT | {"BIMIP_TOKENS_KEY": "", "BIMIP_CONSOLE_OPERATOR_TOKEN": "short"})


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match="nowhere cannot be read"):
        show_settings(Path("nowhere"), given_only=True, environ={})
