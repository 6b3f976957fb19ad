"""What a Fetch looks through, a slice at a time: the user's log, a conversation's history, the index of seqs.

Each kind is a generator that looks at no more than SLICE entries in one read transaction, yields how many it looked at,
and returns the page when it is full or the end is reached. Whoever runs it lets others have their turn in between, and
charges the asking device for what was looked at. What changes between two slices is seen by the later one: a page is no
snapshot, and needs to be none, since entries never change.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

from bimip.domain.appending import EMPTY_LOG, is_addressed, is_owed
from bimip.domain.ids import ConversationId, ConversationOffset, DeviceId, UserId
from bimip.domain.operations import Received
from bimip.domain.ranges import Range, contains
from bimip.domain.records import (
    Conversation,
    Cursor,
    Entry,
    HistoryEntry,
    Index,
    IndexRow,
    LogTable,
    Reader,
    Seq,
    Table,
)
from bimip.names import conversation_number
from bimip.users.salvage import UnreadableError, read_entries, read_history
from bimip.users.session import Session
from bimip.users.tail import place_of
from bimip.wire import bimip_pb2 as pb
from bimip.wire import stored
from bimip.wire.errors import WireError
from bimip.wire.validation import seq_numbers

SLICE = 64
"""Entries looked at in one turn: each costs up to 15 microseconds."""
MAX_SCAN = 1000
"""Entries looked at for one answer; `next_offset` goes on."""
ANSWER_BYTES = 512 * 1024
HIGHEST = 1 << 64
"""Beyond any number of a seq."""


class Asker(Protocol):
    """A device, as far as the kinds of Fetch need it."""

    session: Session
    number: DeviceId

    @property
    def name(self) -> str: ...


class FetchedEntry(NamedTuple):
    offset: int
    part: bytes | None  # None: it is damaged
    acknowledged: bool
    place: Received


class Page(NamedTuple):
    rows: list[FetchedEntry]  # in the order that was asked for
    next_offset: int
    complete: bool
    gaps: Sequence[Range] = ()  # of a log: what was asked for and is damaged
    last: Seq | None = None  # of BY_SEQ, whose order is not that of offsets


Scan = Generator[int, None, Page]
"""Yields, after each slice, how many entries it looked at."""

Read = Callable[[Reader, int, int], list[tuple[int, Any]]]
"""Records behind a number, at most so many."""

Judge = Callable[[int, Any], FetchedEntry | None]
"""Whether a record, with its number, is in the page."""


def scan(asker: Asker, fetch: pb.Fetch, begin: int | None, last: Seq | None) -> Scan:
    """Looks for what a Fetch asks for. Raises WireError at the first slice.

    `begin`: the first offset to look at, None for the end where that lies; `last`: of BY_SEQ, what to go on behind.
    """
    limits = asker.session.services.limits
    found = _Found(min(fetch.limit or limits.max_fetch, limits.max_fetch))
    if fetch.kind == pb.BY_SEQ:
        return _by_seq(asker, fetch, found, last)
    if fetch.kind == pb.HISTORY:
        return _history(asker, fetch, found, begin)
    return _log(asker, fetch, found, begin)


class _Found:
    """Gathers the rows of a page until there is no room for more."""

    def __init__(self, limit: int) -> None:
        self.rows: list[FetchedEntry] = []
        self.gaps: list[Range] = []
        self._left = MAX_SCAN  # entries that may still be looked at
        self._limit = limit
        self._size = 0

    def has_room(self) -> bool:
        return self._left > 0 and len(self.rows) < self._limit and self._size <= ANSWER_BYTES

    @property
    def slice(self) -> int:
        return min(SLICE, self._left)

    def miss(self, first: int, last: int) -> None:
        """These cannot be read."""
        if first <= last:
            self.gaps.append((first, last))
            self._left -= min(last - first + 1, SLICE)

    def look(self, row: FetchedEntry | None) -> None:
        """An entry was looked at; it is in the page unless it is None."""
        self._left -= 1
        if row is not None and row.part is None:
            self.gaps.append((row.offset, row.offset))
        elif row is not None:
            self.rows.append(row)
            self._size += len(row.part or b"")


class _Filter(NamedTuple):
    """A Fetch's filter: whose messages it asks for."""

    author: UserId | None
    origin: DeviceId | None

    def lets(self, author: UserId, origin: DeviceId) -> bool:
        return self.author in {None, author} and (self.origin is None or self.origin == origin)


