"""How two values of one thing become one: the rules by which devices that were apart end at the same state.

Each commutes, associates and is idempotent, so it does not matter in which order, how often or by which way a change
arrives (invariants I8 and I9). Receipts are a union whose earliest time wins (receipts.py), read markers a maximum
(read_markers.py); what is here is the last writer's, by the hybrid logical clock, and what beats it:

    an edit            the later one's
    a deletion         beats every edit, whenever it was
    a reaction         of each user and emoji the later one's
    a setting, a pin   the later one's

Stamps that are equal are told apart by the device, and what one device wrote twice under one stamp by the value.
"""

from collections.abc import Iterable
from enum import IntEnum

from bimip.domain.core.ids import DeviceId, Stamp
from bimip.domain.core.merges import later
from bimip.domain.core.records import ConversationSettings, MessageRecord, OwnMessage, Reaction


class MergeRule(IntEnum):
    """The rule by which a write lost. Numbers stand in stores."""

    LATER_EDIT = 1
    DELETED = 2
    LATER_REACTION = 3
    LATER_SETTING = 4
    LATER_PIN = 5


NEVER, NOBODY = Stamp(0), DeviceId(0)


def merge_messages(one: MessageRecord, other: MessageRecord) -> MessageRecord:
    edit = max(one, other, key=lambda record: (record.edited, record.editor, record.content, record.edited_behind))
    deletions = [(record.deleted, record.deleter) for record in (one, other) if record.deleted]
    deleted, deleter = min(deletions, default=(NEVER, NOBODY))
    return edit._replace(deleted=deleted, deleter=deleter, forwards=max(one.forwards, other.forwards))


def merge_own(one: OwnMessage, other: OwnMessage) -> OwnMessage:
    pin = max(one, other, key=lambda record: (record.pinned_at, record.pinned_by, record.pinned))
    return pin._replace(hidden=one.hidden or other.hidden)


def merge_reactions(one: Iterable[Reaction], other: Iterable[Reaction]) -> tuple[Reaction, ...]:
    """Merges the reactions of one user to one message."""
    found: dict[str, Reaction] = {}
    for reaction in (*one, *other):
        known = found.get(reaction.emoji)
        found[reaction.emoji] = reaction if known is None else max(known, reaction)
    return tuple(sorted(found.values()))


def merge_settings(one: ConversationSettings, other: ConversationSettings) -> ConversationSettings:
    return ConversationSettings._make(map(later, one, other))
