"""What a device takes of what it is told of calls."""

from typing import Any

from bimip.client.core.calls import MOST_REMEMBERED, Calls
from bimip.client.events import CallEnded, CallSignalled, Identity
from bimip.client.wire.bimip import CallEnd, CallStep, Signal
from bimip.client.wire.bimip import Identity as WireIdentity

OFFER, CANDIDATE, ENDED = CallStep.CALL_OFFER, CallStep.CALL_CANDIDATE, CallStep.CALL_ENDED


def told(sequence: int, step: CallStep = CANDIDATE, *, peer: str = "bob", call: str = "x", **fields: Any) -> Signal:
    return Signal(to=WireIdentity(eid=peer), call=call, step=step, sequence=sequence, **fields)


def test_what_is_told_again_is_no_event() -> None:
    calls = Calls()

    assert calls.take(told(1, OFFER, payload=b"o", ttl_ms=7)) == CallSignalled("bob", "x", OFFER, b"o", 7)
    assert calls.take(told(2)) == CallSignalled("bob", "x", CANDIDATE, b"")
    assert [calls.take(told(number)) for number in (1, 2)] == [None, None]
    assert calls.take(told(5)) is not None


def test_calls_of_one_name_with_two_people_are_two() -> None:
    calls = Calls()

    assert calls.take(told(1)) is not None
    assert calls.take(told(1, peer="carol")) is not None
    assert calls.open() == [("bob", "x"), ("carol", "x")]


def test_a_call_ends_once_and_does_not_ring_again() -> None:
    calls = Calls()
    calls.take(told(1, OFFER))
    by = WireIdentity(eid="ann", connection_resource_id="tablet")
    end = told(2, ENDED, end=CallEnd.CALL_ANSWERED_ELSEWHERE, from_=by)

    assert calls.take(end) == CallEnded("bob", "x", CallEnd.CALL_ANSWERED_ELSEWHERE, Identity("ann", "tablet"))
    assert calls.open() == []
    assert [calls.take(one) for one in (told(1, OFFER), end, told(0, ENDED, end=CallEnd.CALL_LOST))] == [None] * 3


def test_one_that_the_server_does_not_know_is_over_if_it_was_not() -> None:
    calls = Calls()
    calls.begin("bob", "x")
    lost = told(0, ENDED, end=CallEnd.CALL_LOST)

    assert calls.open() == [("bob", "x")]
    assert calls.take(lost) == CallEnded("bob", "x", CallEnd.CALL_LOST)
    assert calls.take(lost) is None


def test_an_end_may_be_all_that_is_told() -> None:
    assert Calls().take(told(1, ENDED, end=CallEnd.CALL_BUSY)) == CallEnded("bob", "x", CallEnd.CALL_BUSY)


def test_only_so_many_are_remembered() -> None:
    calls = Calls()
    for number in range(MOST_REMEMBERED + 1):
        calls.take(told(1, ENDED, call=str(number)))

    assert calls.take(told(1, OFFER, call="1")) is None
    assert calls.take(told(1, OFFER, call="0")) is not None
