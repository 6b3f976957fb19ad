"""The settings: frozen values, made from defaults, then a TOML file, then environment variables BIMIP_SECTION_KEY.

`config/bimip.toml` explains every setting. A key that does not exist, a wrong type or a value out of range is a
`ConfigError` that names where it stands and what is allowed; all of them are reported at once. Paths are relative to
the working directory. Secrets are read when somebody needs them, so that `bimip tree` works without the signing key.
"""

import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB
TIB: Final = 1024 * GIB

Algorithm = Literal["EdDSA", "RS256", "HS256"]
MIN_SHARED_KEY_BYTES: Final = 32  # RFC 7518, 3.2: a key of the hash's size or larger
MIN_OPERATOR_TOKEN_CHARACTERS: Final = 16

Raw = Any
"""A value as the file or the environment has it, before its rule has seen it."""

_PREFIX = "BIMIP_"
_PARTITION = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class ConfigError(Exception):
    """The settings cannot be used. One line for each problem: where, what, and what is allowed."""


class Secret:
    """A text that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)" if self._text else "Secret()"


class Rule(NamedTuple):
    """How a value is read, and what an error says is allowed. `parse` raises ValueError."""

    parse: Callable[[Any], Any]
    allowed: str


def _whole(least: int, most: int) -> Rule:
    def parse(value: Raw) -> int:
        if isinstance(value, str):
            value = int(value.replace("_", ""))
        if type(value) is not int or not least <= value <= most:
            raise ValueError
        return value

    return Rule(parse, f"a whole number from {least} to {most}")


def _seconds(least: float, most: float) -> Rule:
    def parse(value: Raw) -> float:
        if isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
        value = float(value)
        if not least <= value <= most:
            raise ValueError
        return float(value)

    return Rule(parse, f"seconds from {least:g} to {most:g}")


def _choice(*choices: str) -> Rule:
    def parse(value: Raw) -> str:
        if value not in choices:
            raise ValueError
        return str(value)

    return Rule(parse, " or ".join(f'"{choice}"' for choice in choices))


def _text(value: Raw) -> str:
    if not isinstance(value, str):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return value


def _nonempty(value: Raw) -> str:
    if not _text(value).strip():
        raise ValueError
    return _text(value).strip()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # a name may lead anywhere


def _loopback(value: Raw) -> str:
    if not _is_loopback(_text(value)):
        raise ValueError
    return _text(value)


def _flag(value: Raw) -> bool:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}[_text(value).lower()]


def _list(value: Raw) -> list[Any]:
    if isinstance(value, str):
        value = [item.strip() for item in value.split(",") if item.strip()]
    if not isinstance(value, list):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return value


def _origins(value: Raw) -> tuple[str, ...]:
    origins = tuple(_text(item).rstrip("/") for item in _list(value))
    if not all(origin == "*" or re.fullmatch(r"https?://[^/\s]+", origin) for origin in origins):
        raise ValueError
    return origins


def _names(value: Raw) -> tuple[str, ...]:
    names = tuple(_text(item).lower() for item in _list(value))
    if not all(re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]+", name) for name in names):
        raise ValueError
    return names


def _networks(value: Raw) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(_text(item))) for item in _list(value))


def _partitions(value: Raw) -> tuple[str, ...]:
    names = tuple(_text(item) for item in _list(value))
    if "chat" not in names or len(set(names)) < len(names) or not all(_PARTITION.fullmatch(name) for name in names):
        raise ValueError
    return names


def _days_by_partition(value: Raw) -> dict[str, int]:
    if isinstance(value, str):
        value = dict(item.split("=", 1) for item in _list(value))
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004 - the caller turns every ValueError into one sentence
    return {name.strip(): _whole(0, 36_500).parse(days) for name, days in value.items()}


_BYTES = _whole(1, 2**62)
_COUNT = _whole(0, 2**62)
_TEXT = Rule(_text, "a text")
_NONE = Secret()
_SECRET = Rule(lambda value: Secret(_text(value)), "a text")
_PORT = _whole(0, 65_535)


def _setting(default: Raw, rule: Rule) -> Raw:
    """A dataclass field with its rule beside it."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={"rule": rule})
    return field(default=default, metadata={"rule": rule})


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    host: str = _setting("127.0.0.1", Rule(_nonempty, "an address or a host name"))
    port: int = _setting(8470, _PORT)
    tls_certificate: str = _setting("", _TEXT)
    tls_key: str = _setting("", _TEXT)
    origins: tuple[str, ...] = _setting(
        (), Rule(_origins, 'a list of origins such as "https://chat.example.org", or "*"')
    )
    names: tuple[str, ...] = _setting((), Rule(_names, 'a list of host names such as "chat.example.org"'))
    allow_plaintext: bool = _setting(False, Rule(_flag, "true or false"))  # noqa: FBT003 - the default itself
    handshake_seconds: float = _setting(5.0, _seconds(0.1, 300))
    heartbeat_seconds: float = _setting(30.0, _seconds(0.1, 3600))
    send_seconds: float = _setting(30.0, _seconds(0.1, 3600))
    message_seconds: float = _setting(30.0, _seconds(0.1, 3600))
    drain_seconds: float = _setting(5.0, _seconds(0, 300))

    @property
    def is_open_in_plaintext(self) -> bool:
        """Whether other machines may reach the server, and everybody between read what they say."""
        return not self.tls_certificate and not _is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    host: str = _setting("127.0.0.1", Rule(_loopback, 'a loopback address: "127.0.0.1", "::1" or "localhost"'))
    port: int = _setting(8471, _PORT)
    operator_token: Secret = _setting(_NONE, _SECRET)  # noqa: RUF009 - see _setting
    operator_token_file: str = _setting("", _TEXT)

    def read_operator_token(self) -> Secret:
        """The token, or an empty secret: then the debug endpoint refuses everybody. ConfigError if it is too short."""
        token = _read_secret("console.operator_token", self.operator_token, self.operator_token_file)
        if token and len(token.reveal()) < MIN_OPERATOR_TOKEN_CHARACTERS:
            raise ConfigError(
                f"console.operator_token is too short to be safe: use {MIN_OPERATOR_TOKEN_CHARACTERS} characters or "
                "more, for instance from `openssl rand -hex 32`"
            )
        return token


