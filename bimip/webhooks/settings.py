"""Which back ends are told of events, and of which."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bimip.domain.webhooks.feed import KIND_NAMES, MAX_WEBHOOKS, EventKind
from bimip.settings import (
    FLAG,
    NO_SECRET,
    ConfigError,
    Raw,
    Rule,
    Secret,
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
from bimip.webhooks.signing import read_secrets

_KEYS: Final = frozenset({"url", "secret", "secret_file", "events", "content"})


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """A back end, and of what it is told."""

    url: str
    kinds: frozenset[EventKind] = frozenset(KIND_NAMES.values())
    content: bool = False
    secret: Secret = NO_SECRET
    secret_file: str = ""

    def read_secrets(self, name: str) -> list[bytes]:
        """Reads what requests are signed with. Raises ConfigError."""
        where = f"webhooks.endpoints.{name}.secret"
        try:
            return read_secrets(read_secret(where, self.secret, self.secret_file).reveal())
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None


def _endpoints(value: Raw) -> dict[str, EndpointSettings]:
    found = tables(value, _KEYS, _endpoint)
    if len(found) > MAX_WEBHOOKS:
        raise ValueError
    return found


def _endpoint(_name: str, keys: Mapping[str, Raw]) -> EndpointSettings:
    events = [text(event) for event in items(keys.get("events", list(KIND_NAMES)))]
    content = keys.get("content", False)
    if not events or not KIND_NAMES.keys() >= set(events) or not isinstance(content, bool):
        raise ValueError
    return EndpointSettings(
        http_url(keys.get("url")),
        frozenset(KIND_NAMES[event] for event in events),
        content,
        Secret(text(keys.get("secret", ""))),
        text(keys.get("secret_file", "")),
    )


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    endpoints: Mapping[str, EndpointSettings] = setting(
        {},
        Rule(
            _endpoints,
            "a table for each back end, [webhooks.endpoints.NAME], with url, of http or https, secret or secret_file, "
            f"and perhaps events, a list of {', '.join(KIND_NAMES)}, and content, true or false",
            holds_secrets=True,
        ),
    )
    timeout_seconds: float = setting(10.0, seconds(0.1, 300), reloads=True)
    retry_seconds: float = setting(300.0, seconds(1, 86_400), reloads=True)
    max_age_seconds: float = setting(259_200.0, seconds(60, 31_536_000), reloads=True)
    max_sends: int = setting(8, whole(1, 256), reloads=True)
    max_waiting: int = setting(1_000_000, whole(1, 10**9), reloads=True)
    allow_private_addresses: bool = setting(False, FLAG)  # noqa: FBT003 - the default itself

    def read_secrets(self) -> dict[str, list[bytes]]:
        """Reads what requests to each back end are signed with. Raises ConfigError."""
        return {name: endpoint.read_secrets(name) for name, endpoint in self.endpoints.items()}

    @property
    def kinds(self) -> frozenset[int]:
        """The kinds that anybody is told of: nothing else is written down."""
        return frozenset(int(kind) for endpoint in self.endpoints.values() for kind in endpoint.kinds)

    def contradictions(self) -> list[str]:
        found = []
        for name, endpoint in self.endpoints.items():
            where = f"webhooks.endpoints.{name}"
            twice = find_two_secrets(where, endpoint.secret, endpoint.secret_file)
            found += twice
            if endpoint.secret and not twice:
                try:
                    endpoint.read_secrets(name)
                except ConfigError as error:
                    found.append(str(error))
            allowing = "webhooks.allow_private_addresses"
            found += find_open_url(where, endpoint.url, allowing, allow_private=self.allow_private_addresses)
        return found
