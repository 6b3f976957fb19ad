"""TokenAuthority: a device shows a newer token, or a user revokes one."""

from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis
from bimip.domain.core.operations import Refused, Result, Revoke
from bimip.reading.people import read_bar
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.session.close import Close
from bimip.session.tokens import TokenError
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec
from bimip.wire.errors import WireError


def ask(asker: Asker, payload: pb.TokenAuthority, ref: int) -> None:
    if payload.action == pb.TokenAuthority.REFRESH:
        asker.claims = _own_token(asker, payload.token)
        asker.wake()  # it expires at another time now
        answer = pb.TokenAuthority(action=payload.action, jti=asker.claims.jti, expires_at=asker.claims.expires_at)
        asker.answer_alone(codec.encode(answer, ref))
    elif payload.action == pb.TokenAuthority.REVOKE:
        _revoke(asker, payload, ref)
    else:
        raise WireError(pb.INVALID, "name an action: REFRESH or REVOKE", field="action")


def _verified(asker: Asker, token: str) -> Claims:
    try:
        return asker.services.verify(token)
    except TokenError as error:
        raise WireError(pb.UNAUTHENTICATED, f"this token does not do: {error.reason}", field="token") from error


def _own_token(asker: Asker, token: str) -> Claims:
    """A token for this very device: another's would change who is talking."""
    claims = _verified(asker, token)
    if (claims.eid, claims.device) != (asker.eid, asker.name):
        raise WireError(pb.FORBIDDEN, "this token is for another user or device", field="token")
    if read_bar(asker.services.store, asker.user, claims) is not None:
        raise WireError(pb.UNAUTHENTICATED, "this token was revoked; get a new one", field="token")
    return claims


def _revoke(asker: Asker, payload: pb.TokenAuthority, ref: int) -> None:
    """A user may revoke the token of this connection, or any of theirs that they can show."""
    claims = asker.claims
    if payload.token:
        claims = _verified(asker, payload.token)
        if claims.eid != asker.eid:
            raise WireError(pb.FORBIDDEN, "this token is another user's", field="token")
    elif payload.jti not in {"", claims.jti}:
        raise WireError(pb.FORBIDDEN, "show the token that is to be revoked, or revoke this connection's", field="jti")

    def done(result: Result) -> None:
        if isinstance(result, Refused):
            refuse(asker, result, ref)
            return
        asker.audit("token revoked", f"of {claims.device}")
        asker.answer_alone(codec.encode(pb.TokenAuthority(action=payload.action, jti=claims.jti), ref))
        if asker.claims.jti == claims.jti:
            asker.close_after_answers(Close.TOKEN_REVOKED, "the token was revoked; log in again")
        asker.close_revoked(claims.jti)

    asker.services.queue.submit(revocation(asker, claims), done, owner=asker.user)


def revocation(asker: Asker, claims: Claims) -> Revoke:
    """The token would count until then, and its revocation must not be forgotten before."""
    counts_until = Millis(claims.expires_at + int(asker.services.token_leeway_seconds * 1000))
    return Revoke(asker.user, claims.jti, counts_until)
