"""A message that claims to reach all devices reaches all, and who may not know them learns nothing by claiming it."""

from typing import Any

import pytest

from bimip.domain.core.ids import ConversationId, ConversationOffset
from bimip.domain.core.operations import Address, Appended, Fault
from bimip.domain.core.records import Changes, Conversation, Table
from bimip.domain.messages.device_lists import WITHIN, may_know_devices
from tests.domain.support import Ledger, Peer

ONE = ConversationId(1)


class People:
    """Ann's phone and laptop, Bob's phone and tablet."""

    def __init__(self, **rules: Any) -> None:
        self.ledger = Ledger(**rules)
        self.ann, self.laptop = self.ledger.device("ann"), self.ledger.device("ann", "laptop")
        self.bob, self.tablet = self.ledger.device("bob"), self.ledger.device("bob", "tablet")

    def correspond(self) -> None:
        self.ledger.send(self.ann, "bob", "hello")
        self.ledger.send(self.bob, "ann", "hello")

    def send(self, *names: str, message_id: str = "m", to: str = "bob", sender: Peer | None = None) -> Any:
        """`names`: eid/device."""
        addresses = tuple(Address(name.split("/")[0], name.split("/")[1], name.encode()) for name in names)
        append = self.ledger.append(sender or self.ann, to, message_id, addresses=addresses)
        return self.ledger.do(append._replace(is_complete=True))


ALL = ("ann/laptop", "bob/phone", "bob/tablet")


@pytest.mark.parametrize("names", [ALL, (*ALL, "ann/phone")], ids=["all", "and the one that sends"])
def test_one_for_all_devices_is_stored(names: tuple[str, ...]) -> None:
    people = People()
    people.correspond()

    assert isinstance(people.send(*names), Appended)


@pytest.mark.parametrize(
    ("names", "missing", "extra"),
    [
        (("bob/phone",), ["ann/laptop", "bob/tablet"], []),
        ((*ALL, "bob/watch"), [], ["bob/watch"]),
        (("ann/laptop", "bob/phone", "bob/watch"), ["bob/tablet"], ["bob/watch"]),
        ((*ALL, "ann/gone"), [], ["ann/gone"]),
        (("ann/phone",), ["ann/laptop", "bob/phone", "bob/tablet"], []),
    ],
)
def test_another_list_is_refused_with_the_difference_and_nothing_is_stored(
    names: tuple[str, ...], missing: list[str], extra: list[str]
) -> None:
    people = People()
    people.correspond()
    before = people.ledger.everything()
    refused = people.send(*names)

    assert (refused.fault, refused.field) == (Fault.CONFLICT, "devices")
    assert ["/".join(one) for one in refused.missing] == missing
    assert ["/".join(one) for one in refused.extra] == extra
    assert people.ledger.everything() == before


def test_after_the_difference_the_same_id_is_sent_again_and_a_resend_of_that_is_known() -> None:
    people = People()
    people.correspond()
    people.send("bob/phone")
    first = people.send(*ALL)
    people.ledger.device("bob", "watch")
    again = people.send(*ALL)

    assert isinstance(first, Appended)
    assert isinstance(again, Appended)
    assert (again.duplicate, again.stamp) == (True, first.stamp)


def one_wrote(people: People) -> None:
    people.ledger.send(people.ann, "bob", "hello")


def long_ago(people: People) -> None:
    people.correspond()
    for number in range(WITHIN):
        people.ledger.send(people.ann, "bob", f"m{number}")


@pytest.mark.parametrize("before", [lambda _: None, one_wrote, long_ago], ids=["nothing", "one wrote", "long ago"])
@pytest.mark.parametrize("names", [ALL, ("bob/phone",), ("bob/nothing",)], ids=["all", "some", "none"])
def test_who_may_not_know_them_is_answered_the_same_whatever_they_guess(before: Any, names: tuple[str, ...]) -> None:
    people = People()
    before(people)
    refused = people.send(*names, message_id="new")

    assert (refused.fault, refused.field, refused.missing, refused.extra) == (
        Fault.FORBIDDEN,
        "devices_complete",
        (),
        (),
    )


@pytest.mark.parametrize(("policy", "fault"), [("everybody", Fault.CONFLICT), ("nobody", Fault.FORBIDDEN)])
def test_the_operator_may_decide_otherwise(policy: str, fault: Fault) -> None:
    people = People(device_names=policy)
    if policy == "nobody":
        people.correspond()

    assert people.send("bob/phone", message_id="new").fault == fault


def test_to_oneself_ones_own_devices_are_always_known() -> None:
    people = People(device_names="nobody")

    assert [*people.send("ann/phone", to="ann").missing] == [("ann", "laptop")]
    assert isinstance(people.send("ann/laptop", to="ann"), Appended)


def test_who_is_no_recipient_is_not_compared() -> None:
    people = People()
    people.correspond()
    people.ledger.device("carol")
    refused = people.send(*ALL, "carol/phone")

    assert (refused.fault, refused.extra) == (Fault.INVALID, ())


def test_both_must_have_written_and_what_is_damaged_tells_of_nobody() -> None:
    people = People()
    people.correspond()
    with people.ledger.store.snapshot() as view:
        ann, bob = people.ann.user, people.bob.user

        assert may_know_devices(view, ann, [bob], ONE, "correspondents")
        assert not may_know_devices(view, ann, [bob], ConversationId(9), "correspondents")
        assert not may_know_devices(view, ann, [bob], None, "correspondents")
    known: Conversation = people.ledger.get(Table.CONVERSATIONS, ONE)
    people.ledger.commit(Changes(puts={Table.CONVERSATIONS: {(ONE,): known._replace(head=ConversationOffset(0))}}))
    with people.ledger.store.snapshot() as view:
        assert not may_know_devices(view, ann, [bob], ONE, "correspondents")