@dataclass(frozen=True, slots=True)
class StoreSettings:
    engine: str = _setting("lmdb", _choice("lmdb", "memory"))
    path: str = _setting("data/store", Rule(_nonempty, "a path"))
    map_size_bytes: int = _setting(TIB, _whole(64 * MIB, 2**47))
    quota_bytes: int = _setting(0, _whole(0, 2**47))


@dataclass(frozen=True, slots=True)
class TokenSettings:
    algorithm: Algorithm = _setting("EdDSA", _choice("EdDSA", "RS256", "HS256"))  # noqa: RUF009 - see _setting
    key: Secret = _setting(_NONE, _SECRET)  # noqa: RUF009 - see _setting
    key_file: str = _setting("", _TEXT)
    audience: str = _setting("", _TEXT)
    issuer: str = _setting("", _TEXT)
    leeway_seconds: int = _setting(30, _whole(0, 600))

    def read_key(self) -> Secret:
        """The key's text: the shared secret of HS256, else a PEM. ConfigError if there is none, or it is too weak."""
        key = _read_secret("tokens.key", self.key, self.key_file)
        if not key:
            raise ConfigError(
                "tokens.key is not set: set tokens.key_file to the key that signs or checks the users' tokens"
            )
        if self.algorithm == "HS256" and len(key.reveal().encode()) < MIN_SHARED_KEY_BYTES:
            raise ConfigError(f"tokens.key is too short for HS256: use {MIN_SHARED_KEY_BYTES} bytes or more")
        return key


