"""A user's inbox, the newest first: each conversation with its last message, and what of it is unread.

What is unread is counted when it is asked for: from the read marker on, at most so many messages back from the newest.
So no message writes a counter for each of its readers, and an inbox that nobody looks at costs nothing.
"""

from collections.abc import Generator
from typing import NamedTuple

from bimip.domain.conversations.inbox import needs_filling
from bimip.domain.core.clock import millis_of
from bimip.domain.core.ids import ConversationId, Stamp, UserId
from bimip.domain.core.records import Conversation, DamagedRecordError, Group, HistoryEntry, Reader, Table
from bimip.domain.state.conversation_settings import AS_THEY_WERE, read_settings
from bimip.domain.state.read_markers import read_marker
from bimip.names import conversation_id
from bimip.reading.fetches import PageStart, Viewer, conversation_for, hears_in, history_judge
from bimip.reading.groups import feed_author
from bimip.reading.pages import FetchedEntry, Page, Scan
from bimip.reading.salvage import UnreadableError, read_history
from bimip.storage.interface import Store
from bimip.wire import bimip_pb2 as pb
from bimip.wire import frames
from bimip.wire.errors import WireError

NEWEST = (1 << 64) - 1
"""Beyond all stamps."""
MAX_UNREAD = 1000
"""Messages of a conversation that are looked at, back from the newest; and mentions that are counted."""
MAX_COUNTED = 20_000
"""Looked at for one answer, before the conversation with which that is exceeded."""
SLICE = 256
"""Looked at in one turn: no message is read."""
LISTED_FOR_AN_ENTRY = 4
"""Messages whose authors are looked at for what one entry counts that is read with its message."""
LAST_AMONG = 16
"""Messages among which the last one is looked for that the device may see."""
ANSWER_BYTES = 384 * 1024


class _Listed(NamedTuple):
    """A conversation in the inbox, before its unread messages are counted."""

    number: ConversationId
    known: Conversation
    about: pb.Conversation
    last: FetchedEntry | None


def is_inbox_whole(store: Store, user: UserId) -> bool:
    """Whether a user's inbox has all conversations of their logs: else `FillInbox` is to be done first."""
    with store.snapshot() as view:
        return not needs_filling(view, user)


def scan_inbox(store: Store, viewer: Viewer, _fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans a user's conversations, from the one in which something happened last."""
    below = begin.behind[0] if begin.behind else NEWEST
    parts: list[bytes] = []
    last_ones: list[FetchedEntry] = []
    left, size, is_complete = MAX_COUNTED, 0, False
    while len(parts) < limit and left > 0 and size < ANSWER_BYTES:
        with store.snapshot() as view:
            found = view.scan(Table.RECENT, (viewer.user, 0), (viewer.user, below), limit=1, reverse=True)
            if not found:
                is_complete = True
                break
            ((_, below), conversation) = found[0]
            listed = _look(view, viewer, conversation, Stamp(below))
        yield 1
        if listed is None:
            continue
        left -= yield from _count_unread(store, viewer.user, listed)
        last = listed.last
        parts.append(frames.conversation_part(listed.about, None if last is None else last.part))
        size += len(parts[-1])
        if last is not None:
            last_ones.append(last)
    return Page([], 0, is_complete, last=(below,), parts=parts, concerned=last_ones)


def _look(view: Reader, viewer: Viewer, number: ConversationId, risen: Stamp) -> _Listed | None:
    """Reads a conversation, but for what is unread; None: it is not there for this user, or stands elsewhere."""
    name = conversation_id(number)
    try:
        if view.get(Table.RISEN, (viewer.user, number)) != risen:
            return None  # it rose meanwhile, and stands higher up
        _, known = conversation_for(view, viewer.user, name)
        last = _last_message(view, viewer, number, known)
        raw: Conversation | None = view.get(Table.CONVERSATIONS, (number,))
        others = [member for member in known.members if member != viewer.user] or [viewer.user]
        group: Group | None = view.get(Table.GROUPS, (number,))
        author = "" if raw is None else feed_author(view, raw)
        eid: str | None = view.get(Table.EIDS, (others[0],)) if group is None else ""
        kept = read_settings(view, viewer.user, number) or AS_THEY_WERE
        marker = read_marker(view, viewer.user, number)
        mentions = view.scan(
            Table.MENTIONS,
            (viewer.user, number, max(marker + 1, known.first)),
            (viewer.user, number + 1, 0),
            limit=MAX_UNREAD,
        )
    except (WireError, DamagedRecordError):
        return None
    about = pb.Conversation(
        id=name,
        head=known.head,
        peer=author or eid or "",
        feed=bool(author),
        title="" if group is None else group.title,
        member_count=len(known.members if group is None else group.everybody),
        mentions=len(mentions),
        read_upto=marker,
        archived=kept.archived.value,
        pinned=kept.pinned.value,
        marked_unread=kept.unread.value,
        muted_until=kept.muted_until.value,
        draft=kept.draft.value,
        last_activity=millis_of(risen if last is None else last.stamp),
    )
    return _Listed(number, known, about, last)


def _last_message(view: Reader, viewer: Viewer, number: ConversationId, known: Conversation) -> FetchedEntry | None:
    """Reads the newest message that the device may see."""
    after = max(known.first - 1, known.head - LAST_AMONG)
    judge = history_judge(view, viewer, number)
    try:
        listed = read_history(view, viewer.user, number, after, known.head - after)
    except UnreadableError:
        return None
    return next((row for place, entry in reversed(listed) if (row := judge(place, entry)) is not None), None)


def _count_unread(store: Store, user: UserId, listed: _Listed) -> Generator[int, None, int]:
    """Counts the messages of others behind the user's read marker. Returns how many it looked at."""
    number, known, about, _ = listed
    marker = max(about.read_upto, known.first - 1)
    after = begin = max(marker, known.head - MAX_UNREAD)
    about.more_unread = begin > marker
    while after < known.head:
        upto = min(after + SLICE, known.head)
        with store.snapshot() as view:
            try:
                entries = read_history(view, user, number, after, upto - after)
            except UnreadableError:
                entries = []
            hears = hears_in(view, user, number)
            about.unread += sum(
                _is_others(view, user, entry) and (hears is None or hears(place))
                for place, entry in entries
                if place <= upto
            )
        yield (upto - after) // LISTED_FOR_AN_ENTRY + 1
        after = upto
    return known.head - begin


def _is_others(view: Reader, user: UserId, entry: HistoryEntry) -> bool:
    """Whether somebody else wrote a message, and to this user."""
    if entry.author == user:
        return False
    return not entry.addressed or bool(view.get(Table.ADDRESSED, (entry.stamp, user)))
