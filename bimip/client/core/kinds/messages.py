"""What became of messages since they were sent: edited, deleted, reacted to, forwarded, pinned, hidden."""

from base64 import b64decode, b64encode
from typing import Any, NamedTuple

from bimip.client.core.kinds.kind import Kind, Table
from bimip.client.events import MessageChanged
from bimip.client.store import StateKey, Store
from bimip.client.wire.bimip import MessageState


class KnownReaction(NamedTuple):
    stamp: int
    removed: bool


class KnownMessage(NamedTuple):
    """Holds what is known of a message."""

    signal_offset: int = 0
    edited: int = 0  # the stamp of the edit that counts; 0: none
    payload: bytes | None = None  # as edited; None: as it was sent, or gone
    deleted: bool = False
    hidden: bool = False
    pinned: bool = False
    pinned_stamp: int = 0
    forwards: int = 0
    reactions: tuple[tuple[str, str, KnownReaction], ...] = ()  # eid, emoji; ascending

    def reacted(self) -> dict[str, tuple[str, ...]]:
        """Returns by emoji who reacted with it."""
        found: dict[str, tuple[str, ...]] = {}
        for eid, emoji, reaction in self.reactions:
            if not reaction.removed:
                found[emoji] = (*found.get(emoji, ()), eid)
        return found


class MessagesKind(Kind[MessageState, KnownMessage]):
    field = "message"

    def key(self, item: MessageState) -> StateKey | None:
        return (item.conversation, item.conversation_offset)

    def value(self, item: MessageState) -> KnownMessage:
        reactions = [(one.eid, one.emoji, KnownReaction(one.stamp, one.removed)) for one in item.reactions]
        if item.deleted:
            reactions = []
        return KnownMessage(
            item.signal_offset,
            0 if item.deleted else item.stamp,
            None if item.deleted else item.payload,
            item.deleted,
            item.hidden,
            item.pinned,
            item.pinned_stamp,
            item.forwards,
            tuple(sorted(reactions)),
        )

    def merge(self, known: KnownMessage, arrived: KnownMessage) -> KnownMessage:
        edit = max(known, arrived, key=lambda one: (one.edited, one.payload or b""))
        pin = max(known, arrived, key=lambda one: (one.pinned_stamp, one.pinned))
        reactions: dict[tuple[str, str], KnownReaction] = {}
        for eid, emoji, reaction in (*known.reactions, *arrived.reactions):
            before = reactions.get((eid, emoji), reaction)
            reactions[eid, emoji] = max(before, reaction)
        deleted = known.deleted or arrived.deleted
        return KnownMessage(
            max(known.signal_offset, arrived.signal_offset),
            0 if deleted else edit.edited,
            None if deleted else edit.payload,
            deleted,
            known.hidden or arrived.hidden,
            pin.pinned,
            pin.pinned_stamp,
            max(known.forwards, arrived.forwards),
            () if deleted else tuple(sorted((*place, reaction) for place, reaction in reactions.items())),
        )

    def event(self, key: StateKey, before: KnownMessage | None, now: KnownMessage | None) -> MessageChanged | None:
        was, is_now = (changed_message(key, known or KnownMessage()) for known in (before, now))
        return is_now if is_now != was else None

    def dump(self, value: KnownMessage) -> object:
        signal_offset, edited, payload, *rest = value
        return [signal_offset, edited, None if payload is None else b64encode(payload).decode(), *rest]

    def load(self, stored: Any) -> KnownMessage:  # noqa: ANN401 - as in Kind
        known: KnownMessage = KnownMessage._make(stored)
        return known._replace(
            payload=None if known.payload is None else b64decode(known.payload),
            reactions=tuple((eid, emoji, KnownReaction(*reaction)) for eid, emoji, reaction in known.reactions),
        )


MESSAGES = MessagesKind()


def changed_message(key: StateKey, known: KnownMessage) -> MessageChanged:
    conversation, place = key
    return MessageChanged(
        conversation=str(conversation),
        conversation_offset=int(place),
        signal_offset=known.signal_offset,
        payload=known.payload,
        deleted=known.deleted,
        hidden=known.hidden,
        pinned=known.pinned,
        forwards=known.forwards,
        reactions=known.reacted(),
    )


def message_known(store: Store, conversation: str, conversation_offset: int) -> MessageChanged | None:
    """Returns what became of a message; None: nothing that this device knows of."""
    key = (conversation, conversation_offset)
    known = Table(store, MESSAGES).get(key)
    return None if known is None else changed_message(key, known)
