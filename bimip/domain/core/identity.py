"""Who is on the other end."""

from dataclasses import dataclass, field

from bimip.domain.core.ids import Millis


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a verified token."""

    eid: str  # `sub`: the user
    device: str  # `did`
    expires_at: Millis
    jti: str  # names the token, so that it can be revoked
    issued_at: Millis = field(default=Millis(0))  # 0: it does not say
