"""What an operator can set about connections and tokens. Seconds, bytes."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, Literal

from bimip.gateway.tls import Certificate, TlsError
from bimip.settings import (
    COUNT,
    FLAG,
    KIB,
    MIB,
    NO_SECRET,
    PORT,
    SECRET,
    TEXT,
    ConfigError,
    Raw,
    Rule,
    Secret,
    choice,
    is_loopback,
    items,
    nonempty,
    read_secret,
    seconds,
    setting,
    text,
    whole,
)

Algorithm = Literal["EdDSA", "RS256", "HS256"]
MIN_SECRET_BYTES: Final = 32  # RFC 7518, 3.2: a key of the hash's size or larger


def _origins(value: Raw) -> tuple[str, ...]:
    origins = tuple(text(item).rstrip("/") for item in items(value))
    if not all(origin == "*" or re.fullmatch(r"https?://[^/\s]+", origin) for origin in origins):
        raise ValueError
    return origins


def _names(value: Raw) -> tuple[str, ...]:
    names = tuple(text(item).lower() for item in items(value))
    if not all(re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]+", name) for name in names):
        raise ValueError
    return names


def _networks(value: Raw) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(text(item))) for item in items(value))


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    host: str = setting("127.0.0.1", nonempty("an address or a host name"))
    port: int = setting(8470, PORT)  # 0: the system chooses
    tls_certificate: str = setting("", TEXT)
    tls_key: str = setting("", TEXT)
    origins: tuple[str, ...] = setting(
        (), Rule(_origins, 'a list of origins such as "https://chat.example.org", or "*"')
    )
    """Web pages that may connect, such as `https://chat.example.org`; "*" is any."""
    names: tuple[str, ...] = setting((), Rule(_names, 'a list of host names such as "chat.example.org"'))
    """The server's own host names, in small letters: pages that came from it by one of them may connect too."""
    proxies: tuple[str, ...] = setting((), Rule(_networks, 'a list of addresses or networks such as "10.0.0.0/8"'))
    """Whose `X-Forwarded-For` says who their peers are."""
    allow_plaintext: bool = setting(False, FLAG)  # noqa: FBT003 - the default itself
    handshake_seconds: float = setting(5.0, seconds(0.1, 300))
    """From the first byte to a valid token, TLS included."""
    send_seconds: float = setting(30.0, seconds(0.1, 3600))
    """How long one frame may take to leave."""
    message_seconds: float = setting(30.0, seconds(0.1, 3600))
    """How long one message may take to arrive, from its first byte."""
    drain_seconds: float = setting(5.0, seconds(0, 300), reloads=True)
    """How long a stop waits for answers that are on their way."""
    drain_spread_seconds: float = setting(0.0, seconds(0, 3600), reloads=True)
    """Over how long a stop closes who is connected, in random order; 0: all at once."""
    max_first_frame_bytes: int = setting(64 * KIB, whole(KIB, 64 * MIB), section="limits")
    """The first message of a peer that showed no token yet."""
    max_fragments: int = setting(1024, whole(1, 1_048_576), section="limits")
    """In how many frames one message may come, empty ones too."""
    extra_frames_per_second: int = setting(256, COUNT, section="limits")
    """Pings, pongs and fragments of one connection, kept up; 0: without limit."""
    json_objects_per_second: int = setting(10_000, COUNT, section="limits")
    """How much JSON of one connection is converted, kept up; 0: without limit. A KiB counts as an object."""
    address_openings_per_second: int = setting(200, COUNT, section="limits")
    """Of one address, kept up; 0: without limit."""
    # How many at once; 0: as many as come.
    max_devices_per_user: int = setting(64, COUNT, section="limits")
    max_connections_per_address: int = setting(1024, COUNT, section="limits")
    max_unauthenticated: int = setting(2048, COUNT, section="limits")
    max_unauthenticated_per_address: int = setting(128, COUNT, section="limits")
    max_head_bytes: int = setting(32 * KIB, whole(4 * KIB, MIB), section="http")
    """Of a request, one that opens a WebSocket too."""
    connections_per_address: int = setting(256, COUNT, section="http")
    """Of one address, that are kept for requests by HTTP; 0: as many as come."""
    uncounted_addresses: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"),
        Rule(_networks, 'a list of addresses or networks such as "10.0.0.0/8"'),
        section="limits",
    )
    """Networks, such as a proxy's, whose addresses say nothing about who the peer is."""
    # What the machine decides.
    tls: Certificate | None = None
    """The certificate, once it was read."""
    max_connections: int = 0
    """Beyond them a socket is answered 503: the console and the store need files too."""
    max_turning_away: int = 256
    """Sockets that are told so; those beyond are closed without a word."""
    # What nobody needs to choose.
    close_seconds: float = 3.0
    """How long a peer may take to answer a close."""

    @property
    def longest_drain_seconds(self) -> float:
        """How long a stop takes at most until nobody is connected."""
        return self.drain_seconds + self.drain_spread_seconds

    @property
    def is_open_in_plaintext(self) -> bool:
        """Whether other machines may reach the server, and everybody between read what they say."""
        return not self.tls_certificate and not is_loopback(self.host)

    def read_certificate(self) -> Certificate | None:
        """Reads the certificate that the settings name; None: they name none. Raises ConfigError."""
        if not self.tls_certificate:
            return None
        try:
            return Certificate(self.tls_certificate, self.tls_key)
        except TlsError as error:
            raise ConfigError(f"gateway.tls_certificate cannot be used: {error}") from None

    def contradictions(self) -> list[str]:
        if self.tls_key and not self.tls_certificate:
            return ["gateway.tls_key is set without gateway.tls_certificate; allowed: both, or the certificate alone"]
        return []


@dataclass(frozen=True, slots=True)
class TokenSettings:
    algorithm: Algorithm = setting("EdDSA", choice("EdDSA", "RS256", "HS256"), reloads=True)
    key: Secret = setting(NO_SECRET, SECRET, reloads=True)
    """The public key as PEM (a private one will do for its public half); for HS256, in development only, the secret."""
    key_file: str = setting("", TEXT, reloads=True)
    audience: str = setting("", TEXT, reloads=True)
    issuer: str = setting("", TEXT, reloads=True)
    leeway_seconds: int = setting(30, whole(0, 600))

    def read_key(self) -> Secret:
        """The key's text: the shared secret of HS256, else a PEM. ConfigError if there is none, or it is too weak."""
        key = read_secret("tokens.key", self.key, self.key_file)
        if not key:
            raise ConfigError(
                "tokens.key is not set: set tokens.key_file to the key that signs or checks the users' tokens"
            )
        if self.algorithm == "HS256" and len(key.reveal().encode()) < MIN_SECRET_BYTES:
            raise ConfigError(f"tokens.key is too short for HS256: use {MIN_SECRET_BYTES} bytes or more")
        return key

    def contradictions(self) -> list[str]:
        if self.key and self.key_file:
            return ["tokens.key and tokens.key_file are both set; allowed: one of them"]
        return []
