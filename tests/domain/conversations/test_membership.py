import pytest

from bimip.domain.conversations.groups import AddMembers, CreateGroup, RemoveMember
from bimip.domain.conversations.membership import (
    conversation_of,
    hears_all,
    members_of,
    membership_of,
    unhear,
    was_member_at,
    witnesses_of,
)
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.operations import Fault, Refused
from bimip.domain.core.records import Changes, Role, Table
from tests.domain.support import Ledger, Peer


def named(ledger: Ledger, user: int, conversation: int | None, peer: str = "") -> object:
    with ledger.store.snapshot() as view:
        found = conversation_of(view, user, conversation, peer)  # type: ignore[arg-type]  # plain numbers
    return found.fault if isinstance(found, Refused) else found


@pytest.mark.parametrize(
    ("conversation", "peer", "found"),
    [(1, "", 1), (1, "ann", 1), (None, "bob", 1), (None, "carol", Fault.NOT_FOUND), (None, "nobody", Fault.NOT_FOUND)],
)
def test_a_conversation_is_named_by_its_number_or_by_its_other_member(
    conversation: int | None, peer: str, found: object
) -> None:
    ledger = Ledger()
    ann, _, _ = ledger.device("ann"), ledger.device("bob"), ledger.device("carol")
    ledger.send(ann, "bob", "m1")

    assert named(ledger, ann.user, conversation, peer) == found


def test_anothers_conversation_is_answered_like_one_that_does_not_exist() -> None:
    ledger = Ledger()
    ann, _, carol = ledger.device("ann"), ledger.device("bob"), ledger.device("carol")
    ledger.send(ann, "bob", "m1")
    with ledger.store.snapshot() as view:
        theirs = conversation_of(view, carol.user, ConversationId(1), "")
        nobodys = conversation_of(view, carol.user, ConversationId(9), "")

    assert theirs == nobodys
    assert isinstance(theirs, Refused)


def trip() -> tuple[Ledger, dict[str, Peer]]:
    """Ann's group with Bob, who left it and came back; Carol left it for good."""
    ledger = Ledger()
    peers = {name: ledger.device(name) for name in ("ann", "bob", "carol", "dave")}
    ann = peers["ann"]
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ("bob", "carol")))
    for number, name in enumerate(("bob", "carol")):
        peer = peers[name]
        ledger.do(RemoveMember(peer.user, peer.device, f"leave {number}", bytes(8), ConversationId(1), name))
    ledger.do(AddMembers(ann.user, ann.device, "2", bytes(8), ConversationId(1), ("bob",)))
    return ledger, peers


def test_a_members_history_of_a_group_begins_where_they_joined_last() -> None:
    ledger, peers = trip()
    with ledger.store.snapshot() as view:
        found = {name: membership_of(view, peer.user, ConversationId(1)) for name, peer in peers.items()}
        members = members_of(view, ConversationId(1))
        places = {
            name: [place for place in range(1, 5) if was_member_at(view, peer.user, ConversationId(1), place)]
            for name, peer in peers.items()
        }

    assert {name: one and (one.since, one.role) for name, one in found.items()} == {
        "ann": (1, Role.OWNER),
        "bob": (4, Role.MEMBER),
        "carol": None,
        "dave": None,
    }
    assert members == (peers["ann"].user, peers["bob"].user)
    assert places == {"ann": [1, 2, 3, 4], "bob": [4], "carol": [1, 2, 3], "dave": []}


def test_both_of_two_are_members_from_the_beginning() -> None:
    ledger = Ledger()
    ann, bob, carol = (ledger.device(name) for name in ("ann", "bob", "carol"))
    number = ledger.send(ann, "bob", "m1").conversation
    with ledger.store.snapshot() as view:
        found = [membership_of(view, peer.user, number) for peer in (ann, bob, carol)]
        was = [was_member_at(view, peer.user, number, 1) for peer in (ann, bob, carol)]
        members = members_of(view, number), members_of(view, ConversationId(9))

    assert [one and (one.since, one.role) for one in found] == [(1, Role.MEMBER), (1, Role.MEMBER), None]
    assert was == [True, True, False]
    assert members == ((ann.user, bob.user), ())


def test_what_is_unheard_is_unheard_by_one_member_alone_and_grows_where_it_goes_on() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    for number in range(9):
        ledger.send(ann, "bob", f"m{number}")
    one = ConversationId(1)
    for first, last in ((2, 2), (3, 4), (7, 8), (3, 3)):
        with ledger.store.snapshot() as view:
            table, records = unhear(view, bob.user, one, first, last)
        ledger.commit(Changes(puts={table: dict(records)}))
    with ledger.store.snapshot() as view:
        unheard = [place for place in range(1, 10) if not was_member_at(view, bob.user, one, place)]

        assert unheard == [2, 3, 4, 7, 8]
        assert witnesses_of(view, one, 3) == [ann.user]
        assert witnesses_of(view, one, 5) == [ann.user, bob.user]
        assert hears_all(view, ann.user, one)
        assert not hears_all(view, bob.user, one)
        assert len(view.scan(Table.UNHEARD, (bob.user,), (bob.user + 1,), limit=9)) == 2
