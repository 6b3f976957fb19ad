"""Which messages become one operation."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.core.ids import DeviceId, UserId
from bimip.domain.core.operations import Address, Fault, NewMessage, Refused
from bimip.requests.appends import CheckedMessage, appends, outcomes

DEVICE = (UserId(1), DeviceId(2))
ADDRESS = (Address("bob", "phone", None),)


def written(name: str, to: str = "bob", partition: str = "chat", addresses: tuple[Address, ...] = ()) -> CheckedMessage:
    return CheckedMessage(to, partition, NewMessage(name, bytes(8), name.encode()), addresses, ord(name))


def names(checked: list[CheckedMessage]) -> list[list[str]]:
    return [[new.id for new in append.messages] for append, _ in appends(*DEVICE, checked)]


@pytest.mark.parametrize(
    ("checked", "expected"),
    [
        ([], []),
        ([written("a")], [["a"]]),
        ([written("a"), written("b"), written("c")], [["a", "b", "c"]]),
        ([written("a"), written("b", to="carol"), written("c")], [["a"], ["b"], ["c"]]),
        ([written("a"), written("b", partition="feed"), written("c", partition="feed")], [["a"], ["b", "c"]]),
        ([written("a"), written("a"), written("b")], [["a"], ["a", "b"]]),
        ([written("a"), written("b", addresses=ADDRESS), written("c")], [["a"], ["b"], ["c"]]),
        ([written("a", addresses=ADDRESS), written("b", addresses=ADDRESS)], [["a"], ["b"]]),
    ],
    ids=["none", "one", "three", "recipients", "partitions", "an id again", "addressed", "addressed twice"],
)
def test_what_goes_to_one_recipient_in_a_row_is_one(checked: list[CheckedMessage], expected: list[list[str]]) -> None:
    assert names(checked) == expected


@given(st.lists(st.builds(written, st.sampled_from("abc"), st.sampled_from(["bob", "carol"]))))
def test_nothing_is_lost_and_the_order_stays(checked: list[CheckedMessage]) -> None:
    made = list(appends(*DEVICE, checked))

    assert [(append.to, new, ref) for append, refs in made for new, ref in zip(append.messages, refs, strict=True)] == [
        (one.to, one.new, one.ref) for one in checked
    ]
    for append, _ in made:
        assert len({new.id for new in append.messages}) == len(append.messages)


def test_a_refusal_of_all_is_one_of_each() -> None:
    ((append, _),) = appends(*DEVICE, [written("a"), written("b")])
    refused: Any = Refused(Fault.UNAVAILABLE, "not now")

    assert list(outcomes(append, refused)) == [refused, refused]
