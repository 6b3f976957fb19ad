"""The user's conversations, the newest first: what a first screen shows."""

from dataclasses import dataclass

from bimip.client.arguments import checked_number
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Body, Conversation, Fetch, FetchKind, Message


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A conversation of the user, as it stands now."""

    conversation: str
    peer: str  # the other one, in a conversation of two; the author of a feed
    title: str  # of a group
    head: int  # the newest conversation offset
    last_message: Message | None  # None where the newest ones expired
    last_activity: int  # milliseconds
    unread: int
    has_more_unread: bool  # there may be more than were counted
    mentions: int  # of this user, among what is unread
    read_upto: int  # the user's read marker
    member_count: int
    archived: bool
    pinned: bool
    marked_unread: bool
    muted_until: int  # milliseconds; 0 or in the past: not muted
    draft: bytes
    is_feed: bool = False  # what its peer writes for friends


@dataclass(frozen=True, slots=True)
class InboxPage:
    rows: list[InboxRow]  # the one in which something happened last comes first
    cursor: bytes  # goes on behind these, on whichever connection
    complete: bool  # nothing is left behind these


class Inboxes(Facet):
    async def inbox(self, limit: int = 50, cursor: bytes = b"") -> InboxPage:
        """Fetch the user's conversations, those in which something happened last first.

        `cursor` is that of the page before. What is so now of the last messages (receipts) is in the copy of the state
        by then. Raises Refused, TimedOut, NotConnected, and InvalidArgument for values that cannot be sent.
        """
        fetch = Fetch(kind=FetchKind.INBOX, limit=checked_number("limit", limit, least=0), cursor=cursor)
        body = await self._connector.request(fetch, Body)
        self._device.note_conversations(body.conversations)
        return InboxPage([_row(one) for one in body.conversations], body.next_cursor, body.complete)


def _row(conversation: Conversation) -> InboxRow:
    return InboxRow(
        conversation=conversation.id,
        peer=conversation.peer,
        title=conversation.title,
        head=conversation.head,
        last_message=conversation.last_message,
        last_activity=conversation.last_activity,
        unread=conversation.unread,
        has_more_unread=conversation.more_unread,
        mentions=conversation.mentions,
        read_upto=conversation.read_upto,
        member_count=conversation.member_count,
        archived=conversation.archived,
        pinned=conversation.pinned,
        marked_unread=conversation.marked_unread,
        muted_until=conversation.muted_until,
        draft=conversation.draft,
        is_feed=conversation.feed,
    )
