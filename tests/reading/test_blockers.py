"""Who blocked a user is found among those with whom they wrote last."""

from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.records import Contact, Conversation, Roster, Table
from bimip.reading.blockers import read_blockers
from tests.reading.support import ANN, BOB, store_with

CAROL, GONE = UserId(3), UserId(4)


def test_those_who_blocked_are_named_and_neither_groups_nor_friends_nor_who_is_erased() -> None:
    first = ConversationOffset(1)
    store = store_with(
        {
            Table.RECENT: {(ANN, stamp): ConversationId(stamp) for stamp in (1, 2, 3, 4, 5)},
            Table.CONVERSATIONS: {
                (1,): Conversation(first, first, (ANN, BOB)),
                (2,): Conversation(first, first, (ANN, CAROL)),
                (3,): Conversation(first, first, ()),
                (4,): Conversation(first, first, (ANN, GONE)),
            },
            Table.CONTACTS: {(user, ANN): Contact(blocked=user != CAROL) for user in (BOB, CAROL, GONE)},
            Table.ROSTERS: {(user,): Roster(blocked=1) for user in (BOB, CAROL, GONE)},
            Table.EIDS: {(ANN,): "ann", (BOB,): "bob", (CAROL,): "carol"},
        }
    )

    assert read_blockers(store, ANN) == ["bob"]
    assert read_blockers(store, BOB) == []
