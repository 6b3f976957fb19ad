"""A message is as far as the last of its readers, by receipts in any order, and never goes back."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import Millis
from bimip.domain.core.records import ReceiptKind
from bimip.domain.state.lifecycle import IMPLIED, Stage, completed, delivery_state, stage_of
from bimip.wire import bimip_pb2 as pb

kinds = st.sampled_from(ReceiptKind)
times = st.integers(1, 9).map(Millis)
said = st.lists(st.tuples(kinds, times), max_size=8)
members = st.dictionaries(st.sampled_from("abc"), st.dictionaries(kinds, times), max_size=3)


def test_the_stages_are_numbered_as_on_the_wire_and_each_kind_of_receipt_is_one() -> None:
    assert {stage.name: stage.value for stage in Stage} == {
        name: pb.MessageStatus.Value(name) for name in ("SENT", "DELIVERED", "READ", "PLAYED")
    }
    assert [Stage(kind).name for kind in ReceiptKind] == [kind.name for kind in ReceiptKind]


def test_a_receipt_implies_all_that_come_before_it() -> None:
    assert {kind: set(implied) for kind, implied in IMPLIED.items()} == {
        kind: {other for other in ReceiptKind if other <= kind} for kind in ReceiptKind
    }


@given(said, st.randoms(use_true_random=False))
def test_order_and_repetition_mean_nothing(receipts: list[Any], random: Any) -> None:
    shuffled = [*receipts, *receipts[:3]]
    random.shuffle(shuffled)

    assert completed(shuffled) == completed(receipts)
    assert completed(completed(receipts).items()) == completed(receipts)


@given(said, said)
def test_what_is_said_later_takes_nothing_back(before: list[Any], after: list[Any]) -> None:
    known, then = completed(before), completed([*before, *after])

    assert stage_of(known) <= stage_of(then)
    assert all(then[kind] <= time for kind, time in known.items())


@given(said)
def test_whoever_has_come_further_has_come_so_far_and_no_later(receipts: list[Any]) -> None:
    known = completed(receipts)
    whole = [known[kind] for kind in ReceiptKind if kind in known]

    assert set(known) == {kind for kind in ReceiptKind if kind <= stage_of(known)}
    assert whole == sorted(whole)


@given(members, st.integers(0, 4))
def test_a_message_is_as_far_as_the_least_of_those_who_are_to_receive_it(known: Any, others: int) -> None:
    state = delivery_state(known, others)
    stages = sorted((stage_of(times) for times in known.values()), reverse=True)
    expected = stages[others - 1] if 0 < others <= len(stages) else Stage.SENT

    assert state.stage == expected
    assert state.delivered_to.keys() >= state.read_by.keys() >= state.played_by.keys()
    assert all(stage_of(known[member]) is Stage.PLAYED for member in state.played_by)


@given(members, members, st.integers(0, 4))
def test_a_delivery_state_only_moves_forward(before: Any, after: Any, others: int) -> None:
    both = {
        member: completed([*before.get(member, {}).items(), *after.get(member, {}).items()])
        for member in before.keys() | after.keys()
    }

    assert delivery_state(before, others).stage <= delivery_state(both, others).stage


@pytest.mark.parametrize("others", [0, 3])
def test_of_nobody_or_of_somebody_of_whom_nothing_is_known_it_is_only_sent(others: int) -> None:
    played = {ReceiptKind.PLAYED: Millis(1)}

    assert delivery_state({"a": played, "b": played}, others).stage is Stage.SENT
