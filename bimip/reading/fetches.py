"""What a Fetch looks through: the user's log, a conversation's history, the log by `seq`; and what of it a device may
see.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from bimip.domain.conversations.membership import hears_all, is_unheard, known_members, membership_of
from bimip.domain.core.clock import stamp_of
from bimip.domain.core.ids import ConversationId, ConversationOffset, DeviceId, UserId
from bimip.domain.core.operations import Received
from bimip.domain.core.ranges import contains
from bimip.domain.core.records import Conversation, Cursor, Entry, HistoryEntry, IndexRow, Reader, Table
from bimip.domain.messages.appending import EMPTY_LOG, is_addressed, is_owed
from bimip.names import conversation_number
from bimip.reading.pages import FetchedEntry, Judge, Page, Scan, fill
from bimip.reading.salvage import read_entries, read_history
from bimip.reading.segments import place_of
from bimip.reading.sources import Ascending, BySeq, Descending, InThread
from bimip.reading.withheld import withhold
from bimip.storage.interface import Store
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from bimip.wire.checks import seq_numbers
from bimip.wire.errors import WireError

HIGHEST = 1 << 64
"""Beyond any number of a seq."""


class Viewer(NamedTuple):
    """The device for which something is read."""

    user: UserId
    eid: str
    device: DeviceId
    name: str


class PageStart(NamedTuple):
    """The place at which a page begins."""

    offset: int | None  # None: at the end where that lies
    behind: tuple[int, ...] | None = None  # where the order is not that of offsets: the row to go on behind


class _Filter(NamedTuple):
    """A Fetch's filter: whose messages it asks for."""

    author: UserId | None
    origin: DeviceId | None

    def lets(self, author: UserId, origin: DeviceId) -> bool:
        return self.author in {None, author} and (self.origin is None or self.origin == origin)


