from bimip.client.core.kinds import CLIENT_KINDS
from bimip.client.core.kinds.conversations import conversation_known
from bimip.client.core.state import State
from bimip.client.events import ConversationChanged
from bimip.client.store import Store
from bimip.client.wire.bimip import Conversation, StateItem
from tests.client.support import page


def test_how_a_conversation_is_kept_is_what_the_server_said_last(store: Store) -> None:
    state = State(store, CLIENT_KINDS)
    kept = Conversation(
        id="c1", archived=True, pinned=True, marked_unread=True, muted_until=9, draft=b"\xff", version=1
    )
    events = state.page(page(0, 1, StateItem(conversation=kept)))

    assert events == [ConversationChanged("c1", True, True, True, 9, b"\xff")]  # noqa: FBT003
    assert conversation_known(store, "c1") == events[0]
    assert state.page(page(1, 2, StateItem(conversation=kept))) == []
    assert state.page(page(2, 3, StateItem(conversation=Conversation(id="c1", version=3)))) == [
        ConversationChanged("c1", False, False, False, 0, b"")  # noqa: FBT003
    ]


def test_of_one_that_nobody_set_anything_there_is_nothing_to_tell(store: Store) -> None:
    state = State(store, CLIENT_KINDS)

    assert state.page(page(0, 1, StateItem(conversation=Conversation(id="c1", stamp=6)))) == []
    assert conversation_known(store, "c2") == ConversationChanged("c2", False, False, False, 0, b"")  # noqa: FBT003
