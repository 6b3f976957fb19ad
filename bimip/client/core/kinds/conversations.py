"""How this user keeps conversations: archived, pinned, muted, marked unread, with a draft."""

from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import ConversationChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import Conversation


class KnownConversation(NamedTuple):
    """How a conversation is kept, as it is stored."""

    version: int = 0  # of the user's state, since when it is kept so
    archived: bool = False
    pinned: bool = False
    marked_unread: bool = False
    muted_until: int = 0
    draft: bytes = b""


class ConversationsKind(Kind[Conversation, KnownConversation]):
    field = "conversation"

    def key(self, item: Conversation) -> StateKey | None:
        return (item.id,)

    def value(self, item: Conversation) -> KnownConversation:
        return KnownConversation(
            item.version, item.archived, item.pinned, item.marked_unread, item.muted_until, item.draft
        )

    def merge(self, known: KnownConversation, arrived: KnownConversation) -> KnownConversation:
        """The server has merged them: its newest word counts."""
        return max(known, arrived)

    def event(
        self, key: StateKey, before: KnownConversation | None, now: KnownConversation | None
    ) -> ConversationChanged | None:
        was, is_now = (changed_conversation(key, known or KnownConversation()) for known in (before, now))
        return is_now if is_now != was else None

    def dump(self, value: KnownConversation) -> object:
        *flags, draft = value
        return [*flags, b64encode(draft).decode()]

    def load(self, stored: Any) -> KnownConversation:  # noqa: ANN401 - as in Kind
        known: KnownConversation = KnownConversation._make(stored)
        return known._replace(draft=b64decode(known.draft))


CONVERSATIONS = ConversationsKind()


def changed_conversation(key: StateKey, known: KnownConversation) -> ConversationChanged:
    return ConversationChanged(
        conversation=str(key[0]),
        archived=known.archived,
        pinned=known.pinned,
        marked_unread=known.marked_unread,
        muted_until=known.muted_until,
        draft=known.draft,
    )


def conversation_known(store: Store, conversation: str) -> ConversationChanged:
    """Returns how a conversation is kept, as far as this device knows."""
    key = (conversation,)
    return changed_conversation(key, Table(store, CONVERSATIONS).get(key) or KnownConversation())
