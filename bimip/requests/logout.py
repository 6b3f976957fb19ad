"""Logout: a device leaves, and may have its token revoked and be forgotten."""

from bimip.domain.core.operations import Forget, Operation, Refused, Result
from bimip.requests.asker import Asker
from bimip.requests.refusals import refuse
from bimip.requests.token_authority import revocation
from bimip.session.close import Close
from bimip.wire import bimip_pb2 as pb
from bimip.wire import codec


def ask(asker: Asker, payload: pb.Logout, ref: int) -> None:
    claims = asker.claims
    wanted: list[Operation] = [revocation(asker, claims)] if payload.revoke else []
    if payload.forget:
        wanted.append(Forget(asker.number))

    def go_on(result: Result | None = None) -> None:
        """One after the other: where the first is refused, the device may ask for all of it again."""
        if isinstance(result, Refused):
            refuse(asker, result, ref)
        elif wanted:
            asker.services.queue.submit(wanted.pop(0), go_on, owner=asker.user)
        else:
            if payload.revoke:
                asker.audit("token revoked", f"of {asker.name}")
            if payload.forget:
                asker.audit("device removed", asker.name)
            asker.answer_alone(codec.encode(pb.Logout(forget=payload.forget, revoke=payload.revoke), ref))
            asker.close_after_answers(Close.NORMAL, "logged out")
            if payload.revoke:
                asker.close_revoked(claims.jti)

    go_on()