def _filter(view: Reader, asker: Asker, fetch: pb.Fetch) -> _Filter | None:
    """Makes a Fetch's filter; None: what is named does not exist, or is not the asking device's to see. `to` may only
    be that device itself.
    """
    if fetch.to.eid not in {"", asker.session.eid} or fetch.to.connection_resource_id not in {"", asker.name}:
        return None
    author = getattr(fetch, "from")
    if not author.eid:
        return _Filter(None, None)
    user = view.get(Table.USERS, (author.eid,))
    if user is None or not author.connection_resource_id:
        return user and _Filter(user.number, None)
    origin = view.get(Table.DEVICES, (user.number, author.connection_resource_id))
    return origin and _Filter(user.number, origin.number)


def _log(asker: Asker, fetch: pb.Fetch, found: _Found, begin: int | None) -> Scan:
    """Scans the user's own log."""
    session = asker.session
    place = (session.number, fetch.partition)
    with session.services.store.snapshot() as view:
        first, head, _ = view.get(Table.LOGS, place) or EMPTY_LOG
        wanted = _filter(view, asker, fetch)
    if wanted is None:
        return Page([], head + 1, complete=True)

    def read(view: Reader, after: int, limit: int) -> list[tuple[int, Entry]]:
        return read_entries(view, session.number, fetch.partition, after, limit)

    def judge(view: Reader) -> Judge:
        cursor: Cursor | None = view.get(Table.CURSORS, (asker.number, fetch.partition))
        return partial(_row, view, asker, fetch, wanted, cursor)

    return (yield from _walk(asker, fetch, found, (first, head, read), begin, judge))


def _history(asker: Asker, fetch: pb.Fetch, found: _Found, begin: int | None) -> Scan:
    """Scans a conversation's history, by its own offsets. It is nobody's log: user_offset is 0."""
    number = conversation_number(fetch.conversation)
    with asker.session.services.store.snapshot() as view:
        known: Conversation | None = None if number is None else view.get(Table.CONVERSATIONS, (number,))
        if known is None or asker.session.number not in known.members:
            raise WireError(pb.NOT_FOUND, "you are in no such conversation", field="conversation")
        wanted = _filter(view, asker, fetch)
    if wanted is None:
        return Page([], known.head + 1, complete=True)

    conversation = ConversationId(number or 0)

    def read(view: Reader, after: int, limit: int) -> list[tuple[int, HistoryEntry]]:
        return read_history(view, asker.session.number, conversation, after, limit)

    def judge(view: Reader) -> Judge:
        return partial(_row_of_history, view, asker, wanted, conversation)

    return (yield from _walk(asker, fetch, found, (known.first, known.head, read), begin, judge))


def _walk(
    asker: Asker,
    fetch: pb.Fetch,
    found: _Found,
    run: tuple[int, int, Read],
    begin: int | None,
    judge: Callable[[Reader], Judge],
) -> Scan:
    """Through a run of records (its first, its head, how it is read), from `begin` on, in the direction asked for.

    Forwards the next Fetch goes on behind the last row, or, without rows, behind what was looked at; backwards in front
    of what was looked at.
    """
    first, head, read = run
    ahead, behind = max(begin or 0, first), head if begin is None else min(begin, head)
    at = behind if fetch.backwards else ahead
    while found.has_room() and first <= at <= head:
        with asker.session.services.store.snapshot() as view:
            if fetch.backwards:
                looked, at = _walk_back(view, found, first, at, read, judge(view))
            else:
                looked, at = _walk_on(view, found, head, at, read, judge(view))
        yield looked
    gaps = sorted(found.gaps)
    if fetch.backwards:
        return Page(found.rows, max(at, 0), at < first, gaps)
    return Page(found.rows, found.rows[-1].offset + 1 if found.rows else min(at, head + 1), at > head, gaps)


def _walk_on(view: Reader, found: _Found, head: int, at: int, read: Read, row: Judge) -> tuple[int, int]:
    """A slice from `at` on: how many were looked at, and where the next one begins."""
    looked = 0
    try:
        records = read(view, at - 1, found.slice)
    except UnreadableError as unreadable:
        found.miss(at, unreadable.upto)
        return SLICE, unreadable.upto + 1
    for place, record in records:
        if not found.has_room():
            return looked, at
        found.miss(at, place - 1)
        found.look(row(place, record))
        looked, at = looked + 1, place + 1
    return looked, at if records else head + 1  # what was there expired in the meantime


