"""What a Fetch looks through, a slice at a time: the user's log, a conversation's history, the index of seqs.

Each kind is a generator that looks at no more than SLICE entries in one read transaction, yields how many it looked at,
and returns the page when it is full or the end is reached. Whoever runs it lets others have their turn in between, and
charges the asking device for what was looked at. What changes between two slices is seen by the later one: a page is no
snapshot, and needs to be none, since entries never change.
"""

from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any, NamedTuple, Protocol

from bimip.domain.appending import EMPTY_LOG, is_addressed, is_owed
from bimip.domain.ids import DeviceId, UserId
from bimip.domain.ranges import contains
from bimip.domain.records import Conversation, Cursor, Entry, Index, Key, Mention, Reader, Seq, Sequence, Table
from bimip.domain.records import Row as RowOfIndex
from bimip.names import conversation_number
from bimip.users.session import Session
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


class Row(NamedTuple):
    offset: int
    part: bytes
    acknowledged: bool


class Page(NamedTuple):
    rows: list[Row]  # in the order that was asked for
    next_offset: int
    complete: bool
    last: Seq | None = None  # of BY_SEQ, whose order is not that of offsets


Scan = Generator[int, None, Page]
"""Yields, after each slice, how many entries it looked at."""

Judge = Callable[[int, Any], Row | None]
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
        self.rows: list[Row] = []
        self._left = MAX_SCAN  # entries that may still be looked at
        self._limit = limit
        self._size = 0

    def has_room(self) -> bool:
        return self._left > 0 and len(self.rows) < self._limit and self._size <= ANSWER_BYTES

    @property
    def slice(self) -> int:
        return min(SLICE, self._left)

    def look(self, row: Row | None) -> None:
        """An entry was looked at; it is in the page unless it is None."""
        self._left -= 1
        if row is not None:
            self.rows.append(row)
            self._size += len(row.part)


class _Filter(NamedTuple):
    """Whose messages a Fetch asks for."""

    author: UserId | None
    origin: DeviceId | None

    def lets(self, author: UserId, origin: DeviceId) -> bool:
        return self.author in {None, author} and (self.origin is None or self.origin == origin)


def _filter(view: Reader, asker: Asker, fetch: pb.Fetch) -> _Filter | None:
    """None: what is named does not exist, or is not the asking device's to see. `to` may only be that device itself."""
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
    """Of the user's own log."""
    session = asker.session
    place = (session.number, fetch.partition)
    with session.services.store.snapshot() as view:
        first, head, _ = view.get(Table.LOGS, place) or EMPTY_LOG
        wanted = _filter(view, asker, fetch)
    if wanted is None:
        return Page([], head + 1, complete=True)

    def judge(view: Reader) -> Judge:
        cursor: Cursor | None = view.get(Table.CURSORS, (asker.number, fetch.partition))
        return partial(_row, view, asker, fetch, wanted, cursor)

    return (yield from _walk(asker, fetch, found, (Sequence.ENTRIES, place, first, head), begin, judge))


def _history(asker: Asker, fetch: pb.Fetch, found: _Found, begin: int | None) -> Scan:
    """Of a conversation, by its own offsets. It is nobody's log: user_offset is 0."""
    number = conversation_number(fetch.conversation)
    with asker.session.services.store.snapshot() as view:
        known: Conversation | None = None if number is None else view.get(Table.CONVERSATIONS, (number,))
        if known is None or asker.session.number not in known.members:
            raise WireError(pb.NOT_FOUND, "you are in no such conversation", field="conversation")
        wanted = _filter(view, asker, fetch)
    if wanted is None:
        return Page([], known.head + 1, complete=True)

    def judge(view: Reader) -> Judge:
        return partial(_row_of_history, view, asker, wanted)

    return (yield from _walk(asker, fetch, found, (Sequence.HISTORY, (number,), known.first, known.head), begin, judge))


