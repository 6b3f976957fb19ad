import tomllib
from pathlib import Path

import pytest

from bimip.config import ConfigError, ConsoleSettings, Secret, Settings, load_settings
from bimip.config.sections import SECTIONS
from bimip.gateway.settings import TokenSettings

ROOT = Path(__file__).parents[2]
DOCUMENTED = ROOT / "config" / "bimip.toml"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "some.toml"
    file.write_text(text, encoding="utf-8")
    return file


def plain(value: object) -> object:
    """A setting as TOML would hold it."""
    if isinstance(value, Secret):
        return value.reveal()
    return list(value) if isinstance(value, tuple) else value


def test_the_documented_file_has_every_setting_with_its_default_and_nothing_else() -> None:
    documented = tomllib.loads(DOCUMENTED.read_text(encoding="utf-8"))
    settings = Settings()
    defaults = {
        section: {name: plain(getattr(getattr(settings, key.part), name)) for name, key in keys.items()}
        for section, keys in SECTIONS.items()
    }

    assert documented == defaults


def test_each_documented_setting_says_why() -> None:
    lines = DOCUMENTED.read_text(encoding="utf-8").splitlines()
    explained = False
    silent = []
    for line in lines:
        if "=" in line and not line.startswith("#"):
            silent += [] if explained else [line]
        else:
            explained = line.startswith("#")

    # The history of partitions is explained once for all of them.
    assert silent == []


def test_the_documented_file_loads_as_the_defaults() -> None:
    assert load_settings(DOCUMENTED, {}) == load_settings(None, {}) == Settings()


def test_the_demo_loads() -> None:
    settings = load_settings(ROOT / "config" / "demo.toml", {})

    assert settings.tokens.algorithm == "HS256"
    assert settings.users.accept_unknown_recipients


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "[gateway]\nport = 1000\nhost = '127.0.0.2'\n")
    settings = load_settings(file, {"BIMIP_GATEWAY_PORT": "2_000"})

    assert (settings.gateway.host, settings.gateway.port) == ("127.0.0.2", 2000)


def test_every_kind_of_value_can_come_from_the_environment() -> None:
    settings = load_settings(
        None,
        {
            "BIMIP_GATEWAY_ORIGINS": "https://a.example, https://b.example/",
            "BIMIP_GATEWAY_SEND_SECONDS": "2.5",
            "BIMIP_CONSOLE_OPERATOR_TOKEN": "o" * 16,
            "BIMIP_USERS_ACCEPT_UNKNOWN_RECIPIENTS": "true",
            "BIMIP_RETENTION_HISTORY_DAYS": "chat=365, feed=30",
        },
    )

    assert settings.gateway.origins == ("https://a.example", "https://b.example")
    assert settings.gateway.send_seconds == 2.5
    assert settings.console.operator_token.reveal() == "o" * 16
    assert settings.users.accept_unknown_recipients is True
    assert settings.retention.history_days == {"chat": 365, "notification": 30, "feed": 30, "sync": 0}


