from itertools import permutations

import pytest

from bimip.domain.core.ids import DeviceId, Millis, Stamp, UserId
from bimip.domain.core.records import DamagedRecordError, Intent, Reader, Status, Table
from bimip.domain.state.intents import KEY, NONE, CurrentIntent, SetIntent, intent_of, later, standing
from bimip.domain.state.kinds import read_value
from tests.domain.support import Ledger, Peer


def intent(status: Status, stamp: int, until: int = 0, device: int = 1) -> Intent:
    return Intent(status, Millis(until), Stamp(stamp), DeviceId(device))


SAID = [
    intent(Status.DND, 3),
    intent(Status.AWAY, 5, until=7),
    intent(Status.ONLINE, 5, device=2),
    intent(Status.BUSY, 4),
]


def say(ledger: Ledger, who: Peer, said: Intent) -> CurrentIntent:
    result = ledger.do(SetIntent(who.user, said))
    assert isinstance(result, CurrentIntent)
    return result


@pytest.mark.parametrize("order", list(permutations(SAID)))
def test_the_later_word_counts_whatever_came_first(order: tuple[Intent, ...]) -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    for said in order:
        say(ledger, ann, said)

    assert ledger.get(Table.INTENTS, ann.user) == intent(Status.ONLINE, 5, device=2)


def test_merging_is_idempotent_and_total() -> None:
    for one in SAID:
        for other in SAID:
            assert later(one, other) == later(other, one) == later(later(one, other), other)


def test_a_change_is_a_version_of_the_users_state_and_a_repetition_none() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    before = ledger.get(Table.STATES, ann.user).head
    first = say(ledger, ann, intent(Status.DND, 1))
    again = say(ledger, ann, intent(Status.DND, 1))
    same = say(ledger, ann, intent(Status.DND, 2))
    lost = say(ledger, ann, intent(Status.AWAY, 1))

    assert [one.version for one in (first, again, same, lost)] == [before + 1] * 4
    assert lost.intent == intent(Status.DND, 2)
    assert ledger.get(Table.CHANGES, ann.user, before + 1) == KEY


def test_who_says_online_first_is_known_to_have_said_so() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    before = ledger.get(Table.STATES, ann.user).head
    said = say(ledger, ann, intent(Status.ONLINE, 5))

    assert said.version == before + 1
    assert say(ledger, ann, intent(Status.DND, 4)).intent.status is Status.ONLINE


def test_what_ends_by_itself_says_nothing_from_then_on() -> None:
    assert standing(intent(Status.AWAY, 1, until=1000), Millis(999)) is Status.AWAY
    assert standing(intent(Status.AWAY, 1, until=1000), Millis(1000)) is Status.ONLINE
    assert standing(intent(Status.AWAY, 1), Millis(1 << 60)) is Status.AWAY
    assert standing(NONE, Millis(5)) is Status.ONLINE


class Damaged:
    def get(self, _table: Table, _key: object) -> None:
        raise DamagedRecordError


def test_of_what_is_damaged_nothing_was_said() -> None:
    damaged: Reader = Damaged()  # type: ignore[assignment]  # it is asked for one record

    assert intent_of(damaged, UserId(1)) == NONE
    assert read_value(damaged, UserId(1), KEY) == NONE
