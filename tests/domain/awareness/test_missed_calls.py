"""A call that nobody answered becomes one message, which all devices of both are told of."""

from typing import Any

import pytest

from bimip.domain.awareness.calls import End
from bimip.domain.awareness.missed_calls import MissCall
from bimip.domain.core.decision import LogNews
from bimip.domain.core.ids import DeviceId, Millis
from bimip.domain.core.operations import Done, Forget
from bimip.domain.core.records import Table
from bimip.domain.messages.appending import NOBODY
from tests.domain.support import BEGIN, Ledger, Peer, fault_of


def missed(ann: Peer, to: str = "bob", call: str = "x", started: int = BEGIN, end: End = End.TIMED_OUT) -> MissCall:
    return MissCall(ann.user, ann.device, to, call, end, Millis(started))


def two(**rules: Any) -> tuple[Ledger, Peer, Peer]:
    ledger = Ledger(**rules)
    return ledger, ledger.device("ann"), ledger.device("bob")


def test_it_stands_in_both_logs_and_is_of_no_device() -> None:
    ledger, ann, bob = two()

    assert ledger.do(missed(ann)) == Done()
    ((_, anns),), ((_, bobs),) = ledger.entries(ann.user), ledger.entries(bob.user)
    assert anns == bobs
    assert (anns.author, anns.origin, anns.conversation) == (ann.user, NOBODY, ledger.direct(ann, "bob"))
    (told, _) = (news for news in ledger.decisions[0].news if isinstance(news, LogNews))
    assert told.bodies[0].endswith(b"/ann/bob/TIMED_OUT")


def test_tried_again_it_is_there_once() -> None:
    ledger, ann, _ = two()
    ledger.do(missed(ann))
    before = ledger.everything()

    assert ledger.do(missed(ann)) == Done()
    assert ledger.everything() == before
    assert ledger.get(Table.SEEN, ann.device, missed(ann).id).offset == 1


@pytest.mark.parametrize("other", [{"call": "y"}, {"started": BEGIN + 1}, {"to": "ann"}])
def test_each_call_has_a_message_of_its_own_also_where_a_name_is_given_twice(other: dict[str, Any]) -> None:
    _, ann, _ = two()

    assert missed(ann).id != missed(ann, **other).id


def test_a_device_that_was_removed_meanwhile_has_called_all_the_same() -> None:
    ledger, ann, bob = two()
    ledger.do(Forget(ann.device))

    assert ledger.do(missed(ann)) == Done()
    assert len(ledger.entries(bob.user)) == 1


def test_a_device_that_never_was_has_called_nobody() -> None:
    ledger, ann, bob = two()

    assert fault_of(ledger.do(missed(ann._replace(device=DeviceId(99))))) == "NOT_FOUND"
    assert ledger.entries(bob.user) == []


def test_what_a_message_is_refused_for_refuses_it_too() -> None:
    ledger, ann, _ = two(max_stored_bytes=10)

    assert fault_of(ledger.do(missed(ann))) == "STORAGE_FULL"
    assert fault_of(ledger.do(missed(ann, "nobody"))) == "NOT_FOUND"
