"""Tokens: JWTs with `sub` the user, `did` the device, `exp`, and `jti`, signed with the configured algorithm.

What a token says about itself decides nothing: its algorithm must be the configured one, the key is loaded as a key of
that algorithm and no other, and header parameters that ask for anything (`crit`, `b64`) refuse it. No error quotes the
token, or has one as its cause that does.
"""

import hashlib
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from jwt.types import Options

from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis
from bimip.gateway.settings import MIN_SECRET_BYTES, Algorithm, TokenSettings
from bimip.session.close import Close
from bimip.session.tokens import TokenError
from bimip.wire.checks import check_eid, check_id
from bimip.wire.errors import WireError

MAX_TOKEN_CHARS = 8192
MIN_RSA_BITS = 2048  # RFC 7518, 3.3
LATEST_SECONDS = 253_402_300_800  # the year 10000
REQUIRED = ("sub", "did", "exp")


def _tell_nobody(_eid: str, _device: str, _reason: str) -> None:
    """Nobody wants to know whose token was refused."""


class Verifier:
    def __init__(self, settings: TokenSettings, refused: Callable[[str, str, str], None] = _tell_nobody) -> None:
        """Raises ConfigError without a key, and ValueError where it is none of that algorithm's. `refused` is told
        whose token is refused, user and device, whose signature holds, and why.
        """
        self._settings = settings
        self._refused = refused
        self._key = _verifying_key(settings.algorithm, settings.read_key().reveal())
        self._algorithms = [settings.algorithm]
        self._options: Options = {
            "require": list(REQUIRED),
            "verify_aud": bool(settings.audience),
            # These look at a clock of their own.
            "verify_exp": False,
            "verify_nbf": False,
            "verify_iat": False,
        }

    def adopt(self, other: "Verifier") -> None:
        """Goes by another one's key and settings from now on, but for the leeway. Who is connected stays so."""
        self._settings = replace(other._settings, leeway_seconds=self._settings.leeway_seconds)  # noqa: SLF001 - its like
        self._key, self._algorithms, self._options = other._key, other._algorithms, other._options  # noqa: SLF001

    def verify(self, token: str, now_ms: int) -> Claims:
        """Verifies a token and returns what it says. Raises TokenError."""
        _check_spelling(token)
        payload = self._payload(token)
        try:
            self._check_times(payload, now_ms)
        except TokenError as error:
            self._refused(_eid(payload), _name(payload, "did"), error.reason)
            raise
        return Claims(
            eid=_eid(payload),
            device=_name(payload, "did"),
            expires_at=Millis(int(_seconds(payload, "exp") * 1000)),
            jti=_name(payload, "jti") if "jti" in payload else _derived_jti(token),
            issued_at=_issued_at(payload),
        )

    def _payload(self, token: str) -> dict[str, Any]:
        try:
            decoded = jwt.decode_complete(
                token,
                self._key,
                algorithms=self._algorithms,
                audience=self._settings.audience or None,
                issuer=self._settings.issuer or None,
                options=self._options,
            )
        except jwt.InvalidAlgorithmError:
            raise TokenError(f"The token must be signed with {self._settings.algorithm}.") from None
        except jwt.MissingRequiredClaimError as error:
            raise TokenError(f"The token has no {error.claim!r}.") from None
        except jwt.InvalidAudienceError:
            raise TokenError("The token is for another audience.") from None
        except jwt.InvalidIssuerError:
            raise TokenError("The token is from another issuer.") from None
        except jwt.InvalidSignatureError:
            raise TokenError("The token's signature is wrong.") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise TokenError("This is not a valid token.") from None
        _check_header(decoded["header"], self._settings.algorithm)
        payload: dict[str, Any] = decoded["payload"]
        return payload

    def _check_times(self, payload: dict[str, Any], now_ms: int) -> None:
        leeway = self._settings.leeway_seconds
        now = now_ms / 1000
        if now >= _seconds(payload, "exp") + leeway:
            raise TokenError("The token has expired; get a new one.", Close.TOKEN_EXPIRED)
        if "nbf" in payload and now < _seconds(payload, "nbf") - leeway:
            raise TokenError("The token is not valid yet.")


