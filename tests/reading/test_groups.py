from bimip.domain.conversations.groups import CreateGroup, RemoveMember
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.records import Role
from bimip.reading.groups import reach_of, read_members
from tests.domain.support import Ledger

ONE = ConversationId(1)


def trip() -> Ledger:
    """Ann owns a group with Bob and Carol."""
    ledger = Ledger()
    ann, *_ = (ledger.device(name) for name in ("ann", "bob", "carol"))
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ("carol", "bob")))
    return ledger


def test_members_are_read_page_by_page_also_behind_one_who_went() -> None:
    ledger = trip()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    first = read_members(ledger.store, ann.user, ONE, "", 2)
    ledger.do(RemoveMember(bob.user, bob.device, "2", bytes(8), ONE, "bob"))
    last = read_members(ledger.store, ann.user, ONE, "bob", 2)

    assert first is not None
    assert last is not None
    assert [(member.eid, member.role) for member in first.members] == [("ann", Role.OWNER), ("bob", Role.MEMBER)]
    assert [(member.eid, member.since) for member in last.members] == [("carol", 1)]
    assert (first.title, first.size, first.complete, last.size, last.complete) == ("trip", 3, False, 2, True)
    assert read_members(ledger.store, bob.user, ONE, "", 2) is None
    assert read_members(ledger.store, ann.user, ConversationId(9), "", 2) is None


def test_a_message_reaches_all_members_of_a_group_that_one_is_in() -> None:
    ledger = trip()
    ann, dave = ledger.device("ann"), ledger.device("dave")
    direct = ledger.send(ann, "dave", "m1").conversation

    assert reach_of(ledger.store, ann.user, "c1") == 3
    assert {reach_of(ledger.store, dave.user, to) for to in ("c1", "c9", f"c{direct}", "ann")} == {1}
