import pytest

from bimip.domain.conversations.membership import conversation_of
from bimip.domain.core.ids import ConversationId
from bimip.domain.core.operations import Fault, Refused
from tests.domain.support import Ledger


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