def issue(
    *,
    algorithm: Algorithm,
    signing_key: str,
    eid: str,
    device: str,
    now_ms: int,
    lifetime_seconds: int,
    jti: str,
    audience: str | None = None,
    issuer: str | None = None,
) -> str:
    """A token, for the command line and the demonstration. `signing_key`: the private key's PEM, or HS256's secret."""
    now = now_ms // 1000
    payload: dict[str, Any] = {"sub": eid, "did": device, "jti": jti, "iat": now, "exp": now + lifetime_seconds}
    if audience is not None:
        payload["aud"] = audience
    if issuer is not None:
        payload["iss"] = issuer
    payload["sub"] = _eid(payload)
    _name(payload, "did")
    _name(payload, "jti")
    _verifying_key(algorithm, signing_key)
    return jwt.encode(payload, signing_key, algorithm=algorithm)


def _check_header(header: dict[str, Any], algorithm: Algorithm) -> None:
    if header.get("alg") != algorithm:
        raise TokenError(f"The token must be signed with {algorithm}.")
    if "crit" in header or "b64" in header:
        raise TokenError("The token asks for an extension that is not supported.")


def _verifying_key(algorithm: Algorithm, text: str) -> Ed25519PublicKey | RSAPublicKey | bytes:
    if algorithm == "HS256":
        return _secret(text)
    key = _public_key(text)
    if algorithm == "EdDSA" and isinstance(key, Ed25519PublicKey):
        return key
    if algorithm == "RS256" and isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return key
    kind = "an Ed25519 key" if algorithm == "EdDSA" else f"an RSA key of at least {MIN_RSA_BITS} bits"
    raise ValueError(f"{algorithm} needs {kind}, as PEM")


def _secret(text: str) -> bytes:
    secret = text.encode()
    if len(secret) < MIN_SECRET_BYTES or "-----BEGIN" in text:
        raise ValueError(f"HS256 needs a secret of at least {MIN_SECRET_BYTES} bytes, which is no PEM")
    return secret


def _public_key(text: str) -> object:
    pem = text.encode()
    if "PRIVATE KEY-----" in text:
        private = load_pem_private_key(pem, password=None)
        return private.public_key() if isinstance(private, Ed25519PrivateKey | RSAPrivateKey) else private
    return load_pem_public_key(pem)


def _eid(payload: dict[str, Any]) -> str:
    try:
        return check_eid(_text(payload, "sub"), "The token's 'sub'")
    except WireError as error:
        raise TokenError(error.sentence) from None


def _name(payload: dict[str, Any], claim: str) -> str:
    value = _text(payload, claim)
    try:
        check_id(value, f"The token's {claim!r}")
    except WireError as error:
        raise TokenError(error.sentence) from None
    return value


def _text(payload: dict[str, Any], claim: str) -> str:
    value = payload[claim]
    if not isinstance(value, str) or value != value.strip():
        raise TokenError(f"The token's {claim!r} must be a text without space around it.")
    return value


def _issued_at(payload: dict[str, Any]) -> Millis:
    """When a token says that it was issued; 0 where it does not, or says nothing that is a time."""
    try:
        return Millis(int(_seconds(payload, "iat") * 1000)) if "iat" in payload else Millis(0)
    except TokenError:
        return Millis(0)


def _seconds(payload: dict[str, Any], claim: str) -> float:
    value = payload[claim]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenError(f"The token's {claim!r} must be a number of seconds since 1970.")
    if not 0 <= value < LATEST_SECONDS:
        raise TokenError(f"The token's {claim!r} is no time in this age.")
    return value


def _check_spelling(token: str) -> None:
    """One token has one spelling: base64url without padding (RFC 7515, 2), and no bits that nobody reads."""
    if len(token) > MAX_TOKEN_CHARS:
        raise TokenError(f"The token is longer than {MAX_TOKEN_CHARS} characters.")
    parts = token.split(".")
    if len(parts) != 3 or not all(map(_is_canonical, parts)):
        raise TokenError("This is not a valid token: three parts in base64url without padding, and nothing around it.")


def _is_canonical(part: str) -> bool:
    try:
        return urlsafe_b64encode(urlsafe_b64decode(part + "=" * (-len(part) % 4))).rstrip(b"=") == part.encode()
    except ValueError:  # binascii.Error, and letters that are no ASCII
        return False


def _derived_jti(token: str) -> str:
    """A name for a token that has none, of what is signed: whoever shows it again cannot change that."""
    signed, _, _ = token.rpartition(".")
    return hashlib.sha256(signed.encode()).hexdigest()[:32]