def _walk(
    asker: Asker,
    fetch: pb.Fetch,
    found: _Found,
    run: tuple[Sequence, Key, int, int],
    begin: int | None,
    judge: Callable[[Reader], Judge],
) -> Scan:
    """Through a run of records (its kind, key, first and head), from `begin` on, in the direction that was asked for.

    Forwards the next Fetch goes on behind the last row, or, without rows, behind what was looked at; backwards in front
    of what was looked at.
    """
    sequence, key, first, head = run
    ahead, behind = max(begin or 0, first), head if begin is None else min(begin, head)
    at = behind if fetch.backwards else ahead
    while found.has_room() and first <= at <= head:
        looked = 0
        with asker.session.services.store.snapshot() as view:
            records = _records(view, sequence, key, at, first, found.slice, backwards=fetch.backwards)
            row = judge(view)
            for place, record in records:
                if not found.has_room():
                    break
                found.look(row(place, record))
                looked += 1
                at = place - 1 if fetch.backwards else place + 1
        if not records:
            at = first - 1 if fetch.backwards else head + 1  # what was there expired in the meantime
        yield looked
    if fetch.backwards:
        return Page(found.rows, max(at, 0), complete=at < first)
    return Page(found.rows, found.rows[-1].offset + 1 if found.rows else min(at, head + 1), complete=at > head)


def _records(
    view: Reader, sequence: Sequence, key: Key, at: int, first: int, count: int, *, backwards: bool
) -> list[tuple[int, Any]]:
    """The next ones from `at` on, with it."""
    if not backwards:
        return view.read(sequence, key, at - 1, limit=count)
    after = max(first - 1, at - count)
    return view.read(sequence, key, after, limit=at - after)[::-1]


def _row(
    view: Reader, asker: Asker, fetch: pb.Fetch, wanted: _Filter, cursor: Cursor | None, offset: int, entry: Entry
) -> Row | None:
    user = asker.session.number
    if not wanted.lets(entry.author, entry.origin):
        return None
    own = entry.origin == asker.number
    acknowledged = cursor is not None and (offset <= cursor.floor or contains(cursor.above, offset))
    if fetch.kind == pb.UNACKNOWLEDGED and (acknowledged or not is_owed(view, entry, user, asker.number)):
        return None
    if entry.addressed and not own and not is_addressed(view, entry.stamp, user, asker.number):
        return None
    body = view.get(Table.BODIES, (entry.stamp,))
    if body is None:
        return None
    return Row(offset, _element(view, asker, entry.stamp, body, offset, own=own), acknowledged)


def _row_of_history(view: Reader, asker: Asker, wanted: _Filter, place: int, mention: Mention) -> Row | None:
    if not wanted.lets(mention.author, mention.origin):
        return None
    own = mention.origin == asker.number
    if mention.addressed and not own and not is_addressed(view, mention.stamp, asker.session.number, asker.number):
        return None
    body = view.get(Table.BODIES, (mention.stamp,))
    if body is None:
        return None
    return Row(place, _element(view, asker, mention.stamp, body, 0, own=own), acknowledged=True)


def _element(view: Reader, asker: Asker, stamp: int, body: bytes, offset: int, *, own: bool) -> bytes:
    for one in () if own else view.get(Table.ADDRESSED, (stamp, asker.session.number)) or ():
        if one.device == asker.number and one.payload is not None:
            body = stored.readdressed(body, one.payload)
    return stored.deliver(body, offset)


def _by_seq(asker: Asker, fetch: pb.Fetch, found: _Found, last: Seq | None) -> Scan:
    """Of the user's own log what their devices wrote, in the order of their `seq`, behind `last`."""
    place = (asker.session.number, fetch.partition)
    low: RowOfIndex = seq_numbers(fetch.seq_from) if fetch.seq_from else (0,)
    high: RowOfIndex = (*seq_numbers(fetch.seq_to), HIGHEST) if fetch.seq_to else (HIGHEST,)
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


def _row_at(view: Reader, asker: Asker, fetch: pb.Fetch, wanted: _Filter, offset: int) -> Row | None:
    """None also for what expired: an index is trimmed later than its log."""
    place = (asker.session.number, fetch.partition)
    found: Iterable[tuple[int, Entry]] = view.read(Sequence.ENTRIES, place, offset - 1, limit=1)
    cursor: Cursor | None = view.get(Table.CURSORS, (asker.number, fetch.partition))
    return next((_row(view, asker, fetch, wanted, cursor, at, entry) for at, entry in found if at == offset), None)
