"""What is kept of exceptions, and what is told of it."""

import pytest

from bimip.domain.core.ids import DeviceId, Stamp, UserId
from bimip.domain.core.merges import LastWrite
from bimip.domain.core.records import Changes, Table
from bimip.domain.state.privacy_exceptions import (
    ALLOWED,
    DENIED,
    EXCEPTED,
    KIND,
    NONE,
    PrivacyException,
    exceptions_of,
    pack_key,
    unpack_key,
)
from bimip.domain.state.settings import Setting
from tests.domain.support import Ledger

ANN, BOB, CAROL = UserId(1), UserId(2), UserId(3)


def except_(ledger: Ledger, other: UserId, values: dict[Setting, int]) -> None:
    writes = {
        (ANN, other, setting): LastWrite(int(one), Stamp(setting), DeviceId(1)) for setting, one in values.items()
    }
    ledger.commit(Changes(puts={Table.PRIVACY_EXCEPTIONS: writes}))


@pytest.fixture
def ledger() -> Ledger:
    made = Ledger()
    for eid in ("ann", "bob", "carol"):
        made.device(eid)
    return made


def test_the_key_names_the_other_user() -> None:
    assert unpack_key(pack_key(UserId(2**32 - 1))) == 2**32 - 1


def test_what_is_told_is_of_one_other_user_and_has_the_newest_stamp(ledger: Ledger) -> None:
    except_(ledger, BOB, {Setting.SHOW_LAST_SEEN: DENIED, Setting.SEND_READ_RECEIPTS: ALLOWED})
    except_(ledger, CAROL, {Setting.SHOW_ONLINE_STATUS: NONE})
    with ledger.store.snapshot() as view:
        assert KIND.read(view, ANN, pack_key(BOB)) == PrivacyException(
            send_read_receipts=ALLOWED, show_last_seen=DENIED, stamp=Stamp(3)
        )
        assert KIND.read(view, ANN, pack_key(CAROL)) is None
        assert KIND.read(view, BOB, pack_key(ANN)) is None


def test_nothing_is_told_of_whom_there_is_not_any_more(ledger: Ledger) -> None:
    except_(ledger, BOB, {Setting.SHOW_LAST_SEEN: DENIED})
    ledger.commit(Changes(puts={Table.EIDS: {(BOB,): ""}}))
    with ledger.store.snapshot() as view:
        assert KIND.read(view, ANN, pack_key(BOB)) is None


def test_those_that_were_taken_back_are_listed_as_well_and_not_more_than_are_asked_for(ledger: Ledger) -> None:
    for other in (BOB, CAROL):
        except_(ledger, other, dict.fromkeys(EXCEPTED, NONE))
    with ledger.store.snapshot() as view:
        assert list(exceptions_of(view, ANN, 9)) == [BOB, CAROL]
        assert list(exceptions_of(view, ANN, 1)) == [BOB]


def test_what_a_later_version_may_have_written_denies(ledger: Ledger) -> None:
    except_(ledger, BOB, {Setting.SHOW_LAST_SEEN: 9})
    with ledger.store.snapshot() as view:
        assert KIND.read(view, ANN, pack_key(BOB)).show_last_seen is DENIED
