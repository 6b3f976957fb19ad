import pytest

from bimip.domain.awareness.activities import DEFAULT_TTL_MS, Doing
from bimip.domain.core.ids import ConversationId, ConversationOffset, UserId
from bimip.domain.core.records import Changes, Conversation, Table, User
from bimip.requests.activities import say
from bimip.storage.memory import MemoryStore
from bimip.wire import bimip_pb2 as pb
from bimip.wire.errors import WireError
from tests.requests.support import Peer


def store() -> MemoryStore:
    """Ann, 1, and bob, 2, have conversation 7; conversation 8 is others'."""
    kept = MemoryStore()
    kept.begin()
    first, none = ConversationOffset(1), ConversationOffset(0)
    kept.apply(
        Changes(
            puts={
                Table.USERS: {("bob",): User(UserId(2), 0)},  # type: ignore[arg-type]  # a plain number
                Table.DIRECT: {(1, 2): ConversationId(7)},
                Table.CONVERSATIONS: {
                    (7,): Conversation(first, none, (UserId(1), UserId(2))),
                    (8,): Conversation(first, none, (UserId(2), UserId(3))),
                },
            }
        )
    )
    kept.commit()
    return kept


@pytest.mark.parametrize(("conversation", "peer"), [("c7", ""), ("", "c7"), ("", "bob"), ("c7", "carol")])
def test_a_conversation_is_named_by_its_id_or_its_other_member(conversation: str, peer: str) -> None:
    asker = Peer(store())
    activity = say(asker, Doing.RECORDING, conversation, peer, 0)

    assert (activity.conversation, activity.doing, activity.ttl_ms) == (7, Doing.RECORDING, DEFAULT_TTL_MS)
    assert asker.activities == [activity]


@pytest.mark.parametrize(
    ("conversation", "peer", "field"), [("c8", "", "conversation"), ("", "c9", "to.eid"), ("x", "", "conversation")]
)
def test_one_that_is_anothers_is_refused_like_none(conversation: str, peer: str, field: str) -> None:
    asker = Peer(store())
    with pytest.raises(WireError) as caught:
        say(asker, Doing.TYPING, conversation, peer, 0)

    assert (caught.value.code, caught.value.field) == (pb.NOT_FOUND, field)
    assert asker.activities == []
