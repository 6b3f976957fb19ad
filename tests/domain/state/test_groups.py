from typing import cast

from bimip.domain.conversations.groups import AddMembers, CreateGroup, RemoveMember, RenameGroup
from bimip.domain.core.decision import StateNews
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.records import DamagedRecordError, Reader, Role, Table
from bimip.domain.state.changes import UNSEEN
from bimip.domain.state.groups import KIND, GroupState, pack_key, unpack_key
from bimip.domain.state.pruning import PruneRemoval
from bimip.storage.care.check import check
from tests.domain.support import Ledger

ONE = ConversationId(1)


def test_a_key_is_unpacked_as_it_was_packed() -> None:
    assert unpack_key(pack_key(ConversationId(2**32 - 1))) == 2**32 - 1


def test_what_is_read_is_what_was_told_last() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ("bob",)))
    for operation in (
        RenameGroup(ann.user, ann.device, "2", bytes(8), ONE, "journey"),
        RemoveMember(ann.user, ann.device, "3", bytes(8), ONE, "bob"),
    ):
        ledger.do(operation)
        told = {news.user: news.change for news in ledger.decisions[0].news if isinstance(news, StateNews)}
        with ledger.store.snapshot() as view:
            assert {user: KIND.read(view, user, pack_key(ONE)) for user in told} == told

    members = ((ann.user, Role.OWNER),)
    assert told == {
        ann.user: GroupState("journey", 1, Role.OWNER, ConversationOffset(1), ConversationOffset(3), members),
        bob.user: None,
    }


def test_who_was_never_in_it_is_told_nothing() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ()))
    with ledger.store.snapshot() as view:
        assert KIND.read(view, UserId(9), pack_key(ONE)) is None


class WithoutGroups:
    """A view in which no record of a group can be read."""

    def get(self, table: Table, _key: object) -> object:
        raise DamagedRecordError(table.value)


def test_of_a_damaged_group_nothing_is_told_and_no_member_believes_that_it_is_gone() -> None:
    assert KIND.read(cast("Reader", WithoutGroups()), UserId(1), pack_key(ONE)) == UNSEEN


def test_who_left_is_told_by_a_removal_which_goes_as_others_do() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ("bob",)))
    ledger.do(RemoveMember(bob.user, bob.device, "2", bytes(8), ONE, "bob"))
    version = ledger.get(Table.VERSIONS, bob.user, pack_key(ONE))

    assert ledger.get(Table.REMOVALS, bob.user, version) == ledger.now
    assert ledger.do(PruneRemoval(bob.user, version)).removed == 1
    assert ledger.get(Table.VERSIONS, bob.user, pack_key(ONE)) is None
    assert ledger.get(Table.STATES, bob.user).floor == version
    assert list(check(ledger.store)) == []


def test_who_came_back_is_in_the_group_when_the_removal_goes() -> None:
    ledger = Ledger()
    ann, bob = ledger.device("ann"), ledger.device("bob")
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ("bob",)))
    ledger.do(RemoveMember(bob.user, bob.device, "2", bytes(8), ONE, "bob"))
    left = ledger.get(Table.VERSIONS, bob.user, pack_key(ONE))
    ledger.do(AddMembers(ann.user, ann.device, "3", bytes(8), ONE, ("bob",)))
    back = ledger.get(Table.VERSIONS, bob.user, pack_key(ONE))
    ledger.do(PruneRemoval(bob.user, left))

    assert ledger.get(Table.VERSIONS, bob.user, pack_key(ONE)) == back
    assert ledger.get(Table.STATES, bob.user).floor == 0
    with ledger.store.snapshot() as view:
        assert KIND.read(view, bob.user, pack_key(ONE)).size == 2
