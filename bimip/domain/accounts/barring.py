"""An operator bars tokens: all of a user while they are disabled, or those issued so far, of a user or of a device.

What bars many tokens stands beside the single ones that were revoked (REVOKED), under keys that are no token's `jti`,
which has no control characters. It is kept until it is taken back, or its user is erased: nobody knows how long the
tokens count that were issued.
"""

from enum import Enum
from typing import Final, NamedTuple

from bimip.domain.core.decision import Decision, Put, TokensBarred, Writes
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.operation_kind import OperationKind
from bimip.domain.core.operations import Done, Fault, Refused
from bimip.domain.core.records import Key, Reader, Table, User
from bimip.domain.core.rules import Context

MARK: Final = "\x01"
"""What a key begins with that is no token's. Alone it is a key too: the user has, or had, others of these."""
DISABLED: Final = f"{MARK}disabled"
ISSUED: Final = f"{MARK}issued"
OF_DEVICE: Final = f"{MARK}issued to "


class Bar(Enum):
    """Why a token does not count, whose signature holds."""

    REVOKED = 1
    DISABLED = 2
    ERASED = 3
    """Of a user who is there no more, or is being erased: no token counts, whatever was barred."""


def bar_of(view: Reader, user: UserId, claims: Claims) -> Bar | None:
    """Returns what bars a token of a user who is not erased; None: it counts."""
    if view.get(Table.REVOKED, (user, claims.jti)) is not None:
        return Bar.REVOKED
    if view.get(Table.REVOKED, (user, MARK)) is None:  # as of nearly everybody, at each login
        return None
    if view.get(Table.REVOKED, (user, DISABLED)) is not None:
        return Bar.DISABLED
    of_all, of_device = (view.get(Table.REVOKED, (user, key)) for key in (ISSUED, OF_DEVICE + claims.device))
    barred_until = max(of_all or 0, of_device or 0)
    return Bar.REVOKED if barred_until and claims.issued_at <= barred_until else None


class DisableUser(NamedTuple):
    """An operator keeps a user out until they are enabled again."""

    eid: str


class EnableUser(NamedTuple):
    """An operator lets a disabled user in again."""

    eid: str


class RevokeIssued(NamedTuple):
    """An operator revokes all tokens that were issued to a user so far, or to one device of theirs."""

    eid: str
    device: str = ""


def disable_user(view: Reader, op: DisableUser, context: Context) -> Decision:
    return _put(view, op.eid, DISABLED, context.now)


def enable_user(view: Reader, op: EnableUser, _context: Context) -> Decision:
    return _put(view, op.eid, DISABLED, None)


def revoke_issued(view: Reader, op: RevokeIssued, context: Context) -> Decision:
    return _put(view, op.eid, OF_DEVICE + op.device if op.device else ISSUED, context.now)


def _put(view: Reader, eid: str, key: str, value: Millis | None) -> Decision:
    known: User | None = view.get(Table.USERS, (eid,))
    if known is None:
        return Decision(Refused(Fault.NOT_FOUND, f"there is no user {eid!r} here", "eid"))
    place: Key = (known.number, key)
    before: Millis | None = view.get(Table.REVOKED, place)
    if value is not None and before is not None:
        value = before if key == DISABLED else max(before, value)  # a clock that was put back unbars nothing
    if value == before:
        return Decision(Done())
    records: dict[Key, Millis | None] = {place: value}
    if value is not None:
        records[known.number, MARK] = value
    put: Put = (Table.REVOKED, records)
    return Decision(Done(), Writes((put,)), [TokensBarred(known.number)])


OPERATIONS: dict[type, OperationKind] = {
    DisableUser: OperationKind(disable_user),
    EnableUser: OperationKind(enable_user),
    RevokeIssued: OperationKind(revoke_issued),
}
