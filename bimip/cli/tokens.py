"""Signing a device's token with the configured key."""

import secrets
import time

from bimip.cli.failures import Exit, Failure
from bimip.config import Settings
from bimip.gateway.authentication import TokenError, issue


def sign(settings: Settings, eid: str, device: str, lifetime_seconds: int) -> str:
    """ConfigError without a key; Failure if the key cannot sign or a name cannot be."""
    tokens = settings.tokens
    key = tokens.read_key().reveal()
    if "PUBLIC KEY-----" in key:
        sentence = "this key can check tokens, but only its private key can sign them; set tokens.key_file to that"
        raise Failure(Exit.SETTINGS, sentence)
    try:
        return issue(
            algorithm=tokens.algorithm,
            signing_key=key,
            eid=eid,
            device=device,
            now_ms=time.time_ns() // 1_000_000,
            lifetime_seconds=lifetime_seconds,
            jti=secrets.token_hex(16),
            audience=tokens.audience or None,
            issuer=tokens.issuer or None,
        )
    except TokenError as error:
        raise Failure(Exit.USAGE, error.reason) from error
    except ValueError as error:
        raise Failure(Exit.SETTINGS, f"tokens.key does not fit tokens.algorithm: {error}") from error
