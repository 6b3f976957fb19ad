"""Which messages become one operation."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bimip.domain.operations import Address, Fault, NewMessage, Refused
from bimip.users.answers import appends, outcomes
from bimip.users.device import CheckedMessage, Device

DEVICE = cast("Device", SimpleNamespace(session=SimpleNamespace(number=1), number=2))
ADDRESS = (Address("bob", "phone", None),)


def draft(name: str, to: str = "bob", partition: str = "chat", addresses: tuple[Address, ...] = ()) -> CheckedMessage:
    return CheckedMessage(to, partition, NewMessage(name, bytes(8), name.encode()), addresses, ord(name))


def names(drafts: list[CheckedMessage]) -> list[list[str]]:
    return [[post.id for post in append.posts] for append, _ in appends(DEVICE, drafts)]


@pytest.mark.parametrize(
    ("drafts", "expected"),
    [
        ([], []),
        ([draft("a")], [["a"]]),
        ([draft("a"), draft("b"), draft("c")], [["a", "b", "c"]]),
        ([draft("a"), draft("b", to="carol"), draft("c")], [["a"], ["b"], ["c"]]),
        ([draft("a"), draft("b", partition="feed"), draft("c", partition="feed")], [["a"], ["b", "c"]]),
        ([draft("a"), draft("a"), draft("b")], [["a"], ["a", "b"]]),
        ([draft("a"), draft("b", addresses=ADDRESS), draft("c")], [["a"], ["b"], ["c"]]),
        ([draft("a", addresses=ADDRESS), draft("b", addresses=ADDRESS)], [["a"], ["b"]]),
    ],
    ids=["none", "one", "three", "recipients", "partitions", "an id again", "addressed", "addressed twice"],
)
def test_what_goes_to_one_recipient_in_a_row_is_one(drafts: list[CheckedMessage], expected: list[list[str]]) -> None:
    assert names(drafts) == expected


@given(st.lists(st.builds(draft, st.sampled_from("abc"), st.sampled_from(["bob", "carol"]))))
def test_nothing_is_lost_and_the_order_stays(drafts: list[CheckedMessage]) -> None:
    made = list(appends(DEVICE, drafts))

    assert [(append.to, post, ref) for append, refs in made for post, ref in zip(append.posts, refs, strict=True)] == [
        (one.to, one.post, one.ref) for one in drafts
    ]
    for append, _ in made:
        assert len({post.id for post in append.posts}) == len(append.posts)


def test_a_refusal_of_all_is_one_of_each() -> None:
    ((append, _),) = appends(DEVICE, [draft("a"), draft("b")])
    refused: Any = Refused(Fault.UNAVAILABLE, "not now")

    assert list(outcomes(append, refused)) == [refused, refused]