def scan_log(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans the user's own log."""
    place = (viewer.user, fetch.partition)
    with store.snapshot() as view:
        first, head, _ = view.get(Table.LOGS, place) or EMPTY_LOG
        wanted = _filter(view, viewer, fetch)
    if wanted is None:
        return Page([], head + 1, complete=True)

    def read(view: Reader, after: int, limit: int) -> list[tuple[int, Entry]]:
        return read_entries(view, viewer.user, fetch.partition, after, limit)

    walk = Descending if fetch.backwards else Ascending
    source = walk(read, partial(_judge_entries, viewer, fetch, wanted), first, head, begin.offset)
    return (yield from fill(store, source, limit))


def scan_pending(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans the user's own log for what a device has not acknowledged of one conversation."""
    place, number = (viewer.user, fetch.partition), conversation_number(fetch.conversation)
    with store.snapshot() as view:
        first, head, _ = view.get(Table.LOGS, place) or EMPTY_LOG

    def read(view: Reader, after: int, limit: int) -> list[tuple[int, Entry]]:
        return read_entries(view, viewer.user, fetch.partition, after, limit)

    def judge(view: Reader) -> Judge:
        row = _judge_entries(viewer, fetch, _Filter(None, None), view)
        return lambda offset, entry: row(offset, entry) if entry.conversation == number else None

    return (yield from fill(store, Ascending(read, judge, first, head, begin.offset), limit))


def scan_heads(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans the user's own log down for the newest message of each user, or of each device where a user is named."""
    place = (viewer.user, fetch.partition)
    with store.snapshot() as view:
        first, head, _ = view.get(Table.LOGS, place) or EMPTY_LOG
        wanted = _filter(view, viewer, fetch)
    if wanted is None:
        return Page([], 0, complete=True)
    seen: set[int] = set()

    def read(view: Reader, after: int, limit: int) -> list[tuple[int, Entry]]:
        return read_entries(view, viewer.user, fetch.partition, after, limit)

    def judge(view: Reader) -> Judge:
        row = _judge_entries(viewer, fetch, wanted, view)

        def newest(offset: int, entry: Entry) -> FetchedEntry | None:
            whose = entry.author if wanted.author is None else entry.origin
            if whose in seen:
                return None
            found = row(offset, entry)
            if found is not None and found.part is not None:
                seen.add(whose)
            return found

        return newest

    return (yield from fill(store, Descending(read, judge, first, head, begin.offset), limit))


def scan_history(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans a conversation's history, by its own offsets. It is nobody's log: user_offset is 0. Raises WireError."""
    with store.snapshot() as view:
        conversation, known = conversation_for(view, viewer.user, fetch.conversation)
        wanted = _filter(view, viewer, fetch)
    if wanted is None:
        return Page([], known.head + 1, complete=True)

    def read(view: Reader, after: int, limit: int) -> list[tuple[int, HistoryEntry]]:
        return read_history(view, viewer.user, conversation, after, limit)

    def judge(view: Reader) -> Judge:
        return _judge_history(view, viewer, wanted, conversation)

    walk = Descending if fetch.backwards else Ascending
    return (yield from fill(store, walk(read, judge, known.first, known.head, begin.offset), limit))


def scan_thread(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans the messages of a conversation that answer one of them. Raises WireError."""
    with store.snapshot() as view:
        conversation, known = conversation_for(view, viewer.user, fetch.conversation)
        wanted = _filter(view, viewer, fetch)
    if wanted is None:
        return Page([], known.head + 1, complete=True)

    def judge(view: Reader) -> Judge:
        row = _judge_history(view, viewer, wanted, conversation)
        return lambda place, listed: listed and row(place, listed)

    thread = (conversation, stamp_of(fetch.reply_to))
    source = InThread(thread, judge, known.first, begin.offset, backwards=fetch.backwards)
    return (yield from fill(store, source, limit))


def conversation_for(view: Reader, user: UserId, name: str) -> tuple[ConversationId, Conversation]:
    """Reads a conversation that a user names and is in, as it is for them: it begins where their history of it does,
    and has all its members, also where it is a group. Raises WireError.
    """
    number = conversation_number(name)
    membership = None if number is None else membership_of(view, user, ConversationId(number))
    if number is None or membership is None:
        raise WireError(pb.NOT_FOUND, "you are in no such conversation", field="conversation")
    conversation, known = ConversationId(number), membership.conversation
    first = max(known.first, membership.since)
    return conversation, known._replace(first=first, members=known_members(view, user, conversation))


def scan_by_seq(store: Store, viewer: Viewer, fetch: pb.Fetch, begin: PageStart, limit: int) -> Scan:
    """Scans what the user's devices wrote to the user's own log, in the order of their `seq`."""
    with store.snapshot() as view:
        wanted = _filter(view, viewer, fetch)
    if wanted is None:
        return Page([], 0, complete=True, last=begin.behind)
    low: IndexRow = seq_numbers(fetch.seq_from) if fetch.seq_from else (0,)
    high: IndexRow = (*seq_numbers(fetch.seq_to), HIGHEST) if fetch.seq_to else (HIGHEST,)

    def judge(view: Reader) -> Judge:
        row = _judge_entries(viewer, fetch, wanted, view)
        return lambda seq, entry: entry and row(seq.offset, entry)

    place = (viewer.user, fetch.partition)
    source = BySeq(place, judge, low, high, begin.behind, backwards=fetch.backwards)
    return (yield from fill(store, source, limit))


def _filter(view: Reader, viewer: Viewer, fetch: pb.Fetch) -> _Filter | None:
    """Makes a Fetch's filter; None: what is named does not exist, or is not the asking device's to see. `to` may only
    be that device itself.
    """
    if fetch.to.eid not in {"", viewer.eid} or fetch.to.connection_resource_id not in {"", viewer.name}:
        return None
    author = getattr(fetch, "from")
    if not author.eid:
        return _Filter(None, None)
    user = view.get(Table.USERS, (author.eid,))
    if user is None or not author.connection_resource_id:
        return user and _Filter(user.number, None)
    origin = view.get(Table.DEVICES, (user.number, author.connection_resource_id))
    return origin and _Filter(user.number, origin.number)


def _judge_entries(viewer: Viewer, fetch: pb.Fetch, wanted: _Filter, view: Reader) -> Judge:
    cursor: Cursor | None = view.get(Table.CURSORS, (viewer.device, fetch.partition))
    unacknowledged_only = fetch.kind == pb.UNACKNOWLEDGED
    return partial(_entry_row, view, viewer, wanted, cursor, unacknowledged_only)


def _entry_row(
    view: Reader,
    viewer: Viewer,
    wanted: _Filter,
    cursor: Cursor | None,
    unacknowledged_only: bool,  # noqa: FBT001 - bound by `partial` above
    offset: int,
    entry: Entry,
) -> FetchedEntry | None:
    if not wanted.lets(entry.author, entry.origin):
        return None
    own = entry.origin == viewer.device
    acknowledged = cursor is not None and (offset <= cursor.floor or contains(cursor.above, offset))
    if unacknowledged_only and (acknowledged or not is_owed(view, entry, viewer.user, viewer.device)):
        return None
    if entry.addressed and not own and not is_addressed(view, entry.stamp, viewer.user, viewer.device):
        return None
    place = place_of(entry)
    bodies = [view.get(Table.BODIES, (entry.stamp,))]
    withhold(view, viewer.user, (entry,), bodies)
    body = bodies[0]
    is_own = entry.author == viewer.user
    if body is None:
        return FetchedEntry(offset, None, acknowledged, place, is_own)
    part = _element(view, viewer, entry.stamp, body, offset, own=own)
    return FetchedEntry(offset, part, acknowledged, place, is_own)


Hears = Callable[[int], bool]
"""Whether the message at a place was for somebody who is in its conversation."""


def hears_in(view: Reader, user: UserId, conversation: ConversationId) -> Hears | None:
    """Judges the messages of a conversation of two, of whom one may have blocked the other; None: all were for them."""
    if hears_all(view, user, conversation):
        return None
    return lambda place: not is_unheard(view, user, conversation, place)


def _judge_history(view: Reader, viewer: Viewer, wanted: _Filter, conversation: ConversationId) -> Judge:
    hears = hears_in(view, viewer.user, conversation)
    return partial(_history_row, view, viewer, wanted, conversation, hears)


def _history_row(
    view: Reader,
    viewer: Viewer,
    wanted: _Filter,
    conversation: ConversationId,
    hears: Hears | None,
    place: int,
    listed: HistoryEntry,
) -> FetchedEntry | None:
    if not wanted.lets(listed.author, listed.origin) or (hears and not hears(place)):
        return None
    own = listed.origin == viewer.device
    if listed.addressed and not own and not is_addressed(view, listed.stamp, viewer.user, viewer.device):
        return None
    body = view.get(Table.BODIES, (listed.stamp,))
    if body is None:
        return None
    part = _element(view, viewer, listed.stamp, body, 0, own=own)
    alone = ConversationOffset(place)
    received = Received(conversation, alone, alone)
    is_own = listed.author == viewer.user
    return FetchedEntry(place, part, acknowledged=True, place=received, is_own=is_own, stamp=listed.stamp)


def history_judge(view: Reader, viewer: Viewer, conversation: ConversationId) -> Judge:
    """Judges what of a conversation's history a device may see, whoever wrote it."""
    return _judge_history(view, viewer, _Filter(None, None), conversation)


def _element(view: Reader, viewer: Viewer, stamp: int, body: bytes, offset: int, *, own: bool) -> bytes:
    """The message as an element of Body.messages, with what is addressed to this device alone."""
    for one in () if own else view.get(Table.ADDRESSED, (stamp, viewer.user)) or ():
        if one.device == viewer.device and one.payload is not None:
            body = stored.readdressed(body, one.payload)
    return stored.deliver(body, offset)
