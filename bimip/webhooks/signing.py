"""Signatures as Standard Webhooks has them (standardwebhooks.com), so that every back end has a library that checks
them: HMAC-SHA256 over the id, the time and the body.

Several secrets sign each request, side by side: while one takes the place of another both are there.
"""

import binascii
import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Final

PREFIX: Final = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64
"""Of a secret, as the specification has it."""


def read_secrets(text: str) -> list[bytes]:
    """Reads secrets, one a line: `whsec_` and base64. Raises ValueError."""
    secrets = [_secret(line.strip()) for line in text.splitlines() if line.strip()]
    if not secrets:
        raise ValueError("it holds no secret")
    return secrets


def _secret(line: str) -> bytes:
    try:
        secret = b64decode(line.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not line.startswith(PREFIX) or not LEAST_BYTES <= len(secret) <= MOST_BYTES:
        raise ValueError(f"a secret is {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64, one a line")
    return secret


def sign(secrets: Sequence[bytes], event: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """Makes the headers that say who sends an event, and when: a copy that is sent again later is known by that."""
    signed = f"{event}.{seconds}.".encode() + body
    macs = [b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode() for secret in secrets]
    return {
        "webhook-id": event,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }
