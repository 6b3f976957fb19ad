"""What an operator can set about connections. Seconds, bytes."""

from dataclasses import dataclass

from bimip.gateway.tls import Certificate


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    host: str | None = "127.0.0.1"  # None: every interface
    port: int = 8470  # 0: the system chooses
    tls: Certificate | None = None
    origins: tuple[str, ...] = ()
    """Web pages that may connect, such as `https://chat.example.org`; "*" is any."""
    names: tuple[str, ...] = ()
    """The server's own host names, in small letters: pages that came from it by one of them may connect too."""
    handshake_seconds: float = 5.0
    """From the first byte to a valid token, TLS included."""
    heartbeat_seconds: float = 30.0
    """How often a ping goes out. A peer that is silent for two of them is gone."""
    send_seconds: float = 30.0
    """How long one frame may take to leave."""
    message_seconds: float = 30.0
    """How long one message may take to arrive, from its first byte."""
    close_seconds: float = 3.0
    """How long a peer may take to answer a close."""
    max_frame_bytes: int = 1 << 20
    max_first_frame_bytes: int = 64 << 10
    """The first message of a peer that showed no token yet."""
    max_fragments: int = 1024
    """In how many frames one message may come, empty ones too."""
    max_opening_bytes: int = 32 << 10
    """All that a peer may send before it is a WebSocket."""
    max_malformed: int = 8
    """JSON texts in a row that are answered as malformed; the next one ends the connection."""
    extra_frames_per_second: float = 256
    """Pings, pongs and fragments of one connection, kept up; 0: without limit."""
    json_objects_per_second: float = 10_000
    """How much JSON of one connection is converted, kept up; 0: without limit. A KiB counts as an object."""
    address_openings_per_second: float = 200
    """Of one address, kept up; 0: without limit."""
    # How many at once; 0: as many as come.
    max_devices_per_user: int = 64
    max_connections: int = 0
    """Beyond them a socket is answered 503: the console and the store need files too."""
    max_turning_away: int = 256
    """Sockets that are told so; those beyond are closed without a word."""
    max_connections_per_address: int = 1024
    max_unauthenticated: int = 2048
    max_unauthenticated_per_address: int = 128
    uncounted_addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Networks, such as a proxy's, whose addresses say nothing about who the peer is."""
