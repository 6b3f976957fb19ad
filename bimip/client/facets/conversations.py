"""Conversations: which there are, the newest first, as a first screen shows them; how this user keeps each, and how far
they have read it.

    page = await client.conversations.list(limit=20)
    for row in page.rows:
        print(row.title or row.peer, "has", row.unread, "unread")
        await client.conversations.keep(row.conversation, archived=True, draft=b"To be answered")
        await client.conversations.move_read_marker(row.conversation, row.head)
        print("all read up to", client.conversations.read_marker(row.conversation))
    if not page.complete:
        page = await client.conversations.list(limit=20, cursor=page.cursor)

Events: ConversationChanged, ReadMarkerChanged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import anyio.lowlevel

from bimip.client.arguments import checked_number, checked_text
from bimip.client.connector import Connector
from bimip.client.core.device import Device
from bimip.client.core.kinds.conversations import conversation_known
from bimip.client.core.kinds.read_markers import marker_of
from bimip.client.environment import Environment
from bimip.client.errors import Refused
from bimip.client.events import ConversationChanged
from bimip.client.facets.commands import Commands
from bimip.client.facets.facet import Facet
from bimip.client.wire.bimip import Body, Command, CommandKind, Conversation, Fetch, FetchKind, Message


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


class Conversations(Facet):
    """`client.conversations`: a conversation is named by its id, which each message and `Sent` has.

    What asks raises Refused (NOT_FOUND: there is no such conversation), TimedOut, NotConnected, and InvalidArgument for
    what is no name and no number.
    """

    def __init__(self, device: Device, connector: Connector, environment: Environment, commands: Commands) -> None:
        super().__init__(device, connector, environment)
        self._commands = commands

    async def list(self, limit: int = 50, cursor: bytes = b"") -> InboxPage:
        """Fetch the user's conversations, those in which something happened last first.

        `cursor` is that of the page before. What is so now of the last messages (receipts) is in the copy of the state
        by then. `limit`: so many at most, 0: as the server likes. Cancelling it drops the answer.
        """
        fetch = Fetch(kind=FetchKind.INBOX, limit=checked_number("limit", limit, least=0), cursor=cursor)
        body = await self._connector.request(fetch, Body)
        self._device.note_conversations(body.conversations)
        return InboxPage([_row(one) for one in body.conversations], body.next_cursor, body.complete)

    async def keep(
        self,
        conversation: str,
        *,
        archived: bool | None = None,
        pinned: bool | None = None,
        marked_unread: bool | None = None,
        muted_until: int | None = None,
        draft: bytes | None = None,
    ) -> None:
        """Set how this user keeps a conversation, what is given of it, on all their devices. ConversationChanged tells.

        `muted_until`: milliseconds since 1970, 0: not muted. An empty draft is none. Each is a command for itself, that
        is in the file before anything else happens, as a change of a message is. Raises the first refusal once all are
        answered, or what stopped the client. Cancelled or stopped, they are done all the same.

        A draft goes to the server in the clear: it raises InvalidArgument in a client that encrypts, and where what is
        written in the conversation was encrypted.
        """
        given = _kept(conversation, archived, pinned, marked_unread, muted_until, draft)
        for answer in await self._commands.give_many(given):
            if isinstance(answer, Refused):
                raise answer
        await anyio.lowlevel.checkpoint()

    def keep_nowait(
        self,
        conversation: str,
        *,
        archived: bool | None = None,
        pinned: bool | None = None,
        marked_unread: bool | None = None,
        muted_until: int | None = None,
        draft: bytes | None = None,
    ) -> Sequence[str]:
        """Do as `keep` does, and return the ids of the commands at once. Their answers come as events."""
        given = _kept(conversation, archived, pinned, marked_unread, muted_until, draft)
        return self._commands.give_nowait(*given)

    def settings(self, conversation: str) -> ConversationChanged:
        """Returns how this user keeps a conversation, as far as this device knows, also without a connection.

        Raises InvalidArgument for what is no name.
        """
        return conversation_known(self._device.store, checked_text("conversation", conversation))

    def read_marker(self, conversation: str) -> int:
        """Returns the conversation offset up to which this user has read, on whichever device; 0 where nothing was.

        Raises InvalidArgument for what is no name.
        """
        return marker_of(self._device.store, checked_text("conversation", conversation))

    async def move_read_marker(self, conversation: str, upto: int) -> int:
        """Move this user's own read marker, for their devices alone: whoever wrote the messages learns nothing of it.

        Returns where it stands then, which may be further: it only moves forward. Other devices are told by
        ReadMarkerChanged. It is in the file before anything else happens; cancelled, it is moved all the same.
        """
        checked_text("conversation", conversation)
        command = Command(
            kind=CommandKind.MARK_READ, conversation=conversation, conversation_offset=checked_number("upto", upto)
        )
        return (await self._commands.give(command)).conversation_offset


def _kept(
    conversation: str,
    archived: bool | None,  # noqa: FBT001
    pinned: bool | None,  # noqa: FBT001
    marked_unread: bool | None,  # noqa: FBT001
    muted_until: int | None,
    draft: bytes | None,
) -> Sequence[Command]:
    checked_text("conversation", conversation)
    given = [
        Command(kind=kind, conversation=conversation, value=value)
        for kind, value in (
            (CommandKind.ARCHIVE, archived),
            (CommandKind.PIN, pinned),
            (CommandKind.MARK_UNREAD, marked_unread),
        )
        if value is not None
    ]
    if muted_until is not None:
        until = checked_number("muted_until", muted_until, least=0)
        given.append(Command(kind=CommandKind.MUTE, conversation=conversation, until=until))
    if draft is not None:
        given.append(Command(kind=CommandKind.DRAFT, conversation=conversation, payload=draft))
    return given


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
