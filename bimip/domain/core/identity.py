"""Who is on the other end."""

from dataclasses import dataclass

from bimip.domain.core.ids import Millis


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token."""

    eid: str  # `sub`: the user
    device: str  # `did`
    expires_at: Millis
    jti: str  # names the token, so that it can be revoked
