"""What an operator can set about HTTP on the public port. Seconds, bytes."""

from dataclasses import dataclass

from bimip.settings import KIB, MIB, seconds, setting, whole


@dataclass(frozen=True, slots=True)
class HttpSettings:
    max_body_bytes: int = setting(MIB, whole(KIB, 64 * MIB))
    """Of one request. A batch of messages is one."""
    body_seconds: float = setting(30.0, seconds(0.1, 3600))
    """How long a request's body may take to arrive, from its head on."""
    send_seconds: float = setting(30.0, seconds(0.1, 3600))
    """How long a part of an answer may take to leave."""
    keep_alive_seconds: float = setting(75.0, seconds(0, 3600))
    """How long a connection may wait for its next request, until that has come with its whole head."""
    # What nobody needs to choose.
    close_seconds: float = 3.0
    """How long a peer may take to take its last answer."""
