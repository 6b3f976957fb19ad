"""Which floor has which settings. Those of the console and the log are here: these parts are handed what they need."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Final

from bimip.domain.awareness.settings import CallSettings
from bimip.domain.core.rules import PartitionSettings, UserSettings
from bimip.domain.keeping.timekeeping import TimeSettings
from bimip.gateway.settings import GatewaySettings, TokenSettings
from bimip.http.settings import HttpSettings
from bimip.journal.settings import JournalSettings
from bimip.push.settings import PushSettings
from bimip.retention.settings import RetentionSettings
from bimip.settings import (
    COUNT,
    KIB,
    MIB,
    NO_SECRET,
    PORT,
    SECRET,
    TEXT,
    ConfigError,
    Declared,
    Raw,
    Rule,
    Secret,
    choice,
    is_loopback,
    read_secret,
    seconds,
    setting,
    text,
    whole,
)
from bimip.storage.settings import StoreSettings
from bimip.users.awareness.settings import PresenceSettings
from bimip.webhooks.settings import WebhookSettings
from bimip.wire.limits import Limits, RateSettings

MIN_TOKEN_CHARACTERS: Final = 16


def _loopback(value: Raw) -> str:
    if not is_loopback(text(value)):
        raise ValueError
    return text(value)


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    host: str = setting("127.0.0.1", Rule(_loopback, 'a loopback address: "127.0.0.1", "::1" or "localhost"'))
    port: int = setting(8471, PORT)
    operator_token: Secret = setting(NO_SECRET, SECRET)
    operator_token_file: str = setting("", TEXT)
    metrics_token: Secret = setting(NO_SECRET, SECRET)
    metrics_token_file: str = setting("", TEXT)

    def read_operator_token(self) -> Secret:
        """The token, or an empty secret: then the debug endpoint refuses everybody. ConfigError if it is too short."""
        return _read_token("console.operator_token", self.operator_token, self.operator_token_file)

    def read_metrics_token(self) -> Secret:
        """The token that opens /metrics alone, or an empty secret: there is none. ConfigError if it is too short."""
        return _read_token("console.metrics_token", self.metrics_token, self.metrics_token_file)

    def contradictions(self) -> list[str]:
        given = {
            "operator_token": (self.operator_token, self.operator_token_file),
            "metrics_token": (self.metrics_token, self.metrics_token_file),
        }
        both = [name for name, (token, file) in given.items() if token and file]
        return [f"console.{name} and console.{name}_file are both set; allowed: one of them" for name in both]


def _read_token(name: str, token: Secret, file: str) -> Secret:
    token = read_secret(name, token, file)
    if token and len(token.reveal()) < MIN_TOKEN_CHARACTERS:
        raise ConfigError(
            f"{name} is too short to be safe: use {MIN_TOKEN_CHARACTERS} characters or more, for instance from "
            "`openssl rand -hex 32`"
        )
    return token


@dataclass(frozen=True, slots=True)
class HealthSettings:
    min_free_disk_bytes: int = setting(256 * MIB, COUNT, reloads=True)
    max_loop_lag_seconds: float = setting(1.0, seconds(0, 3600), reloads=True)


@dataclass(frozen=True, slots=True)
class AuditSettings:
    path: str = setting("", TEXT)
    max_bytes: int = setting(16 * MIB, whole(64 * KIB, 2**40))
    kept_files: int = setting(10, whole(1, 10_000))


@dataclass(frozen=True, slots=True)
class LoggingSettings:
    level: str = setting("info", choice("debug", "info", "warning", "error"), reloads=True)
    format: str = setting("console", choice("console", "json"))
    sample_messages: int = setting(0, COUNT, reloads=True)
    """One in so many messages is followed from its acceptance to its receipts, at level debug; 0: none."""
    otlp_endpoint: str = setting("", TEXT)
    """Where spans of these messages are sent, by OTLP over HTTP; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class Settings:
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    store: StoreSettings = field(default_factory=StoreSettings)
    tokens: TokenSettings = field(default_factory=TokenSettings)
    limits: Limits = field(default_factory=Limits)
    rates: RateSettings = field(default_factory=RateSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    partitions: PartitionSettings = field(default_factory=PartitionSettings)
    users: UserSettings = field(default_factory=UserSettings)
    calls: CallSettings = field(default_factory=CallSettings)
    presence: PresenceSettings = field(default_factory=PresenceSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    push: PushSettings = field(default_factory=PushSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
    time: TimeSettings = field(default_factory=TimeSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)

    def contradictions(self) -> Iterator[str]:
        """Names what cannot be true together, as far as one floor sees it."""
        for part in _parts(self):
            tell: Callable[[], list[str]] = getattr(part, "contradictions", list)
            yield from tell()


@dataclass(frozen=True, slots=True)
class Key:
    """A setting, as the file has it."""

    part: str
    """Of `Settings`: whose it is."""
    rule: Rule
    reloads: bool
    """Whether a running server takes another value over."""


def _parts(settings: Settings) -> Iterator[Any]:
    return (getattr(settings, part.name) for part in fields(settings))


def _sections() -> dict[str, dict[str, Key]]:
    found: dict[str, dict[str, Key]] = {part.name: {} for part in fields(Settings)}
    for of, part in zip(fields(Settings), _parts(Settings()), strict=True):
        for one in fields(part):
            declared = one.metadata.get(Declared)
            if declared is not None:
                section = found.setdefault(declared.section or of.name, {})
                assert one.name not in section, f"{one.name} is declared twice"
                section[one.name] = Key(of.name, declared.rule, declared.reloads)
    return {section: keys for section, keys in found.items() if keys}


SECTIONS: Final = _sections()
"""All settings, by section and key."""
