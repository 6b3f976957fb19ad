"""The configured key: does it fit, and signing a device's token with it."""

import secrets
import time

from bimip.cli.failures import Exit, Failure
from bimip.config import ConfigError, Settings
from bimip.gateway.authentication import Verifier, issue
from bimip.session.tokens import TokenError

_MISFIT = "tokens.key does not fit tokens.algorithm"


def sign(settings: Settings, eid: str, device: str, lifetime_seconds: int) -> str:
    """ConfigError without a key that fits; Failure if it cannot sign or a name cannot be."""
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
        raise ConfigError(f"{_MISFIT}: {error}") from error


def check_key(settings: Settings) -> None:
    """ConfigError if tokens could not be checked with the configured key."""
    try:
        Verifier(settings.tokens)
    except ValueError as error:
        raise ConfigError(f"{_MISFIT}: {error}") from error
