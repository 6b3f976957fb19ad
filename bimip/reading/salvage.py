"""Reading a log or a history of which something is damaged: what proves to be whole is read, the rest is left out.

A block of records that is not what was written may hold twenty that are and one that is not. Each is held against its
message, which has a seal of its own: the same place in the same conversation, by the same device, addressed or not as
the store has it. So a flipped bit costs one message and not a block of them, and shows nobody what is not theirs.
"""

from collections.abc import Sequence
from typing import TypeVar

from bimip.domain.conversations.membership import was_member_at
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, Stamp, UserId
from bimip.domain.core.records import (
    Conversation,
    DamagedRecordError,
    DeviceOwner,
    Entry,
    HistoryEntry,
    Log,
    LogTable,
    Reader,
    Table,
)
from bimip.names import conversation_id
from bimip.wire import stored

T = TypeVar("T")

LOOK_MOST = 256
"""Suspect records held against their messages at once."""


class UnreadableError(Exception):
    """Nothing up to and with a number could be read; what follows may be."""

    def __init__(self, upto: int) -> None:
        super().__init__(f"nothing up to {upto} can be read")
        self.upto = upto


def read_entries(view: Reader, user: UserId, partition: str, after: int, limit: int) -> list[tuple[int, Entry]]:
    """Reads as Reader.read does, and around damage what is whole. Raises HoleError, DamagedRecordError."""
    place = (user, partition)
    try:
        return view.read(LogTable.ENTRIES, place, after, limit=limit)
    except DamagedRecordError:
        log: Log = view.get(Table.LOGS, place)
    suspects: list[tuple[int, Entry]] = view.salvage(
        LogTable.ENTRIES, place, after, limit=min(limit, LOOK_MOST), upto=log.head
    )
    found = [
        (offset, entry)
        for offset, entry in suspects
        if _is_message(view, user, entry.conversation, entry.conversation_offset, entry)
    ]
    return _or_hole(found, suspects)


def read_entries_together(
    view: Reader, user: UserId, partition: str, after: int, limit: int
) -> Sequence[tuple[int, Sequence[Entry]]]:
    """Reads as `read_entries` does, and leaves those together that lie together."""
    try:
        return view.read_packed(LogTable.ENTRIES, (user, partition), after, limit=limit)
    except DamagedRecordError:
        return [(offset, [entry]) for offset, entry in read_entries(view, user, partition, after, limit)]


def read_history(
    view: Reader, user: UserId, conversation: ConversationId, after: int, limit: int
) -> list[tuple[int, HistoryEntry]]:
    """Reads as `read_entries` does, of a conversation that the user is in."""
    place = (conversation,)
    try:
        return view.read(LogTable.HISTORY, place, after, limit=limit)
    except DamagedRecordError:
        known: Conversation = view.get(Table.CONVERSATIONS, place)
    suspects: list[tuple[int, HistoryEntry]] = view.salvage(
        LogTable.HISTORY, place, after, limit=min(limit, LOOK_MOST), upto=known.head
    )
    found = [
        (at, listed) for at, listed in suspects if _is_message(view, user, conversation, ConversationOffset(at), listed)
    ]
    return _or_hole(found, suspects)


def _or_hole(found: list[tuple[int, T]], suspects: list[tuple[int, T]]) -> list[tuple[int, T]]:
    if suspects and not found:
        raise UnreadableError(suspects[-1][0])
    return found


def _is_message(
    view: Reader, user: UserId, conversation: ConversationId, at: ConversationOffset, record: Entry | HistoryEntry
) -> bool:
    """Whether what a record says of its message is what the message says of itself."""
    try:
        body: bytes | None = view.get(Table.BODIES, (record.stamp,))
        if body is None or not was_member_at(view, user, conversation, at):
            return False
        message = stored.parse(body)
        if (message.conversation, message.conversation_offset) != (conversation_id(conversation), at):
            return False
        author = getattr(message, "from")
        return _wrote(view, record.author, record.origin, author.eid, author.connection_resource_id) and (
            record.addressed == _is_addressed(view, record.stamp)
        )
    except DamagedRecordError:
        return False


def _wrote(view: Reader, author: UserId, origin: DeviceId, eid: str, device: str) -> bool:
    names: list[object] = [view.get(Table.EIDS, (author,)), view.get(Table.DEVICE_OWNERS, (origin,))]
    return names == [eid, DeviceOwner(author, device) if device else None]  # none: an event of a group


def _is_addressed(view: Reader, stamp: Stamp) -> bool:
    return bool(view.scan(Table.ADDRESSED, (stamp,), (stamp + 1,), limit=1))