def test_other_peoples_variables_are_left_alone() -> None:
    environ = {"BIMIP_CONFIG": "x", "BIMIP_URL": "x", "BIMIP_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}

    assert load_settings(None, environ) == Settings()


def test_history_follows_the_configured_partitions(tmp_path: Path) -> None:
    file = written(tmp_path, "[partitions]\nnames = ['chat', 'orders']\n[retention.history_days]\nchat = 5\n")

    assert load_settings(file, {}).retention.history_days == {"chat": 5, "orders": 0}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[gateway]\nprot = 1", 'gateway.prot does not exist; did you mean "port"?'),
        ("[getaway]\nport = 1", '[getaway] does not exist; did you mean "gateway"?'),
        (
            "[zzz]",
            (
                "[zzz] does not exist; "
                "allowed: gateway, http, console, store, tokens, limits, partitions, users, calls, presence, "
                "retention, push, webhooks, time, health, audit, logging, commands"
            ),
        ),
        ("gateway = 1", "gateway is not a table; write [gateway] on a line of its own, then its keys"),
        ("[gateway]\nport = 70000", "gateway.port is 70000; allowed: a whole number from 0 to 65535"),
        ("[gateway]\nport = true", "gateway.port is True; allowed: a whole number from 0 to 65535"),
        ("[gateway]\nport = 1.5", "gateway.port is 1.5; allowed: a whole number from 0 to 65535"),
        ("[gateway]\nport = []", "gateway.port is []; allowed: a whole number from 0 to 65535"),
        ("[gateway]\nhost = ' '", "gateway.host is ' '; allowed: an address or a host name"),
        ("[gateway]\nsend_seconds = nan", "gateway.send_seconds is nan; allowed: seconds from 0.1 to 3600"),
        ("[gateway]\nsend_seconds = true", "gateway.send_seconds is True; allowed: seconds from 0.1 to 3600"),
        (
            "[gateway]\norigins = ['example.org']",
            (
                "gateway.origins is ['example.org']; "
                'allowed: a list of origins such as "https://chat.example.org", or "*"'
            ),
        ),
        (
            "[gateway]\norigins = 5",
            'gateway.origins is 5; allowed: a list of origins such as "https://chat.example.org", or "*"',
        ),
        (
            "[console]\nhost = '0.0.0.0'",
            'console.host is \'0.0.0.0\'; allowed: a loopback address: "127.0.0.1", "::1" or "localhost"',
        ),
        ("[console]\noperator_token = 5", "console.operator_token is not a text; allowed: a text"),
        (
            "[store]\nengine = 'postgres'",
            'store.engine is "postgres" and store.dsn is empty; allowed: how to reach the database',
        ),
        (
            "[store]\ndsn = 'host=a password=secret'\ndsn_file = 'b'",
            "store.dsn and store.dsn_file are both set; allowed: one of them",
        ),
        ("[store]\nengine = 'mnesia'", 'store.engine is \'mnesia\'; allowed: "lmdb" or "postgres" or "memory"'),
        ("[store]\npath = 5", "store.path is 5; allowed: a path"),
        ("[tokens]\nalgorithm = 'none'", 'tokens.algorithm is \'none\'; allowed: "EdDSA" or "RS256" or "HS256"'),
        ("[users]\naccept_unknown_recipients = 1", "users.accept_unknown_recipients is 1; allowed: true or false"),
        (
            "[users]\naccept_unknown_recipients = 'si'",
            "users.accept_unknown_recipients is 'si'; allowed: true or false",
        ),
        (
            "[partitions]\nnames = ['feed']",
            "partitions.names is ['feed']; allowed: a list of different names in small letters that contains \"chat\"",
        ),
        (
            "[retention]\nhistory_days = 5",
            "retention.history_days is 5; allowed: days from 0 to 36500 for each partition",
        ),
        ("[retention.history_days]\nchta = 5", 'retention.history_days.chta does not exist; did you mean "chat"?'),
        ("[retention]\ndedup_days = 6", "retention.dedup_days is 6; allowed: offline_days (7) or more"),
        (
            "[store]\nquota_bytes = 2199023255552",
            "store.quota_bytes is 2199023255552; allowed: seven eighths of map_size_bytes (962072674304) or less",
        ),
        (
            "[limits]\nmax_message_bytes = 1048576",
            "limits.max_frame_bytes is 1048576; allowed: max_message_bytes and 1024 more (1049600)",
        ),
        ("[limits]\nwindow_bytes = 100", "limits.window_bytes is 100; allowed: max_message_bytes (65536) or more"),
        ("[tokens]\nkey = 'a'\nkey_file = 'b'", "tokens.key and tokens.key_file are both set; allowed: one of them"),
        (
            "[console]\noperator_token = 'a'\noperator_token_file = 'b'",
            "console.operator_token and console.operator_token_file are both set; allowed: one of them",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_file_its_key_and_what_is_allowed(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as raised:
        load_settings(file, {})

    assert str(raised.value) == f"{file}: {sentence}"


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(None, {"BIMIP_GATEWAY_PORT": "many", "BIMIP_GATEWAY_PROT": "1", "BIMIP_GATEWY_HOST": "x"})

    assert str(raised.value).splitlines() == [
        'environment: BIMIP_GATEWAY_PROT does not exist; did you mean "BIMIP_GATEWAY_PORT"?',
        'environment: BIMIP_GATEWY_HOST does not exist; did you mean "BIMIP_GATEWAY_HOST"?',
        "environment: BIMIP_GATEWAY_PORT is 'many'; allowed: a whole number from 0 to 65535",
    ]


def test_a_file_that_is_not_there_or_not_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.toml cannot be read: No such file or directory"):
        load_settings(tmp_path / "absent.toml", {})
    with pytest.raises(ConfigError, match=r"some\.toml is not TOML: .*line 1"):
        load_settings(written(tmp_path, "gateway: 1"), {})


def test_secrets_do_not_show_themselves() -> None:
    settings = load_settings(None, {"BIMIP_TOKENS_KEY": "hush" * 8, "BIMIP_CONSOLE_OPERATOR_TOKEN": "hush" * 8})

    assert "hush" not in repr(settings)
    assert "hush" not in str(settings.tokens.key)
    assert "hush" not in f"{settings.tokens.key}"


def test_a_wrong_secret_is_not_repeated_in_the_error() -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(None, {"BIMIP_TOKENS_KEY": "hush", "BIMIP_TOKENS_KEY_FILE": "x"})

    assert "hush" not in str(raised.value)


def test_secrets_are_read_from_files_without_their_line_end(tmp_path: Path) -> None:
    file = written(tmp_path, "k" * 32 + "\n")

    assert TokenSettings(algorithm="HS256", key_file=str(file)).read_key().reveal() == "k" * 32
    assert ConsoleSettings(operator_token_file=str(file)).read_operator_token().reveal() == "k" * 32
    assert not ConsoleSettings().read_operator_token()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (TokenSettings(), "tokens.key is not set: set tokens.key_file"),
        (TokenSettings(key_file="/absent"), "tokens.key_file: /absent cannot be read: No such file or directory"),
        (
            TokenSettings(algorithm="HS256", key=Secret("short")),
            "tokens.key is too short for HS256: use 32 bytes or more",
        ),
    ],
)
def test_a_signing_key_that_cannot_serve_is_refused(settings: TokenSettings, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        settings.read_key()


def test_a_secret_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="binary is not text"):
        TokenSettings(key_file=str(file)).read_key()


def test_an_operators_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"console\.operator_token is too short to be safe: use 16 characters or more"
    ):
        ConsoleSettings(operator_token=Secret("admin")).read_operator_token()
    with pytest.raises(ConfigError, match=r"console\.metrics_token is too short to be safe: use 16 characters or more"):
        ConsoleSettings(metrics_token=Secret("scrape")).read_metrics_token()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "chat.example.org"])
def test_plaintext_beyond_this_machine_is_known_as_such(host: str) -> None:
    allowed = load_settings(None, {"BIMIP_GATEWAY_HOST": host, "BIMIP_GATEWAY_ALLOW_PLAINTEXT": "true"})
    encrypted = load_settings(None, {"BIMIP_GATEWAY_HOST": host, "BIMIP_GATEWAY_TLS_CERTIFICATE": "server.pem"})

    assert allowed.gateway.is_open_in_plaintext
    assert not encrypted.gateway.is_open_in_plaintext


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_this_machine_plaintext_needs_no_word(host: str) -> None:
    assert not load_settings(None, {"BIMIP_GATEWAY_HOST": host}).gateway.is_open_in_plaintext


@pytest.mark.parametrize("names", ["https://chat.example.org", "chat.example.org:443", "a b"])
def test_the_servers_own_names_are_names_alone(names: str) -> None:
    assert load_settings(None, {"BIMIP_GATEWAY_NAMES": "Chat.Example.org,::1"}).gateway.names == (
        "chat.example.org",
        "::1",
    )
    with pytest.raises(ConfigError, match="a list of host names"):
        load_settings(None, {"BIMIP_GATEWAY_NAMES": names})
