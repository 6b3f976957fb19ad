from bimip.domain.conversations.groups import CreateGroup, RemoveMember, RenameGroup
from bimip.domain.core.decision import StateNews
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.records import Role
from bimip.domain.state.groups import KIND, LEFT, GroupState, pack_key, unpack_key
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
        bob.user: LEFT,
    }


def test_who_was_never_in_it_is_told_nothing() -> None:
    ledger = Ledger()
    ann = ledger.device("ann")
    ledger.do(CreateGroup(ann.user, ann.device, "1", bytes(8), "trip", ()))
    with ledger.store.snapshot() as view:
        assert KIND.read(view, UserId(9), pack_key(ONE)) is None
