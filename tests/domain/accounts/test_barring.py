import pytest

from bimip.domain.accounts.barring import (
    DISABLED,
    ISSUED,
    OF_DEVICE,
    Bar,
    DisableUser,
    EnableUser,
    RevokeIssued,
    bar_of,
)
from bimip.domain.core.decision import TokensBarred
from bimip.domain.core.identity import Claims
from bimip.domain.core.ids import Millis, UserId
from bimip.domain.core.operations import Done, ExpireRevoked, Operation, Revoke
from bimip.domain.core.records import Table
from tests.domain.support import BEGIN, Ledger, fault_of

LONG = Millis(BEGIN + 10**12)


def bar(ledger: Ledger, *, device: str = "phone", jti: str = "t", issued_at: int = 0, user: int = 1) -> Bar | None:
    claims = Claims("ann", device, LONG, jti, Millis(issued_at))
    return bar_of(ledger.store.snapshot().__enter__(), UserId(user), claims)


def joined() -> Ledger:
    ledger = Ledger()
    ledger.device("ann")
    ledger.device("bob")
    return ledger


def test_who_is_disabled_is_kept_out_until_they_are_enabled() -> None:
    ledger = joined()

    assert ledger.do(DisableUser("ann")) == Done()
    assert ledger.decisions[0].news == [TokensBarred(UserId(1))]
    assert [bar(ledger), bar(ledger, user=2)] == [Bar.DISABLED, None]
    assert ledger.do(EnableUser("ann")) == Done()
    assert bar(ledger) is None
    assert ledger.get(Table.REVOKED, 1, DISABLED) is None


def test_who_is_disabled_again_has_been_so_since_the_first_time() -> None:
    ledger = joined()
    ledger.do(DisableUser("ann"))
    ledger.now = Millis(BEGIN + 10)

    assert ledger.do(DisableUser("ann")) == Done()
    assert ledger.get(Table.REVOKED, 1, DISABLED) == BEGIN
    ledger.do(EnableUser("ann"))
    ledger.do(DisableUser("ann"))
    assert ledger.get(Table.REVOKED, 1, DISABLED) == BEGIN + 10


def test_what_was_issued_so_far_is_revoked_and_nothing_later() -> None:
    ledger = joined()
    ledger.do(RevokeIssued("ann"))

    issued = (0, BEGIN - 1, BEGIN, BEGIN + 1)
    assert [bar(ledger, issued_at=at) for at in issued] == [Bar.REVOKED] * 3 + [None]
    assert bar(ledger, user=2) is None


def test_what_was_issued_to_a_device_is_revoked_alone() -> None:
    ledger = joined()
    ledger.do(RevokeIssued("ann", "phone"))

    assert [bar(ledger, device=name) for name in ("phone", "laptop", "phone2")] == [Bar.REVOKED, None, None]
    assert bar(ledger, issued_at=BEGIN + 1) is None


def test_of_several_the_latest_counts_and_a_revoked_token_stays_so() -> None:
    ledger = joined()
    ledger.do(Revoke(UserId(1), "t", LONG))
    ledger.do(RevokeIssued("ann", "phone"))
    ledger.now = Millis(BEGIN + 10)
    ledger.do(RevokeIssued("ann"))
    ledger.now = Millis(BEGIN + 5)  # the clock was put back
    ledger.do(RevokeIssued("ann"))

    assert ledger.get(Table.REVOKED, 1, ISSUED) == BEGIN + 10
    assert bar(ledger, jti="u", issued_at=BEGIN + 10) is Bar.REVOKED
    assert bar(ledger, jti="u", issued_at=BEGIN + 11) is None
    assert bar(ledger, issued_at=BEGIN + 11) is Bar.REVOKED


def test_bars_do_not_expire_and_tokens_revocations_do() -> None:
    ledger = joined()
    for operation in (DisableUser("ann"), RevokeIssued("ann"), RevokeIssued("ann", "phone")):
        ledger.do(operation)
    ledger.do(Revoke(UserId(1), "t", Millis(BEGIN)))
    ledger.do(ExpireRevoked(LONG))

    kept = [ledger.get(Table.REVOKED, 1, key) for key in (DISABLED, ISSUED, OF_DEVICE + "phone", "t")]
    assert kept == [BEGIN, BEGIN, BEGIN, None]


@pytest.mark.parametrize("operation", [DisableUser("cid"), EnableUser("cid"), RevokeIssued("cid")])
def test_of_who_is_not_there_nothing_is_barred(operation: Operation) -> None:
    ledger = joined()

    assert fault_of(ledger.do(operation)) == "NOT_FOUND"


def test_what_is_so_already_is_not_written_again() -> None:
    ledger = joined()
    ledger.do(EnableUser("ann"))
    assert ledger.decisions[0].news == ()
    ledger.do(DisableUser("ann"))
    ledger.do(DisableUser("ann"))
    assert ledger.decisions[0].news == ()