@dataclass(frozen=True, slots=True)
class LimitSettings:
    max_message_bytes: int = _setting(64 * KIB, _whole(KIB, 16 * MIB))
    max_frame_bytes: int = _setting(MIB, _whole(16 * KIB, 64 * MIB))
    max_fragments: int = _setting(1024, _whole(1, 1_048_576))
    max_first_frame_bytes: int = _setting(64 * KIB, _whole(KIB, 64 * MIB))
    max_batch: int = _setting(1024, _whole(256, 65_536))
    max_stored_bytes_per_user: int = _setting(0, _whole(0, 2**47))
    window_entries: int = _setting(256, _whole(1, 65_536))
    window_bytes: int = _setting(MIB, _BYTES)
    grace_seconds: float = _setting(30.0, _seconds(0.1, 86_400))
    redelivery_rounds: int = _setting(3, _whole(1, 100))
    unanswered_requests: int = _setting(64, _whole(1, 65_536))
    ack_delay_seconds: float = _setting(0.02, _seconds(0, 1))
    device_requests_per_second: int = _setting(10_000, _COUNT)
    device_bytes_per_second: int = _setting(16 * MIB, _COUNT)
    user_requests_per_second: int = _setting(20_000, _COUNT)
    user_bytes_per_second: int = _setting(32 * MIB, _COUNT)
    user_logins_per_second: int = _setting(10, _COUNT)
    rate_burst_seconds: float = _setting(2.0, _seconds(0.01, 3600))
    extra_frames_per_second: int = _setting(256, _COUNT)
    json_objects_per_second: int = _setting(10_000, _COUNT)
    address_openings_per_second: int = _setting(200, _COUNT)
    max_devices_per_user: int = _setting(64, _COUNT)
    max_connections_per_address: int = _setting(1024, _COUNT)
    max_unauthenticated: int = _setting(2048, _COUNT)
    max_unauthenticated_per_address: int = _setting(128, _COUNT)
    uncounted_addresses: tuple[str, ...] = _setting(
        ("127.0.0.0/8", "::1/128"), Rule(_networks, 'a list of addresses or networks such as "10.0.0.0/8"')
    )


@dataclass(frozen=True, slots=True)
class PartitionSettings:
    names: tuple[str, ...] = _setting(
        ("chat", "notification", "feed", "sync"),
        Rule(_partitions, 'a list of different names in small letters that contains "chat"'),
    )


@dataclass(frozen=True, slots=True)
class UserSettings:
    accept_unknown_recipients: bool = _setting(False, Rule(_flag, "true or false"))  # noqa: FBT003 - the default itself


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    history_days: Mapping[str, int] = _setting(
        {"chat": 0, "notification": 30, "feed": 0, "sync": 0},
        Rule(_days_by_partition, "days from 0 to 36500 for each partition"),
    )
    offline_days: int = _setting(7, _whole(1, 3650))
    dedup_days: int = _setting(30, _whole(1, 3650))
    every_seconds: float = _setting(60.0, _seconds(0.1, 86_400))


@dataclass(frozen=True, slots=True)
class TimeSettings:
    max_step_seconds: float = _setting(300.0, _seconds(1, 86_400))
    max_gap_days: int = _setting(7, _whole(1, 3650))


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    level: str = _setting("info", _choice("debug", "info", "warning", "error"))
    format: str = _setting("console", _choice("console", "json"))


