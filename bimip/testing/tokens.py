"""Tokens that servers for tests take: they are real, and signed with a key that is no secret."""

import hashlib
import time

from bimip.gateway.authentication import issue

KEY = "a key for tests, of 32 bytes or more"
OPERATOR = "an operator's token"
LONGEST_JTI = 64
"""Bytes, as `sha256` has hexadecimal digits."""


def issue_token(
    eid: str, device: str = "phone", *, seconds: int = 86_400, now_ms: int | None = None, jti: str = "", key: str = KEY
) -> str:
    """Makes a token of a user and a device that is good for `seconds` from now on, or from `now_ms` on."""
    own = jti or f"{eid}/{device}"
    return issue(
        algorithm="HS256",
        signing_key=key,
        eid=eid,
        device=device,
        now_ms=time.time_ns() // 1_000_000 if now_ms is None else now_ms,
        lifetime_seconds=seconds,
        jti=own if len(own.encode()) <= LONGEST_JTI else hashlib.sha256(own.encode()).hexdigest(),
    )
