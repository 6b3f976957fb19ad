"""Whether a request may become a connection: subprotocol, origin, token. Pure; who is refused gets a sentence.

A bad or revoked token in the `Authorization` header is refused here, with 401, before there is a WebSocket. Browsers
cannot set that header: they come without, and show their token in `Hello`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bimip.domain.core.identity import Claims
from bimip.gateway.authentication import Verifier
from bimip.gateway.wire import SUBPROTOCOLS
from bimip.http.origins import may_come_from
from bimip.session.close import Close
from bimip.session.tokens import TokenError

Headers = Sequence[tuple[bytes, bytes]]

FindRefusal = Callable[[Claims], tuple[Close, str] | None]
"""Why a token that is right otherwise counts no more, as the device would be closed: who keeps the store knows."""


class UpgradeRefusedError(Exception):
    """The answer is an HTTP status instead of a WebSocket."""

    def __init__(self, status: int, sentence: str, headers: Headers = ()) -> None:
        super().__init__(f"{status} {sentence}")
        self.status = status
        self.sentence = sentence
        self.headers = headers


@dataclass(frozen=True, slots=True)
class Upgrade:
    subprotocol: str
    claims: Claims | None
    """None: whoever it is has to say so in `Hello`."""


def judge_upgrade(
    headers: Headers,
    *,
    host: str,
    offered: Sequence[str],
    origins: Sequence[str],
    names: Sequence[str],
    verifier: Verifier,
    find_refusal: FindRefusal,
    now_ms: int,
) -> Upgrade:
    """Raises UpgradeRefusedError. Header names are in lower case."""
    _check_origin(_values(headers, b"origin"), host, origins, names)
    subprotocol = next((name for name in offered if name in SUBPROTOCOLS), None)
    if subprotocol is None:
        raise UpgradeRefusedError(400, f"Offer one of the subprotocols {' and '.join(SUBPROTOCOLS)}.")
    claims = _claims(_values(headers, b"authorization"), verifier, now_ms)
    refusal = None if claims is None else find_refusal(claims)
    if refusal is not None:
        code, reason = refusal
        raise _unauthorized(f"{code.value} {reason[:1].upper()}{reason[1:]}.", "invalid_token")
    return Upgrade(subprotocol, claims)


def _check_origin(found: list[str], host: str, origins: Sequence[str], names: Sequence[str]) -> None:
    for origin in found:
        if not may_come_from(origin, host, origins, names):
            raise UpgradeRefusedError(403, "Pages of this origin may not connect here.")


def _claims(authorizations: list[str], verifier: Verifier, now_ms: int) -> Claims | None:
    if not authorizations:
        return None
    scheme, _, token = authorizations[0].partition(" ")
    if len(authorizations) > 1 or scheme.lower() != "bearer":
        raise _unauthorized("Send one Authorization header: Bearer and the token.", "invalid_request")
    try:
        return verifier.verify(token.strip(), now_ms)
    except TokenError as error:
        raise _unauthorized(f"{error.code.value} {error.reason}", "invalid_token") from None


def _unauthorized(sentence: str, error: str) -> UpgradeRefusedError:
    """Answers 401 as RFC 6750 has it. The sentence of a refused token begins with the close code that `Hello` would
    have got.
    """
    value = f'Bearer error="{error}", error_description="{sentence}"'.replace("'", "")
    return UpgradeRefusedError(401, sentence, [(b"WWW-Authenticate", value.encode("ascii", "replace"))])


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for found, value in headers if found == name]