@dataclass(frozen=True, slots=True)
class Settings:
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    partitions: PartitionSettings = field(default_factory=PartitionSettings)
    users: UserSettings = field(default_factory=UserSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    time: TimeSettings = field(default_factory=TimeSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)


def load_settings(file: Path | None, environ: Mapping[str, str]) -> Settings:
    """Defaults, then `file` if there is one, then `environ`. ConfigError tells everything that is wrong."""
    given: dict[tuple[str, str], tuple[str, Any]] = {}
    problems: list[str] = []
    if file is not None:
        given |= _from_file(file, problems)
    given |= _from_environment(environ, problems)
    values: dict[str, dict[str, Any]] = {}
    for (section, key), (where, value) in given.items():
        rule = _RULES[section][key]
        try:
            values.setdefault(section, {})[key] = rule.parse(value)
        except (ValueError, KeyError, TypeError):
            problems.append(f"{where} is {_shown(rule, value)}; allowed: {rule.allowed}")
    _complete_history(values)
    settings = Settings()
    settings = replace(settings, **{name: replace(getattr(settings, name), **new) for name, new in values.items()})
    problems += [f"{file or 'settings'}: {problem}" for problem in _contradictions(settings)]
    if problems:
        raise ConfigError("\n".join(problems))
    return settings


def _from_file(file: Path, problems: list[str]) -> dict[tuple[str, str], tuple[str, Any]]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error
    given: dict[tuple[str, str], tuple[str, Any]] = {}
    for section, table in document.items():
        if section not in _RULES:
            problems.append(f"{file}: [{section}] does not exist; {_meant(section, _RULES)}")
        elif not isinstance(table, dict):
            problems.append(f"{file}: {section} is not a table; write [{section}] on a line of its own, then its keys")
        else:
            for key, value in table.items():
                if key in _RULES[section]:
                    given[section, key] = (f"{file}: {section}.{key}", value)
                else:
                    problems.append(f"{file}: {section}.{key} does not exist; {_meant(key, _RULES[section])}")
    return given


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[tuple[str, str], tuple[str, Any]]:
    """Reads settings from the environment. What names a section of ours must name one of its keys; others are somebody
    else's, unless nearly ours.
    """
    given: dict[tuple[str, str], tuple[str, Any]] = {}
    for name in sorted(environ):
        if name in _VARIABLES:
            given[_VARIABLES[name]] = (f"environment: {name}", environ[name])
        elif name.startswith(_SECTION_PREFIXES) or (
            name.startswith(_PREFIX) and difflib.get_close_matches(name, _VARIABLES, cutoff=0.9)
        ):
            problems.append(f"environment: {name} does not exist; {_meant(name, _VARIABLES)}")
    return given


def _complete_history(values: dict[str, dict[str, Any]]) -> None:
    """Partitions that retention does not name keep their default, or, if they are somebody's own, their history."""
    names = values.get("partitions", {}).get("names", PartitionSettings().names)
    defaults = RetentionSettings().history_days
    retention = values.setdefault("retention", {})
    retention["history_days"] = {name: defaults.get(name, 0) for name in names} | retention.get("history_days", {})


def _contradictions(settings: Settings) -> Iterator[str]:
    limits, store, retention = settings.limits, settings.store, settings.retention
    least = limits.max_message_bytes + KIB
    if limits.max_frame_bytes < least:
        yield f"limits.max_frame_bytes is {limits.max_frame_bytes}; allowed: max_message_bytes and {KIB} more ({least})"
    if limits.window_bytes < limits.max_message_bytes:
        yield f"limits.window_bytes is {limits.window_bytes}; allowed: max_message_bytes ({least - KIB}) or more"
    most = store.map_size_bytes // 8 * 7  # the store needs room to delete something when it is full
    if store.quota_bytes > most:
        yield f"store.quota_bytes is {store.quota_bytes}; allowed: seven eighths of map_size_bytes ({most}) or less"
    if retention.dedup_days < retention.offline_days:
        allowed = f"offline_days ({retention.offline_days}) or more"
        yield f"retention.dedup_days is {retention.dedup_days}; allowed: {allowed}"
    for name in retention.history_days:
        if name not in settings.partitions.names:
            yield f"retention.history_days.{name} does not exist; {_meant(name, settings.partitions.names)}"
    yield from _insecurities(settings.gateway)
    if settings.tokens.key and settings.tokens.key_file:
        yield "tokens.key and tokens.key_file are both set; allowed: one of them"
    if settings.console.operator_token and settings.console.operator_token_file:
        yield "console.operator_token and console.operator_token_file are both set; allowed: one of them"


def _insecurities(gateway: GatewaySettings) -> Iterator[str]:
    if gateway.tls_key and not gateway.tls_certificate:
        yield "gateway.tls_key is set without gateway.tls_certificate; allowed: both, or the certificate alone"


def _read_secret(name: str, secret: Secret, file: str) -> Secret:
    if not file:
        return secret
    try:
        return Secret(Path(file).read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ConfigError(f"{name}_file: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{name}_file: {file} is not text") from error


def _meant(name: str, names: Iterable[str]) -> str:
    names = list(names)
    close = difflib.get_close_matches(name, names, n=1)
    return f'did you mean "{close[0]}"?' if close else f"allowed: {', '.join(names)}"


def _shown(rule: Rule, value: object) -> str:
    return "not a text" if rule is _SECRET else repr(value)


def _rules(section: type) -> dict[str, Rule]:
    return {key.name: key.metadata["rule"] for key in fields(section)}


def _section(part: Field[Any]) -> type:
    assert part.default_factory is not MISSING
    return type(part.default_factory())


_RULES: Final = {part.name: _rules(_section(part)) for part in fields(Settings)}
_VARIABLES: Final = {
    f"{_PREFIX}{section}_{key}".upper(): (section, key) for section, rules in _RULES.items() for key in rules
}
_SECTION_PREFIXES: Final = tuple(f"{_PREFIX}{section}_".upper() for section in _RULES)
