"""Which gateways there are, and what is pushed by them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bimip.domain.push.outbox import PushRules
from bimip.domain.push.subscribing import WEB_PUSH
from bimip.settings import (
    FLAG,
    NO_SECRET,
    SECRET,
    TEXT,
    Raw,
    Rule,
    Secret,
    choice,
    find_open_url,
    find_two_secrets,
    http_url,
    items,
    read_secret,
    seconds,
    setting,
    tables,
    text,
    whole,
)

MIN_SECRET_CHARACTERS: Final = 16
_GATEWAY_KEYS: Final = frozenset({"url", "secret", "secret_file"})


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """A gateway of the operator's, which takes notifications as JSON."""

    url: str
    secret: Secret = NO_SECRET
    secret_file: str = ""

    def read_secret(self, name: str) -> Secret:
        """Reads what requests are signed with. Raises ConfigError."""
        return read_secret(f"push.gateways.{name}.secret", self.secret, self.secret_file)


def _gateways(value: Raw) -> dict[str, GatewaySettings]:
    return tables(value, _GATEWAY_KEYS, _gateway)


def _gateway(name: str, keys: Mapping[str, Raw]) -> GatewaySettings:
    if name == WEB_PUSH:
        raise ValueError
    return GatewaySettings(
        http_url(keys.get("url")), Secret(text(keys.get("secret", ""))), text(keys.get("secret_file", ""))
    )


def _names(value: Raw) -> tuple[str, ...]:
    return tuple(text(item) for item in items(value))


@dataclass(frozen=True, slots=True)
class PushSettings:
    gateways: Mapping[str, GatewaySettings] = setting(
        {},
        Rule(
            _gateways,
            "a table for each gateway, [push.gateways.NAME], with url, of http or https, and secret or secret_file",
            holds_secrets=True,
        ),
    )
    vapid_key: Secret = setting(NO_SECRET, SECRET)
    vapid_key_file: str = setting("", TEXT)
    vapid_subject: str = setting("", TEXT)
    partitions: tuple[str, ...] = setting(
        ("chat", "notification"), Rule(_names, "a list of names of partitions"), reloads=True
    )
    content: str = setting("sender", choice("nothing", "sender", "message"), reloads=True)
    clear_on_read: bool = setting(True, FLAG, reloads=True)  # noqa: FBT003 - the default itself
    mentions_when_muted: bool = setting(True, FLAG, reloads=True)  # noqa: FBT003 - the default itself
    burst: int = setting(3, whole(0, 1000), reloads=True)
    collapse_seconds: float = setting(30.0, seconds(0, 86_400), reloads=True)
    delay_seconds: float = setting(1.0, seconds(0, 3600))
    max_age_seconds: float = setting(86_400.0, seconds(1, 2_419_200), reloads=True)
    timeout_seconds: float = setting(10.0, seconds(0.1, 300), reloads=True)
    retry_seconds: float = setting(300.0, seconds(1, 86_400), reloads=True)
    max_sends: int = setting(32, whole(1, 1000), reloads=True)
    max_sends_per_host: int = setting(4, whole(1, 1000), reloads=True)
    allow_private_addresses: bool = setting(False, FLAG)  # noqa: FBT003 - the default itself

    def read_vapid_key(self) -> Secret:
        """The key of Web Push, as PEM; empty: browsers are not reached. Raises ConfigError."""
        return read_secret("push.vapid_key", self.vapid_key, self.vapid_key_file)

    def rules(self) -> PushRules:
        return PushRules(
            self.partitions,
            self.burst,
            int(self.collapse_seconds * 1000),
            int(self.max_age_seconds * 1000),
            self.mentions_when_muted,
            self.clear_on_read,
        )

    def contradictions(self) -> list[str]:
        found = []
        if self.vapid_key and self.vapid_key_file:
            found.append("push.vapid_key and push.vapid_key_file are both set; allowed: one of them")
        if (self.vapid_key or self.vapid_key_file) and not self.vapid_subject.startswith(("mailto:", "https://")):
            allowed = "an address at which you are reached, as mailto:push@example.org, or an https URL"
            found.append(f"push.vapid_subject is {self.vapid_subject!r}; allowed: {allowed}")
        for name, gateway in self.gateways.items():
            where = f"push.gateways.{name}"
            twice = find_two_secrets(where, gateway.secret, gateway.secret_file)
            found += twice
            if gateway.secret and not twice and len(gateway.secret.reveal()) < MIN_SECRET_CHARACTERS:
                found.append(f"{where}.secret is too short; allowed: {MIN_SECRET_CHARACTERS} characters or more")
            allowing = "push.allow_private_addresses"
            found += find_open_url(where, gateway.url, allowing, allow_private=self.allow_private_addresses)
        return found