def _walk_back(view: Reader, found: _Found, first: int, at: int, read: Read, row: Judge) -> tuple[int, int]:
    """A slice from `at` towards the start."""
    looked, after = 0, max(first - 1, at - found.slice)
    try:
        records = read(view, after, at - after)
    except UnreadableError:
        records = []
    for place, record in reversed([one for one in records if one[0] <= at]):
        if not found.has_room():
            return looked, at
        found.miss(place + 1, at)
        found.look(row(place, record))
        looked, at = looked + 1, place - 1
    found.miss(after + 1, at)
    return max(looked, 1), after


def _row(
    view: Reader, asker: Asker, fetch: pb.Fetch, wanted: _Filter, cursor: Cursor | None, offset: int, entry: Entry
) -> FetchedEntry | None:
    user = asker.session.number
    if not wanted.lets(entry.author, entry.origin):
        return None
    own = entry.origin == asker.number
    acknowledged = cursor is not None and (offset <= cursor.floor or contains(cursor.above, offset))
    if fetch.kind == pb.UNACKNOWLEDGED and (acknowledged or not is_owed(view, entry, user, asker.number)):
        return None
    if entry.addressed and not own and not is_addressed(view, entry.stamp, user, asker.number):
        return None
    place = place_of(entry)
    body = view.get(Table.BODIES, (entry.stamp,))
    if body is None:
        return FetchedEntry(offset, None, acknowledged, place)
    return FetchedEntry(offset, _element(view, asker, entry.stamp, body, offset, own=own), acknowledged, place)


def _row_of_history(
    view: Reader, asker: Asker, wanted: _Filter, conversation: ConversationId, place: int, listed: HistoryEntry
) -> FetchedEntry | None:
    if not wanted.lets(listed.author, listed.origin):
        return None
    own = listed.origin == asker.number
    if listed.addressed and not own and not is_addressed(view, listed.stamp, asker.session.number, asker.number):
        return None
    body = view.get(Table.BODIES, (listed.stamp,))
    if body is None:
        return None
    part = _element(view, asker, listed.stamp, body, 0, own=own)
    alone = ConversationOffset(place)
    return FetchedEntry(place, part, acknowledged=True, place=Received(conversation, alone, alone))


def _element(view: Reader, asker: Asker, stamp: int, body: bytes, offset: int, *, own: bool) -> bytes:
    for one in () if own else view.get(Table.ADDRESSED, (stamp, asker.session.number)) or ():
        if one.device == asker.number and one.payload is not None:
            body = stored.readdressed(body, one.payload)
    return stored.deliver(body, offset)


def _by_seq(asker: Asker, fetch: pb.Fetch, found: _Found, last: Seq | None) -> Scan:
    """Scans what the user's devices wrote to the user's own log, in the order of their `seq`, behind `last`."""
    place = (asker.session.number, fetch.partition)
    low: IndexRow = seq_numbers(fetch.seq_from) if fetch.seq_from else (0,)
    high: IndexRow = (*seq_numbers(fetch.seq_to), HIGHEST) if fetch.seq_to else (HIGHEST,)
    exhausted = False
    while found.has_room() and not exhausted:
        looked = 0
        with asker.session.services.store.snapshot() as view:
            wanted = _filter(view, asker, fetch)
            if wanted is None:
                return Page([], 0, complete=True, last=last)
            if last is not None:
                low, high = (low, last) if fetch.backwards else ((*last, 0), high)
            rows = view.find(Index.SEQS, place, low, high, limit=found.slice, reverse=fetch.backwards)
            exhausted = len(rows) < found.slice
            for seq in map(Seq._make, rows):
                if not found.has_room():
                    exhausted = False
                    break
                looked, last = looked + 1, seq
                found.look(_row_at(view, asker, fetch, wanted, seq.offset))
        yield looked
    return Page(found.rows, last.offset if last else 0, complete=exhausted, last=last)


def _row_at(view: Reader, asker: Asker, fetch: pb.Fetch, wanted: _Filter, offset: int) -> FetchedEntry | None:
    """Makes the row of an offset; None also for what expired: an index is trimmed later than its log."""
    place = (asker.session.number, fetch.partition)
    found: Iterable[tuple[int, Entry]] = view.read(LogTable.ENTRIES, place, offset - 1, limit=1)
    cursor: Cursor | None = view.get(Table.CURSORS, (asker.number, fetch.partition))
    return next((_row(view, asker, fetch, wanted, cursor, at, entry) for at, entry in found if at == offset), None)
